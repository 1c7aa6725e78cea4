//! `[[item]]` tables → items, with their `needs` resolved to rules of probes.

use std::collections::BTreeMap;

use toml::Spanned;

use super::diagnostics::Diagnostics;
use super::link::Probes;
use super::shape::check_id;
use super::sources::{Place, Sources};
use super::suggest::did_you_mean;
use super::tables::ItemTable;
use crate::judge::RuleState;
use crate::plan::{Item, Need, PlannedProbe, SourceRef, wildcard};

/// Resolves one item; errors go to `diagnostics`.
pub(super) fn item(
    table: ItemTable,
    file: usize,
    probes: &Probes,
    sources: &Sources,
    diagnostics: &mut Diagnostics,
) -> Item {
    let place_of = |span| Place { file, span };
    let id_place = place_of(table.id.span());
    check_id(table.id.get_ref(), &id_place, diagnostics);
    let weight = table
        .weight
        .as_ref()
        .map_or(1.0, |weight| *weight.get_ref());
    if !(weight.is_finite() && weight > 0.0) {
        let place = table.weight.as_ref().map(|weight| place_of(weight.span()));
        diagnostics.error(place, "a weight is a number greater than 0");
    }
    let mut needs = Vec::new();
    for pattern in &table.needs {
        let place = place_of(pattern.span());
        resolve(pattern, &place, probes, diagnostics, &mut needs);
    }
    needs.sort_unstable();
    needs.dedup();
    Item {
        title: table.title.unwrap_or_else(|| table.id.get_ref().clone()),
        source: SourceRef {
            file: sources.file(file).path.display().to_string(),
            line: sources.line(&id_place),
        },
        id: table.id.into_inner(),
        titles: table.titles,
        section: table.section,
        category: table.category.map(Spanned::into_inner),
        weight,
        owner: table.owner,
        needs,
        ttl: table.ttl.map(|ttl| ttl.0),
        misses: table.misses,
        remediation: table.remediation,
        waiver: None,
        attestation: None,
        alias_of: None,
        prerequisites: Vec::new(),
        claim: None,
        unmapped: false,
    }
}

/// Every probe as an item of its own, for a configuration without items.
pub(super) fn one_per_probe(probes: &[PlannedProbe]) -> Vec<Item> {
    probes
        .iter()
        .enumerate()
        .map(|(index, probe)| Item {
            id: probe.id.clone(),
            title: format!("{} {}", probe.kind, probe.target),
            titles: BTreeMap::new(),
            section: None,
            category: None,
            weight: 1.0,
            owner: None,
            needs: enabled_rules(index, probe).collect(),
            ttl: None,
            misses: None,
            remediation: None,
            waiver: None,
            attestation: None,
            alias_of: None,
            prerequisites: Vec::new(),
            claim: None,
            unmapped: false,
            source: probe.source.clone(),
        })
        .collect()
}

fn enabled_rules(index: usize, probe: &PlannedProbe) -> impl Iterator<Item = Need> + '_ {
    probe
        .rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| matches!(rule.state, RuleState::Enabled))
        .map(move |(rule, _)| Need { probe: index, rule })
}

fn resolve(
    pattern: &Spanned<String>,
    place: &Place,
    probes: &Probes,
    diagnostics: &mut Diagnostics,
    needs: &mut Vec<Need>,
) {
    let text = pattern.get_ref();
    let Some((probe_part, rule_part)) = text.split_once('/') else {
        let diagnostic = diagnostics.error(place.clone(), format!("`{text}` names no rule"));
        if probes.index.contains_key(text) || probes.broken.contains(text) {
            diagnostic.help(format!("write `{text}/*` for all rules of that probe"));
        } else {
            diagnostic.help("write PROBE/RULE, with `*` as wildcard");
        }
        return;
    };
    if probes.broken.iter().any(|id| wildcard(probe_part, id)) {
        return;
    }
    let list = &probes.list;
    let matched: Vec<usize> = if probe_part.contains('*') {
        (0..list.len())
            .filter(|i| wildcard(probe_part, &list[*i].id))
            .collect()
    } else {
        probes.index.get(probe_part).copied().into_iter().collect()
    };
    if matched.is_empty() {
        let searching = diagnostics.is_short();
        let diagnostic = diagnostics.error(place.clone(), format!("`{text}` matches no probe"));
        if searching {
            let ids = list.iter().map(|probe| probe.id.as_str());
            diagnostic.help(did_you_mean(probe_part, ids));
        }
        return;
    }
    let exact = !text.contains('*');
    let mut named = 0;
    for probe in &matched {
        for (rule, candidate) in list[*probe].rules.iter().enumerate() {
            if wildcard(rule_part, &candidate.name) {
                named += 1;
                // A glob takes what is enabled; a rule named in full is needed, whatever it is.
                if exact || matches!(candidate.state, RuleState::Enabled) {
                    needs.push(Need {
                        probe: *probe,
                        rule,
                    });
                }
            }
        }
    }
    if named == 0 {
        let rules = matched
            .iter()
            .flat_map(|i| list[*i].rules.iter().map(|rule| rule.name.as_str()));
        diagnostics
            .error(place.clone(), format!("`{text}` matches no rule"))
            .help(did_you_mean(rule_part, rules.collect::<Vec<_>>()));
    }
}
