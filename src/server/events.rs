//! Changes as server-sent events: numbered, remembered for a while, and given to whoever keeps up.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::App;
use super::error::ApiError;
use super::query::Query;
use crate::agent::{Event, Snapshot};

/// Events that somebody who comes back can catch up with.
const REMEMBERED: usize = 1_000;
/// Events that a client may be behind before it is left.
const BEHIND: usize = 256;
/// Clients at a time.
const MAX_CLIENTS: usize = 64;
const HEARTBEAT: Duration = Duration::from_secs(15);
/// New verdicts are announced at most this often: with many probes there is always one.
const BETWEEN_VERDICTS: Duration = Duration::from_secs(2);

/// All events of this process, numbered.
pub struct EventLog {
    /// Tells the numbers of one process from those of another.
    epoch: i64,
    inner: Mutex<Inner>,
    live: broadcast::Sender<Numbered>,
    clients: Arc<Semaphore>,
}

#[derive(Default)]
struct Inner {
    last: u64,
    recent: VecDeque<Numbered>,
}

#[derive(Debug, Clone)]
struct Numbered {
    number: u64,
    text: Bytes,
}

impl EventLog {
    /// Empty; `epoch` is when this process began.
    pub fn new(epoch: i64) -> Self {
        Self {
            epoch,
            inner: Mutex::default(),
            live: broadcast::channel(BEHIND).0,
            clients: Arc::new(Semaphore::new(MAX_CLIENTS)),
        }
    }

    /// How many clients listen.
    pub fn clients(&self) -> usize {
        MAX_CLIENTS - self.clients.available_permits()
    }

    /// Takes the events of the agent over until it ends.
    pub async fn follow(&self, mut events: broadcast::Receiver<Event>) {
        loop {
            match events.recv().await {
                Ok(event) => {
                    if let (Ok(name), Ok(data)) = (
                        serde_json::to_value(event.kind),
                        serde_json::to_string(&event),
                    ) {
                        self.push(name.as_str().unwrap_or("change"), &data);
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    self.push("missed", &format!("{{\"count\":{missed}}}"));
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn push(&self, name: &str, data: &str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.last += 1;
        let number = inner.last;
        let text = format!(
            "id: {}-{number}\nevent: {name}\ndata: {data}\n\n",
            self.epoch
        );
        let event = Numbered {
            number,
            text: text.into(),
        };
        if inner.recent.len() == REMEMBERED {
            inner.recent.pop_front();
        }
        inner.recent.push_back(event.clone());
        // Nobody may be listening.
        self.live.send(event).ok();
    }

    /// What came after the event of that id, and all that will come.
    fn since(&self, last_id: Option<&str>) -> (Vec<Numbered>, broadcast::Receiver<Numbered>) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live.subscribe();
        let Some(last_id) = last_id else {
            return (Vec::new(), live);
        };
        let number = last_id.split_once('-').and_then(|(epoch, number)| {
            let own = epoch.parse() == Ok(self.epoch);
            number
                .parse::<u64>()
                .ok()
                .filter(|number| own && *number <= inner.last)
        });
        let oldest = inner
            .recent
            .front()
            .map_or(inner.last + 1, |event| event.number);
        let reset = Numbered {
            number: 0,
            text: Bytes::from_static(b"event: reset\ndata: {}\n\n"),
        };
        match number {
            Some(number) if number + 1 >= oldest => {
                let later = inner.recent.iter().filter(|event| event.number > number);
                (later.cloned().collect(), live)
            }
            // What was missed is not known any more: the verdict has to be asked for anew.
            _ => (vec![reset], live),
        }
    }
}

/// `GET /api/v1/events`.
pub async fn events(
    State(app): State<Arc<App>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    query.only(&[])?;
    let permit = Arc::clone(&app.events.clients).try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::busy("too many listen already"))?;
    let last_id = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let (missed, live) = app.events.since(last_id);
    let (send, frames) = mpsc::channel(16);
    let feed = Feed {
        live,
        verdicts: app.handle.snapshots(),
        send,
        shutdown: app.shutdown.clone(),
        _permit: permit,
    };
    tokio::spawn(feed.run(missed));
    let mut response = Response::new(Body::new(EventBody { frames }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // A proxy must not wait for more.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// What one client is told, until it is gone or too slow, or the agent ends.
struct Feed {
    live: broadcast::Receiver<Numbered>,
    verdicts: watch::Receiver<Arc<Snapshot>>,
    send: mpsc::Sender<Bytes>,
    shutdown: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    async fn run(mut self, missed: Vec<Numbered>) {
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut refresh = interval(BETWEEN_VERDICTS);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let hello = Bytes::from_static(b"retry: 3000\n\n");
        let first = std::iter::once(hello).chain(missed.into_iter().map(|event| event.text));
        for text in first {
            if !self.tell(text).await {
                return;
            }
        }
        self.verdicts.mark_unchanged();
        loop {
            let next = tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = self.send.closed() => return,
                event = self.live.recv() => match event {
                    Ok(event) => event.text,
                    // It will come back and say what it saw last.
                    Err(_) => return,
                },
                _ = heartbeat.tick() => Bytes::from_static(b": still here\n\n"),
                _ = refresh.tick() => match self.verdicts.has_changed() {
                    Ok(true) => self.verdict(),
                    Ok(false) => continue,
                    Err(_) => return,
                },
            };
            if !self.tell(next).await {
                return;
            }
        }
    }

    /// There is a new one. Without an id: who comes back needs the latest, not each.
    fn verdict(&mut self) -> Bytes {
        let version = self.verdicts.borrow_and_update().version;
        format!("event: verdict\ndata: {{\"version\":{version}}}\n\n").into()
    }

    /// Whether the client still takes what it is told.
    async fn tell(&self, text: Bytes) -> bool {
        tokio::select! {
            () = self.shutdown.cancelled() => false,
            sent = self.send.send(text) => sent.is_ok(),
        }
    }
}

struct EventBody {
    frames: mpsc::Receiver<Bytes>,
}

impl http_body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.frames.poll_recv(cx);
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(events: &[Numbered]) -> Vec<String> {
        let text = |event: &Numbered| String::from_utf8(event.text.to_vec()).unwrap();
        events.iter().map(text).collect()
    }

    #[tokio::test]
    async fn who_comes_back_catches_up_or_is_told_that_it_cannot() {
        let log = EventLog::new(7);
        for n in 0..3 {
            log.push("item", &format!("{n}"));
        }
        let since = |id: Option<&str>| texts(&log.since(id).0);
        assert!(since(None).is_empty());
        assert_eq!(since(Some("7-2")), ["id: 7-3\nevent: item\ndata: 2\n\n"]);
        assert!(since(Some("7-3")).is_empty());
        for lost in ["6-2", "7-4", "7", "x", ""] {
            assert_eq!(since(Some(lost)), ["event: reset\ndata: {}\n\n"], "{lost}");
        }
        for n in 0..REMEMBERED {
            log.push("item", &format!("{n}"));
        }
        assert_eq!(since(Some("7-2")).len(), 1);
        assert_eq!(since(Some("7-3")).len(), REMEMBERED);
    }
}
