//! `[history]`: where runs are kept.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::diagnostics::Diagnostics;
use super::sources::Place;
use crate::history::{HistorySettings, Server, StoreSettings};
use crate::params::{DsnText, DurationText};

/// `[history]`: where runs are kept, and for how long. Without it a daemon keeps a day in memory, and a
/// restart loses it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct HistoryTable {
    /// `sqlite:FILE`, relative to the file that names it, or the URL of a PostgreSQL,
    /// `postgres://user@host/database`, which several agents may share.
    #[schemars(with = "DsnText")]
    url: Spanned<DsnText>,
    /// How long it is kept. Without it: 90d.
    retention: Option<DurationText>,
    /// How long single runs are kept; after that, slots of a minute. Without it: 30d, at most `retention`.
    #[schemars(with = "Option<DurationText>")]
    runs_retention: Option<Spanned<DurationText>>,
    /// The most bytes; past it the oldest is dropped, single runs first. Without it: 10 GiB.
    #[schemars(range(min = 1_048_576))]
    max_bytes: Option<u64>,
    /// PostgreSQL only: an agent that is silent this long loses its probes to the others. Without it: 15s.
    #[schemars(with = "Option<DurationText>")]
    lease: Option<Spanned<DurationText>>,
}

/// What the table says; errors go to `diagnostics`. `dir` is that of the file that it stands in.
pub(super) fn history(
    table: HistoryTable,
    file: usize,
    dir: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<HistorySettings> {
    let place = |span: std::ops::Range<usize>| Place { file, span };
    let store = match store(table.url.get_ref().expose(), dir) {
        Ok(store) => Some(store),
        Err(message) => {
            diagnostics.error(place(table.url.span()), format!("`url` {message}"));
            None
        }
    };
    let retention = table
        .retention
        .map_or(HistorySettings::DEFAULT_RETENTION, |text| text.0);
    let mut runs_retention = HistorySettings::DEFAULT_RUNS_RETENTION.min(retention);
    if let Some(text) = table.runs_retention {
        runs_retention = text.get_ref().0;
        if runs_retention > retention {
            diagnostics.error(
                place(text.span()),
                "`runs_retention` is longer than `retention`: nothing is kept longer than that",
            );
        }
    }
    let mut lease = HistorySettings::DEFAULT_LEASE;
    if let Some(text) = table.lease {
        lease = text.get_ref().0;
        if lease < HistorySettings::SHORTEST_LEASE {
            diagnostics.error(
                place(text.span()),
                "`lease` is at least \"1s\": an agent must be able to say that it lives a few times in it",
            );
        }
    }
    Some(HistorySettings {
        store: store?,
        retention,
        runs_retention,
        max_bytes: table
            .max_bytes
            .unwrap_or(HistorySettings::DEFAULT_MAX_BYTES),
        lease,
    })
}

/// The store that a URL names. Errors never hold the URL: it may hold a password.
fn store(url: &str, dir: &Path) -> Result<StoreSettings, String> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Server::new(url).map(StoreSettings::Postgres);
    }
    let Some(path) = url.strip_prefix("sqlite:") else {
        return Err(
            "is \"sqlite:FILE\" or \"postgres://user@host/database\": this is neither".to_owned(),
        );
    };
    // sqlite:///var/lib/probe.db says the same as sqlite:/var/lib/probe.db.
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.ends_with('/') {
        return Err("names no file: write \"sqlite:probe.db\"".to_owned());
    }
    if path.contains(['?', '#']) || path == ":memory:" {
        return Err(
            "is \"sqlite:\" and a path, without parameters; without [history] runs are kept in memory"
                .to_owned(),
        );
    }
    Ok(StoreSettings::Sqlite(dir.join(unquoted(path))))
}

/// A variable in the URL was quoted with backslashes, as in every connection string.
fn unquoted(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path.chars();
    while let Some(c) = rest.next() {
        out.push(if c == '\\' {
            rest.next().unwrap_or(c)
        } else {
            c
        });
    }
    out
}
