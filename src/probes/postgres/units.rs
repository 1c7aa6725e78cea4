//! Values of settings, compared after their units are the same.

use super::config::SettingValue;

/// As it would stand in `postgresql.conf`.
pub(super) fn written(value: &SettingValue) -> String {
    match value {
        SettingValue::Bool(true) => "on".to_owned(),
        SettingValue::Bool(false) => "off".to_owned(),
        SettingValue::Int(number) => number.to_string(),
        SettingValue::Float(number) => number.to_string(),
        SettingValue::Text(text) => text.clone(),
    }
}

/// Whether a declared value is the one that the server shows in `unit` (`8kB`, `ms`, none).
///
/// # Errors
/// Why they cannot be compared.
pub(super) fn same(
    expected: &SettingValue,
    actual: &str,
    vartype: &str,
    unit: &str,
) -> Result<bool, String> {
    same_text(&written(expected), actual, vartype, unit)
}

/// A declared value in the server's own unit, where it has one.
pub(super) fn base(value: &SettingValue, vartype: &str, unit: &str) -> String {
    let text = written(value);
    match vartype {
        "integer" | "real" => quantity(&text, unit).map_or(text, |number| number.to_string()),
        _ => text,
    }
}

fn same_text(expected: &str, actual: &str, vartype: &str, unit: &str) -> Result<bool, String> {
    match vartype {
        "bool" => match (switch(expected), switch(actual)) {
            (Some(expected), Some(actual)) => Ok(expected == actual),
            _ => Err(format!("`{expected}` is neither on nor off")),
        },
        "integer" | "real" => {
            let wanted = quantity(expected, unit).ok_or_else(|| {
                format!("`{expected}` is not a number with a unit for this setting")
            })?;
            let seen: f64 = actual
                .parse()
                .map_err(|_| format!("the server shows `{actual}`, which is no number"))?;
            // The server rounds a whole number to its unit.
            let wanted = if vartype == "integer" {
                wanted.round()
            } else {
                wanted
            };
            Ok((wanted - seen).abs() <= f64::EPSILON * wanted.abs().max(1.0))
        }
        "enum" => Ok(expected.eq_ignore_ascii_case(actual)
            || switch(expected).is_some_and(|on| switch(actual) == Some(on))),
        _ => Ok(expected == actual || list(expected) == list(actual)),
    }
}

/// Elements of a list, without the blanks around them.
fn list(text: &str) -> Vec<&str> {
    text.split(',')
        .map(|item| item.trim().trim_matches('"'))
        .collect()
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A number with or without a unit, in the server's unit.
fn quantity(text: &str, unit: &str) -> Option<f64> {
    let text = text.trim();
    let end = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, own) = (text[..end].trim(), text[end..].trim());
    let number: f64 = number.parse().ok()?;
    if own.is_empty() {
        return Some(number);
    }
    let digits = unit
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(unit.len());
    let blocks: f64 = match &unit[..digits] {
        "" => 1.0,
        blocks => blocks.parse().ok()?,
    };
    let (own_kind, own_size) = size(own)?;
    let (kind, size) = size(&unit[digits..])?;
    (kind == own_kind).then(|| number * own_size / (size * blocks))
}

#[derive(PartialEq)]
enum Kind {
    Bytes,
    Time,
}

/// A unit in bytes or milliseconds.
fn size(unit: &str) -> Option<(Kind, f64)> {
    const KIB: f64 = 1024.0;
    Some(match unit {
        "B" => (Kind::Bytes, 1.0),
        "kB" | "KB" => (Kind::Bytes, KIB),
        "MB" => (Kind::Bytes, KIB * KIB),
        "GB" => (Kind::Bytes, KIB * KIB * KIB),
        "TB" => (Kind::Bytes, KIB * KIB * KIB * KIB),
        "us" => (Kind::Time, 0.001),
        "ms" => (Kind::Time, 1.0),
        "s" => (Kind::Time, 1_000.0),
        "min" => (Kind::Time, 60_000.0),
        "h" => (Kind::Time, 3_600_000.0),
        "d" => (Kind::Time, 86_400_000.0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_after_their_units_are_the_same() {
        for (expected, actual, vartype, unit, wanted) in [
            ("4GB", "524288", "integer", "8kB", Ok(true)),
            ("4096 MB", "524288", "integer", "8kB", Ok(true)),
            ("524288", "524288", "integer", "8kB", Ok(true)),
            ("2GB", "524288", "integer", "8kB", Ok(false)),
            ("1min", "60000", "integer", "ms", Ok(true)),
            ("0.5h", "1800", "integer", "s", Ok(true)),
            ("-1", "-1", "integer", "ms", Ok(true)),
            ("100", "100", "integer", "", Ok(true)),
            ("0.9", "0.9", "real", "", Ok(true)),
            ("yes", "on", "bool", "", Ok(true)),
            ("false", "on", "bool", "", Ok(false)),
            ("Replica", "replica", "enum", "", Ok(true)),
            ("true", "on", "enum", "", Ok(true)),
            ("a,b", "a, b", "string", "", Ok(true)),
            ("a", "b", "string", "", Ok(false)),
        ] {
            let seen = same_text(expected, actual, vartype, unit);
            assert_eq!(seen, wanted, "{expected} {actual} {unit}");
        }
        for (expected, vartype, unit) in [
            ("4XB", "integer", "8kB"),
            ("4s", "integer", "8kB"),
            ("", "integer", ""),
            ("4MB", "integer", ""),
            ("maybe", "bool", ""),
        ] {
            assert!(
                same_text(expected, "1", vartype, unit).is_err(),
                "{expected}"
            );
        }
    }
}
