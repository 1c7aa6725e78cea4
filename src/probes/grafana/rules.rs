//! The built-in rules of the `grafana` kind. Every threshold stands here, none in the code.

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

/// In the order in which they are printed.
pub(super) const RULES: &[RuleSpec<Config>] = &[
    rule(
        "database",
        Severity::Must,
        "database == 'ok'",
        "without its database Grafana shows nothing",
        "Grafana: GET /api/health",
    ),
    applies(
        rule(
            "datasources-healthy",
            Severity::Must,
            "datasources.all(d, d.health == 'ok')",
            "Grafana says that it is healthy while its data sources are not",
            "Grafana: GET /api/datasources/uid/:uid/health",
        ),
        "datasources.size() > 0",
    ),
    when(
        rule(
            "datasources-declared",
            Severity::Must,
            "declared_datasources.all(d, d.found && d.health == 'ok')",
            "a dashboard over a data source that is missing or broken is empty",
            "the declaration",
        ),
        "`datasources` is declared",
        |config| !config.datasources.is_empty(),
    ),
    when(
        rule(
            "min-dashboards",
            Severity::Must,
            "dashboards >= min_dashboards",
            "dashboards that are missing cannot be looked at",
            "the declaration",
        ),
        "`min_dashboards` is declared",
        |config| config.min_dashboards.is_some(),
    ),
    when(
        rule(
            "panels-have-data",
            Severity::Should,
            "panels.all(p, p.state == 'data')",
            "a panel that shows nothing looks the same whether all is well or nothing is measured",
            "practice: one value in the last hour",
        ),
        "`check_panels = true`",
        |config| config.check_panels,
    ),
    when(
        rule(
            "contact-points-declared",
            Severity::Must,
            "declared_contact_points.all(c, c.found)",
            "an alert without its contact point reaches nobody",
            "the declaration",
        ),
        "`contact_points` is declared",
        |config| !config.contact_points.is_empty(),
    ),
    rule(
        "anonymous-refused",
        Severity::Must,
        "!anonymous_access",
        "whoever reaches Grafana without a login sees what it shows, and can ask its data sources",
        "Grafana: anonymous authentication",
    ),
    when(
        rule(
            "default-login-refused",
            Severity::Must,
            "!default_login_accepted",
            "the password of a fresh installation is the first one that anybody tries",
            "Grafana: default admin password",
        ),
        "`check_default_login` is on",
        |config| config.check_default_login,
    ),
];
