//! Who gets in, and what a probe that may not see everything says.

use super::{assert_results, probe, reason, run};
use crate::lab::Redis;

const CACHE: &str = "--maxmemory 100mb --maxmemory-policy allkeys-lru";

#[test]
fn a_server_without_a_password_is_judged_once_it_has_a_role() {
    let open = Redis::start(CACHE);
    assert_results(&probe(&open.url(), ""), &[]);
    let verdict = probe(&open.url(), "role = \"cache\"");
    assert_results(
        &verdict,
        &[("authentication", "warn"), ("open-commands", "warn")],
    );
    let commands = &verdict.facts("r")["nodes"][0]["security"]["open_commands"];
    assert_eq!(commands, &serde_json::json!(["FLUSHALL", "CONFIG SET"]));
    let closed = Redis::start(&format!("{CACHE} --requirepass secret-1"));
    let url = format!("redis://:secret-1@127.0.0.1:{}", closed.port);
    let verdict = probe(&url, "role = \"cache\"");
    assert_results(&verdict, &[]);
    assert_eq!(
        verdict.facts("r")["nodes"][0]["security"]["anonymous"],
        "refused"
    );
}

#[test]
fn over_the_network_an_open_server_fails() {
    let open = Redis::start(&format!("{CACHE} --protected-mode no --bind 0.0.0.0"));
    let Some(address) = routable_address() else {
        return;
    };
    let verdict = probe(
        &format!("redis://{address}:{}", open.port),
        "role = \"cache\"",
    );
    assert_eq!(verdict.result("r/authentication-network"), "fail");
    // Protected mode refuses in words, there and not on loopback.
    let protected = Redis::start(&format!("{CACHE} --bind 0.0.0.0"));
    let verdict = probe(
        &format!("redis://{address}:{}", protected.port),
        "role = \"cache\"",
    );
    assert_eq!(verdict.probe("r")["outcome"], "denied");
}

/// An address of this host that is not loopback; a host without any has no such fault.
fn routable_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

#[test]
fn a_default_user_that_needs_no_password_is_found_beside_ours() {
    let server = Redis::start(
        "--maxmemory 100mb --maxmemory-policy allkeys-lru --user app on >app-secret ~* &* +@all",
    );
    let url = format!("redis://app:app-secret@127.0.0.1:{}", server.port);
    let verdict = probe(&url, "role = \"cache\"");
    assert_results(
        &verdict,
        &[("authentication", "warn"), ("open-commands", "warn")],
    );
    let security = &verdict.facts("r")["nodes"][0]["security"];
    assert_eq!(security["default_user_nopass"], true);
    server.cli("acl setuser default off");
    let verdict = probe(&url, "role = \"cache\"");
    assert_results(&verdict, &[]);
    assert!(!verdict.json.to_string().contains("app-secret"));
}

#[test]
fn a_password_for_a_server_without_one_is_seen_as_such() {
    let server = Redis::start(CACHE);
    let url = format!("redis://:some-secret@127.0.0.1:{}", server.port);
    let verdict = probe(&url, "role = \"cache\"");
    assert_eq!(verdict.facts("r")["nodes"][0]["login"], "no_password_set");
    assert_eq!(verdict.result("r/authentication"), "warn");
}

#[test]
fn wrong_and_missing_passwords_are_denied() {
    let server = Redis::start("--requirepass right-one");
    for url in [
        format!("redis://127.0.0.1:{}", server.port),
        format!("redis://:wrong-one@127.0.0.1:{}", server.port),
        format!("redis://nobody:wrong-one@127.0.0.1:{}", server.port),
    ] {
        let verdict = probe(&url, "");
        assert_eq!(
            verdict.probe("r")["outcome"],
            "denied",
            "{:#}",
            verdict.json
        );
        assert_eq!(verdict.code, 3);
        assert!(!verdict.json.to_string().contains("wrong-one"));
    }
}

#[test]
fn a_forbidden_command_makes_only_its_facts_unknown() {
    let server = Redis::start("--user probe on >probe-secret +ping +info --user default on >other");
    let url = format!("redis://probe:probe-secret@127.0.0.1:{}", server.port);
    let verdict = probe(&url, "");
    assert_results(&verdict, &[]);
    let node = &verdict.facts("r")["nodes"][0];
    assert_eq!(node["persistence"]["rdb"]["enabled"]["unknown"], "denied");
    let verdict = probe(&url, "role = \"store\"");
    assert_results(
        &verdict,
        &[("persistence", "unknown"), ("rdb-recent", "unknown")],
    );
    assert!(reason(&verdict, "persistence").contains("CONFIG GET save"));
    assert_eq!(verdict.code, 3);
}

#[test]
fn without_info_nothing_passes_but_the_server_answers() {
    let server = Redis::start("--user probe on >probe-secret +ping");
    let url = format!("redis://probe:probe-secret@127.0.0.1:{}", server.port);
    let verdict = probe(&url, "");
    assert_eq!(verdict.result("r/ready"), "pass");
    assert_eq!(verdict.result("r/rdb-saves"), "unknown");
    assert!(
        reason(&verdict, "rdb-saves").contains("INFO"),
        "{}",
        reason(&verdict, "rdb-saves")
    );
    assert_eq!(verdict.code, 3);
}

