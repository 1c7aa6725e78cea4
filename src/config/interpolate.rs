//! `${env:NAME}`, `${file:PATH}`, `${var:NAME}`, each with an optional `:-default`, put into
//! strings and quoted for the place where they stand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::lookup::{Value, look_up_env, look_up_file, looks_secret};
use super::segments::{Problem, Segment, problem, segments};
use super::url_part::UrlPart;
use crate::evidence::RedactorBuilder;
use crate::params::{dsn_pairs, is_url, quote_dsn_value};

/// Variables that variables may name, all together: ten in each of ten levels would never end.
const MAX_LOOKUPS: usize = 1_000_000;
/// Variables may name variables, this deep.
const MAX_DEPTH: usize = 16;

/// RFC 3986 unreserved characters stay readable; all others are encoded.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The kind of place that a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quote {
    /// Taken as it is.
    Plain,
    /// A URL: quoted for user info, path segment or query value.
    Url,
    /// A connection string, `key=value` pairs or a URL: quoted for its values.
    Dsn,
    /// A path: relative ones are joined to the directory of the file.
    Path,
    /// A secret as a whole.
    Secret,
    /// Text that may carry secrets: what variables put there is secret.
    Guarded,
    /// A CEL expression: quoted for a string literal.
    Expr,
}

impl Quote {
    /// From the `x-place` of a parameter's schema.
    pub(super) fn from_schema(name: Option<&str>) -> Self {
        match name {
            Some("url") => Self::Url,
            Some("dsn") => Self::Dsn,
            Some("path") => Self::Path,
            Some("secret") => Self::Secret,
            Some("guarded") => Self::Guarded,
            Some("expr") => Self::Expr,
            _ => Self::Plain,
        }
    }

    /// Whether what follows `before` is a connection string from its beginning.
    fn is_whole_dsn(self, before: &str) -> bool {
        self == Self::Dsn && before.trim().is_empty()
    }
}

/// A value of `[vars]` as written, and the directory of the file that it stands in.
pub(super) struct Var {
    pub(super) text: String,
    pub(super) dir: PathBuf,
}

/// Where variables come from.
pub(super) struct Variables {
    pub(super) vars: BTreeMap<String, Var>,
    pub(super) secrets: RedactorBuilder,
    /// How many were looked up so far.
    pub(super) lookups: usize,
}

