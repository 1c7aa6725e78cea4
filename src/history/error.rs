//! What can be wrong with a store.

use std::path::PathBuf;

/// A store that cannot be used, or a question that it cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// There is no file.
    #[error(
        "the history {} does not exist: a daemon with this configuration makes it",
        .0.display()
    )]
    Missing(PathBuf),
    /// The file is something else.
    #[error(
        "{} is not a history of probe: name another file under [history] url; this one was not touched",
        .0.display()
    )]
    NotOurs(PathBuf),
    /// Written by a newer version.
    #[error(
        "the history has the schema {found}, and this version of probe knows {known}: use the newer version, or another store"
    )]
    Newer {
        /// The schema that was found.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// Another agent writes it.
    #[error(
        "the history {} is in use by another agent: give each its own file, or share a PostgreSQL",
        .0.display()
    )]
    Locked(PathBuf),
    /// The content does not hold together.
    #[error("the history is corrupt: {0}")]
    Corrupt(String),
    /// It cannot be read or written now.
    #[error("the history cannot be used: {0}")]
    Unavailable(String),
    /// A cursor that was not given out.
    #[error("this is no cursor of a history: use `next` of the page before as it is")]
    BadCursor,
}
