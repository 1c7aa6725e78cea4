//! Redirects: where they lead, what goes along, how they end.

use probe::evidence::Outcome;

use super::{get, with};
use crate::lab::{Hostile, free_port};

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
