//! An HTTP server that answers what a test tells it to, and remembers what it was asked.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::sleep;

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET`, …
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, percent-encoded, or the body of a form.
    pub query: String,
    /// The whole head.
    pub head: String,
}

impl Asked {
    /// The first value of a query parameter or a field of a form, decoded.
    pub fn param(&self, name: &str) -> Option<String> {
        self.params(name).into_iter().next()
    }

    /// All its values.
    pub fn params(&self, name: &str) -> Vec<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .filter_map(|(key, value)| (key == name).then(|| value.into_owned()))
            .collect()
    }
}

/// An answer.
#[derive(Clone)]
pub struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
    /// The body is this, so many times, after `body`.
    repeated: (Vec<u8>, usize),
    end: Vec<u8>,
    after: Duration,
    never: bool,
}

impl Reply {
    /// With this status and body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: String::new(),
            body: body.into(),
            repeated: (Vec::new(), 0),
            end: Vec::new(),
            after: Duration::ZERO,
            never: false,
        }
    }

    /// 200 with JSON.
    pub fn json(value: &serde_json::Value) -> Self {
        Self::new(200, value.to_string()).header("content-type: application/json")
    }

    /// None at all: the connection stays open.
    pub fn hang() -> Self {
        Self {
            never: true,
            ..Self::new(0, "")
        }
    }

    /// With one more header line.
    #[must_use]
    pub fn header(mut self, line: &str) -> Self {
        self.headers += line;
        self.headers += "\r\n";
        self
    }

    /// Goes on with `part`, so many times.
    #[must_use]
    pub fn repeat(mut self, part: impl Into<Vec<u8>>, times: usize) -> Self {
        self.repeated = (part.into(), times);
        self
    }

    /// Ends with `end`.
    #[must_use]
    pub fn end(mut self, end: impl Into<Vec<u8>>) -> Self {
        self.end = end.into();
        self
    }

    /// After a while.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.after = wait;
        self
    }
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The server; it ends when dropped.
pub struct Scripted {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    runtime: Option<Runtime>,
}

impl Scripted {
    /// Starts it on a free port of 127.0.0.1.
    pub fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime for the scripted server");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("address");
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener).expect("listen")
        };
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&asked));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&log)));
            }
        });
        Self {
            address,
            asked,
            runtime: Some(runtime),
        }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("the log of requests").clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Script>, log: Arc<Mutex<Vec<Asked>>>) {
    while let Some(asked) = read(&mut stream).await {
        log.lock().expect("the log of requests").push(asked.clone());
        let reply = script(&asked);
        if reply.never {
            return pending().await;
        }
        sleep(reply.after).await;
        // The peer may give up at any time.
        if write(&mut stream, &reply).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut received = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let text = String::from_utf8_lossy(&received).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                let mut words = head.split(' ');
                let method = words.next()?.to_owned();
                let target = words.next()?;
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                let query = if body.is_empty() { query } else { body };
                return Some(Asked {
                    method,
                    path: path.to_owned(),
                    query: query.to_owned(),
                    head: head.to_owned(),
                });
            }
        }
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => received.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}

async fn write(stream: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    let (part, times) = &reply.repeated;
    let length = reply.body.len() + part.len() * times + reply.end.len();
    let head = format!(
        "HTTP/1.1 {} Said\r\n{}content-length: {length}\r\n\r\n",
        reply.status, reply.headers
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&reply.body).await?;
    for _ in 0..*times {
        stream.write_all(part).await?;
    }
    stream.write_all(&reply.end).await?;
    stream.flush().await
}
