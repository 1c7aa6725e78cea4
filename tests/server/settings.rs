//! `[server]` and `[[module]]`: what is wrong is said when the file is loaded.

use std::net::TcpListener;

use crate::lab::{Run, free_port};

const PROBE: &str = "\n[[probe]]\nid = \"a\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = 1\n";

fn check(server: &str) -> (i32, String) {
    let output = Run::with_config(&format!("{server}\n{PROBE}"))
        .args(["check"])
        .output();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), stderr)
}

#[test]
fn what_would_be_open_by_mistake_is_an_error() {
    for (server, says) in [
        ("listen = \"0.0.0.0:9730\"", "`tokens`"),
        ("listen = \"[::]:9730\"", "`tokens`"),
        ("listen = \"10.0.0.1:9730\"", "`tokens`"),
        ("listen = \"probe.example.org:9730\"", "`tokens`"),
        ("tokens = [\"\"]", "empty"),
        ("tokens = [\"  \"]", "empty"),
        ("tokens = []", "`tokens`"),
        ("tokens = [\"${env:NOT_SET_ANYWHERE}\"]", "NOT_SET_ANYWHERE"),
        ("tokens = [\"${env:NOT_SET_ANYWHERE:-}\"]", "empty"),
        ("tokens = [\"${file:missing}\"]", "missing"),
        ("tokens = [\"two words\"]", "token"),
        (
            "listen = \"0.0.0.0:9730\"\ntokens = [\"${env:NOT_SET_ANYWHERE:-}\"]",
            "empty",
        ),
        ("listen = \"9730\"", "listen"),
        ("listen = \":9730\"", "listen"),
        ("listen = \"127.0.0.1:99999\"", "listen"),
        ("listen = \"127.0.0.1\"", "listen"),
        ("cert_file = \"a.pem\"", "key_file"),
        ("key_file = \"a.pem\"", "cert_file"),
        ("cert_file = \"a.pem\"\nkey_file = \"a.key\"", "a.pem"),
        ("public = [\"/api/v1/runs\"]", "public"),
        ("public = [\"/etc\"]", "public"),
        ("max_connections = 0", "max_connections"),
        ("port = 1", "port"),
    ] {
        let (code, stderr) = check(&format!("[server]\n{server}"));
        assert_eq!(code, 2, "{server}: {stderr}");
        assert!(stderr.contains(says), "{server}: {stderr}");
    }
    for server in [
        "",
        "listen = \"localhost:0\"",
        "listen = \"[::1]:9730\"",
        "listen = \"127.0.0.2:1\"",
        "listen = \"0.0.0.0:9730\"\ntokens = [\"0123456789abcdef\"]",
    ] {
        let (code, stderr) = check(&format!("[server]\n{server}"));
        assert_eq!(code, 0, "{server}: {stderr}");
    }
}

#[test]
fn a_wrong_token_is_not_printed() {
    let (_, stderr) = check("[server]\ntokens = [\"geheim-und-lang two words\"]");
    assert!(!stderr.contains("geheim"), "{stderr}");
}

#[test]
fn the_server_is_no_part_of_the_digest() {
    let digest = |config: &str| {
        let verdict = Run::with_config(config).once();
        verdict.json["tool"]["config_digest"]
            .as_str()
            .expect("a digest")
            .to_owned()
    };
    let port = format!("[server]\nlisten = \"127.0.0.1:1\"\n{PROBE}");
    assert_eq!(digest(PROBE), digest(&port));
    let other = PROBE.replace("port = 1", "port = 2");
    assert_ne!(digest(PROBE), digest(&other));
}

#[test]
fn modules_are_checked_when_they_are_loaded() {
    for (module, says) in [
        ("kind = \"http\"", "`id`"),
        ("id = \"m\"", "`kind`"),
        ("id = \"m\"\nkind = \"htp\"", "http"),
        ("id = \"m\"\nkind = \"http\"\nurl = \"http://x/\"", "target"),
        ("id = \"m\"\nkind = \"tcp\"\nport = 1", "target"),
        ("id = \"m\"\nkind = \"http\"\nmethod = \"get\"", "GET"),
        ("id = \"m\"\nkind = \"http\"\nmethd = \"GET\"", "methd"),
        (
            "id = \"m\"\nkind = \"http\"\nrules.x = \"statsu == 200\"",
            "status",
        ),
        ("id = \"m\"\nkind = \"postgres\"", "target"),
        ("id = \"m m\"\nkind = \"http\"", "id"),
        ("id = \"m\"\nkind = \"http\"\nretries = 1", "retries"),
        (
            "id = \"m\"\nkind = \"http\"\n[[module]]\nid = \"m\"\nkind = \"tcp\"",
            "second",
        ),
    ] {
        let (code, stderr) = check(&format!("[[module]]\n{module}"));
        assert_eq!(code, 2, "{module}: {stderr}");
        assert!(stderr.contains(says), "{module}: {stderr}");
    }
    let good = "[[module]]\nid = \"http_2xx\"\nkind = \"http\"\ntimeout = \"5s\"\nrules.fast = \"total_ms < 100\"\n\
                [[module]]\nid = \"tcp_connect\"\nkind = \"tcp\"\n[[module]]\nid = \"dns\"\nkind = \"dns\"\nname = \"a.example\"";
    let (code, stderr) = check(good);
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn a_port_that_is_taken_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = taken.local_addr().expect("an address").port();
    let config = format!("[server]\nlisten = \"127.0.0.1:{port}\"\n{PROBE}");
    let output = Run::with_config(&config).output();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("taken") && stderr.contains(&port.to_string()),
        "{stderr}"
    );
}

#[test]
fn port_0_is_any_and_the_real_one_is_said() {
    let dir = tempfile::TempDir::new().expect("a directory");
    std::fs::write(
        dir.path().join("probes.toml"),
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n{}",
            PROBE.replace("port = 1", &format!("port = {}", free_port()))
        ),
    )
    .expect("write the configuration");
    let program = std::path::PathBuf::from(env!("CARGO_BIN_EXE_probe"));
    let mut server = crate::lab::Server::start_path(dir.path(), "probe", &program, &[]);
    server.wait_for_log("http://127.0.0.1:");
    let log = server.log();
    let port = log.split("http://127.0.0.1:").nth(1).expect("a port");
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    assert_ne!(port, "0");
    server.wait_for(port.parse().expect("a number"));
}
