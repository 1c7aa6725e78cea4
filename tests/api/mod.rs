//! The client of HTTP APIs against servers that do not mean well.

mod bounds;

use std::sync::Arc;
use std::time::Duration;

use probe::evidence::{Failure, Outcome};
use probe::net::Dialler;
use probe::net::api::{Api, ApiError, Auth, Endpoint, EndpointParams, path};
use probe::params::{FilePath, UrlText};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::lab::certs::{Authority, Leaf};
use crate::lab::{Hostile, Nginx, Reply, Scripted, free_port};

#[derive(Debug, Deserialize)]
struct Said {
    said: String,
}

fn toml<T: DeserializeOwned>(text: &str) -> T {
    toml::from_str::<std::collections::BTreeMap<String, T>>(&format!("v = {text}"))
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .remove("v")
        .unwrap()
}

/// An endpoint from TOML values; empty: not given.
fn endpoint(url: &str, auth: &str, ca_file: &str) -> Endpoint {
    probe::net::install_crypto_provider();
    let url: UrlText = toml(&format!("'{url}'"));
    let auth: Option<Auth> = (!auth.is_empty()).then(|| toml(auth));
    let ca_file: Option<FilePath> = (!ca_file.is_empty()).then(|| toml(&format!("'{ca_file}'")));
    let params = EndpointParams {
        url: &url,
        auth: auth.as_ref(),
        ca_file: ca_file.as_ref(),
        max_body_bytes: None,
    };
    Endpoint::new(&params).unwrap_or_else(|errors| panic!("{errors:?}"))
}

async fn open(endpoint: &Endpoint, timeout: Duration) -> Result<(Api, Instant), Failure> {
    let deadline = Instant::now() + timeout;
    let api = Api::open(&Arc::new(Dialler::new()), endpoint, deadline, deadline).await?;
    Ok((api, deadline))
}

const TIMEOUT: Duration = Duration::from_secs(1);

async fn get<T: DeserializeOwned + Send + 'static>(
    endpoint: &Endpoint,
    path: &str,
) -> Result<T, ApiError> {
    let (api, deadline) = open(endpoint, TIMEOUT).await.unwrap();
    api.get(path, &[], deadline)
        .await
        .map(|answer| answer.value)
}

#[tokio::test]
async fn a_base_path_works_with_and_without_its_slash() {
    let server = Scripted::start(|asked| Reply::json(&serde_json::json!({ "said": asked.path })));
    for (base, expected) in [
        ("", "/api/v1/x"),
        ("/", "/api/v1/x"),
        ("/base", "/base/api/v1/x"),
        ("/base/", "/base/api/v1/x"),
        ("/a/b//", "/a/b/api/v1/x"),
    ] {
        let endpoint = endpoint(&server.url(base), "", "");
        for path in ["api/v1/x", "/api/v1/x"] {
            let said: Said = get(&endpoint, path).await.unwrap();
            assert_eq!(said.said, expected, "{base}");
        }
    }
    assert_eq!(path(&["subjects", "a/b c"]), "subjects/a%2Fb%20c");
    let said: Said = get(
        &endpoint(&server.url("/base"), "", ""),
        &path(&["s", "a/b"]),
    )
    .await
    .unwrap();
    assert_eq!(said.said, "/base/s/a%2Fb");
}

