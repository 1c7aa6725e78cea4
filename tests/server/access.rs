//! Who may ask: local users, tokens, and no page in a browser.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::daemon;

const TOKEN: &str = "correct-horse-battery-staple";
const TOKENS: &str =
    "tokens = [\"correct-horse-battery-staple\", \"another-token-of-some-length\"]";

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn a_page_that_was_led_here_reads_nothing() {
    let (daemon, _up) = daemon("");
    for host in [
        "evil.example",
        "evil.example:9730",
        "127.0.0.1.evil.example",
        "10.0.0.1",
    ] {
        for path in [
            "/api/v1/verdict",
            "/probe?target=x",
            "/nothing",
            "/api/v1/openapi.json",
            "/gates/good/argo",
        ] {
            let answer = daemon.ask("GET", path, &[("host", host)]);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (403, "foreign_host"),
                "{host} {path}"
            );
        }
        for path in ["/healthz", "/readyz?gate=good", "/metrics"] {
            assert_eq!(
                daemon.ask("GET", path, &[("host", host)]).status,
                200,
                "{host} {path}"
            );
        }
    }
    for host in ["localhost", "127.0.0.1", "[::1]:80", "LOCALHOST:1"] {
        assert_eq!(
            daemon
                .ask("GET", "/api/v1/verdict", &[("host", host)])
                .status,
            200,
            "{host}"
        );
    }
    let nameless = daemon.raw("GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n");
    assert_eq!(nameless.status, 400);
    // The absolute form of a request names the host too.
    let absolute = daemon.raw("GET http://evil.example/api/v1/verdict HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    assert_eq!(absolute.status, 403);
}

#[test]
fn names_that_are_listed_are_answered() {
    let (daemon, _up) = daemon("hosts = [\"probe.internal\"]");
    let status = |host: &str| {
        daemon
            .ask("GET", "/api/v1/verdict", &[("host", host)])
            .status
    };
    assert_eq!(status("probe.internal"), 200);
    assert_eq!(status("other.internal"), 403);
}

#[test]
fn a_page_of_another_origin_makes_nothing_happen() {
    let (daemon, _up) = daemon("");
    for header in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        for (method, path) in [
            ("POST", "/api/v1/runs"),
            ("GET", "/probe?target=127.0.0.1:1&module=m"),
            ("DELETE", "/api/v1/verdict"),
        ] {
            let answer = daemon.ask(method, path, &[header]);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (403, "cross_origin"),
                "{header:?} {path}"
            );
        }
    }
    let own = format!("http://127.0.0.1:{}", daemon.port);
    let answer = daemon.ask(
        "POST",
        "/api/v1/runs?probe=up",
        &[("origin", &own), ("sec-fetch-site", "same-origin")],
    );
    assert_eq!(answer.status, 200);
    // No answer tells a browser that another origin may read it.
    assert!(answer.header("access-control-allow-origin").is_none());
}

#[test]
fn with_tokens_all_but_three_need_one() {
    let (daemon, _up) = daemon(TOKENS);
    for path in ["/healthz", "/readyz?gate=good", "/metrics"] {
        assert_eq!(daemon.get(path).status, 200, "{path}");
    }
    for path in [
        "/api/v1/verdict",
        "/api/v1/items/A.1",
        "/api/v1/probes/up",
        "/api/v1/probes/up/history",
        "/api/v1/events",
        "/api/v1/openapi.json",
        "/api/v1/agent",
        "/probe?target=x",
        "/gates/good/argo",
        "/nothing",
        "/healthz/",
        "//healthz",
    ] {
        let answer = daemon.get(path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "unauthorized"),
            "{path}"
        );
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{path}");
    }
    assert_eq!(daemon.ask("POST", "/api/v1/runs", &[]).status, 401);
    // What is open to read is not open to write.
    assert_eq!(daemon.ask("POST", "/healthz", &[]).status, 401);
    for token in [TOKEN, "another-token-of-some-length"] {
        let headers = [("authorization", bearer(token))];
        let headers = [(headers[0].0, headers[0].1.as_str())];
        assert_eq!(daemon.ask("GET", "/api/v1/verdict", &headers).status, 200);
        assert_eq!(
            daemon.ask("POST", "/api/v1/runs?probe=up", &headers).status,
            200
        );
    }
    for wrong in [
        "Bearer ",
        "Bearer x",
        "Basic Y29ycmVjdA==",
        TOKEN,
        "Bearer correct-horse-battery-stapl",
        "Bearer correct-horse-battery-staplee",
    ] {
        let answer = daemon.ask("GET", "/api/v1/verdict", &[("authorization", wrong)]);
        assert_eq!(answer.status, 401, "{wrong}");
    }
}

