//! One request on its way: redirects, and the body of its answer.

use std::io;

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use tokio::task::consume_budget;
use tokio::time::Instant;
use url::Url;

use super::body::Lease;
use super::client::{Answer, timed_out};
use super::error::{ApiError, Refusal, classify, in_chain};
use crate::evidence::Failure;

/// An error's body is for people.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// What is sent with a request.
pub(super) enum Body {
    None,
    Bytes(HeaderValue, Bytes),
}

/// A request that may yet be redirected.
pub(super) struct Request {
    pub method: Method,
    pub url: Url,
    /// Below the base, for people.
    pub path: String,
    pub body: Body,
    /// Whether statuses other than success are answers too.
    pub any_status: bool,
    /// Whether it only reads, so that it may be sent again on another connection.
    pub only_reads: bool,
    /// Whether it is for the bytes of a document, not for JSON.
    pub is_document: bool,
}

/// The head of an answer.
pub(super) struct Head {
    status: StatusCode,
    date: Option<Timestamp>,
}

/// A whole answer, and what it holds of the budget.
pub(super) struct Received {
    pub head: Head,
    pub bytes: Vec<u8>,
    pub lease: Lease,
}

impl Head {
    pub fn answer<T>(self, value: T) -> Answer<T> {
        Answer {
            value,
            status: self.status.as_u16(),
            date: self.date,
        }
    }
}

impl Request {
    /// Where `response` leads, if anywhere. What is posted is never sent to another place.
    pub fn redirected(&self, response: &Response) -> Result<Option<Url>, ApiError> {
        let status = response.status();
        let leads = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(location) = response.headers().get(header::LOCATION).filter(|_| leads) else {
            return Ok(None);
        };
        let broken = |detail: &str| {
            let detail = format!("{}: {detail}", self.path);
            ApiError::Connection(Failure::target(detail))
        };
        let mut next = location
            .to_str()
            .ok()
            .and_then(|location| self.url.join(location).ok())
            .filter(|next| matches!(next.scheme(), "http" | "https") && next.port() != Some(0))
            .ok_or_else(|| broken("redirected to what is no URL"))?;
        if self.method != Method::GET {
            return Err(broken(
                "redirected, and what is posted is not sent elsewhere: write the URL of the API itself",
            ));
        }
        next.set_fragment(None);
        // User info in a location is somebody else's credential.
        next.set_username("").ok();
        next.set_password(None).ok();
        Ok(Some(next))
    }

    /// The answer, if its status is one of success.
    pub async fn read(
        &self,
        mut response: Response,
        mut lease: Lease,
        at_origin: bool,
        deadline: Instant,
    ) -> Result<Received, ApiError> {
        let status = response.status();
        let head = Head {
            status,
            date: date(response.headers()),
        };
        if matches!(status.as_u16(), 401 | 403) {
            let refusal = self.refusal(&mut response, &mut lease, deadline).await;
            let mut detail = refusal.to_string();
            if !at_origin {
                detail.push_str(" (it redirected to another host, where no credentials are sent)");
            }
            return Err(ApiError::Denied(detail));
        }
        if !status.is_success() && !self.any_status {
            let refusal = self.refusal(&mut response, &mut lease, deadline).await;
            return Err(ApiError::Status(refusal));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(&mut response, deadline).await? {
            lease.take_bytes(&self.path, chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(Received { head, bytes, lease })
    }

    async fn chunk(
        &self,
        response: &mut Response,
        deadline: Instant,
    ) -> Result<Option<Bytes>, ApiError> {
        // Data that is always there would never let a timer run, nor other probes.
        consume_budget().await;
        if Instant::now() >= deadline {
            return Err(timed_out(&self.path));
        }
        let chunk = response.chunk().await;
        chunk.map_err(|error| classify(&error, &self.path, &[]))
    }

    /// What a refusal says, as far as it can be had: its status is what counts.
    async fn refusal(
        &self,
        response: &mut Response,
        lease: &mut Lease,
        deadline: Instant,
    ) -> Refusal {
        let mut body = Vec::new();
        let status = response.status().as_u16();
        let reading = async {
            while body.len() < MAX_REFUSAL_BYTES
                && let Ok(Some(chunk)) = self.chunk(response, deadline).await
                && lease.take_bytes(&self.path, chunk.len()).is_ok()
            {
                body.extend_from_slice(&chunk);
            }
        };
        // A body that hangs must not hide the status.
        let left = deadline.saturating_duration_since(Instant::now());
        tokio::time::timeout(left / 2, reading).await.ok();
        body.truncate(MAX_REFUSAL_BYTES);
        Refusal {
            status,
            path: self.path.clone(),
            body,
        }
    }
}

/// Whether a connection ended instead of answering: a server may close one that is idle at any time.
pub(super) fn is_lost(error: &reqwest::Error) -> bool {
    let hyper = in_chain::<hyper::Error>(error);
    let is_cut = hyper.is_some_and(hyper::Error::is_incomplete_message);
    is_cut
        || in_chain::<io::Error>(error).is_some_and(|io| {
            let kind = io.kind();
            kind == io::ErrorKind::ConnectionReset || kind == io::ErrorKind::BrokenPipe
        })
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(zoned.timestamp())
}
