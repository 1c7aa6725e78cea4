//! The `http` kind.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use probe::evidence::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lab::{Attempt, Hostile, Run, Server, attempt, free_port, wrong_params};

const TIMEOUT: Duration = Duration::from_secs(5);
/// How much longer than its timeout an attempt may take.
const SLACK: Duration = Duration::from_millis(500);

async fn get(url: &str) -> Attempt {
    attempt("http", &format!("url = '{url}'"), TIMEOUT).await
}

async fn with(url: &str, params: &str) -> Attempt {
    attempt("http", &format!("url = '{url}'\n{params}"), TIMEOUT).await
}

/// The same behaviour over plain HTTP and over TLS.
async fn both(hostile: &Hostile, dir: &Path, path: &str, timeout: Duration) -> [Attempt; 2] {
    let ca = dir.join("hostile.pem");
    std::fs::write(&ca, hostile.certificate_pem()).expect("write the certificate");
    let plain = format!("url = '{}'", hostile.url(path));
    let tls = format!(
        "url = '{}'\nca_file = '{}'",
        hostile.tls_url(path),
        ca.display()
    );
    let (plain, tls) = futures_util::future::join(
        attempt("http", &plain, timeout),
        attempt("http", &tls, timeout),
    )
    .await;
    [plain, tls]
}

#[tokio::test]
async fn without_a_whole_head_the_target_is_broken() {
    let hostile = Hostile::start();
    let dir = tempfile::tempdir().unwrap();
    let timeout = Duration::from_secs(1);
    let paths = [
        "/hang",
        "/hang-in-head",
        "/slow-head",
        "/reset",
        "/half-close",
        "/garbage",
        "/http09",
        "/bad-status",
        "/two-lengths",
        "/endless-head",
        "/endless-line",
        "/1xx-flood",
        "/redirect-loop",
    ];
    let attempts = join_all(paths.map(|path| both(&hostile, dir.path(), path, timeout))).await;
    for (path, attempts) in paths.iter().zip(attempts) {
        for attempt in attempts {
            assert_eq!(
                attempt.outcome(),
                Outcome::TargetError,
                "{path}: {attempt:?}"
            );
            assert!(attempt.took < timeout + SLACK, "{path}: {:?}", attempt.took);
        }
    }
}

#[tokio::test]
async fn a_body_is_whole_or_unknown() {
    let hostile = Hostile::start();
    let dir = tempfile::tempdir().unwrap();
    let timeout = Duration::from_secs(4);
    // path, why `body` is unknown, `complete` or why that is unknown
    let cases = [
        ("/body-hang", "timed_out", "timed_out"),
        ("/body-drip", "timed_out", "timed_out"),
        ("/body-reset", "not_observed", "false"),
        ("/body-short", "not_observed", "false"),
        ("/body-bad-chunks", "not_observed", "false"),
        ("/body-cut-chunks", "not_observed", "false"),
        ("/body-1gb", "too_large", "too_large"),
        ("/body-endless-chunks", "too_large", "too_large"),
        ("/body-gzip-bomb", "too_large", "too_large"),
        ("/body-deflate-bomb", "too_large", "too_large"),
        ("/body-gzip-cut", "unparseable", "false"),
        ("/body-gzip-invalid", "unparseable", "false"),
        ("/body-brotli", "unsupported", "true"),
        ("/body-not-utf8", "unparseable", "true"),
    ];
    let attempts =
        join_all(cases.map(|(path, ..)| both(&hostile, dir.path(), path, timeout))).await;
    for ((path, why, complete), attempts) in cases.iter().zip(attempts) {
        for attempt in attempts {
            assert!(attempt.took < timeout + SLACK, "{path}: {:?}", attempt.took);
            assert_eq!(attempt.fact("status"), 200, "{path}");
            assert_eq!(attempt.unknown("body"), *why, "{path}: {attempt:?}");
            assert_ne!(attempt.unknown("json"), "", "{path}: {attempt:?}");
            let seen = match attempt.fact("complete").as_bool() {
                Some(seen) => seen.to_string(),
                None => attempt.unknown("complete").to_owned(),
            };
            assert_eq!(seen, *complete, "{path}: {attempt:?}");
            let was_read = *why == "unsupported" || *why == "unparseable";
            assert!(
                was_read || attempt.unknown("total_ms") == *why,
                "{path}: {attempt:?}"
            );
        }
    }
}

