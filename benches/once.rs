//! Whole-process figures of `probe`: `cargo bench --bench once`.
//!
//! One local HTTP server answers every request after 100 ms, over a new connection per probe; the
//! binary runs 1,000 probes of it once, as a child process whose CPU time and peak memory the
//! operating system accounts. Also `probe check` of that file and `probe --version`. Prints minimum, median
//! and maximum over the runs; asserts nothing.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark reports on stdout and stops at the first surprise"
)]

mod figures;

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use figures::{report, run};

const PROBES: u32 = 1_000;
const DELAY: Duration = Duration::from_millis(100);

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(async {
        // A backlog that holds them all: a dropped SYN would be measured as a second.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.listen(4096).unwrap()
    });
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(serve(listener));

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("probes.toml"), config(port)).unwrap();
    report("--once, 1,000 http probes", Some(PROBES), || {
        run(dir.path(), &["--once"])
    });
    report("check of 1,000 probes", None, || {
        run(dir.path(), &["check"])
    });
    report("--version", None, || run(dir.path(), &["--version"]));
}

async fn serve(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut request = [0; 1024];
            if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                tokio::time::sleep(DELAY).await;
                let body = "{\"status\":\"ok\",\"version\":7}";
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all((head + body).as_bytes()).await.ok();
                // The client closes.
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
            }
        });
    }
}

fn config(port: u16) -> String {
    let mut text = String::new();
    for index in 0..PROBES {
        let _ = write!(
            text,
            "[[probe]]\nid = \"p{index}\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{port}/health?n={index}\"\n\
             rules.ok = \"json.status == 'ok'\"\nrules.fast = {{ expr = \"total_ms < 1000\", severity = \"should\" }}\n\n"
        );
    }
    text
}