impl Variables {
    /// Puts variables into `text`, which stands in a file of `dir`.
    pub(super) fn render(
        &mut self,
        text: &str,
        quote: Quote,
        dir: &Path,
    ) -> Result<String, Vec<Problem>> {
        let segments = segments(text)?;
        let mut out = String::with_capacity(text.len());
        let mut problems = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            match segment {
                Segment::Literal(literal) => out.push_str(literal),
                Segment::Variable { span, body } => {
                    match self.look_up(body, dir, quote.is_whole_dsn(&out), 0) {
                        Ok(value) => {
                            let rest = &segments[index + 1..];
                            match self.quoted(&value, quote, &out, rest) {
                                Ok(quoted) => out.push_str(&quoted),
                                Err(message) => problems.push(problem(span, message, None)),
                            }
                        }
                        Err((message, help)) => problems.push(problem(span, message, help)),
                    }
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        self.finish(&mut out, quote, dir);
        Ok(out)
    }

    /// What a whole rendered string implies: its secrets, and the directory of a path.
    fn finish(&mut self, out: &mut String, quote: Quote, dir: &Path) {
        match quote {
            Quote::Secret => self.secrets.add(out),
            Quote::Url => self.add_url_secrets(out, false),
            Quote::Dsn => self.add_dsn_secrets(out, false),
            Quote::Path => *out = dir.join(&*out).to_string_lossy().into_owned(),
            Quote::Plain | Quote::Guarded | Quote::Expr => {}
        }
    }

    fn look_up(
        &mut self,
        body: &str,
        dir: &Path,
        is_dsn: bool,
        depth: usize,
    ) -> Result<Value, (String, Option<String>)> {
        let (reference, default) = match body.split_once(":-") {
            Some((reference, default)) => (reference, Some(default)),
            None => (body, None),
        };
        let Some((source, name)) = reference.split_once(':') else {
            return Err((
                format!("`${{{body}}}` names no source"),
                Some("write ${env:NAME}, ${file:PATH} or ${var:NAME}; a literal ${ is $${".into()),
            ));
        };
        let found = match source {
            "env" => look_up_env(name)?,
            "file" => look_up_file(&dir.join(name), default.is_some())?,
            "var" => return self.look_up_var(name, default, is_dsn, depth),
            other => {
                return Err((
                    format!("`{other}` is not a source of variables"),
                    Some("there are `env`, `file` and `var`".into()),
                ));
            }
        };
        match (found, default) {
            (Some(value), _) => Ok(value),
            (None, Some(default)) => Ok(Value {
                text: default.to_owned(),
                secret: source == "file" || looks_secret(name),
            }),
            (None, None) => Err((
                format!("the environment variable `{name}` is not set or empty"),
                Some(format!("set it, or give a default: ${{{body}:-…}}")),
            )),
        }
    }

    fn look_up_var(
        &mut self,
        name: &str,
        default: Option<&str>,
        is_dsn: bool,
        depth: usize,
    ) -> Result<Value, (String, Option<String>)> {
        if depth >= MAX_DEPTH {
            return Err((format!("`{name}` of [vars] refers to itself"), None));
        }
        let Some(var) = self.vars.get(name) else {
            if let Some(default) = default {
                return Ok(Value {
                    text: default.to_owned(),
                    secret: false,
                });
            }
            let names: Vec<&str> = self.vars.keys().map(String::as_str).collect();
            return Err((
                format!("`{name}` is not in [vars]"),
                Some(super::suggest::did_you_mean(name, names)),
            ));
        };
        let (text, dir) = (var.text.clone(), var.dir.clone());
        let parts = segments(&text).map_err(|mut problems| {
            let first = problems.remove(0);
            (
                format!("in `{name}` of [vars]: {}", first.message),
                first.help,
            )
        })?;
        self.lookups += 1;
        if self.lookups > MAX_LOOKUPS {
            return Err(("[vars] refer to each other too often".to_owned(), None));
        }
        let mut value = Value {
            text: String::new(),
            secret: looks_secret(name),
        };
        for (index, part) in parts.iter().enumerate() {
            match part {
                Segment::Literal(literal) => value.text.push_str(literal),
                Segment::Variable { body, .. } => {
                    let inner = self.look_up(body, &dir, is_dsn, depth + 1)?;
                    // A variable that is a URL or a connection string is quoted where it is put
                    // together: where it is used, its parts can no longer be told apart.
                    if is_url(&value.text) {
                        let quoted = self.quoted_in_url(&inner, &value.text, &parts[index + 1..]);
                        let quoted = quoted.map_err(|message| (message, None))?;
                        value.text.push_str(&quoted);
                    } else if is_dsn && !value.text.trim().is_empty() {
                        let quoted = self.quoted_in_dsn(&inner, &value.text);
                        value.text.push_str(&quoted);
                    } else {
                        value.secret |= inner.secret;
                        value.text.push_str(&inner.text);
                    }
                }
            }
        }
        Ok(value)
    }

    fn quoted(
        &mut self,
        value: &Value,
        quote: Quote,
        before: &str,
        after: &[Segment<'_>],
    ) -> Result<String, String> {
        if quote == Quote::Url || (quote == Quote::Dsn && is_url(before)) {
            return self.quoted_in_url(value, before, after);
        }
        if quote == Quote::Dsn {
            return Ok(self.quoted_in_dsn(value, before));
        }
        let at_start_of_url = before.is_empty() && value.text.contains("://");
        if value.secret && at_start_of_url {
            self.add_url_secrets(&value.text, true);
        } else if value.secret || matches!(quote, Quote::Secret | Quote::Guarded) {
            self.secrets.add(&value.text);
        }
        if quote != Quote::Expr {
            return Ok(value.text.clone());
        }
        let text = value
            .text
            .replace('\\', "\\\\")
            .replace('\'', "\\'")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        if value.secret {
            self.secrets.add(&text);
        }
        Ok(text)
    }

    fn quoted_in_url(
        &mut self,
        value: &Value,
        before: &str,
        after: &[Segment<'_>],
    ) -> Result<String, String> {
        let part = UrlPart::at(before, after);
        if part == UrlPart::Start {
            self.add_url_secrets(&value.text, true);
            if value.secret {
                self.add_url_path(&value.text);
            }
            return Ok(value.text.clone());
        }
        if value.secret || matches!(part, UrlPart::UserInfo | UrlPart::Query) {
            self.secrets.add(&value.text);
        }
        if part != UrlPart::Host {
            return Ok(utf8_percent_encode(&value.text, COMPONENT).to_string());
        }
        if value.text.contains(['/', '?', '#', '@', '\\']) {
            return Err("the value is not a host or port".into());
        }
        Ok(value.text.clone())
    }

    /// At its start a connection string is taken as it is; after that, what stands there is a value.
    fn quoted_in_dsn(&mut self, value: &Value, before: &str) -> String {
        if before.trim().is_empty() {
            self.add_dsn_secrets(&value.text, true);
            return value.text.clone();
        }
        if value.secret {
            self.secrets.add(&value.text);
        }
        quote_dsn_value(&value.text, before)
    }

    /// The passwords of a connection string; of one that came whole from a variable, its query
    /// values too.
    fn add_dsn_secrets(&mut self, text: &str, query: bool) {
        if is_url(text) {
            return self.add_url_secrets(text, query);
        }
        for (key, value) in dsn_pairs(text).into_iter().flatten() {
            if looks_secret(&key) {
                self.secrets.add(&value);
            }
        }
    }

    /// The path and the raw query of a URL that is a secret as a whole, such as a webhook's.
    fn add_url_path(&mut self, text: &str) {
        if let Ok(url) = url::Url::parse(text) {
            self.secrets.add(url.path().trim_start_matches('/'));
            self.secrets.add(url.query().unwrap_or_default());
        }
    }

    /// The password in what should have been a URL: it is quoted in the error about it.
    fn add_user_info(&mut self, text: &str) {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((user_info, _)) = authority.rsplit_once('@')
            && let Some((_, password)) = user_info.split_once(':')
        {
            self.secrets.add(password);
        }
    }

    /// The password of a URL is always a secret; of a URL that came whole from a variable, the
    /// query values are too.
    fn add_url_secrets(&mut self, text: &str, query: bool) {
        let Ok(url) = url::Url::parse(text) else {
            return self.add_user_info(text);
        };
        if let Some(password) = url.password() {
            let plain = percent_encoding::percent_decode_str(password).decode_utf8_lossy();
            self.secrets.add(&plain);
            self.secrets.add(password);
        }
        if query {
            for (_, value) in url.query_pairs() {
                self.secrets.add(&value);
            }
        }
    }
}

#[cfg(test)]
#[path = "interpolate_tests.rs"]
mod tests;
