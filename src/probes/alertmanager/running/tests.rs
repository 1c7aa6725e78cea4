use super::super::matcher::Labels;
use super::super::route::Reach;
use super::*;

const CONFIG: &str = r#"
global: {resolve_timeout: 5m, smtp_auth_password: <secret>}
route:
  receiver: default
  group_by: ['...']
  group_wait: 1m30s
  continue: false
  routes:
  - receiver: oncall
    match: {team: ops}
    match_re: {sev: crit|warn}
    matchers: ["a=\"b\"", "c=~\"d.*\""]
  - matchers: ["team=\"ops\""]
    group_wait: 1s
    continue: true
    routes:
    - {receiver: pager, matchers: ["sev=\"page\""], mute_time_intervals: [nights]}
  - {receiver: late, matchers: ["team=\"ops\""]}
receivers:
- name: default
- {name: oncall, webhook_configs: [{url: "http://127.0.0.1/"}], email_configs: [{to: a}, {to: b}]}
- name: pager
- name: late
inhibit_rules:
- {source_match: {severity: critical}, target_matchers: ["severity=\"warning\""], equal: [alertname]}
time_intervals:
- name: nights
  time_intervals: [{times: [{start_time: "00:00", end_time: "06:00"}]}]
"#;

fn parse(yaml: &str) -> Result<Running, String> {
    Running::parse(yaml, &mut Patterns::default())
}

fn receivers(running: &Running, labels: &[(&str, &str)]) -> Vec<String> {
    let pair = |(label, value): &(&str, &str)| ((*label).to_owned(), (*value).to_owned());
    let labels: Labels = labels.iter().map(pair).collect();
    let found = running.tree.deliver(&labels).unwrap();
    let name = |at: usize| running.tree.routes[at].receiver.clone();
    found.into_iter().map(name).collect()
}

#[test]
fn a_configuration_is_read_with_what_is_inherited() {
    let running = parse(CONFIG).unwrap();
    let routes = &running.tree.routes;
    assert_eq!(routes.len(), 5);
    assert_eq!(routes[1].group_wait, Duration::from_secs(90));
    assert_eq!(routes[1].matchers.len(), 4);
    assert_eq!(routes[2].receiver, "default");
    assert_eq!(routes[3].group_wait, Duration::from_secs(1));
    assert_eq!(routes[3].group_interval, Duration::from_secs(300));
    assert_eq!(running.receivers[1].integrations, 3);
    assert_eq!(running.receivers[0].integrations, 0);
    assert_eq!(running.inhibitions[0].equal, ["alertname"]);
}

#[test]
fn alerts_go_where_alertmanager_sends_them() {
    let running = parse(CONFIG).unwrap();
    assert_eq!(receivers(&running, &[]), ["default"]);
    let paged = [("team", "ops"), ("sev", "page")];
    assert_eq!(receivers(&running, &paged), ["pager", "late"]);
    assert_eq!(receivers(&running, &[("team", "ops")]), ["default", "late"]);
    let all = [("team", "ops"), ("sev", "crit"), ("a", "b"), ("c", "dd")];
    assert_eq!(receivers(&running, &all), ["oncall"]);
}

#[test]
fn every_witness_goes_where_it_is_said_to_go() {
    let running = parse(CONFIG).unwrap();
    for at in 0..running.tree.routes.len() {
        let Reach::By(labels) = running.tree.reach(at) else {
            panic!("{}", running.tree.name(at));
        };
        assert!(running.tree.deliver(&labels).unwrap().contains(&at));
    }
}

fn reach(routes: &str) -> Reach {
    let yaml = format!(
        "route:\n  receiver: default\n  routes: [{routes}]\nreceivers: [{{name: default}}]\n"
    );
    let running = parse(&yaml).unwrap();
    let wanted = |route: &Route| route.receiver == "oncall";
    let at = running.tree.routes.iter().position(wanted).unwrap();
    running.tree.reach(at)
}

#[test]
fn a_route_behind_one_that_takes_everything_is_never_reached() {
    let oncall = "{receiver: oncall, match: {team: ops}}";
    for before in [
        "{receiver: all}",
        "{receiver: all, match_re: {team: .*}}",
        "{receiver: all, matchers: ['zone=~\".*\"']}",
        "{receiver: all, matchers: ['team!=\"dev\"']}",
        "{receiver: all, match_re: {team: ops|dev}}",
        "{receiver: a, matchers: ['b=\"c\"']}, {receiver: c, matchers: ['b!=\"c\"']}",
    ] {
        let said = reach(&format!("{before}, {oncall}"));
        assert!(matches!(said, Reach::Never(_)), "{before}: {said:?}");
        let said = reach(&format!("{oncall}, {before}"));
        assert!(matches!(said, Reach::By(_)), "{before}: {said:?}");
    }
    let passing = reach(&format!("{{receiver: all, continue: true}}, {oncall}"));
    assert!(matches!(passing, Reach::By(_)), "{passing:?}");
    let Reach::Never(why) = reach(&format!("{{receiver: all}}, {oncall}")) else {
        panic!();
    };
    assert!(why.contains("without `continue` {}"), "{why}");
}

#[test]
fn a_receiver_whose_child_takes_everything_is_never_reached() {
    let said = reach("{receiver: oncall, match: {team: ops}, routes: [{receiver: x}]}");
    assert!(matches!(said, Reach::Never(_)), "{said:?}");
    let said = reach(
        "{receiver: oncall, match: {team: ops}, routes: [{receiver: x, match: {team: dev}}]}",
    );
    assert!(matches!(said, Reach::By(_)), "{said:?}");
    let said = reach(
        "{receiver: x, match: {team: ops}, routes: [{receiver: oncall, match: {team: dev}}]}",
    );
    assert!(matches!(said, Reach::Never(_)), "{said:?}");
}

#[test]
fn what_is_no_configuration_is_refused() {
    for bad in [
        "",
        "{}",
        "[]",
        "route: {}",
        "<html>",
        "route: {receiver: a, group_wait: x}",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    let bomb = "a: &a [x,x]\nb: &b [*a,*a,*a]\nroute: {receiver: x}\nreceivers: []\n";
    assert!(parse(bomb).is_err());
    let deep = format!(
        "route: {{receiver: a, routes: {}{}}}",
        "[{routes: ".repeat(500),
        "}]".repeat(500)
    );
    assert!(parse(&deep).is_err());
}

#[test]
fn durations_of_prometheus_are_read() {
    assert_eq!(duration("1h30m"), Some(Duration::from_secs(5_400)));
    assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
    for bad in [
        "",
        "5",
        "m",
        "1x",
        "99999999999999999999s",
        "99999999999999y",
    ] {
        assert_eq!(duration(bad), None, "{bad}");
    }
}