#[tokio::test]
async fn odd_bodies_that_are_whole_are_known() {
    let hostile = Hostile::start();
    for (path, body) in [
        ("/ok", "ok\n"),
        ("/1xx", "after"),
        ("/body-long", "body"),
        ("/body-until-close", "until the end"),
        ("/body-gzip", "plain text"),
        ("/body-deflate", "plain text"),
    ] {
        let attempt = get(&hostile.url(path)).await;
        assert_eq!(attempt.fact("body"), body, "{path}");
        assert_eq!(attempt.fact("complete"), true, "{path}");
        assert_eq!(attempt.fact("body_bytes"), body.len(), "{path}");
    }
    for path in ["/body-deep-json", "/body-huge-numbers"] {
        let attempt = get(&hostile.url(path)).await;
        assert_eq!(attempt.unknown("json"), "unparseable", "{path}");
        assert!(attempt.fact("body").is_string(), "{path}");
    }
    let fake = get(&hostile.url("/body-fake-unknown")).await;
    assert_eq!(fake.fact("json")["a"]["unknown"], "denied");
}

#[tokio::test]
async fn the_facts_of_an_ordinary_response() {
    let hostile = Hostile::start();
    let attempt = get(&hostile.url("/json?{\"up\":true,\"n\":[1,2]}")).await;
    assert_eq!(attempt.fact("status"), 200);
    // The query is percent-encoded on its way.
    assert_eq!(attempt.fact("headers")["content-type"], "application/json");
    assert_eq!(attempt.fact("http_version"), "1.1");
    assert_eq!(attempt.unknown("tls_ms"), "not_applicable");
    assert_eq!(attempt.unknown("dns_ms"), "not_applicable");
    assert_eq!(attempt.unknown("redirect_not_followed"), "not_applicable");
    assert_eq!(
        attempt.fact("remote_address"),
        format!("127.0.0.1:{}", hostile.port()).as_str()
    );
    let phases: Vec<&str> = attempt
        .trail
        .phases
        .iter()
        .map(|phase| phase.name.as_str())
        .collect();
    assert_eq!(phases, ["connect", "first_byte", "body"]);

    let slow = get(&hostile.url("/slow")).await;
    let ms = |name: &str| slow.fact(name).as_f64().unwrap();
    assert!(ms("first_byte_ms") >= 100.0 && ms("total_ms") >= ms("first_byte_ms"));

    let cookies = get(&hostile.url("/cookies")).await;
    assert_eq!(cookies.fact("set_cookies")[0]["secure"], true);
    assert_eq!(cookies.fact("set_cookies")[1]["name"], "b");
    assert_eq!(cookies.fact("set_cookies")[1]["http_only"], false);

    let lossy = get(&hostile.url("/lossy-header")).await;
    assert_eq!(lossy.fact("headers")["x-bytes"], "\u{fffd}\u{fffd}");
}

#[tokio::test]
async fn responses_without_a_body() {
    let hostile = Hostile::start();
    let head = with(&hostile.url("/head-only"), "method = 'HEAD'").await;
    assert_eq!(head.unknown("body"), "not_applicable");
    assert_eq!(head.fact("complete"), true);
    for status in [204, 304, 404, 500] {
        let attempt = get(&hostile.url(&format!("/status?{status}"))).await;
        assert_eq!(attempt.fact("status"), status);
        assert_eq!(attempt.fact("body"), "");
    }
}

