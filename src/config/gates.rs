//! `[[gate]]` and `[[waiver]]` tables.

use std::collections::HashMap;

use jiff::civil::Date;
use toml::Spanned;

use super::diagnostics::Diagnostics;
use super::shape::check_id;
use super::sources::Place;
use super::suggest::did_you_mean;
use super::tables::{GateTable, WaivedResult, WaiverTable};
use crate::judge::Status;
use crate::plan::{EXPIRES_SOON_DAYS, Gate, Item, Waiver, days_until, wildcard};

/// A waiver may not look further ahead than this: what is waived for longer is a decision, and
/// belongs into the checklist.
const MAX_WAIVER_DAYS: i64 = 90;

/// Resolves one gate; errors go to `diagnostics`.
pub(super) fn gate(
    table: GateTable,
    file: usize,
    items: &[Item],
    diagnostics: &mut Diagnostics,
) -> Gate {
    let place = Place {
        file,
        span: table.id.span(),
    };
    check_id(table.id.get_ref(), &place, diagnostics);
    Gate {
        items: members(&table.items, file, items, diagnostics),
        id: table.id.into_inner(),
        patterns: table.items.into_iter().map(Spanned::into_inner).collect(),
    }
}

/// The items that a list of ids and wildcards names.
pub(super) fn members(
    patterns: &[Spanned<String>],
    file: usize,
    items: &[Item],
    diagnostics: &mut Diagnostics,
) -> Vec<usize> {
    let mut members = Vec::new();
    for pattern in patterns {
        let before = members.len();
        members.extend((0..items.len()).filter(|i| wildcard(pattern.get_ref(), &items[*i].id)));
        if members.len() == before {
            let span = pattern.span();
            no_item(pattern, Place { file, span }, items, diagnostics);
        }
    }
    members.sort_unstable();
    members.dedup();
    members
}

fn no_item(pattern: &Spanned<String>, place: Place, items: &[Item], diagnostics: &mut Diagnostics) {
    let text = pattern.get_ref();
    if text.contains('*') {
        diagnostics
            .warning(place, format!("`{text}` matches no item"))
            .help("a section that has no items yet adds nothing");
    } else {
        diagnostics
            .error(place, format!("there is no item `{text}`"))
            .help(did_you_mean(
                text,
                items.iter().map(|item| item.id.as_str()),
            ));
    }
}

/// Attaches one waiver to its item; errors go to `diagnostics`.
pub(super) fn waiver(
    table: WaiverTable,
    file: usize,
    today: Date,
    items: &mut [Item],
    index: &HashMap<String, usize>,
    diagnostics: &mut Diagnostics,
) {
    let place_of = |span| Place { file, span };
    for (name, text) in [("owner", &table.owner), ("reason", &table.reason)] {
        if text.get_ref().trim().is_empty() {
            diagnostics.error(place_of(text.span()), format!("a waiver without {name}"));
        }
    }
    let expires_place = place_of(table.expires.span());
    let Ok(expires) = table.expires.get_ref().parse::<Date>() else {
        diagnostics
            .error(
                expires_place,
                format!("`{}` is not a date", table.expires.get_ref()),
            )
            .help("write a date such as 2026-12-31");
        return;
    };
    let days = days_until(today, expires);
    if days > MAX_WAIVER_DAYS {
        diagnostics
            .error(
                expires_place,
                format!(
                    "a waiver holds at most {MAX_WAIVER_DAYS} days; this one would hold {days}"
                ),
            )
            .help("choose an earlier date and renew it when it comes");
        return;
    }
    if (0..=EXPIRES_SOON_DAYS).contains(&days) {
        diagnostics
            .warning(
                expires_place,
                format!(
                    "the waiver for `{}` expires in {days} days",
                    table.item.get_ref()
                ),
            )
            .help("have it done by then, or renew the waiver");
    } else if days < 0 {
        diagnostics
            .warning(
                expires_place,
                format!("the waiver for `{}` has expired", table.item.get_ref()),
            )
            .help("an expired waiver is no waiver: renew or remove it");
    }
    let item_place = place_of(table.item.span());
    let Some(at) = index.get(table.item.get_ref()) else {
        diagnostics
            .error(
                item_place,
                format!("there is no item `{}`", table.item.get_ref()),
            )
            .help(did_you_mean(
                table.item.get_ref(),
                items.iter().map(|item| item.id.as_str()),
            ));
        return;
    };
    if items[*at].waiver.is_some() {
        diagnostics.error(
            item_place,
            format!("a second waiver for `{}`", table.item.get_ref()),
        );
        return;
    }
    items[*at].waiver = Some(Waiver {
        result: match table.result {
            WaivedResult::Fail => Status::Fail,
            WaivedResult::Unknown => Status::Unknown,
        },
        owner: table.owner.into_inner(),
        reason: table.reason.into_inner(),
        expires,
    });
}
