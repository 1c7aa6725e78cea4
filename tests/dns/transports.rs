//! UDP that is too small, TCP, TLS and HTTPS.

use std::fmt::Write as _;
use std::path::Path;

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tempfile::TempDir;

use super::{only_resolver, run};
use crate::lab::certs::{Authority, Leaf};
use crate::lab::{Bind, Server, Zone, free_port};

fn bind() -> Bind {
    let mut records = "www A 192.0.2.1\n".to_owned();
    for index in 0..20 {
        writeln!(records, "big TXT \"{index:03}{}\"", "x".repeat(200)).unwrap();
    }
    Bind::start(&[Zone::new("plain.test", &records)])
}

#[test]
fn a_truncated_datagram_is_asked_for_again_over_tcp() {
    let bind = bind();
    let verdict = run(&format!(
        "name = \"big.plain.test\"\ntype = \"TXT\"\nresolvers = [\"127.0.0.1:{}\"]\n\
         rules.whole = \"answers.size() == 20\"",
        bind.port
    ));
    assert_eq!(only_resolver(&verdict)["transport"], "tcp");
    assert_eq!(verdict.result("d/whole"), "pass");
}

#[test]
fn tcp_tls_and_https_give_the_same_answer() {
    let bind = bind();
    let verdict = run(&format!(
        "name = \"www.plain.test\"\nca_file = \"{ca}\"\nresolvers = [\"udp://127.0.0.1:{0}\", \
         \"tcp://127.0.0.1:{0}\", \"tls://127.0.0.1:{1}#dns.test\", \
         \"https://dns.test:{2}/dns-query#127.0.0.1\"]",
        bind.port,
        bind.tls_port,
        bind.https_port,
        ca = bind.ca_file.display(),
    ));
    let entries = verdict.facts("d")["by_resolver"].as_array().unwrap();
    let transports: Vec<_> = entries.iter().map(|entry| &entry["transport"]).collect();
    assert_eq!(transports, ["udp", "tcp", "tls", "https"]);
    for entry in entries {
        assert_eq!(entry["state"], "noerror", "{entry}");
    }
    assert_eq!(verdict.result("d/resolvers-agree"), "pass");
    assert_eq!(verdict.code, 0);
}

#[test]
fn an_encrypted_resolver_that_cannot_be_verified_is_not_believed() {
    let bind = bind();
    let ca = format!("ca_file = \"{}\"\n", bind.ca_file.display());
    let tls = |name: &str| format!("tls://127.0.0.1:{}#{name}", bind.tls_port);
    let https = |name: &str| format!("https://{name}:{}/dns-query#127.0.0.1", bind.https_port);
    for (ca, resolver) in [
        (ca.as_str(), tls("other.test")),
        (ca.as_str(), https("other.test")),
        ("", tls("dns.test")),
        ("", https("dns.test")),
    ] {
        let verdict = run(&format!(
            "name = \"www.plain.test\"\n{ca}resolvers = [\"{resolver}\"]"
        ));
        assert_eq!(verdict.probe("d")["outcome"], "probe_error", "{resolver}");
        assert_eq!(verdict.result("d/answered"), "unknown", "{resolver}");
        assert_eq!(verdict.code, 3, "{resolver}");
    }
}

/// nginx that speaks HTTP/1.1 and gives the file `answer` to every POST.
struct Answers {
    port: u16,
    _server: Server,
    dir: TempDir,
}

impl Answers {
    fn start(media_type: &str, answer: &[u8]) -> Self {
        let dir = TempDir::new().unwrap();
        let port = free_port();
        let authority = Authority::root("resolvers");
        let leaf = Leaf::sound().names(&["dns.test"]);
        authority.issue(&leaf).write(dir.path(), "dns");
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
        std::fs::write(dir.path().join("dns-query"), answer).unwrap();
        let conf = format!(
            "daemon off; master_process off; pid nginx.pid; events {{ }}\n\
             http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy; \
             fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
             server {{ listen 127.0.0.1:{port} ssl; root {root}; default_type {media_type};\n\
             ssl_certificate dns.pem; ssl_certificate_key dns.key;\n\
             error_page 405 =200 $uri; }} }}\n",
            root = dir.path().display(),
        );
        std::fs::write(dir.path().join("nginx.conf"), conf).unwrap();
        let prefix = path_text(dir.path());
        let args = ["-p", &prefix, "-c", "nginx.conf", "-e", "stderr"];
        let mut server = Server::start(dir.path(), "nginx", "nginx", &args);
        server.wait_for(port);
        Self {
            port,
            _server: server,
            dir,
        }
    }

    fn params(&self) -> String {
        format!(
            "name = \"www.plain.test\"\nca_file = \"{}\"\n\
             resolvers = [\"https://dns.test:{}/dns-query#127.0.0.1\"]",
            self.dir.path().join("ca.pem").display(),
            self.port
        )
    }
}

fn path_text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn answer() -> Vec<u8> {
    let name = Name::from_ascii("www.plain.test.").unwrap();
    let mut message = Message::response(0, OpCode::Query);
    message.add_query(Query::query(name.clone(), RecordType::A));
    message.add_answer(Record::from_rdata(name, 60, RData::A(A::new(192, 0, 2, 1))));
    message.to_vec().unwrap()
}

#[test]
fn https_works_over_http_1_too() {
    let nginx = Answers::start("application/dns-message", &answer());
    let verdict = run(&nginx.params());
    assert_eq!(only_resolver(&verdict)["state"], "noerror");
    assert_eq!(verdict.result("d/answered"), "pass");
}

#[test]
fn a_web_server_that_is_no_resolver_is_not_believed() {
    let good = answer();
    let page = Answers::start("text/html", &good);
    let flood = Answers::start("application/dns-message", &vec![0; 1 << 20]);
    let short = Answers::start("application/dns-message", &good[..20]);
    let missing = Answers::start("application/dns-message", &good);
    std::fs::remove_file(missing.dir.path().join("dns-query")).unwrap();
    for nginx in [&page, &flood, &short, &missing] {
        let verdict = run(&nginx.params());
        assert_eq!(verdict.probe("d")["outcome"], "probe_error");
        assert_eq!(verdict.result("d/answered"), "unknown");
    }
}
