//! `[[attestation]]` tables: the probe that fetches the document, and what the item is told of it.

use std::collections::HashMap;

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::Diagnostics;
use super::probe_table::{Common, build, digest, hex};
use super::rules::KindRules;
use super::shape::{Shaper, take};
use super::sources::Place;
use super::suggest::did_you_mean;
use super::tables::{AttestationTable, DefaultsTable};
use crate::judge::expr::Program;
use crate::judge::{Rule, RuleState};
use crate::plan::{Attestation, EXPIRES_SOON_DAYS, Item, PlannedProbe};
use crate::probes::{self, Severity};

/// The rule that holds the document against the hash that was attested.
const UNCHANGED: &str = "unchanged";

/// An attestation whose item is still a name.
pub(super) struct Draft {
    table: AttestationTable,
    place: Place,
    /// None: it has errors, which were reported.
    probe: Option<PlannedProbe>,
    /// Index of the rule that holds the document against the hash.
    rule: usize,
}

/// Reads `[[attestation]]` tables.
pub(super) struct AttestationReader {
    rules: KindRules,
    schema: Json,
    own: Vec<String>,
}

impl AttestationReader {
    pub(super) fn new() -> Result<Self, String> {
        let own = super::schema::of::<AttestationTable>();
        let own = own["properties"].as_object().into_iter().flatten();
        Ok(Self {
            rules: KindRules::new(probes::ATTESTED)?,
            schema: super::schema::of_attestation(),
            own: own.map(|(key, _)| key.clone()).collect(),
        })
    }

    /// One table; its errors go to the shaper's diagnostics.
    pub(super) fn read(
        &mut self,
        entry: &mut Spanned<DeValue<'_>>,
        defaults: &DefaultsTable,
        shaper: &mut Shaper<'_>,
    ) -> Option<Draft> {
        let span = entry.span();
        let place = Place {
            file: shaper.file,
            span: span.clone(),
        };
        let DeValue::Table(table) = entry.get_mut() else {
            let message = "an attestation is a table: write [[attestation]]";
            shaper.diagnostics.error(place, message);
            return None;
        };
        shaper.drop_absent(table);
        // What people attest may change and be judged again; where it was looked for may not.
        let own: Vec<&str> = self.own.iter().map(String::as_str).collect();
        let kind = probes::ATTESTED.info.name;
        let params_digest = hex(&digest(kind, table, &own));
        let fits = shaper.table(table, span.clone(), &self.schema, "this attestation");
        // Variables are in now.
        let question = digest(kind, table, &own);
        let said: DeTable<'_> = own
            .iter()
            .filter_map(|key| table.remove_entry(*key))
            .collect();
        let said = fits.then(|| take::<AttestationTable>(said, span.clone(), shaper));
        let probe = fits.then(|| build(probes::ATTESTED, table, &span, shaper));
        let (said, probe) = (said.flatten()?, probe.flatten());
        let item_place = Place {
            file: place.file,
            span: said.item.span(),
        };
        let mut rules = self.rules.assemble(&[], None, shaper);
        rules.extend(unchanged(&said, &place, &self.rules, shaper.diagnostics));
        let common = Common {
            id: format!("attestation.{}", said.item.get_ref()),
            timeout: said.timeout,
            ..Common::default()
        };
        let rule = rules.iter().position(|rule| rule.name == UNCHANGED)?;
        let probe = probe.map(|probe| PlannedProbe {
            params_digest,
            question,
            ..common.planned(kind, probe, rules, defaults, &item_place, shaper)
        });
        Some(Draft {
            table: said,
            place,
            probe,
            rule,
        })
    }
}

/// `sha256 == '…'`, as a rule of one's own: a target that cannot be reached leaves it unknown.
fn unchanged(
    said: &AttestationTable,
    place: &Place,
    rules: &KindRules,
    diagnostics: &mut Diagnostics,
) -> Option<Rule> {
    let written = said.sha256.get_ref();
    let is_hash = written.len() == 64 && written.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hash {
        let place = Place {
            file: place.file,
            span: said.sha256.span(),
        };
        diagnostics
            .error(place, "`sha256` is 64 hexadecimal digits")
            .help("`sha256sum FILE` prints it");
        return None;
    }
    let expr = format!("sha256 == '{}'", written.to_lowercase());
    match Program::compile(&expr, rules.facts()) {
        Ok(expr) => Some(Rule {
            name: UNCHANGED.to_owned(),
            severity: Severity::Must,
            expr,
            applies: None,
            why: "only the document that was attested says what was attested".to_owned(),
            source: "configuration".to_owned(),
            builtin: false,
            state: RuleState::Enabled,
            hold: None,
        }),
        Err(errors) => {
            for error in errors {
                diagnostics.error(place.clone(), error.message);
            }
            None
        }
    }
}

