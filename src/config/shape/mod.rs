//! Holds a TOML value against the JSON Schema of its place: unknown keys, missing keys and wrong
//! types are all found in one walk, with their places, and variables are put into its strings.

mod types;

use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use types::{choose, human, human_value, matches_type, number_from, types_of};

use super::diagnostics::Diagnostics;
use super::interpolate::{Quote, Variables};
use super::lookup::looks_secret;
use super::sources::{Place, Sources};
use super::suggest::did_you_mean;

/// What a walk needs to know and to add to.
pub(super) struct Shaper<'a> {
    pub(super) sources: &'a Sources,
    pub(super) variables: &'a mut Variables,
    pub(super) diagnostics: &'a mut Diagnostics,
    pub(super) file: usize,
    pub(super) dir: &'a Path,
}

impl Shaper<'_> {
    fn place(&self, span: std::ops::Range<usize>) -> Place {
        Place {
            file: self.file,
            span,
        }
    }

    /// Checks a table against an object schema. Returns whether it fits.
    pub(super) fn table(
        &mut self,
        table: &mut DeTable<'_>,
        span: std::ops::Range<usize>,
        schema: &Json,
        what: &str,
    ) -> bool {
        let mut fits = true;
        let none = serde_json::Map::new();
        let properties = schema
            .get("properties")
            .and_then(Json::as_object)
            .unwrap_or(&none);
        let others = schema.get("additionalProperties");
        for (key, value) in table.iter_mut() {
            let name: &str = key.get_ref();
            let known = properties
                .get(name)
                .or_else(|| others.filter(|o| o.is_object()));
            if let Some(schema) = known {
                fits &= self.value(value, schema, name);
            } else if properties.is_empty() || others == Some(&Json::Bool(true)) {
                fits &= self.value(value, &Json::Bool(true), name);
            } else {
                fits = false;
                let help = did_you_mean(name, properties.keys().map(String::as_str));
                let place = self.place(key.span());
                self.diagnostics
                    .error(place, format!("`{name}` is not a key of {what}"))
                    .label("unknown key")
                    .help(help);
            }
        }
        let required = schema.get("required").and_then(Json::as_array);
        for key in required.into_iter().flatten().filter_map(Json::as_str) {
            if !table.contains_key(key) {
                fits = false;
                let place = self.place(span.clone());
                self.diagnostics
                    .error(place, format!("{what} has no `{key}`"))
                    .label(format!("`{key}` is missing"));
            }
        }
        fits
    }

    /// Checks one value and puts variables into its strings. Returns whether it fits.
    fn value(&mut self, value: &mut Spanned<DeValue<'_>>, schema: &Json, name: &str) -> bool {
        let schema = choose(schema, value.get_ref());
        if let Some(date) = value.get_ref().as_datetime() {
            let text = date.to_string();
            *value.get_mut() = DeValue::String(text.into());
        }
        if value.get_ref().is_str() && !self.string(value, schema, name) {
            return false;
        }
        let types = types_of(schema);
        if !types.is_empty() && !types.iter().any(|ty| matches_type(ty, value.get_ref())) {
            let place = self.place(value.span());
            let wanted = types
                .iter()
                .filter(|ty| **ty != "null")
                .map(|ty| human(ty))
                .collect::<Vec<_>>()
                .join(" or ");
            self.diagnostics
                .error(place, format!("`{name}` is {wanted}"))
                .label(format!("this is {}", human_value(value.get_ref())));
            return false;
        }
        if !self.in_range(value, schema, name) {
            return false;
        }
        let span = value.span();
        match value.get_mut() {
            DeValue::Array(list) => {
                let any = Json::Bool(true);
                let items = schema.get("items").unwrap_or(&any);
                list.iter_mut()
                    .map(|item| self.value(item, items, name))
                    .fold(true, |all, one| all & one)
            }
            DeValue::Table(table) => self.table(table, span, schema, &format!("`{name}`")),
            _ => true,
        }
    }

    /// A parameter that is nothing but variables, all of them empty, is as good as not written: so one
    /// that is optional can be left to the environment. So is a list or table of nothing else.
    fn is_absent(&mut self, value: &DeValue<'_>) -> bool {
        match value {
            DeValue::String(text) if text.starts_with("${") => self
                .variables
                .render(text, Quote::Plain, self.dir)
                .is_ok_and(|rendered| rendered.is_empty()),
            DeValue::Array(list) => {
                !list.is_empty() && list.iter().all(|entry| self.is_absent(entry.get_ref()))
            }
            DeValue::Table(table) => {
                !table.is_empty() && table.values().all(|value| self.is_absent(value.get_ref()))
            }
            _ => false,
        }
    }

    /// Drops what is absent from a table and all that is in it.
    pub(super) fn drop_absent(&mut self, table: &mut DeTable<'_>) {
        let absent: Vec<String> = table
            .iter()
            .filter(|(_, value)| self.is_absent(value.get_ref()))
            .map(|(key, _)| key.get_ref().to_string())
            .collect();
        for key in absent {
            table.remove(key.as_str());
        }
        for (_, value) in table.iter_mut() {
            self.drop_within(value.get_mut());
        }
    }

    fn drop_within(&mut self, value: &mut DeValue<'_>) {
        match value {
            DeValue::Table(table) => self.drop_absent(table),
            DeValue::Array(list) => {
                for mut entry in std::mem::replace(list, DeArray::new()) {
                    if !self.is_absent(entry.get_ref()) {
                        self.drop_within(entry.get_mut());
                        list.push(entry);
                    }
                }
            }
            _ => {}
        }
    }

    fn in_range(&mut self, value: &Spanned<DeValue<'_>>, schema: &Json, name: &str) -> bool {
        let number: Option<f64> = match value.get_ref() {
            DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .and_then(|number| number.to_string().parse().ok()),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            return true;
        };
        let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
        let (low, high) = (bound("minimum"), bound("maximum"));
        if low.is_none_or(|low| number >= low) && high.is_none_or(|high| number <= high) {
            return true;
        }
        let wanted = match (low, high) {
            (Some(low), Some(high)) => format!("from {low} to {high}"),
            (Some(low), None) => format!("at least {low}"),
            (None, Some(high)) => format!("at most {high}"),
            (None, None) => return true,
        };
        let place = self.place(value.span());
        self.diagnostics
            .error(place, format!("`{name}` is {wanted}"));
        false
    }

    fn string(&mut self, value: &mut Spanned<DeValue<'_>>, schema: &Json, name: &str) -> bool {
        let span = value.span();
        let Some(text) = value.get_ref().as_str() else {
            return true;
        };
        let quote = Quote::from_schema(schema.get("x-place").and_then(Json::as_str));
        let rendered = match self.variables.render(text, quote, self.dir) {
            Ok(rendered) => rendered,
            Err(problems) => {
                for problem in problems {
                    let inner = within(self.sources, self.file, &span, text, &problem.span);
                    let place = self.place(inner);
                    let diagnostic = self.diagnostics.error(place, problem.message);
                    if let Some(help) = problem.help {
                        diagnostic.help(help);
                    }
                }
                return false;
            }
        };
        if quote == Quote::Guarded && looks_secret(name) {
            self.add_credential(&rendered);
        }
        if let Some(values) = schema.get("enum").and_then(Json::as_array) {
            let values: Vec<&str> = values.iter().filter_map(Json::as_str).collect();
            if !values.contains(&rendered.as_str()) {
                let place = self.place(span);
                self.diagnostics
                    .error(place, format!("`{rendered}` is not a value of `{name}`"))
                    .help(did_you_mean(&rendered, values));
                return false;
            }
        }
        if rendered != text {
            let number = types_of(schema)
                .iter()
                .any(|ty| matches!(*ty, "integer" | "number" | "boolean"));
            *value.get_mut() = if number {
                number_from(rendered)
            } else {
                DeValue::String(rendered.into())
            };
        }
        true
    }

    /// `Bearer abc`: the credential is what follows the scheme, and the whole.
    fn add_credential(&mut self, text: &str) {
        self.variables.secrets.add(text);
        if let Some((_, credential)) = text.split_once(' ') {
            self.variables.secrets.add(credential);
        }
    }
}

