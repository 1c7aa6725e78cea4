//! The API of the daemon: the real binary, asked by clients of every kind.

mod access;
mod answers;
mod events;
mod forms;
mod hostile;
mod scrape;
mod settings;
mod tls;

use std::net::TcpListener;

use crate::lab::{Daemon, free_port};

/// A configuration with one gate that passes for as long as somebody listens on `up`, and one that
/// fails.
fn config(up: u16) -> String {
    let down = free_port();
    format!(
        r#"
        [agent]
        service = "shop"
        [defaults]
        interval = "1s"
        timeout = "2s"
        [[probe]]
        id = "up"
        kind = "tcp"
        host = "127.0.0.1"
        port = {up}
        [[probe]]
        id = "down"
        kind = "tcp"
        host = "127.0.0.1"
        port = {down}
        [[item]]
        id = "A.1"
        title = "it is there"
        needs = ["up/*"]
        [[item]]
        id = "B.1"
        needs = ["down/*"]
        [[gate]]
        id = "good"
        items = ["A.*"]
        [[gate]]
        id = "bad"
        items = ["B.*"]
        "#
    )
}

/// A daemon that has seen everything, and what it looks at.
fn daemon(server: &str) -> (Daemon, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let up = listener.local_addr().expect("an address").port();
    let daemon = Daemon::start(server, &config(up));
    daemon.wait_for("/readyz?gate=good", |answer| {
        answer.status == 200 || answer.status == 403
    });
    (daemon, listener)
}