#[tokio::test]
async fn what_is_sent() {
    let hostile = Hostile::start();
    let url = hostile.url("/echo?q=1");
    let plain = get(&url).await;
    let text = plain.fact("body").as_str().unwrap();
    assert!(text.starts_with("GET /echo?q=1 HTTP/1.1\r\n"), "{text}");
    assert!(text.contains(&format!(
        "user-agent: probe/{}\r\n",
        env!("CARGO_PKG_VERSION")
    )));
    assert!(text.contains("accept-encoding: gzip\r\n"), "{text}");
    assert!(
        text.contains(&format!("host: 127.0.0.1:{}\r\n", hostile.port())),
        "{text}"
    );

    let posted = with(
        &url,
        "method = 'POST'\nbody = '{\"a\": 1}'\nheaders = { Content-Type = 'application/json', Host = 'other.example' }",
    )
    .await;
    let text = posted.fact("body").as_str().unwrap();
    assert!(
        text.starts_with("POST ") && text.ends_with("\r\n\r\n{\"a\": 1}"),
        "{text}"
    );
    assert!(
        text.contains("content-type: application/json\r\n"),
        "{text}"
    );
    assert!(text.contains("host: other.example\r\n"), "{text}");
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    // base64 of "user:p@ss/word"
    const BASIC: &str = "dXNlcjpwQHNzL3dvcmQ=";
    let hostile = Hostile::start();
    let in_url = hostile
        .url("/echo")
        .replace("http://", "http://user:p%40ss%2Fword@");
    let from_url = get(&in_url).await;
    let given = with(
        &hostile.url("/echo"),
        "basic_auth = { username = 'user', password = 'p@ss/word' }",
    )
    .await;
    for attempt in [from_url, given] {
        let shown = format!("{:?}", attempt.result);
        assert!(shown.contains("authorization: Basic [redacted]"), "{shown}");
        assert!(
            !shown.contains(BASIC) && !shown.contains("p%40ss") && !shown.contains("p@ss"),
            "{shown}"
        );
    }
    let bearer = with(&hostile.url("/echo"), "bearer_token = 'tok-123'").await;
    let shown = format!("{:?}", bearer.result);
    assert!(shown.contains("authorization: Bearer [redacted]") && !shown.contains("tok-123"));
}

