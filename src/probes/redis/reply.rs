//! What a command was answered, and what a missing answer means for the facts behind it.

use std::time::Duration;

use redis::Value;

use crate::evidence::{Observed, Unknown, UnknownWhy};

/// A value and how long it took, or why there is none.
pub type Reply = Result<(Value, Duration), Problem>;

/// The longest text of a server that is passed on.
const MAX_TEXT_CHARS: usize = 200;

/// Why a command has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The server refused it.
    Refused {
        /// The first word: `NOAUTH`, `NOPERM`, `ERR`, …
        code: String,
        /// The rest.
        text: String,
    },
    /// The connection ended, or what came was not the protocol.
    Broken(String),
    /// More came than any answer here needs.
    TooLarge(String),
    /// Nothing came in time.
    Silent,
}

impl Problem {
    /// A refusal in the server's words, kept short and printable.
    pub fn refused(code: &str, text: Option<&str>) -> Self {
        Self::Refused {
            code: printable(code),
            text: printable(text.unwrap_or_default()),
        }
    }

    /// The first word of a refusal; empty where there was none.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            _ => "",
        }
    }

    /// Whether the server refused the command because it has none of that name.
    pub fn is_unknown_command(&self) -> bool {
        let Self::Refused { text, .. } = self else {
            return false;
        };
        let text = text.to_ascii_lowercase();
        text.contains("unknown command") || text.contains("unknown subcommand")
    }

    /// The class of the reason and the reason, with the command's name: its arguments, which a
    /// server may echo, stay away.
    pub fn unknown(&self, command: &str) -> Unknown {
        let (why, detail) = match self {
            Self::Refused { .. } if self.is_unknown_command() => (
                UnknownWhy::Unsupported,
                format!(
                    "{command}: the server knows no such command: it is renamed, forbidden or of a later version"
                ),
            ),
            Self::Refused { code, text } => {
                let why = match code.as_str() {
                    "NOPERM" | "NOAUTH" | "WRONGPASS" | "DENIED" => UnknownWhy::Denied,
                    _ => UnknownWhy::NotObserved,
                };
                (why, format!("{command}: {code} {text}"))
            }
            Self::Broken(text) => (UnknownWhy::NotObserved, format!("{command}: {text}")),
            Self::TooLarge(text) => (UnknownWhy::TooLarge, format!("{command}: {text}")),
            Self::Silent => (
                UnknownWhy::TimedOut,
                format!("{command}: no answer in its share of the timeout"),
            ),
        };
        Unknown { why, detail }
    }
}

/// Text of a server without control characters, cut where it is long.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_TEXT_CHARS)
        .collect()
}

/// The value of a reply, or why the facts behind `command` are unknown.
pub fn value<'r>(reply: Option<&'r Reply>, command: &str) -> Result<&'r Value, Unknown> {
    match reply {
        Some(Ok((value, _))) => Ok(value),
        Some(Err(problem)) => Err(problem.unknown(command)),
        None => Err(Unknown {
            why: UnknownWhy::NotObserved,
            detail: format!("{command}: it was not asked"),
        }),
    }
}

/// What came back is not what the command answers.
pub fn unparseable(command: &str) -> Unknown {
    Unknown {
        why: UnknownWhy::Unparseable,
        detail: format!("{command}: the reply is not what this command answers"),
    }
}

/// Text in any of its forms.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        Value::Okay => Some("OK".to_owned()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The elements of an array.
pub fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        _ => None,
    }
}

/// The value behind a key of a flat list of keys and values.
pub fn field<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    items(value)?.chunks_exact(2).find_map(|pair| match pair {
        [name, value] if text(name).as_deref() == Some(key) => Some(value),
        _ => None,
    })
}

/// A whole number in any of its forms.
pub fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        other => text(other)?.trim().parse().ok(),
    }
}

/// The value of one parameter in the reply of `CONFIG GET`.
pub fn config_value(reply: Option<&Reply>, parameter: &str) -> Observed<String> {
    let command = format!("CONFIG GET {parameter}");
    match value(reply, &command) {
        Err(unknown) => unknown.into(),
        Ok(value) => match field(value, parameter).and_then(text) {
            Some(text) => Observed::Value(text),
            None => Observed::unknown(
                UnknownWhy::Unsupported,
                format!("{command}: the server has no such parameter, or hides it"),
            ),
        },
    }
}
