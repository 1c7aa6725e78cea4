//! nginx, over every protocol.

use probe::evidence::Outcome;

use super::{get, with};
use crate::lab::{Server, free_port};

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
