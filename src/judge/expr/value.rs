//! Values at run time: mostly references into the facts, read by their static types.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map as JsonMap, Value as Json};

use super::text::format_duration;
use super::types::Type;
use crate::evidence::REDACTED;

pub(super) static DYN: Type = Type::Dyn;

/// A value. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Only what is too large for `Int`.
    Uint(u64),
    Double(f64),
    Text(Text<'a>),
    Timestamp(Timestamp),
    Duration(SignedDuration),
    List(List<'a>),
    Map(Map<'a>),
}

#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Seen(&'a str),
    Made(Rc<str>),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Seen(text) => text,
            Self::Made(text) => text,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum List<'a> {
    Seen(&'a [Json], &'a Type),
    Made(Rc<[Val<'a>]>),
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Seen(items, _) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<Slot<'a>> {
        match self {
            Self::Seen(items, ty) => items.get(at).map(|item| Slot::Json(item, ty)),
            Self::Made(items) => items.get(at).cloned().map(Slot::Val),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Map<'a> {
    Record(&'a JsonMap<String, Json>, &'a BTreeMap<String, Type>),
    Seen(&'a JsonMap<String, Json>, &'a Type),
    Made(Rc<[(Text<'a>, Val<'a>)]>),
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Record(map, _) | Self::Seen(map, _) => map.len(),
            Self::Made(entries) => entries.len(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Slot<'a>> {
        match self {
            Self::Record(map, fields) => map
                .get(key)
                .map(|value| Slot::Json(value, fields.get(key).unwrap_or(&DYN))),
            Self::Seen(map, ty) => map.get(key).map(|value| Slot::Json(value, ty)),
            Self::Made(entries) => entries
                .iter()
                .find(|(name, _)| name.as_str() == key)
                .map(|(_, value)| Slot::Val(value.clone())),
        }
    }

    pub(super) fn keys(&self) -> Vec<Val<'a>> {
        match self {
            Self::Record(map, _) | Self::Seen(map, _) => {
                map.keys().map(|key| Val::Text(Text::Seen(key))).collect()
            }
            Self::Made(entries) => entries
                .iter()
                .map(|(key, _)| Val::Text(key.clone()))
                .collect(),
        }
    }
}

/// A place that holds a value, which is read when it is touched.
#[derive(Debug, Clone)]
pub(super) enum Slot<'a> {
    Json(&'a Json, &'a Type),
    Val(Val<'a>),
}

impl<'a> Slot<'a> {
    pub(super) fn read(&self) -> Result<Val<'a>, Why<'a>> {
        match self {
            Self::Json(json, ty) => read(json, ty),
            Self::Val(value) => Ok(value.clone()),
        }
    }
}

/// Why a place holds no value.
#[derive(Debug)]
pub(super) enum Why<'a> {
    /// The facts say so: the class and the detail.
    Unknown(&'a str, &'a str),
    /// It is of another type than the schema says.
    Type(&'a Json, &'static str),
}

/// Text of which a part was taken out says nothing: a rule that something is *not* in it would hold.
fn whole(text: &str) -> Result<&str, Why<'_>> {
    if text.contains(REDACTED) {
        return Err(Why::Unknown("not_observed", "a secret was taken out of it"));
    }
    Ok(text)
}

/// Reads JSON as a value of a type. Only the outermost layer is looked at.
pub(super) fn read<'a>(json: &'a Json, ty: &'a Type) -> Result<Val<'a>, Why<'a>> {
    let wrong = || Why::Type(json, ty.describe());
    match ty {
        Type::Observed(inner) => match unknown(json) {
            Some((why, detail)) => Err(Why::Unknown(why, detail)),
            None => read(json, inner),
        },
        Type::Dyn => Ok(match json {
            Json::Null => Val::Null,
            Json::Bool(value) => Val::Bool(*value),
            Json::Number(number) => number_of(number).ok_or_else(wrong)?,
            Json::String(text) => Val::Text(Text::Seen(whole(text)?)),
            Json::Array(items) => Val::List(List::Seen(items, &DYN)),
            Json::Object(map) => Val::Map(Map::Seen(map, &DYN)),
        }),
        Type::Bool => json.as_bool().map(Val::Bool).ok_or_else(wrong),
        Type::Int => match json.as_number().and_then(number_of) {
            Some(value @ (Val::Int(_) | Val::Uint(_))) => Ok(value),
            _ => Err(wrong()),
        },
        Type::Double => match json.as_f64() {
            Some(value) if value.is_finite() => Ok(Val::Double(value)),
            _ => Err(wrong()),
        },
        Type::String(_) => match json.as_str() {
            Some(text) => Ok(Val::Text(Text::Seen(whole(text)?))),
            None => Err(wrong()),
        },
        Type::Timestamp => json
            .as_str()
            .and_then(|text| text.parse().ok())
            .map(Val::Timestamp)
            .ok_or_else(wrong),
        Type::List(item) => match json {
            Json::Array(items) => Ok(Val::List(List::Seen(items, item))),
            _ => Err(wrong()),
        },
        Type::Record(fields) => match json {
            Json::Object(map) => Ok(Val::Map(Map::Record(map, fields))),
            _ => Err(wrong()),
        },
        Type::Map(value) => match json {
            Json::Object(map) => Ok(Val::Map(Map::Seen(map, value))),
            _ => Err(wrong()),
        },
        Type::Null | Type::Duration => Err(wrong()),
    }
}

/// The unknown object. Only asked where the schema allows one.
fn unknown(json: &Json) -> Option<(&str, &str)> {
    let map = json.as_object().filter(|map| map.len() == 2)?;
    Some((map.get("unknown")?.as_str()?, map.get("detail")?.as_str()?))
}