/// Bytes of the file for bytes within a string, where the string stands there as it is; else the
/// whole string.
pub(super) fn within(
    sources: &Sources,
    file: usize,
    outer: &std::ops::Range<usize>,
    text: &str,
    inner: &std::ops::Range<usize>,
) -> std::ops::Range<usize> {
    let raw = sources
        .file(file)
        .text
        .get(outer.clone())
        .unwrap_or_default();
    match raw.find(text) {
        Some(offset) if !text.is_empty() => {
            let start = outer.start + offset;
            start + inner.start..start + inner.end
        }
        _ => outer.clone(),
    }
}

/// Whether `text` can be an id.
pub(crate) fn is_slug(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|first| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && text.len() <= 128
}

/// Whether `id` can be one; otherwise that is an error.
pub(super) fn check_id(id: &str, place: &Place, diagnostics: &mut Diagnostics) -> bool {
    if is_slug(id) {
        return true;
    }
    diagnostics
        .error(place.clone(), format!("`{id}` is not an id"))
        .help("an id is letters, digits, `.`, `-` and `_`, beginning with a letter or digit");
    false
}

/// Deserializes a table whose shape was checked; what is still wrong is an error at its place.
pub(super) fn take<T: for<'de> Deserialize<'de>>(
    table: DeTable<'_>,
    span: std::ops::Range<usize>,
    shaper: &mut Shaper<'_>,
) -> Option<T> {
    let value = Spanned::new(span.clone(), DeValue::Table(table));
    match T::deserialize(ValueDeserializer::from(value)) {
        Ok(value) => Some(value),
        Err(error) => {
            let place = Place {
                file: shaper.file,
                span: error.span().unwrap_or(span),
            };
            // A missing key was reported with its name by the check of the shape.
            if !shaper
                .diagnostics
                .list()
                .iter()
                .any(|d| d.place.as_ref() == Some(&place))
            {
                shaper
                    .diagnostics
                    .error(place, error.message().trim().to_owned());
            }
            None
        }
    }
}
