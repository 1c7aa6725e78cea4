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

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

const PROBES: u32 = 1_000;
const RUNS: usize = 7;
const DELAY: Duration = Duration::from_millis(100);

struct Figures {
    wall_s: f64,
    cpu_s: f64,
    peak_mb: f64,
}

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

/// One child process, accounted by the operating system.
fn run(dir: &Path, args: &[&str]) -> Figures {
    let begun = Instant::now();
    let child = Command::new("/usr/bin/env")
        .arg("time")
        .args(["-f", "%U %S %M", "-o", "figures"])
        .arg(env!("CARGO_BIN_EXE_probe"))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let wall_s = begun.elapsed().as_secs_f64();
    assert!(child.success(), "{args:?} ended with {child}");
    let figures = probe::limits::read_file(&dir.join("figures"), 1024).unwrap();
    let figures = String::from_utf8(figures).unwrap();
    let numbers: Vec<f64> = figures
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    let [user, system, kilobytes] = numbers[..] else {
        panic!("GNU time printed {figures}");
    };
    Figures {
        wall_s,
        cpu_s: user + system,
        peak_mb: kilobytes / 1024.0,
    }
}

fn report(name: &str, probes: Option<u32>, run: impl Fn() -> Figures) {
    run();
    let runs: Vec<Figures> = (0..RUNS).map(|_| run()).collect();
    println!("{name}, {RUNS} runs after a warm-up (min / median / max)");
    line("wall, s", &runs, |f| f.wall_s);
    line("CPU, s", &runs, |f| f.cpu_s);
    line("peak memory, MB", &runs, |f| f.peak_mb);
    if let Some(probes) = probes {
        line("probes per CPU-second", &runs, |f| {
            f64::from(probes) / f.cpu_s
        });
    }
}

fn line(name: &str, runs: &[Figures], figure: impl Fn(&Figures) -> f64) {
    let mut values: Vec<f64> = runs.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    println!(
        "  {name:<22} {:>10.3} {:>10.3} {:>10.3}",
        values[0],
        values[values.len() / 2],
        values[values.len() - 1]
    );
}