#[test]
fn renamed_commands_are_named() {
    let server = Redis::start_with(
        crate::lab::free_port(),
        &[
            "--rename-command",
            "CONFIG",
            "",
            "--rename-command",
            "SLOWLOG",
            "hidden",
            "--rename-command",
            "ACL",
            "",
        ],
    );
    let verdict = probe(&server.url(), "");
    assert_results(&verdict, &[]);
    let node = &verdict.facts("r")["nodes"][0];
    let fact = &node["persistence"]["rdb"]["save_points"];
    assert_eq!(fact["unknown"], "unsupported");
    assert!(
        fact["detail"]
            .as_str()
            .is_some_and(|text| text.contains("CONFIG GET save"))
    );
    assert_eq!(node["slow_log"]["slowest_ms"]["unknown"], "unsupported");
    let verdict = probe(&server.url(), "persistence = \"rdb\"");
    assert_eq!(verdict.result("r/persistence-rdb"), "unknown");
}

#[test]
fn tls_is_spoken_and_a_plaintext_port_beside_it_warns() {
    let args = format!("{CACHE} --requirepass tls-secret");
    for (plaintext, wanted) in [(true, "warn"), (false, "pass")] {
        let (server, port, [(_, ca), ..]) = Redis::start_tls(plaintext, &args);
        let url = format!("rediss://:tls-secret@127.0.0.1:{port}/0");
        let verdict = run(&url, "role = \"cache\"\nca_file = \"ca.pem\"")
            .file("ca.pem", &ca)
            .once();
        assert_results(&verdict, &[("plaintext-port", wanted)]);
        // Without a role it is not judged, and an untrusted certificate is the target's fault.
        let verdict = run(&url, "ca_file = \"ca.pem\"").file("ca.pem", &ca).once();
        assert_results(&verdict, &[]);
        let verdict = probe(&url, "");
        assert_eq!(verdict.probe("r")["outcome"], "target_error");
        drop(server);
    }
}

#[test]
fn a_client_certificate_is_a_credential() {
    for (demanded, wanted) in [("yes", "pass"), ("optional", "warn")] {
        let args = format!("{CACHE} --tls-auth-clients {demanded}");
        let (server, port, files) = Redis::start_tls(false, &args);
        let params = "role = \"cache\"\nrules.open-commands = false\nca_file = \"ca.pem\"\nclient_cert_file = \"client.pem\"\nclient_key_file = \"client.key\"";
        let run = run(&format!("rediss://127.0.0.1:{port}"), params);
        let run = files
            .iter()
            .fold(run, |run, (name, content)| run.file(name, content));
        assert_results(&run.once(), &[("authentication", wanted)]);
        drop(server);
    }
}

/// An administrator beside the user `default`.
const ADMIN: &str = "--user admin on >admin-secret ~* &* +@all --appendonly yes";

fn as_admin(server: Redis) -> (Redis, String) {
    let url = format!("redis://admin:admin-secret@127.0.0.1:{}", server.port);
    (server.with_login("admin", "admin-secret"), url)
}

#[test]
fn whoever_may_do_all_but_ping_is_in() {
    let (server, url) = as_admin(Redis::start(ADMIN));
    for (grant, commands) in [
        ("+@all -ping", serde_json::json!(["FLUSHALL", "CONFIG SET"])),
        ("-@all +get +set", serde_json::json!([])),
    ] {
        server.cli(&format!("acl setuser default on nopass ~* &* {grant}"));
        let verdict = probe(&url, "role = \"store\"");
        let security = &verdict.facts("r")["nodes"][0]["security"];
        assert_eq!(security["anonymous"], "accepted", "{grant}");
        assert_eq!(security["open_commands"], commands, "{grant}");
        assert_eq!(verdict.result("r/authentication"), "warn", "{grant}");
    }
    // The same over a connection that has no credentials itself.
    let verdict = probe(&server.url(), "role = \"store\"");
    let security = &verdict.facts("r")["nodes"][0]["security"];
    assert_eq!(security["anonymous"], "accepted");
    server.cli("acl setuser default reset on >other-secret ~* +@all");
    assert_results(&probe(&url, "role = \"store\""), &[]);
}

#[test]
fn a_server_that_refuses_our_password_and_takes_everybody_is_judged_for_that() {
    let open = Redis::start("--appendonly yes --protected-mode no --bind 0.0.0.0");
    let url = |host: &str| format!("redis://nobody:wrong-one@{host}:{}", open.port);
    let verdict = probe(&url("127.0.0.1"), "role = \"store\"\nallow_writes = true");
    assert_eq!(verdict.result("r/authentication"), "warn");
    assert_eq!(verdict.result("r/reachable"), "unknown");
    assert_eq!(verdict.result("r/canary-write"), "unknown");
    assert!(!open.cli("info commandstats").contains("cmdstat_set:"));
    if let Some(address) = routable_address() {
        let verdict = probe(&url(&address.to_string()), "role = \"store\"");
        assert_eq!(verdict.result("r/authentication-network"), "fail");
        assert_eq!(verdict.code, 1);
    }
}