/// Gives each attestation to its item, and its probe to the probes; errors go to `diagnostics`.
pub(super) fn attach(
    drafts: Vec<Draft>,
    today: Date,
    items: &mut [Item],
    probes: &mut Vec<PlannedProbe>,
    diagnostics: &mut Diagnostics,
) {
    let index: HashMap<String, usize> = items
        .iter()
        .enumerate()
        .map(|(at, item)| (item.id.clone(), at))
        .collect();
    for draft in drafts {
        let name = draft.table.item.get_ref().clone();
        let item_place = Place {
            file: draft.place.file,
            span: draft.table.item.span(),
        };
        let dates = dates(&draft, today, diagnostics);
        let Some(at) = index.get(&name) else {
            let ids = items.iter().map(|item| item.id.as_str());
            diagnostics
                .error(item_place, format!("there is no item `{name}`"))
                .help(did_you_mean(&name, ids));
            continue;
        };
        if items[*at].attestation.is_some() {
            diagnostics
                .error(item_place, format!("a second attestation for `{name}`"))
                .help("one document speaks for an item: attest the newest");
            continue;
        }
        let (Some((issued, expires)), Some(probe)) = (dates, draft.probe) else {
            continue;
        };
        if probes.iter().any(|other| other.id == probe.id) {
            let message = format!("`{}` is the id of the probe of this attestation", probe.id);
            diagnostics
                .error(item_place, message)
                .help("give the [[probe]] of that id another one");
            continue;
        }
        items[*at].attestation = Some(Attestation {
            owner: draft.table.owner.into_inner(),
            issued,
            expires,
            sha256: draft.table.sha256.into_inner().to_lowercase(),
            probe: probes.len(),
            rule: draft.rule,
            source: probe.source.clone(),
        });
        probes.push(probe);
    }
    aliases(items);
}

/// An alias that is decided by what decides another item is decided by its attestation too.
fn aliases(items: &mut [Item]) {
    for at in 0..items.len() {
        let Some(of) = items[at].alias_of else {
            continue;
        };
        if items[at].attestation.is_none() && items[at].needs == items[of].needs {
            let attestation = items[of].attestation.clone();
            items[at].attestation = attestation;
        }
    }
}

/// The days from which and until which it holds; what is wrong or worth knowing of them goes to `diagnostics`.
fn dates(draft: &Draft, today: Date, diagnostics: &mut Diagnostics) -> Option<(Date, Date)> {
    let table = &draft.table;
    let place_of = |span| Place {
        file: draft.place.file,
        span,
    };
    if table.owner.get_ref().trim().is_empty() {
        diagnostics.error(place_of(table.owner.span()), "an attestation without owner");
    }
    let mut date = |written: &Spanned<String>| {
        let text = written.get_ref();
        let date = text.parse::<Date>();
        if date.is_err() {
            diagnostics
                .error(place_of(written.span()), format!("`{text}` is not a date"))
                .help("write a date such as 2026-12-31");
        }
        date.ok()
    };
    let (issued, expires) = (date(&table.issued), date(&table.expires));
    let (issued, expires) = (issued?, expires?);
    let place = place_of(table.expires.span());
    if issued > expires {
        diagnostics.error(place, "it expires before it is issued");
        return None;
    }
    let longest = issued.checked_add(1.year()).unwrap_or(Date::MAX);
    if expires > longest {
        diagnostics
            .error(
                place,
                format!("an attestation holds for at most a year, here until {longest}"),
            )
            .help("have it looked at again by then");
        return None;
    }
    let item = table.item.get_ref();
    let days = crate::plan::days_until(today, expires);
    if days < 0 {
        diagnostics
            .warning(place, format!("the attestation of `{item}` has expired"))
            .help("an expired attestation attests nothing: renew or remove it");
    } else if days <= EXPIRES_SOON_DAYS {
        diagnostics
            .warning(
                place,
                format!("the attestation of `{item}` expires in {days} days"),
            )
            .help("have it looked at again by then");
    } else if issued > today {
        diagnostics.warning(
            place_of(table.issued.span()),
            format!("the attestation of `{item}` holds from {issued} only"),
        );
    }
    Some((issued, expires))
}
