//! The built-in rules of the `alertmanager` kind. Every threshold stands here, none in the code.

use super::config::Config;
use crate::probes::{Condition, RuleSpec, Severity};

const fn rule(
    name: &'static str,
    severity: Severity,
    expr: &'static str,
    why: &'static str,
    source: &'static str,
) -> RuleSpec<Config> {
    RuleSpec {
        name,
        expr,
        applies: None,
        severity,
        why,
        source,
        when: None,
    }
}

const fn when(
    mut rule: RuleSpec<Config>,
    text: &'static str,
    holds: fn(&Config) -> bool,
) -> RuleSpec<Config> {
    rule.when = Some(Condition { text, holds });
    rule
}

const fn applies(mut rule: RuleSpec<Config>, predicate: &'static str) -> RuleSpec<Config> {
    rule.applies = Some(predicate);
    rule
}

const fn for_receivers(rule: RuleSpec<Config>) -> RuleSpec<Config> {
    when(rule, "`receivers` is declared", |config| {
        !config.receivers.is_empty()
    })
}

const fn for_alerts(rule: RuleSpec<Config>) -> RuleSpec<Config> {
    when(rule, "`alerts` is declared", |config| {
        !config.alerts.is_empty()
    })
}

const fn for_peers(rule: RuleSpec<Config>) -> RuleSpec<Config> {
    when(rule, "`peers` is declared", Config::has_peers)
}

const fn for_canary(rule: RuleSpec<Config>) -> RuleSpec<Config> {
    when(
        rule,
        "`canary` is declared with `allow_writes = true`",
        Config::has_canary,
    )
}

/// In the order in which they are printed.
pub(super) const RULES: &[RuleSpec<Config>] = &[
    rule(
        "ready",
        Severity::Must,
        "nodes.all(n, n.ready)",
        "an Alertmanager that is not ready notifies nobody",
        "Alertmanager: management API",
    ),
    rule(
        "reloaded",
        Severity::Must,
        "nodes.all(n, n.reload_successful)",
        "after a failed reload the old configuration runs on, and everything looks well",
        "Alertmanager: alertmanager_config_last_reload_successful",
    ),
    for_peers(rule(
        "cluster-formed",
        Severity::Must,
        "nodes.all(n, n.cluster_status == 'ready' && n.cluster_members >= nodes.size())",
        "members that do not know one another notify twice, and a silence holds on one alone",
        "Alertmanager: high availability",
    )),
    applies(
        rule(
            "no-lost-peers",
            Severity::Should,
            "nodes.all(n, n.cluster_failed_peers == 0)",
            "a member that was lost does not notify when this one is lost too",
            "Alertmanager: alertmanager_cluster_failed_peers",
        ),
        "nodes.exists(n, n.cluster_status != 'disabled')",
    ),
    for_peers(rule(
        "config-equal",
        Severity::Must,
        "config_hashes.size() == 1",
        "members with different configurations send different notifications, depending on which comes first",
        "Alertmanager: high availability",
    )),
    applies(
        rule(
            "notifications-succeed",
            Severity::Should,
            "nodes.all(n, n.notification_requests_failed * 100 <= n.notification_requests)",
            "a notification that fails reaches nobody",
            "practice: 1 % of those since the start",
        ),
        "nodes.exists(n, n.notification_requests > 0)",
    ),
    rule(
        "no-orphan-receivers",
        Severity::Should,
        "!receivers.exists(r, r.obstacle != '')",
        "somebody defined a receiver to be notified, and no route leads there",
        "Alertmanager: the first route that matches takes an alert, unless it continues",
    ),
    for_receivers(rule(
        "receivers-reachable",
        Severity::Must,
        "declared_receivers.all(r, r.obstacle == '' && r.reachable)",
        "a receiver that no route reaches is never notified",
        "the declaration",
    )),
    for_receivers(rule(
        "receivers-notify",
        Severity::Must,
        "declared_receivers.all(r, r.integrations > 0)",
        "a receiver without an integration drops what it gets",
        "Alertmanager: receiver configuration",
    )),
    for_receivers(rule(
        "receivers-not-muted",
        Severity::Should,
        "declared_receivers.all(r, !r.muted_now)",
        "at this moment every route to the receiver is muted by a time interval",
        "Alertmanager: mute_time_intervals, active_time_intervals",
    )),
    for_alerts(rule(
        "alerts-not-silenced",
        Severity::Must,
        "declared_alerts.all(a, a.silenced_by.size() == 0)",
        "a silence that was forgotten hides the alert when it is needed",
        "the declaration",
    )),
    for_alerts(rule(
        "alerts-not-inhibited",
        Severity::Must,
        "declared_alerts.all(a, a.inhibited_by.size() == 0)",
        "an alert that fires all the time and inhibits this one hides it for ever",
        "the declaration",
    )),
    for_alerts(rule(
        "firing-alerts-not-hidden",
        Severity::Must,
        "declared_alerts.all(a, a.suppressed == 0)",
        "such an alert fires at this moment, and nobody is told",
        "the declaration",
    )),
    for_alerts(rule(
        "alerts-not-partly-hidden",
        Severity::Should,
        "declared_alerts.all(a, a.partly_silenced_by.size() == 0 && a.partly_inhibited_by.size() == 0)",
        "some of these alerts may be hidden, depending on labels that are not declared",
        "the declaration",
    )),
    for_alerts(rule(
        "alerts-notify",
        Severity::Must,
        "declared_alerts.all(a, a.notifying_receivers.size() > 0)",
        "an alert that ends at a receiver without an integration, or at a muted route, tells nobody",
        "the declaration",
    )),
    for_canary(rule(
        "canary-delivered",
        Severity::Must,
        "canary.obstacle == '' && canary.delivered",
        "only an alert that arrives proves that alerts arrive",
        "the declaration",
    )),
    for_canary(rule(
        "canary-resolved",
        Severity::Should,
        "canary.resolved",
        "what a probe posts it takes back",
        "the declaration",
    )),
];
