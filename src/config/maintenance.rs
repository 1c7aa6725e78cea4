//! `[[maintenance]]` tables.

use jiff::Timestamp;
use toml::Spanned;

use super::diagnostics::Diagnostics;
use super::gates;
use super::sources::Place;
use super::suggest::did_you_mean;
use super::tables::MaintenanceTable;
use crate::plan::{Item, Maintenance, PlannedProbe, wildcard};

/// Resolves one window; errors go to `diagnostics`.
pub(super) fn maintenance(
    table: MaintenanceTable,
    file: usize,
    items: &[Item],
    probes: &[PlannedProbe],
    diagnostics: &mut Diagnostics,
) -> Option<Maintenance> {
    let place_of = |span| Place { file, span };
    if table.reason.get_ref().trim().is_empty() {
        let place = place_of(table.reason.span());
        diagnostics.error(place, "a maintenance window without a reason");
    }
    if table.items.is_empty() && table.probes.is_empty() {
        diagnostics
            .error(
                place_of(table.start.span()),
                "this maintenance window is about nothing",
            )
            .help("name `items` or `probes`, `*` as wildcard");
    }
    let named_items = gates::members(&table.items, file, items, diagnostics);
    let named_probes = probes_of(&table.probes, file, probes, diagnostics);
    let start = moment("start", &table.start, file, diagnostics);
    let end = moment("end", &table.end, file, diagnostics);
    let (start, end) = (start?, end?);
    if end <= start {
        diagnostics
            .error(
                place_of(table.end.span()),
                "this maintenance window ends before it starts",
            )
            .help(format!("it starts at {start}"));
        return None;
    }
    let needed = named_items
        .iter()
        .flat_map(|item| items[*item].needs.iter().map(|need| need.probe));
    let mut all_probes: Vec<usize> = needed.chain(named_probes.iter().copied()).collect();
    let needing = (0..items.len()).filter(|at| {
        let mut needs = items[*at].needs.iter();
        needs.any(|need| named_probes.contains(&need.probe))
    });
    let mut all_items: Vec<usize> = needing.chain(named_items.iter().copied()).collect();
    for list in [&mut all_probes, &mut all_items] {
        list.sort_unstable();
        list.dedup();
    }
    Some(Maintenance {
        start,
        end,
        reason: table.reason.into_inner(),
        items: all_items,
        probes: all_probes,
    })
}

fn moment(
    name: &str,
    written: &Spanned<String>,
    file: usize,
    diagnostics: &mut Diagnostics,
) -> Option<Timestamp> {
    let text = written.get_ref();
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let place = Place {
        file,
        span: written.span(),
    };
    diagnostics
        .error(
            place,
            format!("`{name}` is no moment in time: `{text}` needs a date, a time and an offset"),
        )
        .help("write it as 2026-12-31T22:00:00Z or 2026-12-31T23:00:00+01:00");
    None
}

fn probes_of(
    patterns: &[Spanned<String>],
    file: usize,
    probes: &[PlannedProbe],
    diagnostics: &mut Diagnostics,
) -> Vec<usize> {
    let mut members = Vec::new();
    for pattern in patterns {
        let text = pattern.get_ref();
        let before = members.len();
        members.extend((0..probes.len()).filter(|at| wildcard(text, &probes[*at].id)));
        let place = Place {
            file,
            span: pattern.span(),
        };
        if members.len() > before {
            continue;
        }
        if text.contains('*') {
            diagnostics.warning(place, format!("`{text}` matches no probe"));
        } else {
            let ids = probes.iter().map(|probe| probe.id.as_str());
            diagnostics
                .error(place, format!("there is no probe `{text}`"))
                .help(did_you_mean(text, ids));
        }
    }
    members
}
