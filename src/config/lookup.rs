//! Where variables come from: the environment and files.

use std::path::Path;

use crate::limits::read_file;

/// A variable's value.
pub(super) struct Value {
    pub(super) text: String,
    /// From a file, or from a variable whose name says so.
    pub(super) secret: bool,
}

/// A secret file larger than this is not one.
const MAX_FILE_BYTES: u64 = 64 * 1024;
pub(super) fn look_up_env(name: &str) -> Result<Option<Value>, (String, Option<String>)> {
    if name.is_empty() {
        return Err(("an environment variable without a name".into(), None));
    }
    match std::env::var_os(name) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => match value.into_string() {
            Ok(text) => Ok(Some(Value {
                text,
                secret: looks_secret(name),
            })),
            Err(_) => Err((
                format!("the environment variable `{name}` is not UTF-8"),
                None,
            )),
        },
    }
}

pub(super) fn look_up_file(
    path: &Path,
    has_default: bool,
) -> Result<Option<Value>, (String, Option<String>)> {
    let bytes = match read_file(path, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if has_default && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err((format!("cannot read {}: {error}", path.display()), None)),
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| (format!("{} is not UTF-8 text", path.display()), None))?;
    // Editors and `echo` end a file with a line break that is no part of the secret.
    let text = text.trim_end_matches(['\n', '\r']).to_owned();
    if text.is_empty() {
        if has_default {
            return Ok(None);
        }
        return Err((format!("{} is empty", path.display()), None));
    }
    Ok(Some(Value { text, secret: true }))
}

/// Whether a name says that its value is a secret.
pub(super) fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "pass",
        "pw",
        "secret",
        "token",
        "key",
        "cred",
        "auth",
        "cookie",
        "bearer",
        "session",
        "signature",
    ]
    .iter()
    .any(|word| name.contains(word))
}