#[tokio::test]
async fn queries_forms_and_credentials_arrive() {
    let server = Scripted::start(|_| Reply::json(&serde_json::json!({ "said": "ok" })));
    let url = server.url("/x?tenant=a").replace("//", "//us%40er:p%3Aw@");
    let endpoint = endpoint(&url, "", "");
    assert!(
        !endpoint.target().contains("p%3Aw"),
        "{}",
        endpoint.target()
    );
    let (api, deadline) = open(&endpoint, TIMEOUT).await.unwrap();
    let query = [
        ("query", "up{job=\"a b\"}"),
        ("match[]", "x"),
        ("match[]", "y"),
    ];
    let _: Said = api.get("q", &query, deadline).await.unwrap().value;
    let _: Said = api.post_form("q", &query, deadline).await.unwrap().value;
    let [get, post] = &server.asked()[..] else {
        panic!("two requests")
    };
    assert_eq!((&*get.method, &*post.method), ("GET", "POST"));
    for asked in [get, post] {
        assert_eq!(asked.param("query").as_deref(), Some("up{job=\"a b\"}"));
        assert_eq!(asked.params("match[]"), ["x", "y"]);
        // us@er:p:w
        assert!(
            asked.head.contains("authorization: Basic dXNAZXI6cDp3"),
            "{}",
            asked.head
        );
    }
    assert_eq!(get.param("tenant").as_deref(), Some("a"));
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_origin() {
    let other = Scripted::start(|_| Reply::json(&serde_json::json!({ "said": "other" })));
    let away = other.url("/there");
    let back = Arc::new(std::sync::OnceLock::<String>::new());
    let home = Arc::clone(&back);
    let server = Scripted::start(move |asked| match asked.path.as_str() {
        "/away" => Reply::new(302, "").header(&format!("location: {away}")),
        "/near" => Reply::new(307, "").header("location: /here"),
        "/loop" => Reply::new(302, "").header("location: /loop"),
        "/nowhere" => Reply::new(302, "").header("location: ftp://a/"),
        _ => Reply::json(&serde_json::json!({ "said": "here" })),
    });
    home.set(server.url("/here")).unwrap();
    let endpoint = endpoint(&server.url(""), "{ bearer = 'token-1234' }", "");
    let said: Said = get(&endpoint, "away").await.unwrap();
    assert_eq!(said.said, "other");
    let asked = other.asked();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].head.contains("token-1234"), "{}", asked[0].head);
    let said: Said = get(&endpoint, "near").await.unwrap();
    assert_eq!(said.said, "here");
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| asked.head.contains("Bearer token-1234"))
    );
    for path in ["loop", "nowhere"] {
        let error = get::<Said>(&endpoint, path).await.unwrap_err();
        assert_eq!(
            Failure::from(error).outcome(),
            Outcome::TargetError,
            "{path}"
        );
    }
    // What is posted goes nowhere else.
    let (api, deadline) = open(&endpoint, TIMEOUT).await.unwrap();
    let error = api.post_json("away", &1, deadline).await.unwrap_err();
    assert_eq!(Failure::from(error).outcome(), Outcome::TargetError);
    assert_eq!(other.asked().len(), 1);
}

#[tokio::test]
async fn credentials_stay_away_after_a_detour() {
    let home = Arc::new(std::sync::OnceLock::<String>::new());
    let target = Arc::clone(&home);
    let other = Scripted::start(move |_| {
        let home = target.get().expect("the URL of home");
        Reply::new(302, "").header(&format!("location: {home}"))
    });
    let away = other.url("/");
    let server = Scripted::start(move |asked| match asked.path.as_str() {
        "/away" => Reply::new(302, "").header(&format!("location: {away}")),
        _ => Reply::new(401, ""),
    });
    home.set(server.url("/chosen-by-another")).unwrap();
    let endpoint = endpoint(&server.url(""), "{ bearer = 'token-1234' }", "");
    let error = get::<Said>(&endpoint, "away").await.unwrap_err();
    assert!(matches!(error, ApiError::Denied(_)), "{error:?}");
    let asked = server.asked();
    assert!(!asked[1].head.contains("token-1234"), "{}", asked[1].head);
}

