//! Reads a response body: to its end or not at all, decompressed, never past a cap.

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::task::consume_budget;
use tokio::time::{Instant, timeout_at};

use super::decode::{Encoding, Received, Stop};
use super::exchange::{Exchange, describe};
use crate::evidence::{Observed, UnknownWhy};

/// The bytes of a body, or why they are not known.
pub type Content = Observed<Vec<u8>>;

/// What became of a body.
#[derive(Debug)]
pub struct Body {
    pub content: Content,
    /// Whether it arrived to its end and intact.
    pub complete: Observed<bool>,
    /// Whether its end was seen, be it intact or not decodable.
    pub ended: bool,
}

/// Reads the body of `exchange`, at most `max_bytes` of it after decompression.
pub async fn read(
    exchange: &mut Exchange,
    method: &Method,
    max_bytes: usize,
    deadline: Instant,
) -> Body {
    let encoding = Encoding::of(&exchange.head.headers);
    let mut received = Received::new(&encoding, max_bytes);
    let end = receive(exchange, &mut received, deadline).await;
    if matches!(end, End::Complete) && *method == Method::HEAD {
        return Body {
            content: Observed::unknown(UnknownWhy::NotApplicable, "a HEAD request has no body"),
            complete: Observed::Value(true),
            ended: true,
        };
    }
    conclude(end, received, &encoding, exchange.head.status)
}

/// How reading ended.
enum End {
    Complete,
    Stopped(Stop),
    TimedOut,
    Broken(String),
}

async fn receive(exchange: &mut Exchange, received: &mut Received, deadline: Instant) -> End {
    let reading = async {
        // Data that is always there would never let the timer outside run.
        while Instant::now() < deadline {
            // A target that floods tiny chunks must not keep this thread from other probes.
            consume_budget().await;
            match exchange.driver.alongside(exchange.body.frame()).await {
                None => return End::Complete,
                Some(Err(error)) => return End::Broken(describe(&error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && let Err(stop) = received.push(&data)
                    {
                        return End::Stopped(stop);
                    }
                }
            }
        }
        End::TimedOut
    };
    timeout_at(deadline, reading).await.unwrap_or(End::TimedOut)
}

fn conclude(end: End, received: Received, encoding: &Encoding, status: StatusCode) -> Body {
    let (cap, wire_bytes) = (received.max_bytes, received.wire_bytes);
    let too_large = || {
        let detail = format!("larger than {cap} bytes; raise max_body_bytes to read it");
        (UnknownWhy::TooLarge, detail)
    };
    let unknown = |(why, detail): (UnknownWhy, String), complete, ended| Body {
        content: Observed::unknown(why, detail),
        complete,
        ended,
    };
    let stopped = |stop, ended| match stop {
        Stop::TooLarge => {
            let (why, detail) = too_large();
            unknown(too_large(), Observed::unknown(why, detail), ended)
        }
        Stop::Corrupt(detail) => unknown(
            (UnknownWhy::Unparseable, detail),
            Observed::Value(false),
            ended,
        ),
    };
    match end {
        End::TimedOut => {
            let detail =
                format!("the body did not end before the timeout ({wire_bytes} bytes came)");
            let complete = Observed::unknown(UnknownWhy::TimedOut, detail.clone());
            unknown((UnknownWhy::TimedOut, detail), complete, false)
        }
        End::Broken(detail) => {
            let detail = format!("the body broke off after {wire_bytes} bytes: {detail}");
            unknown(
                (UnknownWhy::NotObserved, detail),
                Observed::Value(false),
                false,
            )
        }
        End::Stopped(stop) => stopped(stop, false),
        End::Complete => {
            if let (Encoding::Other(name), true) = (encoding, wire_bytes > 0) {
                let detail = format!("content-encoding {name} is not decoded ({status})");
                let why = UnknownWhy::Unsupported;
                return unknown((why, detail), Observed::Value(true), true);
            }
            match received.finish() {
                Ok(bytes) => Body {
                    content: Observed::Value(bytes),
                    complete: Observed::Value(true),
                    ended: true,
                },
                Err(stop) => stopped(stop, true),
            }
        }
    }
}
