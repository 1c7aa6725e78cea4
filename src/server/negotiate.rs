//! In which form a verdict is wanted: one table of media types.

use http::HeaderMap;
use http::StatusCode;
use http::header::ACCEPT;

use super::error::ApiError;
use crate::report::Format;

/// A form, the media type that is answered, and those under which it is asked for.
pub struct Form {
    /// The renderer.
    pub format: Format,
    /// Its name on the command line and in `?format=`.
    pub name: &'static str,
    /// What the answer says that it is.
    pub content_type: &'static str,
    accepted: &'static [&'static str],
}

/// The first one is what everybody gets who does not choose. Forms whose media type says too little are
/// asked for by name.
pub const FORMS: &[Form] = &[
    Form {
        format: Format::Json,
        name: "json",
        content_type: "application/json",
        accepted: &["application/json"],
    },
    Form {
        format: Format::Table,
        name: "table",
        content_type: "text/plain; charset=utf-8",
        accepted: &["text/plain"],
    },
    Form {
        format: Format::Jsonl,
        name: "jsonl",
        content_type: "application/jsonl",
        accepted: &["application/jsonl", "application/x-ndjson"],
    },
    Form {
        format: Format::Junit,
        name: "junit",
        content_type: "application/xml",
        accepted: &["application/xml", "text/xml"],
    },
    Form {
        format: Format::Html,
        name: "html",
        content_type: "text/html; charset=utf-8",
        accepted: &["text/html"],
    },
    Form {
        format: Format::Sarif,
        name: "sarif",
        content_type: "application/sarif+json",
        accepted: &["application/sarif+json"],
    },
    Form {
        format: Format::Summary,
        name: "summary",
        content_type: "text/markdown; charset=utf-8",
        accepted: &["text/markdown"],
    },
    Form {
        format: Format::Prometheus,
        name: "prometheus",
        content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
        accepted: &["application/openmetrics-text"],
    },
    Form {
        format: Format::Tap,
        name: "tap",
        content_type: "text/x-tap; charset=utf-8",
        accepted: &["text/x-tap"],
    },
    Form {
        format: Format::Nagios,
        name: "nagios",
        content_type: "text/plain; charset=utf-8",
        accepted: &[],
    },
    Form {
        format: Format::Github,
        name: "github",
        content_type: "text/plain; charset=utf-8",
        accepted: &[],
    },
    Form {
        format: Format::Cdevents,
        name: "cdevents",
        content_type: "application/jsonl",
        accepted: &[],
    },
    Form {
        format: Format::Ohdf,
        name: "ohdf",
        content_type: "application/json",
        accepted: &[],
    },
];

/// The form that is asked for: by name, else by the `Accept` header.
///
/// # Errors
/// 400 for a name that is none, 406 when there is no such form.
pub fn form(wanted: Option<&str>, headers: &HeaderMap) -> Result<&'static Form, ApiError> {
    if let Some(name) = wanted {
        return FORMS.iter().find(|form| form.name == name).ok_or_else(|| {
            let names: Vec<&str> = FORMS.iter().map(|form| form.name).collect();
            ApiError::bad_parameter(format!("`format` is one of {}", names.join(", ")))
        });
    }
    let values: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    choose(&values.join(",")).ok_or_else(|| {
        let types: Vec<&str> = FORMS
            .iter()
            .filter_map(|form| form.accepted.first())
            .copied()
            .collect();
        let message = format!("there are {}", types.join(", "));
        ApiError::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
    })
}

/// Of the forms the one that is wanted most; the earlier of two that are wanted alike.
fn choose(accept: &str) -> Option<&'static Form> {
    if accept.trim().is_empty() {
        return FORMS.first();
    }
    let ranges: Vec<(&str, u32)> = accept.split(',').filter_map(range).collect();
    let mut best: Option<(&'static Form, u32)> = None;
    for form in FORMS {
        let quality = form
            .accepted
            .iter()
            .map(|media| quality(media, &ranges))
            .max()
            .unwrap_or(0);
        if quality > best.map_or(0, |(_, best)| best) {
            best = Some((form, quality));
        }
    }
    best.map(|(form, _)| form)
}

/// A media range and its weight in thousandths.
fn range(text: &str) -> Option<(&str, u32)> {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().filter(|media| !media.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    let weight = weight.map_or(Some(1.0), |q| q.parse::<f64>().ok())?;
    if !(0.0..=1.0).contains(&weight) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 1000"
    )]
    let thousandths = (weight * 1_000.0).round() as u32;
    Some((media, thousandths))
}

/// The weight that the most specific range gives to a media type.
fn quality(media: &str, ranges: &[(&str, u32)]) -> u32 {
    let (kind, _) = media.split_once('/').unwrap_or((media, ""));
    let specific = |range: &str| {
        if range.eq_ignore_ascii_case(media) {
            Some(2)
        } else if range
            .strip_suffix("/*")
            .is_some_and(|r| r.eq_ignore_ascii_case(kind))
        {
            Some(1)
        } else {
            (range == "*/*").then_some(0)
        }
    };
    ranges
        .iter()
        .filter_map(|(range, weight)| Some((specific(range)?, *weight)))
        .max()
        .map_or(0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Option<&'static str> {
        choose(accept).map(|form| form.name)
    }

    #[test]
    fn the_form_that_is_wanted_most_is_chosen() {
        for (accept, name) in [
            ("", Some("json")),
            ("*/*", Some("json")),
            ("application/json", Some("json")),
            ("text/plain", Some("table")),
            ("text/*", Some("table")),
            ("text/plain;q=0.4, application/json;q=0.5", Some("json")),
            ("*/*;q=0.1, text/plain", Some("table")),
            ("application/json;q=0, */*", Some("table")),
            ("application/xml", Some("junit")),
            ("text/markdown, text/plain;q=0.5", Some("summary")),
            ("image/png", None),
            ("application/json;q=0", None),
            ("application/json;q=7", None),
            (",,;;", None),
        ] {
            assert_eq!(chosen(accept), name, "{accept}");
        }
    }
}
