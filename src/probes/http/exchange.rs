//! One request and the head of its response, on a connection that is polled in the same task.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::response::Parts;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::connect::Stream;
use crate::net::{NetError, within};

const STEP: &str = "waiting for the response";

/// A head larger than this is refused.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Enough for a body of the default cap in a few round trips, small enough for many at once.
const HTTP2_WINDOW_BYTES: u32 = 256 * 1024;

type Io = TokioIo<Stream>;
type RequestBody = Full<Bytes>;

/// A response whose body has not been read yet.
pub struct Exchange {
    pub head: Parts,
    pub body: Incoming,
    pub driver: Driver,
}

/// Sends `request` and waits for the head of the response.
///
/// # Errors
/// The target broke the connection or the protocol, or stayed silent.
pub async fn send(
    stream: Stream,
    is_http2: bool,
    request: Request<RequestBody>,
    deadline: Instant,
) -> Result<Exchange, NetError> {
    let io = TokioIo::new(stream);
    if is_http2 {
        // Boxed: HTTP/1.1, the common case, need not carry the room for it.
        return Box::pin(send_http2(io, request, deadline)).await;
    }
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .handshake(io)
        .await
        .map_err(|error| broken(&error))?;
    let mut driver = Driver::Http1(connection);
    let response = driver.alongside(sender.send_request(request));
    let response = within(deadline, STEP, response).await?;
    Ok(Exchange::new(
        response.map_err(|error| broken(&error))?,
        driver,
    ))
}

async fn send_http2(
    io: Io,
    request: Request<RequestBody>,
    deadline: Instant,
) -> Result<Exchange, NetError> {
    let tasks = Tasks::default();
    let handshake = http2::Builder::new(tasks.clone())
        .initial_stream_window_size(HTTP2_WINDOW_BYTES)
        .initial_connection_window_size(2 * HTTP2_WINDOW_BYTES)
        .max_header_list_size(64 * 1024)
        .handshake(io);
    let (mut sender, connection) = timeout_at(deadline, handshake)
        .await
        .map_err(|_| NetError::Silent { step: STEP })?
        .map_err(|error| broken(&error))?;
    let mut driver = Driver::Http2 {
        connection: Some(Box::new(connection)),
        _abort: AbortOnDrop(tasks),
    };
    let response = driver.alongside(sender.send_request(request));
    let response = within(deadline, STEP, response).await?;
    Ok(Exchange::new(
        response.map_err(|error| broken(&error))?,
        driver,
    ))
}

impl Exchange {
    fn new(response: Response<Incoming>, driver: Driver) -> Self {
        let (head, body) = response.into_parts();
        Self { head, body, driver }
    }
}

/// The connection behind a response. Dropping it closes the connection.
#[expect(
    clippy::large_enum_variant,
    reason = "HTTP/1.1 is the common case, and boxing it would cost each probe an allocation"
)]
pub enum Driver {
    Http1(http1::Connection<Io, RequestBody>),
    Http2 {
        connection: Option<Box<http2::Connection<Io, RequestBody, Tasks>>>,
        _abort: AbortOnDrop,
    },
    /// It has ended; what it had read is still in the body.
    Ended,
}

impl Driver {
    /// Drives the connection until `future` is ready, without a task of its own.
    pub async fn alongside<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(value);
            }
            self.poll(cx);
            // What the connection has just read is taken at once, not after another wake-up.
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Errors of the connection reach the response or its body by themselves.
    fn poll(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Http1(connection) => {
                if Pin::new(connection).poll(cx).is_ready() {
                    *self = Self::Ended;
                }
            }
            Self::Http2 { connection, .. } => {
                if let Some(running) = connection
                    && Pin::new(running).poll(cx).is_ready()
                {
                    *connection = None;
                }
            }
            Self::Ended => {}
        }
    }
}

/// Runs the tasks that an HTTP/2 connection needs, and ends them with it.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(future);
    }
}

/// Ends the tasks even where one of them holds the handle to all.
pub struct AbortOnDrop(Tasks);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        let mut tasks = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.abort_all();
    }
}

fn broken(error: &hyper::Error) -> NetError {
    NetError::Broken {
        step: "http",
        detail: describe(error),
    }
}

/// What hyper says, in the words of what the target did.
pub fn describe(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "the target closed the connection too early".to_owned();
    }
    let mut detail = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !detail.contains(&text) {
            detail.push_str(": ");
            detail.push_str(&text);
        }
        source = cause.source();
    }
    if error.is_parse() {
        return format!("the response is not HTTP: {detail}");
    }
    detail
}