#[tokio::test]
async fn whatever_is_not_the_api_is_no_answer() {
    let cases: [(u16, &str, &str); 12] = [
        (200, "<html>Sign in</html>", "unparseable"),
        (200, "", "unparseable"),
        (200, "{}", "unparseable"),
        (200, "null", "unparseable"),
        (200, "[]", "unparseable"),
        (200, r#"{"said": null}"#, "unparseable"),
        (200, r#"{"said": "ok""#, "unparseable"),
        (200, r#"{"said": "ok"} trailing"#, "unparseable"),
        (401, r#"{"error": "who?"}"#, "denied"),
        (403, "", "denied"),
        (404, "no", "not observed"),
        (500, r#"{"said": "ok"}"#, "not observed"),
    ];
    let server = Scripted::start(move |asked| {
        let (status, body, _) = cases[asked.path[1..].parse::<usize>().unwrap()];
        Reply::new(status, body)
    });
    let endpoint = endpoint(&server.url(""), "", "");
    for (index, (status, body, why)) in cases.iter().enumerate() {
        let error = get::<Said>(&endpoint, &index.to_string())
            .await
            .unwrap_err();
        assert_eq!(error.unknown().why.as_str(), *why, "{status} {body}");
        let outcome = Failure::from(error).outcome();
        let expected = if *why == "denied" {
            Outcome::Denied
        } else {
            Outcome::TargetError
        };
        assert_eq!(outcome, expected, "{status} {body}");
    }
    let (api, deadline) = open(&endpoint, TIMEOUT).await.unwrap();
    let answer = api
        .get_any_status::<Said>("11", &[], deadline)
        .await
        .unwrap();
    assert_eq!((answer.status, &*answer.value.said), (500, "ok"));
}

#[tokio::test]
async fn whose_fault_a_lost_connection_is() {
    let refused = endpoint(&format!("http://127.0.0.1:{}", free_port()), "", "");
    let failure = Failure::from(get::<Said>(&refused, "x").await.unwrap_err());
    assert_eq!(failure.outcome(), Outcome::TargetError);
    assert!(failure.detail().contains("connection refused"), "{failure}");

    let Err(failure) = open(&endpoint("http://no-such-host.invalid", "", ""), TIMEOUT).await else {
        panic!("resolved")
    };
    assert_eq!(failure.outcome(), Outcome::ProbeError);

    let route = endpoint("http://255.255.255.255", "", "");
    let failure = Failure::from(get::<Said>(&route, "x").await.unwrap_err());
    assert_eq!(failure.outcome(), Outcome::ProbeError, "{failure}");

    // Redirected to a name that only our resolver could know.
    let server =
        Scripted::start(|_| Reply::new(302, "").header("location: http://no-such-host.invalid/"));
    let lost = endpoint(&server.url(""), "", "");
    let failure = Failure::from(get::<Said>(&lost, "x").await.unwrap_err());
    assert_eq!(failure.outcome(), Outcome::ProbeError, "{failure}");

    let hostile = Hostile::start();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, Authority::root("other").pem()).unwrap();
    let untrusted = endpoint(&hostile.tls_url(""), "", ca.to_str().unwrap());
    let failure = Failure::from(get::<Said>(&untrusted, "ok").await.unwrap_err());
    assert_eq!(failure.outcome(), Outcome::TargetError);
    assert!(
        failure.detail().contains("no path to a trusted root"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::root("mutual");
    let (cert, key) = authority.issue(&Leaf::sound()).write(dir.path(), "client");
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let directives = format!(
        "ssl_client_certificate {}; ssl_verify_client on;",
        ca.display()
    );
    let nginx = Nginx::tls(&authority.issue(&Leaf::sound()), &directives);
    let url = format!("https://localhost:{}/", nginx.port);
    let auth = format!(
        "{{ client_cert = '{}', client_key = '{}' }}",
        cert.display(),
        key.display()
    );
    let with = endpoint(&url, &auth, ca.to_str().unwrap());
    let (api, deadline) = open(&with, TIMEOUT).await.unwrap();
    assert_eq!(api.get_text("", &[], deadline).await.unwrap().status, 204);
    let without = endpoint(&url, "", ca.to_str().unwrap());
    let (api, deadline) = open(&without, TIMEOUT).await.unwrap();
    assert_eq!(
        api.get_text("", &[], deadline).await.unwrap_err().status(),
        Some(400)
    );
}

#[test]
fn parameters_that_make_no_sense_are_named() {
    probe::net::install_crypto_provider();
    let wrong = |url: &str, auth: &str, cap: Option<u64>| -> Vec<String> {
        let url: UrlText = toml(&format!("'{url}'"));
        let auth: Option<Auth> = (!auth.is_empty()).then(|| toml(auth));
        let params = EndpointParams {
            url: &url,
            auth: auth.as_ref(),
            ca_file: None,
            max_body_bytes: cap,
        };
        let errors = Endpoint::new(&params).err().unwrap_or_default();
        errors.into_iter().map(|error| error.param).collect()
    };
    let good = "http://a.example/base";
    assert_eq!(wrong(good, "", None), [""; 0]);
    for url in [
        "",
        "a.example",
        "ftp://a",
        "http://",
        "http://a:0/",
        "http://a b",
    ] {
        assert_eq!(wrong(url, "", None), ["url"], "{url}");
    }
    assert_eq!(wrong(good, "{}", None), ["auth"]);
    assert_eq!(wrong(good, "{ bearer = '' }", None), ["auth.bearer"]);
    assert_eq!(wrong(good, r#"{ bearer = "a\nb" }"#, None), ["auth.bearer"]);
    assert_eq!(wrong(good, r#"{ bearer = "a\n" }"#, None), [""; 0]);
    let both = "{ bearer = 'a', basic = { username = 'u', password = 'p' } }";
    assert_eq!(wrong(good, both, None), ["auth.bearer"]);
    assert_eq!(
        wrong("http://u:p@a/", "{ bearer = 'a' }", None),
        ["auth.bearer"]
    );
    let colon = "{ basic = { username = 'u:', password = 'p' } }";
    assert_eq!(wrong(good, colon, None), ["auth.basic.username"]);
    assert_eq!(
        wrong(good, "{ client_cert = '/x' }", None),
        ["auth.client_key"]
    );
    assert_eq!(
        wrong(good, "{ client_key = '/x' }", None),
        ["auth.client_cert"]
    );
    assert_eq!(wrong(good, "", Some(0)), ["max_body_bytes"]);
    assert_eq!(
        wrong("x", "{}", Some(1 << 40)),
        ["url", "auth", "max_body_bytes"]
    );
}
