//! Whose fault it is when nothing comes back.

use std::time::Duration;

use probe::evidence::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{SLACK, get, with};
use crate::lab::{Hostile, attempt, free_port};

#[tokio::test]
async fn whose_fault_it_is() {
    let refused = get(&format!("http://127.0.0.1:{}/", free_port())).await;
    assert_eq!(refused.outcome(), Outcome::TargetError);
    assert!(refused.failure().detail().contains("refused"));
    let unresolved = get("http://no-such-host.invalid/").await;
    assert_eq!(unresolved.outcome(), Outcome::ProbeError, "{unresolved:?}");
    let hostile = Hostile::start();
    let untrusted = get(&hostile.tls_url("/ok")).await;
    assert_eq!(untrusted.outcome(), Outcome::TargetError, "{untrusted:?}");
    assert!(
        untrusted.failure().detail().contains("certificate"),
        "{untrusted:?}"
    );
    let not_tls = get(&hostile.url("/ok").replace("http:", "https:")).await;
    assert_eq!(not_tls.outcome(), Outcome::TargetError, "{not_tls:?}");
    let not_http2 = with(&hostile.url("/ok"), "http_version = '2'").await;
    assert_eq!(not_http2.outcome(), Outcome::TargetError, "{not_http2:?}");
}

/// Speaks raw HTTP/2 frames to one client, then waits.
async fn http2_frames(frames: Vec<&'static [u8]>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for frame in frames {
            // The peer may have given up.
            stream.write_all(frame).await.ok();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::future::pending::<()>().await;
    });
    format!("http://{address}/")
}

#[tokio::test]
async fn http2_that_hangs_or_breaks_off_ends_in_time() {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    // `:status: 200` on the first stream, more to come.
    const HEAD: &[u8] = b"\0\0\x01\x01\x04\0\0\0\x01\x88";
    const RESET: &[u8] = b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x02";
    const GARBAGE: &[u8] = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    let timeout = Duration::from_secs(1);
    let observe = async |frames: Vec<&'static [u8]>| {
        let url = http2_frames(frames).await;
        let attempt = attempt(
            "http",
            &format!("url = '{url}'\nhttp_version = '2'"),
            timeout,
        )
        .await;
        assert!(attempt.took < timeout + SLACK, "{:?}", attempt.took);
        attempt
    };
    for frames in [
        vec![],
        vec![SETTINGS],
        vec![SETTINGS, GARBAGE],
        vec![SETTINGS, RESET],
    ] {
        let attempt = observe(frames).await;
        assert_eq!(attempt.outcome(), Outcome::TargetError, "{attempt:?}");
    }
    let hung = observe(vec![SETTINGS, HEAD]).await;
    assert_eq!(hung.fact("status"), 200);
    assert_eq!(hung.unknown("body"), "timed_out");
    let reset = observe(vec![SETTINGS, HEAD, RESET]).await;
    assert_eq!(reset.unknown("body"), "not_observed");
    assert_eq!(reset.fact("complete"), false);
}

#[tokio::test]
async fn another_address_of_the_name_is_tried() {
    // localhost is both 127.0.0.1 and ::1; only one of them listens.
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nv6";
        stream.write_all(response).await.unwrap();
        stream
    };
    let url = format!("http://localhost:{port}/");
    let (attempt, _stream) = futures_util::future::join(get(&url), serving).await;
    assert_eq!(attempt.fact("body"), "v6");
    assert!(attempt.fact("dns_ms").is_f64());
    assert!(
        attempt
            .trail
            .addresses
            .iter()
            .any(std::net::SocketAddr::is_ipv6)
    );
}