#[test]
fn without_a_dry_run_the_description_of_the_user_is_read() {
    let server = |commands: &[&str]| {
        let mut args = vec!["--appendonly", "yes"];
        for command in commands {
            args.extend(["--rename-command", command, ""]);
        }
        Redis::start_with(crate::lab::free_port(), &args)
    };
    for (renamed, open) in [
        (&["ACL"][..], serde_json::json!(["FLUSHALL", "CONFIG SET"])),
        (&["ACL", "CONFIG"][..], serde_json::json!(["FLUSHALL"])),
    ] {
        let server = server(renamed);
        let verdict = probe(&server.url(), "role = \"store\"");
        assert_eq!(verdict.result("r/open-commands"), "warn");
        assert_eq!(
            verdict.facts("r")["nodes"][0]["security"]["open_commands"],
            open
        );
    }
}

#[test]
fn a_database_that_is_not_there_fails_and_one_that_is_forbidden_is_unknown() {
    let server = Redis::start("");
    let params = "allow_writes = true";
    let verdict = probe(&format!("{}/99", server.url()), params);
    assert_eq!(verdict.result("r/database"), "fail");
    assert_eq!(verdict.result("r/canary-write"), "fail");
    assert!(!server.cli("info commandstats").contains("cmdstat_set:"));
    let verdict = probe(&format!("{}/3", server.url()), params);
    assert_results(&verdict, &[]);
    server.cli("acl setuser probe on >probe-secret ~* +@all -select");
    let url = format!("redis://probe:probe-secret@127.0.0.1:{}/3", server.port);
    server.cli("config resetstat");
    let verdict = probe(&url, params);
    assert_eq!(verdict.result("r/database"), "unknown");
    assert_eq!(verdict.result("r/canary-write"), "unknown");
    for rule in ["database", "canary-write"] {
        assert!(
            reason(&verdict, rule).contains("SELECT"),
            "{}",
            reason(&verdict, rule)
        );
    }
    assert!(!server.cli("info commandstats").contains("cmdstat_set:"));
}

#[test]
fn the_plaintext_port_of_each_server_is_looked_at_beside_the_declared_one() {
    let args = format!("{CACHE} --requirepass tls-secret");
    let (open, port, [(_, ca), ..]) = Redis::start_tls(true, &args);
    let url = |port: u16| format!("rediss://:tls-secret@127.0.0.1:{port}");
    let other = crate::lab::free_port();
    let params = format!("role = \"cache\"\nca_file = \"ca.pem\"\nplaintext_port = {other}");
    let verdict = run(&url(port), &params).file("ca.pem", &ca).once();
    assert_results(&verdict, &[("plaintext-port", "warn")]);
    // Beside a primary whose port is closed, that of a replica.
    let (closed, tls_port, [(_, other_ca), ..]) = Redis::start_tls(false, &args);
    let both = format!("{ca}{other_ca}");
    let params = format!(
        "role = \"cache\"\nca_file = \"ca.pem\"\nreplicas = [{:?}]",
        url(port)
    );
    let verdict = run(&url(tls_port), &params).file("ca.pem", &both).once();
    assert_eq!(verdict.result("r/plaintext-port"), "warn");
    let nodes = &verdict.facts("r")["nodes"];
    assert_eq!(nodes[0]["plaintext_port"], "closed");
    assert_eq!(nodes[1]["plaintext_port"], "open");
    drop((open, closed));
}

#[test]
fn a_server_with_room_for_one_is_asked_twice_in_turn() {
    let server = Redis::start("--requirepass only-secret --appendonly yes --maxclients 1");
    let url = format!("redis://:only-secret@127.0.0.1:{}", server.port);
    let verdict = probe(&url, "role = \"store\"\nrules.client-limit = false");
    let security = &verdict.facts("r")["nodes"][0]["security"];
    assert_eq!(security["anonymous"], "refused", "{:#}", verdict.json);
    assert_results(&verdict, &[]);
}

#[test]
fn a_scheme_that_does_not_fit_the_port_is_named() {
    let (server, port, [(_, ca), ..]) = Redis::start_tls(true, "");
    // A plaintext port waits for the rest of a command that it takes a handshake for.
    for (url, hint, longest_s) in [
        (
            format!("rediss://127.0.0.1:{}", server.port),
            "write `redis`",
            12,
        ),
        (format!("redis://127.0.0.1:{port}"), "write `rediss`", 5),
    ] {
        let begun = std::time::Instant::now();
        let verdict = run(&url, "ca_file = \"ca.pem\"").file("ca.pem", &ca).once();
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(longest_s),
            "{hint}"
        );
        assert_eq!(verdict.code, 1);
        let said = reason(&verdict, "reachable");
        assert!(said.contains(hint), "{said}");
    }
}