fn number_of<'a>(number: &serde_json::Number) -> Option<Val<'a>> {
    if let Some(value) = number.as_i64() {
        return Some(Val::Int(value));
    }
    if let Some(value) = number.as_u64() {
        return Some(Val::Uint(value));
    }
    number
        .as_f64()
        .filter(|value| value.is_finite())
        .map(Val::Double)
}

impl Val<'_> {
    pub(super) fn made(text: String) -> Self {
        Self::Text(Text::Made(text.into()))
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(List::Made(items.into()))
    }

    /// A whole number, if it fits.
    pub(super) fn whole(value: i128) -> Option<Self> {
        i64::try_from(value)
            .map(Self::Int)
            .or_else(|_| u64::try_from(value).map(Self::Uint))
            .ok()
    }

    pub(super) const fn as_whole(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(*value as i128),
            Self::Uint(value) => Some(*value as i128),
            _ => None,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "mixing whole and fractional numbers loses digits past 2^53 by definition"
    )]
    pub(super) const fn as_double(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Uint(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// With its article, for messages.
    pub(super) const fn describe(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) | Self::Uint(_) => "an int",
            Self::Double(_) => "a double",
            Self::Text(_) => "a string",
            Self::Timestamp(_) => "a timestamp",
            Self::Duration(_) => "a duration",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// The order of two values of one type that has one.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(left), Self::Text(right)) => Some(left.as_str().cmp(right.as_str())),
            (Self::Timestamp(left), Self::Timestamp(right)) => Some(left.cmp(right)),
            (Self::Duration(left), Self::Duration(right)) => Some(left.cmp(right)),
            (Self::Double(left), Self::Double(right)) => left.partial_cmp(right),
            (Self::Double(left), right) => {
                order_mixed(right.as_whole()?, *left).map(Ordering::reverse)
            }
            (left, Self::Double(right)) => order_mixed(left.as_whole()?, *right),
            (left, right) => Some(left.as_whole()?.cmp(&right.as_whole()?)),
        }
    }
}

/// Exact: neither side is rounded.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the fraction is compared apart, and the cast saturates far beyond any 64-bit number"
)]
fn order_mixed(whole: i128, double: f64) -> Option<Ordering> {
    if !double.is_finite() {
        return None;
    }
    let floor = double.floor();
    let order = whole.cmp(&(floor as i128));
    Some(if order == Ordering::Equal && double > floor {
        Ordering::Less
    } else {
        order
    })
}

/// Values as they are shown in reasons: JSON, cut short.
pub(super) struct Brief {
    out: String,
    left: usize,
}

impl Brief {
    /// At most about `max_chars`, and `…` where there was more.
    pub(super) fn of(value: &Val<'_>, max_chars: usize) -> String {
        let mut brief = Self {
            out: String::new(),
            left: max_chars,
        };
        brief.value(value);
        brief.out
    }

    fn put(&mut self, text: &str) {
        for c in text.chars() {
            match self.left {
                0 => return,
                1 => self.out.push('…'),
                _ => self.out.push(c),
            }
            self.left -= 1;
        }
    }

    fn quoted(&mut self, text: &str) {
        self.put("\"");
        for c in text.chars() {
            if self.left == 0 {
                return;
            }
            match c {
                '"' => self.put("\\\""),
                '\\' => self.put("\\\\"),
                '\n' => self.put("\\n"),
                c if c.is_control() => self.put(&format!("\\u{:04x}", u32::from(c))),
                c => self.put(c.encode_utf8(&mut [0; 4])),
            }
        }
        self.put("\"");
    }

    fn value(&mut self, value: &Val<'_>) {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = match value {
            Val::Null => text.write_str("null"),
            Val::Bool(value) => write!(text, "{value}"),
            Val::Int(value) => write!(text, "{value}"),
            Val::Uint(value) => write!(text, "{value}"),
            Val::Double(value) => write!(text, "{value:?}"),
            Val::Timestamp(value) => write!(text, "{value}"),
            Val::Duration(value) => text.write_str(&format_duration(*value)),
            Val::Text(value) => return self.quoted(value.as_str()),
            Val::List(list) => return self.list(list),
            Val::Map(map) => return self.map(map),
        };
        self.put(&text);
    }

    fn slot(&mut self, slot: Option<Slot<'_>>) {
        match slot.map(|slot| slot.read()) {
            Some(Ok(value)) => self.value(&value),
            Some(Err(Why::Unknown(..))) => self.put("unknown"),
            Some(Err(Why::Type(json, _))) => {
                if let Ok(value) = read(json, &DYN) {
                    self.value(&value);
                }
            }
            None => {}
        }
    }

    fn list(&mut self, list: &List<'_>) {
        self.put("[");
        for at in 0..list.len() {
            if self.left == 0 {
                return;
            }
            if at > 0 {
                self.put(", ");
            }
            self.slot(list.get(at));
        }
        self.put("]");
    }

    fn map(&mut self, map: &Map<'_>) {
        self.put("{");
        let keys: Vec<Text<'_>> = match map {
            Map::Record(json, _) | Map::Seen(json, _) => json
                .keys()
                .take(self.left)
                .map(|key| Text::Seen(key.as_str()))
                .collect(),
            Map::Made(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
        };
        for (at, key) in keys.iter().enumerate() {
            if self.left == 0 {
                return;
            }
            if at > 0 {
                self.put(", ");
            }
            self.quoted(key.as_str());
            self.put(": ");
            self.slot(map.get(key.as_str()));
        }
        self.put("}");
    }
}
