//! A row as the server's own JSON: one way to read every type of every version.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::evidence::{Observed, Unknown, UnknownWhy};

/// A row by column name.
#[derive(Debug, Clone, Default)]
pub(super) struct Row(pub(super) Map<String, Value>);

impl Row {
    /// A value that may be NULL.
    ///
    /// # Errors
    /// The column is not there, or holds another type.
    pub(super) fn get<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, Unknown> {
        match self.0.get(column) {
            None => Err(unknown(
                UnknownWhy::Unsupported,
                format!("this server has no `{column}` here"),
            )),
            Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some).map_err(|_| {
                unknown(
                    UnknownWhy::Unparseable,
                    format!("`{column}` is of a type that is not expected"),
                )
            }),
        }
    }

    /// A value; NULL is unknown for this reason.
    pub(super) fn or_unknown<T: DeserializeOwned>(
        &self,
        column: &str,
        why: UnknownWhy,
        detail: &str,
    ) -> Observed<T> {
        match self.get(column) {
            Ok(Some(value)) => Observed::Value(value),
            Ok(None) => Observed::unknown(why, detail),
            Err(unknown) => Observed::Unknown(unknown),
        }
    }

    /// A value that is never NULL.
    pub(super) fn must<T: DeserializeOwned>(&self, column: &str) -> Observed<T> {
        self.or_unknown(
            column,
            UnknownWhy::Unparseable,
            "NULL where there always is a value",
        )
    }

    /// A value whose NULL means that the role lacks `grant`.
    pub(super) fn granted<T: DeserializeOwned>(&self, column: &str, grant: &str) -> Observed<T> {
        self.or_unknown(column, UnknownWhy::Denied, grant)
    }

    /// Text; empty where it is NULL.
    pub(super) fn text(&self, column: &str) -> Observed<String> {
        match self.get(column) {
            Ok(value) => Observed::Value(value.unwrap_or_default()),
            Err(unknown) => Observed::Unknown(unknown),
        }
    }

    /// Text for a name in a list; empty where there is none.
    pub(super) fn shown(&self, column: &str) -> String {
        self.get(column).ok().flatten().unwrap_or_default()
    }

    /// A timestamp; NULL is unknown for this reason.
    pub(super) fn timestamp(&self, column: &str, never: &str) -> Observed<Timestamp> {
        self.or_unknown(column, UnknownWhy::NotApplicable, never)
    }
}

/// An unknown.
pub(super) fn unknown(why: UnknownWhy, detail: impl Into<String>) -> Unknown {
    Unknown {
        why,
        detail: detail.into(),
    }
}

/// The first row, where there must be one.
pub(super) fn first(rows: Result<Vec<Row>, Unknown>) -> Result<Row, Unknown> {
    rows?
        .into_iter()
        .next()
        .ok_or_else(|| unknown(UnknownWhy::Unparseable, "no row where there always is one"))
}
