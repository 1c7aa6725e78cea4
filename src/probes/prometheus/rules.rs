//! The built-in rules.

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

const HAS_RULES: &str = "rule_count > 0";
const HAS_ALERTMANAGERS: &str = "alertmanagers.size() > 0";

/// In the order in which they are printed.
pub(super) const RULES: &[RuleSpec<Config>] = &[
    rule(
        "config-reloaded",
        Severity::Must,
        "reload_ok",
        "after a failed reload the server goes on with old rules and targets, and looks healthy",
        "Prometheus: runtime information, reloadConfigSuccess",
    ),
    applies(
        rule(
            "rules-healthy",
            Severity::Must,
            "rules.all(r, r.health == \"ok\")",
            "a rule in error alerts nobody; one that was never evaluated has proven nothing",
            "Prometheus: rules, health",
        ),
        HAS_RULES,
    ),
    applies(
        rule(
            "rules-evaluated",
            Severity::Must,
            "groups.all(g, g.rules == 0 || g.lag_seconds <= 3.0 * g.interval_seconds)",
            "a group that is not evaluated alerts nobody",
            "convention: three intervals missed",
        ),
        HAS_RULES,
    ),
    applies(
        rule(
            "rules-on-time",
            Severity::Should,
            "groups.all(g, g.rules == 0 || g.lag_seconds <= 2.0 * g.interval_seconds)",
            "a group that falls behind alerts late",
            "convention: two intervals missed",
        ),
        HAS_RULES,
    ),
    applies(
        rule(
            "rules-in-time",
            Severity::Should,
            "groups.all(g, g.rules == 0 || g.evaluation_seconds <= g.interval_seconds)",
            "a group that takes longer than its interval misses evaluations",
            "Prometheus: prometheus_rule_group_iterations_missed_total",
        ),
        HAS_RULES,
    ),
    applies(
        rule(
            "selectors-exist",
            Severity::Should,
            "selectors.size() == 0 || selectors.all(s, s.state != \"missing\")",
            "a rule over series that do not exist is healthy and inactive for ever",
            "convention: as pint does; metrics that may be missing go into `may_be_absent`",
        ),
        HAS_RULES,
    ),
    when(
        rule(
            "rule-count",
            Severity::Must,
            "rule_count >= min_rules",
            "rules that are not loaded alert nobody",
            "the declaration",
        ),
        "`min_rules` is declared",
        |config| config.min_rules.is_some(),
    ),
    when(
        rule(
            "alert-count",
            Severity::Must,
            "alert_count >= min_alerts",
            "rules that are not loaded alert nobody",
            "the declaration",
        ),
        "`min_alerts` is declared",
        |config| config.min_alerts.is_some(),
    ),
    when(
        rule(
            "jobs",
            Severity::Must,
            "jobs.all(j, j.state == \"up\")",
            "a job without targets, or with one that is down, is not watched",
            "the declaration",
        ),
        "`jobs` are declared",
        |config| !config.jobs.is_empty(),
    ),
    when(
        rule(
            "targets",
            Severity::Must,
            "inventory.all(t, t.state == \"up\")",
            "what is not scraped is not watched",
            "the declaration",
        ),
        "`targets` are declared",
        |config| !config.targets.is_empty(),
    ),
    when(
        rule(
            "retention",
            Severity::Must,
            "retention_flag_reaches && retention_data_reaches",
            "what is configured to be kept and what is there are two things",
            "the declaration",
        ),
        "`retention` is declared",
        |config| config.retention.is_some(),
    ),
    when(
        rule(
            "alertmanager-count",
            Severity::Must,
            "alertmanagers.size() >= min_alertmanagers",
            "without an Alertmanager nobody hears of an alert",
            "the declaration",
        ),
        "`min_alertmanagers` is declared",
        |config| config.min_alertmanagers.is_some(),
    ),
    rule(
        "alertmanager-discovered",
        Severity::Must,
        "alertmanagers.size() > 0 || (alertmanagers_dropped == 0 && notifications_dropped_recently == 0.0)",
        "with no Alertmanager left nobody hears of an alert",
        "Prometheus: alertmanagers; prometheus_notifications_dropped_total",
    ),
    applies(
        rule(
            "notifications-not-dropped",
            Severity::Should,
            "notifications_dropped_recently == 0.0",
            "an alert that no Alertmanager takes is dropped",
            "Prometheus: prometheus_notifications_dropped_total",
        ),
        "scrapes_itself",
    ),
    applies(
        rule(
            "alertmanager-answers",
            Severity::Must,
            "alertmanagers.exists(a, a.answers)",
            "a dead Alertmanager stays listed, and nobody hears of an alert",
            "Prometheus: alertmanagers; Alertmanager: status",
        ),
        HAS_ALERTMANAGERS,
    ),
    applies(
        rule(
            "every-alertmanager-answers",
            Severity::Should,
            "alertmanagers.all(a, a.answers)",
            "the others carry on without it, and without their spare",
            "Prometheus: alertmanagers; Alertmanager: status",
        ),
        HAS_ALERTMANAGERS,
    ),
    applies(
        rule(
            "notifications",
            Severity::Must,
            "notification_error_ratio <= 0.03",
            "alerts that do not arrive are none",
            "convention: 3% of notifications fail",
        ),
        "alertmanagers.size() > 0 && notifications_tried > 0.0",
    ),
    applies(
        rule(
            "notifications-clean",
            Severity::Should,
            "notification_error_ratio <= 0.01",
            "alerts that do not arrive are none",
            "convention: 1% of notifications fail",
        ),
        "alertmanagers.size() > 0 && notifications_tried > 0.0",
    ),
    rule(
        "tsdb-intact",
        Severity::Should,
        "corruption_count == 0",
        "a database that was corrupted has lost samples",
        "Prometheus: runtime information, corruptionCount",
    ),
    rule(
        "tsdb-works",
        Severity::Should,
        "tsdb_failures == 0",
        "a database that cannot write or compact is about to lose samples: mostly its disk is full",
        "Prometheus: prometheus_tsdb_*_failed_total",
    ),
];