#[tokio::test]
async fn redirects_change_the_method_as_they_should() {
    let hostile = Hostile::start();
    for (status, method, becomes) in [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (301, "PUT", "PUT"),
        (302, "GET", "GET"),
    ] {
        let url = hostile.url(&format!("/redirect/{status}?/echo"));
        let params = format!(
            "method = '{method}'\nbody = 'payload'\nheaders = {{ x-mine = 'kept', content-type = 'a/b' }}"
        );
        let attempt = with(&url, &params).await;
        let text = attempt.fact("body").as_str().unwrap();
        assert!(
            text.starts_with(&format!("{becomes} /echo")),
            "{status} {method}: {text}"
        );
        let keeps_body = method == becomes;
        assert_eq!(
            text.ends_with("payload"),
            keeps_body,
            "{status} {method}: {text}"
        );
        assert_eq!(
            text.contains("content-type"),
            keeps_body,
            "{status} {method}: {text}"
        );
        assert!(text.contains("x-mine: kept"), "{status} {method}: {text}");
        assert_eq!(attempt.fact("redirects")[0]["status"], status);
        assert_eq!(
            attempt.fact("redirects")[0]["location"],
            hostile.url("/echo").as_str()
        );
        assert_eq!(attempt.fact("final_url"), hostile.url("/echo").as_str());
    }
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let (home, elsewhere) = (Hostile::start(), Hostile::start());
    let url = home.url(&format!("/redirect/302?{}", elsewhere.url("/echo")));
    let secrets = "headers = { x-key = 'one', cookie = 'two=2' }";
    for credentials in [
        "bearer_token = 'three'",
        "basic_auth = { username = 'three', password = 'four' }",
    ] {
        let attempt = with(&url, &format!("{secrets}\n{credentials}")).await;
        let text = attempt.fact("body").as_str().unwrap().to_lowercase();
        assert!(text.starts_with("get /echo"), "{text}");
        for secret in ["x-key", "cookie", "authorization", "two=2"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    let url = home.url(&format!("/redirect/307?{}", elsewhere.url("/echo")));
    let before = elsewhere.requests();
    let with_body = with(&url, "method = 'POST'\nbody = 'secret'").await;
    assert_eq!(with_body.fact("status"), 307);
    let reason = with_body.fact("redirect_not_followed").as_str().unwrap();
    assert!(reason.contains("another origin"), "{reason}");
    assert_eq!(elsewhere.requests(), before);
}

#[tokio::test]
async fn redirects_end() {
    let hostile = Hostile::start();
    let endless = get(&hostile.url("/redirect-loop")).await;
    assert!(
        endless
            .failure()
            .detail()
            .contains("more than 10 redirects")
    );
    assert_eq!(hostile.requests(), 11);

    let first = with(
        &hostile.url("/redirect/301?https://a.example/"),
        "follow_redirects = false",
    )
    .await;
    assert_eq!(first.fact("status"), 301);
    assert_eq!(first.fact("headers")["location"], "https://a.example/");
    assert_eq!(first.fact("redirects").as_array().unwrap().len(), 0);

    for location in ["ftp://a.example/", "http://", "http://a.example:0/"] {
        let attempt = get(&hostile.url(&format!("/redirect/302?{location}"))).await;
        assert_eq!(attempt.fact("status"), 302, "{location}");
        assert!(
            attempt.fact("redirect_not_followed").is_string(),
            "{location}"
        );
    }
    let nowhere =
        get(&hostile.url(&format!("/redirect/302?http://127.0.0.1:{}/", free_port()))).await;
    assert_eq!(nowhere.outcome(), Outcome::TargetError);
    assert!(
        nowhere
            .failure()
            .detail()
            .starts_with("redirected to http://127.0.0.1")
    );
}

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

/// nginx in the foreground, over HTTP, HTTPS with HTTP/2, and HTTP/2 without TLS.
struct Nginx {
    _server: Server,
    dir: tempfile::TempDir,
    http: u16,
    https: u16,
    h2c: u16,
}

impl Nginx {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (http, https, h2c) = (free_port(), free_port(), free_port());
        let names = ["web.example".to_owned(), "127.0.0.1".to_owned()];
        let key = rcgen::generate_simple_self_signed(names).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("cert.pem", &key.cert.pem());
        write("key.pem", &key.signing_key.serialize_pem());
        let user = rcgen::generate_simple_self_signed(["user".to_owned()]).unwrap();
        write("user.pem", &user.cert.pem());
        write("user.key", &user.signing_key.serialize_pem());
        write("page.txt", &"a page that gzip makes smaller ".repeat(100));
        let root = dir.path().display();
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {root}/{name};"))
            .concat();
        write(
            "nginx.conf",
            &format!(
                "daemon off; master_process off; pid {root}/pid; error_log stderr;
events {{}}
http {{
  access_log off; {temp}
  gzip on; gzip_types *; gzip_min_length 1;
  server {{
    listen 127.0.0.1:{http};
    listen 127.0.0.1:{https} ssl http2;
    listen 127.0.0.1:{h2c} http2;
    ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;
    ssl_client_certificate {root}/user.pem; ssl_verify_client optional_no_ca;
    ssl_protocols TLSv1.2 TLSv1.3;
    root {root};
    location /host {{ return 200 \"$host $http2 $request_method $ssl_client_s_dn\"; }}
    location /gone {{ return 410; }}
  }}
}}"
            ),
        );
        let conf = dir.path().join("nginx.conf");
        let args = [
            "-p",
            dir.path().to_str().unwrap(),
            "-c",
            conf.to_str().unwrap(),
        ];
        let mut server = Server::start(dir.path(), "nginx", "nginx", &args);
        server.wait_for(http);
        Self {
            _server: server,
            dir,
            http,
            https,
            h2c,
        }
    }

    fn ca(&self) -> String {
        format!("ca_file = '{}'", self.dir.path().join("cert.pem").display())
    }
}

#[tokio::test]
async fn an_ordinary_server_over_every_protocol() {
    let nginx = Nginx::start();
    let plain = get(&format!("http://127.0.0.1:{}/page.txt", nginx.http)).await;
    assert_eq!(plain.fact("headers")["content-encoding"], "gzip");
    assert_eq!(plain.fact("body_bytes"), 3100);
    assert_eq!(plain.fact("http_version"), "1.1");

    let https = format!("https://127.0.0.1:{}", nginx.https);
    let negotiated = with(&format!("{https}/page.txt"), &nginx.ca()).await;
    assert_eq!(negotiated.fact("http_version"), "2");
    assert_eq!(negotiated.fact("body_bytes"), 3100);
    assert_eq!(negotiated.fact("body_sha256"), plain.fact("body_sha256"));
    assert_eq!(negotiated.fact("tls_version"), "TLSv1.3");
    assert!(negotiated.fact("tls_ms").is_f64());
    assert!(negotiated.fact("certificate_days_left").as_i64().unwrap() > 0);
    let older = with(
        &format!("{https}/page.txt"),
        &format!("{}\nhttp_version = '1.1'", nginx.ca()),
    )
    .await;
    assert_eq!(older.fact("http_version"), "1.1");
    let prior = with(
        &format!("http://127.0.0.1:{}/host", nginx.h2c),
        "http_version = '2'",
    )
    .await;
    assert_eq!(prior.fact("http_version"), "2");
    assert_eq!(prior.fact("body"), "127.0.0.1 h2c GET ");

    let posted = with(
        &format!("{https}/host"),
        &format!("{}\nmethod = 'POST'\nbody = 'x'", nginx.ca()),
    )
    .await;
    assert_eq!(posted.fact("body"), "127.0.0.1 h2 POST ");
    let head = with(
        &format!("{https}/page.txt"),
        &format!("{}\nmethod = 'HEAD'", nginx.ca()),
    )
    .await;
    assert_eq!(head.unknown("body"), "not_applicable");
    let gone = with(&format!("{https}/gone"), &nginx.ca()).await;
    assert_eq!(gone.fact("status"), 410);
}

#[tokio::test]
async fn the_name_the_address_and_the_client_certificate_are_ones_to_choose() {
    let nginx = Nginx::start();
    let pinned = format!("{}\naddress = '127.0.0.1'", nginx.ca());
    let right = with(
        &format!("https://web.example:{}/host", nginx.https),
        &pinned,
    )
    .await;
    assert_eq!(right.fact("body"), "web.example h2 GET ");
    let wrong = with(
        &format!("https://other.example:{}/host", nginx.https),
        &pinned,
    )
    .await;
    assert_eq!(wrong.outcome(), Outcome::TargetError);
    let named = with(
        &format!("https://other.example:{}/host", nginx.https),
        &format!("{pinned}\nserver_name = 'web.example'\nheaders = {{ host = 'host.example' }}"),
    )
    .await;
    assert_eq!(named.fact("body"), "host.example h2 GET ");
    let file = |name: &str| nginx.dir.path().join(name).display().to_string();
    let identified = with(
        &format!("https://127.0.0.1:{}/host", nginx.https),
        &format!(
            "{}\nclient_cert_file = '{}'\nclient_key_file = '{}'",
            nginx.ca(),
            file("user.pem"),
            file("user.key")
        ),
    )
    .await;
    assert_eq!(
        identified.fact("body"),
        "127.0.0.1 h2 GET CN=rcgen self signed cert"
    );
}

#[test]
fn parameters_that_make_no_sense_are_named() {
    let wrong = |params: &str| wrong_params("http", params);
    assert_eq!(wrong("url = 'http://a.example'"), [""; 0]);
    for url in [
        "",
        "a.example",
        "//a.example",
        "http:a.example",
        "ftp://a.example",
        "http://",
        "http://a.example:0/",
        "http://a.example:99999/",
        "http://a b/",
        "http://[::1",
        "HTTPS://",
        "file:///etc/passwd",
    ] {
        assert_eq!(wrong(&format!("url = '{url}'")), ["url"], "{url}");
    }
    let with = |params: &str| wrong(&format!("url = 'http://a.example'\n{params}"));
    assert_eq!(with("method = 'get'"), ["method"]);
    assert_eq!(with("method = 'CONNECT'"), ["method"]);
    assert_eq!(with("method = 'A B'"), ["method"]);
    assert_eq!(with("headers = { 'a b' = 'c' }"), ["headers.a b"]);
    assert_eq!(with("headers = { a = \"b\\nc\" }"), ["headers.a"]);
    assert_eq!(with("headers = { a = 'b', A = 'c' }"), ["headers.a"]);
    assert_eq!(
        with("headers = { content-length = '5' }"),
        ["headers.content-length"]
    );
    assert_eq!(with("headers = { host = 'a@b' }"), ["headers.host"]);
    assert_eq!(with("max_body_bytes = 99999999999"), ["max_body_bytes"]);
    assert_eq!(with("ca_file = '/nonexistent'"), ["ca_file"]);
    assert_eq!(with("server_name = 'a b'"), ["server_name"]);
    assert_eq!(with("address = 'b.example'"), ["address"]);
    assert_eq!(with("address = '10.0.0.1:0'"), ["address"]);
    assert_eq!(with("client_key_file = '/x'"), ["client_cert_file"]);
    assert_eq!(with("client_cert_file = '/x'"), ["client_key_file"]);
    assert_eq!(with("bearer_token = \"a\\nb\""), ["bearer_token"]);
    assert_eq!(
        with("bearer_token = 'a'\nheaders = { authorization = 'b' }"),
        ["headers.authorization"]
    );
    let many = wrong("url = 'ftp://a'\nmethod = 'get'\nmax_body_bytes = 99999999999");
    assert_eq!(many, ["url", "method", "max_body_bytes"]);
}

#[test]
fn built_in_rules_pass_fail_and_are_unknown() {
    let hostile = Hostile::start();
    let mut config = String::from("[defaults]\ntimeout = \"1s\"\n");
    // id, path, `status`, `complete`
    let cases = [
        ("good", "/ok", "pass", "pass"),
        ("moved", "/redirect/302?/ok", "pass", "pass"),
        ("missing", "/status?404", "fail", "pass"),
        ("erring", "/status?500", "fail", "pass"),
        ("loop", "/redirect-loop", "fail", "fail"),
        ("short", "/body-short", "pass", "fail"),
        ("reset-late", "/body-reset", "pass", "fail"),
        ("cut", "/body-gzip-cut", "pass", "fail"),
        ("slow", "/body-drip", "pass", "unknown"),
        ("stuck", "/body-hang", "pass", "unknown"),
        ("huge", "/body-1gb", "pass", "unknown"),
        ("bomb", "/body-gzip-bomb", "pass", "unknown"),
        ("hung", "/hang", "fail", "fail"),
        ("reset", "/reset", "fail", "fail"),
        ("garbage", "/garbage", "fail", "fail"),
    ];
    for (id, path, ..) in cases {
        let url = hostile.url(path);
        config += &format!(
            "[[probe]]\nid = '{id}'\nkind = 'http'\nurl = '{url}'\nrules.says-ok = \"body.contains('ok')\"\n"
        );
    }
    let begun = std::time::Instant::now();
    let verdict = Run::with_config(&config).once();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    for (id, _, status, complete) in cases {
        assert_eq!(verdict.result(&format!("{id}/status")), status, "{id}");
        assert_eq!(verdict.result(&format!("{id}/complete")), complete, "{id}");
        let says_ok = verdict.result(&format!("{id}/says-ok"));
        match (status, complete) {
            ("pass", "pass") => assert_eq!(says_ok, "pass", "{id}"),
            _ => assert_ne!(says_ok, "pass", "{id}"),
        }
        let whole = status == "pass" && complete == "pass";
        assert_eq!(verdict.item(id)["result"] == "pass", whole, "{id}");
    }
    assert_eq!(verdict.code, 1);
}

#[test]
fn what_cannot_be_seen_blocks_without_failing() {
    let hostile = Hostile::start();
    let config = format!(
        "[[probe]]\nid = 'a'\nkind = 'http'\nurl = '{}'\nmax_body_bytes = 2\n\
         rules.complete = false\nrules.up = 'json.up'\n\
         [[probe]]\nid = 'b'\nkind = 'http'\nurl = 'http://no-such-host.invalid/'\n",
        hostile.url("/ok")
    );
    let verdict = Run::with_config(&config).once();
    assert_eq!(verdict.result("a/status"), "pass");
    assert_eq!(verdict.result("a/up"), "unknown");
    assert_eq!(verdict.result("b/status"), "unknown");
    assert_eq!(verdict.probe("b")["outcome"], "probe_error");
    assert_eq!(verdict.code, 3);
}

#[test]
fn the_first_response_can_be_judged() {
    let hostile = Hostile::start();
    let config = format!(
        "[[probe]]\nid = 'a'\nkind = 'http'\nurl = '{}'\nfollow_redirects = false\nrules.status = false\n\
         rules.redirects-to-https = \"status in [301, 308] && headers.location.startsWith('https://')\"\n",
        hostile.url("/redirect/301?https://a.example/")
    );
    let verdict = Run::with_config(&config).once();
    assert_eq!(verdict.result("a/redirects-to-https"), "pass");
    assert_eq!(verdict.code, 0);
}

#[test]
fn secrets_appear_nowhere_in_a_verdict() {
    let hostile = Hostile::start();
    let address = hostile.url("/echo");
    let host = address.trim_start_matches("http://");
    let config = format!(
        "[[probe]]\nid = 'a'\nkind = 'http'\nurl = 'http://user:${{env:PW}}@{host}?token=${{env:TOKEN}}'\n\
         headers = {{ x-key = '${{env:KEY}}' }}\nbody = '${{env:BODY}}'\nmethod = 'POST'\n\
         [[probe]]\nid = 'b'\nkind = 'http'\nurl = 'http://user:${{env:PW}}@127.0.0.1:1/?token=${{env:TOKEN}}'\n"
    );
    let verdict = Run::with_config(&config)
        .env("PW", "p@ss:w/rd")
        .env("TOKEN", "tok=en&1")
        .env("KEY", "key-value-1")
        .env("BODY", "body-secret-1")
        .once();
    let text = format!("{}{}", verdict.json, verdict.stderr);
    assert_eq!(verdict.result("a/status"), "pass");
    for secret in [
        "p@ss",
        "p%40ss",
        "tok=en",
        "tok%3Den",
        "key-value-1",
        "body-secret-1",
        "dXNlcjpwQHNzOncvcmQ",
    ] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn an_address_that_is_down_is_passed_over() {
    let listener = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // An answer that comes before its request is no HTTP.
        assert!(std::io::Read::read(&mut stream, &mut [0; 1024]).unwrap() > 0);
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        std::io::Write::write_all(&mut stream, response).unwrap();
    });
    let config =
        format!("[[probe]]\nid = 'a'\nkind = 'http'\nurl = 'http://twins.example:{port}/'\n");
    let hosts = "127.0.0.1 twins.example\n127.0.0.2 twins.example\n";
    let verdict = Run::with_hosts(&config, hosts).once();
    assert_eq!(verdict.result("a/status"), "pass");
    assert_eq!(
        verdict.facts("a")["remote_address"],
        format!("127.0.0.2:{port}")
    );
}
