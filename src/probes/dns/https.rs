//! DNS over HTTPS (RFC 8484): one POST over HTTP/2, or 1.1 where the server speaks nothing newer.

use std::future::Future;
use std::pin::pin;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::answer::read_answer;
use super::facts::State;
use super::question::Question;
use super::server::{Endpoint, HttpTarget, Transport};
use super::transport::{NoAnswer, Reply, encode, open_tls};
use crate::net::{Alpn, NetError, Roots, within};
use crate::probes::Context;

const MEDIA_TYPE: &str = "application/dns-message";
/// The largest DNS message.
const MAX_MESSAGE_BYTES: usize = 65_535;
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// RFC 8484, 4.1: the same id each time, so that the same question is the same request.
const ID: u16 = 0;

pub(super) async fn ask(
    ctx: &Context,
    endpoint: &Endpoint,
    roots: &Roots,
    question: &Question,
    deadline: Instant,
) -> Result<Reply, NoAnswer> {
    const TRANSPORT: Transport = Transport::Https;
    let Some(target) = &endpoint.server.http else {
        return Err(broken("no URL to ask"));
    };
    let (_, message) = encode(question, Some(ID), TRANSPORT)?;
    let stream = open_tls(ctx, endpoint, roots, Alpn::Http2Or1, deadline).await?;
    let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let sent = Instant::now();
    let exchange = async {
        if speaks_http2 {
            over_http2(stream, target, message).await
        } else {
            over_http1(stream, target, message).await
        }
    };
    let bytes = within(deadline, "dns over https", exchange)
        .await
        .map_err(|error: NetError| NoAnswer::net(TRANSPORT, &error))??;
    let answer = read_answer(&bytes, ID, question)
        .map_err(|reject| NoAnswer::garbage(TRANSPORT, &reject))?;
    Ok(Reply {
        answer,
        transport: TRANSPORT,
        rtt: sent.elapsed(),
    })
}

fn broken(detail: impl Into<String>) -> NoAnswer {
    NoAnswer::new(State::HttpError, Transport::Https, detail)
}

fn request(uri: String, message: Vec<u8>) -> Result<Request<Full<Bytes>>, NoAnswer> {
    Request::post(uri)
        .header(CONTENT_TYPE, MEDIA_TYPE)
        .header(ACCEPT, MEDIA_TYPE)
        .body(Full::new(Bytes::from(message)))
        .map_err(|error| broken(format!("the request cannot be written: {error}")))
}

async fn over_http2(
    stream: TlsStream<TcpStream>,
    target: &HttpTarget,
    message: Vec<u8>,
) -> Result<Vec<u8>, NoAnswer> {
    let request = request(
        format!("https://{}{}", target.authority, target.path),
        message,
    )?;
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(MAX_HEADER_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(describe(&error)))?;
    let exchange = async move { read(sender.send_request(request).await).await };
    drive(connection, exchange).await
}

async fn over_http1(
    stream: TlsStream<TcpStream>,
    target: &HttpTarget,
    message: Vec<u8>,
) -> Result<Vec<u8>, NoAnswer> {
    let mut request = request(target.path.clone(), message)?;
    let host = target
        .authority
        .parse()
        .map_err(|_| broken("the host cannot be written in a header"))?;
    request.headers_mut().insert(HOST, host);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEADER_BYTES as usize)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(describe(&error)))?;
    let exchange = async move { read(sender.send_request(request).await).await };
    drive(connection, exchange).await
}

/// Runs the connection beside the exchange. A connection that ends first may have delivered
/// everything before.
async fn drive(
    connection: impl Future<Output = Result<(), hyper::Error>>,
    exchange: impl Future<Output = Result<Vec<u8>, NoAnswer>>,
) -> Result<Vec<u8>, NoAnswer> {
    let mut exchange = pin!(exchange);
    tokio::select! {
        done = &mut exchange => done,
        _ = connection => exchange.await,
    }
}

async fn read(response: Result<Response<Incoming>, hyper::Error>) -> Result<Vec<u8>, NoAnswer> {
    let response = response.map_err(|error| broken(describe(&error)))?;
    if response.status() != StatusCode::OK {
        return Err(broken(format!("HTTP status {}", response.status())));
    }
    if !is_dns_message(response.headers().get(CONTENT_TYPE)) {
        return Err(broken(format!("the content is not {MEDIA_TYPE}")));
    }
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(describe(&error)))?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > MAX_MESSAGE_BYTES {
                return Err(broken("the content is larger than a DNS message"));
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes)
}

/// Parameters of the media type mean nothing to us.
fn is_dns_message(content_type: Option<&HeaderValue>) -> bool {
    content_type
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}

/// The error with its causes: hyper's own words say little.
fn describe(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
