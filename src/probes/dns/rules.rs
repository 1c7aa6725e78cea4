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

/// In the order in which they are printed.
pub(super) const RULES: &[RuleSpec<Config>] = &[
    rule(
        "answered",
        Severity::Must,
        "by_resolver.all(r, r.silent_fallback || (r.rcode == \"NOERROR\" && r.answers.size() > 0))",
        "every resolver must give at least one record of the asked type",
        "RFC 1035; RFC 2308 tells a missing name from a missing record",
    ),
    rule(
        "not-bogus",
        Severity::Must,
        "by_resolver.all(r, r.silent_fallback || !r.bogus)",
        "for everybody behind a validating resolver a bogus name does not exist",
        "RFC 4035, 5.5",
    ),
    applies(
        rule(
            "resolvers-agree",
            Severity::Should,
            "distinct_answers == 1",
            "resolvers that differ send clients to different places",
            "convention; switch it off where views or GeoDNS are meant to differ",
        ),
        "by_resolver.size() >= 2",
    ),
    when(
        rule(
            "as-expected",
            Severity::Must,
            "answers == expected",
            "the records must be the declared ones, no more and no less",
            "the declaration",
        ),
        "`expect` is declared",
        |config| config.expect.is_some(),
    ),
    when(
        rule(
            "dnssec-secure",
            Severity::Must,
            "dnssec == \"secure\"",
            "the answer must be validated up to a trust anchor",
            "RFC 4035, 3.2.3",
        ),
        "`dnssec = \"secure\"` is declared",
        |config| config.dnssec.is_some(),
    ),
    when(
        rule(
            "dnssec-trusted-path",
            Severity::Should,
            "by_resolver.all(r, r.silent_fallback || r.trusted_path)",
            "on an open path anybody can claim that an answer was validated",
            "RFC 4035, 4.9.3",
        ),
        "`dnssec = \"secure\"` is declared",
        |config| config.dnssec.is_some(),
    ),
    applies(
        rule(
            "rrsig-expiry",
            Severity::Should,
            "rrsig_days_left >= 3",
            "a zone whose signatures are not renewed in time goes dark at once",
            "convention: signers renew at least three days before the end",
        ),
        "signatures > 0",
    ),
    when(
        rule(
            "authoritative-aa",
            Severity::Must,
            "by_authority.all(a, a.aa)",
            "a server that is listed for a zone and does not hold it breaks a share of all lookups",
            "RFC 1034, 4.2.2; RFC 1912, 2.8",
        ),
        "`authoritative` is declared",
        Config::asks_authorities,
    ),
    when(
        rule(
            "authoritative-agree",
            Severity::Must,
            "by_authority.all(a, a.agrees)",
            "resolvers must give what the zone's servers hold",
            "convention",
        ),
        "`authoritative` is declared",
        Config::asks_authorities,
    ),
    when(
        rule(
            "soa-serials-equal",
            Severity::Must,
            "soa_serials.all(s, soa_serials.all(t, s.serial == t.serial))",
            "a server with another serial serves another zone; give `for` the zone's refresh to allow for transfers",
            "RFC 1034, 4.3.5; RFC 1982",
        ),
        "`soa = true`",
        |config| config.soa,
    ),
    when(
        rule(
            "caa-present",
            Severity::Should,
            "caa.records.size() > 0",
            "without CAA every certification authority may issue for the name",
            "RFC 8659",
        ),
        "`caa = true`",
        |config| config.caa,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::FactSchema;
    use crate::judge::expr::Program;
    use crate::probes::dns::facts::Facts;

    #[test]
    fn every_expression_fits_the_facts() {
        let schema = FactSchema::of::<Facts>().unwrap();
        for rule in RULES {
            for expr in [Some(rule.expr), rule.applies].into_iter().flatten() {
                Program::compile(expr, &schema).unwrap_or_else(|error| panic!("{expr}: {error:?}"));
            }
        }
    }

    #[test]
    fn names_are_unique_and_kebab_case() {
        let mut names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        assert!(
            names
                .iter()
                .all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
    }
}
