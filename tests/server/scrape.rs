//! `/metrics` and `/probe`, read by Prometheus and promtool.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{config, daemon};
use crate::lab::{
    Daemon, Prometheus, Reply, Scripted,
    certs::{Authority, Leaf},
    free_port, require,
};

const MODULES: &str = r#"
[[module]]
id = "http_2xx"
kind = "http"
timeout = "5s"
[[module]]
id = "strict"
kind = "http"
rules.body = "body.contains('hello')"
rules.slow = { expr = "total_ms < 0.0", severity = "should" }
[[module]]
id = "json"
kind = "http"
rules.ok = "json.status == 'ok'"
[[module]]
id = "tcp_connect"
kind = "tcp"
"#;

/// `promtool check metrics` finds nothing to say.
fn lint(text: &str) {
    let mut child = Command::new(require("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run promtool");
    child
        .stdin
        .take()
        .expect("its input")
        .write_all(text.as_bytes())
        .expect("write");
    let output = child.wait_with_output().expect("its answer");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{said}\n{text}"
    );
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[test]
fn metrics_are_clean_and_say_what_the_verdict_says() {
    let (daemon, _up) = daemon("");
    daemon.wait_for("/readyz?gate=bad", |answer| {
        answer.json()["result"] == "fail"
    });
    let answer = daemon.get("/metrics");
    assert!(
        answer
            .header("content-type")
            .expect("a type")
            .starts_with("text/plain; version=0.0.4")
    );
    let text = answer.text();
    lint(&text);
    for line in [
        "readiness_item_result{item=\"A.1\",result=\"pass\"} 1",
        "readiness_item_result{item=\"B.1\",result=\"fail\"} 1",
        "readiness_item_result{item=\"B.1\",result=\"pass\"} 0",
        "readiness_gate_result{gate=\"good\",result=\"pass\"} 1",
        "readiness_gate_result{gate=\"bad\",result=\"fail\"} 1",
        "probe_agent_config_last_reload_successful 1",
        "# TYPE probe_agent_runs_total counter",
        "# TYPE probe_agent_schedule_lag_seconds histogram",
        "probe_agent_schedule_lag_seconds_bucket{le=\"+Inf\"}",
        "probe_agent_http_requests_total{method=\"get\",code=\"200\"}",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // Names of blackbox_exporter are at /probe alone.
    let foreign = text
        .lines()
        .find(|line| line.starts_with("probe_") && !line.starts_with("probe_agent_"));
    assert_eq!(foreign, None);
    let open = daemon.ask(
        "GET",
        "/metrics",
        &[("accept", "application/openmetrics-text; version=1.0.0")],
    );
    assert!(
        open.header("content-type")
            .expect("a type")
            .starts_with("application/openmetrics-text")
    );
    assert!(open.text().ends_with("# EOF\n"));
}

#[test]
fn a_target_is_probed_as_blackbox_exporter_does() {
    let web = Scripted::start(|asked| match asked.path.as_str() {
        "/good" => Reply::new(200, "hello"),
        "/moved" => Reply::new(302, "").header("location: /good"),
        "/hang" => Reply::hang(),
        _ => Reply::new(500, "no"),
    });
    let (daemon, _up) = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
        let port = listener.local_addr().expect("an address").port();
        (Daemon::start("", &(config(port) + MODULES)), listener)
    };
    let probe = |path: &str, module: &str| {
        let answer = daemon.get(&format!(
            "/probe?target={}&module={module}",
            encoded(&web.url(path))
        ));
        assert_eq!(answer.status, 200, "{}", answer.text());
        lint_but_for_names(&answer.text());
        answer.text()
    };
    let good = probe("/good", "http_2xx");
    for line in [
        "probe_success 1",
        "probe_http_status_code 200",
        "probe_ip_protocol 4",
        "probe_http_ssl 0",
        "probe_http_version 1.1",
        "probe_http_redirects 0",
        "probe_http_uncompressed_body_length 5",
    ] {
        assert!(good.lines().any(|l| l == line), "{line}\n{good}");
    }
    assert!(
        good.contains("probe_duration_seconds 0.")
            && good.contains("probe_dns_lookup_time_seconds ")
    );
    assert!(good.contains("probe_http_duration_seconds{phase=\"connect\"}"));
    assert!(probe("/moved", "http_2xx").contains("probe_http_redirects 1"));
    let bad = probe("/bad", "http_2xx");
    assert!(bad.contains("probe_success 0") && bad.contains("probe_http_status_code 500"));
    assert!(probe("/good", "strict").contains("probe_success 1"));
    assert!(probe("/moved", "strict").contains("probe_success 1"));
    // What could not be seen is no success.
    assert!(probe("/good", "json").contains("probe_success 0"));
    let closed = daemon.get(&format!("/probe?target=127.0.0.1:{}", free_port()));
    assert_eq!(closed.status, 200);
    assert!(
        closed.text().contains("probe_success 0")
            && closed.text().contains("probe_http_status_code 0")
    );
    let open = daemon.get(&format!(
        "/probe?target=127.0.0.1:{}&module=tcp_connect",
        daemon.port
    ));
    assert!(open.text().contains("probe_success 1"), "{}", open.text());
    let debug = daemon.get(&format!(
        "/probe?target={}&module=strict&debug=true",
        encoded(&web.url("/good"))
    ));
    assert!(
        debug.text().contains("body.contains") && debug.text().contains("probe_success 1"),
        "{}",
        debug.text()
    );
    let begun = std::time::Instant::now();
    let path = format!("/probe?target={}", encoded(&web.url("/hang")));
    let late = daemon.ask(
        "GET",
        &path,
        &[("x-prometheus-scrape-timeout-seconds", "1")],
    );
    assert!(late.text().contains("probe_success 0"));
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    for (path, code) in [
        ("/probe?target=x&module=nope", "unknown_module"),
        ("/probe?module=http_2xx", "bad_parameter"),
        ("/probe?target=&module=http_2xx", "bad_parameter"),
        ("/probe?target=ftp://x&module=http_2xx", "bad_parameter"),
        ("/probe?target=x&module=tcp_connect", "bad_parameter"),
        ("/probe?target=x&debug=maybe", "bad_parameter"),
        ("/probe?target=x&hostname=y", "bad_parameter"),
    ] {
        let answer = daemon.get(path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{path}"
        );
    }
    let header = [("x-prometheus-scrape-timeout-seconds", "soon")];
    assert_eq!(daemon.ask("GET", "/probe?target=x", &header).status, 400);
}

/// The names of `blackbox_exporter` are older than some of promtool's rules.
fn lint_but_for_names(text: &str) {
    let renamed = text.replace("probe_http_version", "probe_http_protocol");
    lint(&renamed);
}

#[test]
fn a_certificate_is_seen_as_blackbox_exporter_sees_it() {
    let authority = Authority::root("lab");
    let dir = tempfile::TempDir::new().expect("a directory");
    let (cert, key) = authority.issue(&Leaf::sound()).write(dir.path(), "leaf");
    let server = format!(
        "cert_file = \"{}\"\nkey_file = \"{}\"",
        cert.display(),
        key.display()
    );
    let up = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = up.local_addr().expect("an address").port();
    let shown = Daemon::start(&server, &config(port));
    let modules = "[[module]]\nid = \"tls\"\nkind = \"tls\"\nca_file = \"ca.pem\"\n[[module]]\nid = \"https\"\nkind = \"http\"\nca_file = \"ca.pem\"\n";
    let daemon = Daemon::start_with(
        "",
        &(config(port) + modules),
        &[("ca.pem", &authority.pem())],
    );
    let tls = daemon
        .get(&format!(
            "/probe?target=127.0.0.1:{}&module=tls",
            shown.port
        ))
        .text();
    assert!(tls.contains("probe_success 1"), "{tls}");
    let https = daemon
        .get(&format!(
            "/probe?target={}&module=https",
            encoded(&format!("https://127.0.0.1:{}/healthz", shown.port))
        ))
        .text();
    assert!(
        https.contains("probe_success 1") && https.contains("probe_http_ssl 1"),
        "{https}"
    );
    for text in [tls, https] {
        let expiry = text
            .lines()
            .find_map(|line| line.strip_prefix("probe_ssl_earliest_cert_expiry "))
            .expect("an expiry");
        let expiry: f64 = expiry.parse().expect("a number");
        let days = (expiry - jiff::Timestamp::now().as_duration().as_secs_f64()) / 86_400.0;
        assert!((79.0..81.0).contains(&days), "{days}");
    }
}

#[test]
fn prometheus_scrapes_both() {
    let web = Scripted::start(|_| Reply::new(200, "hello"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("an address").port();
    let daemon = Daemon::start("", &(config(port) + MODULES));
    let scrapes = format!(
        "- job_name: agent\n  static_configs: [{{ targets: ['127.0.0.1:{0}'] }}]\n\
         - job_name: blackbox\n  metrics_path: /probe\n  params: {{ module: [http_2xx] }}\n  static_configs: [{{ targets: ['{1}'] }}]\n  \
         relabel_configs:\n  - {{ source_labels: [__address__], target_label: __param_target }}\n  \
         - {{ source_labels: [__param_target], target_label: instance }}\n  - {{ target_label: __address__, replacement: '127.0.0.1:{0}' }}\n",
        daemon.port,
        web.url("/")
            .trim_start_matches("http://")
            .trim_end_matches('/'),
    );
    let prometheus = Prometheus::new().scrapes(&scrapes).start();
    prometheus
        .wait_for_query("readiness_gate_result{job=\"agent\",gate=\"good\",result=\"pass\"} == 1");
    prometheus
        .wait_for_query("readiness_gate_result{job=\"agent\",gate=\"bad\",result=\"fail\"} == 1");
    prometheus.wait_for_query("probe_agent_runs_total{job=\"agent\",outcome=\"observed\"} > 0");
    prometheus
        .wait_for_query("histogram_quantile(0.99, probe_agent_schedule_lag_seconds_bucket) >= 0");
    prometheus.wait_for_query("probe_success{job=\"blackbox\"} == 1");
    prometheus.wait_for_query("probe_http_status_code{job=\"blackbox\"} == 200");
    prometheus.wait_for_query("up{job=\"agent\"} == 1");
}
