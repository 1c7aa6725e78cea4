//! The probe's own webhook receiver: it waits for one alert and takes nothing else seriously.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::config::NONCE_LABEL;
use crate::net::api::Labels;

const MAX_CONNECTIONS: usize = 32;
const MAX_BODY_BYTES: usize = 1024 * 1024;
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// What takes longer to say one thing is not Alertmanager.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The notification that was waited for.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) at: Timestamp,
    /// The receiver that it names.
    pub(super) receiver: String,
}

/// A bound port, and what arrived there.
pub(super) struct Listener {
    socket: TcpListener,
    inbox: Arc<Inbox>,
}

struct Inbox {
    nonce: String,
    now: fn() -> Timestamp,
    received: Mutex<Option<Received>>,
    is_resolved: AtomicBool,
    arrived: Notify,
    others: AtomicU64,
}

/// The part of a notification that matters (version 4 of the webhook's JSON).
#[derive(Deserialize)]
struct Notification {
    receiver: String,
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alert {
    status: String,
    labels: Labels,
}

impl Listener {
    /// Binds the port.
    ///
    /// # Errors
    /// The system's: mostly that it is taken.
    pub(super) async fn bind(
        address: SocketAddr,
        nonce: &str,
        now: fn() -> Timestamp,
    ) -> std::io::Result<Self> {
        let inbox = Inbox {
            nonce: nonce.to_owned(),
            now,
            received: Mutex::default(),
            is_resolved: AtomicBool::new(false),
            arrived: Notify::new(),
            others: AtomicU64::new(0),
        };
        Ok(Self {
            socket: TcpListener::bind(address).await?,
            inbox: Arc::new(inbox),
        })
    }

    /// Serves until the notification has arrived. Dropping it ends all connections.
    pub(super) async fn wait(&self) -> Received {
        self.serve(Inbox::received).await
    }

    /// The same until the one has arrived that says it is resolved.
    pub(super) async fn wait_resolved(&self) {
        self.serve(|inbox| inbox.is_resolved.load(Ordering::Acquire).then_some(()))
            .await;
    }

    async fn serve<T>(&self, arrived: impl Fn(&Inbox) -> Option<T>) -> T {
        let mut connections = JoinSet::new();
        loop {
            if let Some(received) = arrived(&self.inbox) {
                // Its sender gets its answer.
                let answered = async { while connections.join_next().await.is_some() {} };
                timeout(Duration::from_millis(100), answered).await.ok();
                return received;
            }
            tokio::select! {
                () = self.inbox.arrived.notified() => {}
                _ = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.socket.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(serve(stream, Arc::clone(&self.inbox)));
                    }
                    // Out of descriptors: the next moment may be better, and busy waiting is not.
                    Err(_) => sleep(Duration::from_millis(50)).await,
                },
            }
        }
    }

    /// What else arrived.
    pub(super) fn others(&self) -> u64 {
        self.inbox.others.load(Ordering::Acquire)
    }
}

impl Inbox {
    fn received(&self) -> Option<Received> {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.clone()
    }

    fn take(&self, body: &[u8]) {
        let Ok(notification) = serde_json::from_slice::<Notification>(body) else {
            self.others.fetch_add(1, Ordering::AcqRel);
            return;
        };
        let mut ours = notification
            .alerts
            .iter()
            .filter(|alert| alert.labels.get(NONCE_LABEL) == Some(&self.nonce))
            .peekable();
        if ours.peek().is_none() {
            self.others.fetch_add(1, Ordering::AcqRel);
            return;
        }
        if ours.all(|alert| alert.status != "firing") {
            self.is_resolved.store(true, Ordering::Release);
            self.arrived.notify_one();
            return;
        }
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.get_or_insert_with(|| Received {
            at: (self.now)(),
            receiver: notification.receiver,
        });
        self.arrived.notify_one();
    }
}

async fn serve(stream: TcpStream, inbox: Arc<Inbox>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&inbox)));
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // A peer that breaks off is no news.
    timeout(CONNECTION_TIMEOUT, connection).await.ok();
}

async fn answer(
    request: Request<Incoming>,
    inbox: Arc<Inbox>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let status = match body(request.into_body()).await {
        Some(body) => {
            inbox.take(&body);
            StatusCode::OK
        }
        None => {
            inbox.others.fetch_add(1, Ordering::AcqRel);
            StatusCode::PAYLOAD_TOO_LARGE
        }
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

/// The whole body, if it is none too large.
async fn body(mut incoming: Incoming) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            if body.len() + data.len() > MAX_BODY_BYTES {
                return None;
            }
            body.extend_from_slice(&data);
        }
    }
    Some(body)
}
