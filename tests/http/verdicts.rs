//! Parameters and rules, through the real binary.

use std::time::Duration;

use crate::lab::{Hostile, Run, wrong_params};

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
