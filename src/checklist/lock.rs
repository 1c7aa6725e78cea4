//! `FILE.md.lock`: who each row is, what it claimed, and the status that was generated for it.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ChecklistError;
use super::claims::ClaimStatus;
use crate::limits::read_file;

/// The version of the file.
const SCHEMA: &str = "probe.checklist-lock/v1";
/// A lock larger than this is not one.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What is known of a document's rows from before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    schema: String,
    pub(super) rows: Vec<LockedRow>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LockedRow {
    pub(super) id: String,
    pub(super) section: String,
    pub(super) title: String,
    /// A digest of its details: a row that is renamed is known by them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) detail: String,
    pub(super) claim: LockedClaim,
    /// The status that was written into the document; who finds another one there finds a new claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) generated: Option<String>,
    /// No longer in the document. Its id is never given to another row.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) gone: bool,
}

/// What a row claimed before anything was generated for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LockedClaim {
    pub(super) status: ClaimStatus,
    pub(super) text: String,
}

/// Where the lock of a document is.
pub(crate) fn path_of(document: &Path) -> PathBuf {
    let mut name = document.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

impl Lock {
    pub(super) fn new(rows: Vec<LockedRow>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            rows,
        }
    }

    /// Reads the lock of a document; none is an empty one.
    pub(super) fn read(document: &Path) -> Result<Self, ChecklistError> {
        let path = path_of(document);
        let bytes = match read_file(&path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::new(vec![])),
            Err(source) => return Err(ChecklistError::Read { path, source }),
        };
        let wrong = |line: usize, message: String| ChecklistError::Lock {
            path: path.clone(),
            line,
            message,
        };
        let lock: Self = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(error.line().max(1), error.to_string()))?;
        if lock.schema != SCHEMA {
            let message = format!("this version reads {SCHEMA}, not {}", lock.schema);
            return Err(wrong(2, message));
        }
        let mut ids = HashSet::new();
        for row in &lock.rows {
            if !crate::config::is_slug(&row.id) {
                return Err(wrong(1, format!("`{}` is not an id", row.id)));
            }
            if !ids.insert(row.id.as_str()) {
                return Err(wrong(1, format!("the id `{}` is in it twice", row.id)));
            }
        }
        Ok(lock)
    }

    /// One row a line: a change of one row is a change of one line.
    pub(super) fn to_text(&self) -> Result<String, serde_json::Error> {
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| serde_json::to_string(row).map(|row| format!("    {row}")))
            .collect::<Result<_, _>>()?;
        Ok(format!(
            "{{\n  \"schema\": \"{SCHEMA}\",\n  \"rows\": [\n{}\n  ]\n}}\n",
            rows.join(",\n")
        ))
    }
}