#[test]
fn a_token_is_in_no_answer_and_in_no_log() {
    let (daemon, _up) = daemon(TOKENS);
    let authorization = bearer(TOKEN);
    let headers = [("authorization", authorization.as_str())];
    let mut seen = String::new();
    for path in [
        "/api/v1/verdict",
        "/api/v1/agent",
        "/metrics",
        "/healthz",
        "/api/v1/openapi.json",
        "/api/v1/items/correct-horse-battery-staple?x=correct-horse-battery-staple",
    ] {
        let answer = daemon.ask("GET", path, &headers);
        seen += &answer.head;
        if !path.contains("items") {
            seen += &answer.text();
        }
    }
    daemon.ask(
        "GET",
        "/api/v1/verdict",
        &[("authorization", "Bearer correct-horse-battery-staplX")],
    );
    seen += &daemon.log();
    assert!(!seen.contains("correct-horse"), "{seen}");
}

#[test]
fn public_says_what_needs_no_token() {
    let (daemon, _up) = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
        let up = listener.local_addr().expect("an address").port();
        let server = format!("{TOKENS}\npublic = [\"/healthz\", \"gates\"]");
        (
            crate::lab::Daemon::start(&server, &super::config(up)),
            listener,
        )
    };
    assert_eq!(daemon.get("/healthz").status, 200);
    assert_eq!(daemon.get("/gates/good/argo").status, 200);
    assert_eq!(daemon.get("/gates/nope/argo").status, 404);
    for path in ["/metrics", "/readyz", "/gatesx", "/api/v1/verdict"] {
        assert_eq!(daemon.get(path).status, 401, "{path}");
    }
}

#[test]
fn who_guesses_tokens_is_turned_away_and_locks_nobody_out() {
    let (daemon, _up) = daemon(TOKENS);
    let mut statuses = Vec::new();
    for guess in 0..60 {
        let authorization = bearer(&format!("guess-{guess}"));
        statuses.push(
            daemon
                .ask(
                    "GET",
                    "/api/v1/verdict",
                    &[("authorization", &authorization)],
                )
                .status,
        );
    }
    assert!(
        statuses.iter().filter(|status| **status == 429).count() > 10,
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|status| matches!(status, 401 | 429)),
        "{statuses:?}"
    );
    // What needs no token is answered all the same, and so is who has one.
    assert_eq!(daemon.get("/healthz").status, 200);
    let authorization = bearer(TOKEN);
    assert_eq!(
        daemon
            .ask(
                "GET",
                "/api/v1/verdict",
                &[("authorization", &authorization)]
            )
            .status,
        200
    );
}

#[test]
fn who_asks_too_often_is_told_so() {
    let (daemon, _up) = daemon("requests_per_second = 5");
    sleep(Duration::from_secs(2));
    let answers: Vec<u16> = (0..40)
        .map(|_| daemon.get("/api/v1/agent").status)
        .collect();
    assert!(
        answers.contains(&200) && answers.contains(&429),
        "{answers:?}"
    );
}

#[test]
fn tokens_change_with_the_configuration() {
    let (daemon, _up) = daemon(TOKENS);
    let status = |token: &str| {
        let authorization = bearer(token);
        let headers = [("authorization", authorization.as_str())];
        daemon.ask("GET", "/api/v1/verdict", &headers).status
    };
    assert_eq!(status(TOKEN), 200);
    let path = daemon.dir().join("probes.toml");
    let written = std::fs::read_to_string(&path).expect("the configuration");
    std::fs::write(
        &path,
        written.replace(TOKEN, "another-one-that-nobody-knows"),
    )
    .expect("write");
    let begun = Instant::now();
    while status("another-one-that-nobody-knows") != 200 {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{}",
            daemon.log()
        );
        sleep(Duration::from_secs(1));
    }
    assert_eq!(status(TOKEN), 401);
}
