//! What the functions do.

use std::cmp::Ordering;

use super::check_call::pattern;
use super::eval::{Outcome, Run, Unknown};
use super::functions::Function;
use super::ir::Node;
use super::text::{format_duration, parse_duration};
use super::value::{List, Val};

/// Steps that compiling a pattern counts as.
const PATTERN_STEPS: usize = 5_000;

impl<'a> Run<'a> {
    pub(super) fn call(
        &mut self,
        node: &'a Node,
        function: Function,
        args: &'a [Node],
    ) -> Outcome<'a> {
        let values: Vec<_> = args
            .iter()
            .map(|arg| self.eval(arg))
            .collect::<Result<_, _>>()?;
        for value in &values {
            if let Some(text) = value.as_text() {
                self.step_text(text.len())?;
            }
        }
        let result = match (function, values.as_slice()) {
            (Function::Now, _) => Some(Val::Timestamp(self.now)),
            (Function::Size, [value]) => size(value),
            (Function::Min, values) => return self.extreme(node, values, Ordering::Less),
            (Function::Max, values) => return self.extreme(node, values, Ordering::Greater),
            (Function::Matches, [text, expression]) => {
                return self.matches(node, text, expression);
            }
            (Function::Split, [text, separator]) => return self.split(node, text, separator),
            (Function::Join, [Val::List(list), rest @ ..]) => return self.join(node, list, rest),
            (Function::Contains | Function::StartsWith | Function::EndsWith, [text, part]) => {
                search(function, text, part)
            }
            (Function::LowerAscii | Function::UpperAscii | Function::Trim, [text]) => {
                text.as_text().map(|text| {
                    Val::made(match function {
                        Function::LowerAscii => text.to_ascii_lowercase(),
                        Function::UpperAscii => text.to_ascii_uppercase(),
                        _ => text.trim().to_owned(),
                    })
                })
            }
            (Function::GetHours | Function::GetMinutes | Function::GetSeconds, [value]) => {
                match value {
                    Val::Duration(duration) => Some(Val::Int(match function {
                        Function::GetHours => duration.as_hours(),
                        Function::GetMinutes => duration.as_mins(),
                        _ => duration.as_secs(),
                    })),
                    _ => None,
                }
            }
            (_, [value]) => convert(function, value),
            _ => None,
        };
        match result {
            Some(value) => Ok(value),
            None => self.refused(node, function, &values),
        }
    }

    fn refused<T>(
        &mut self,
        node: &Node,
        function: Function,
        values: &[Val<'a>],
    ) -> Result<T, Unknown> {
        let given: Vec<_> = values
            .iter()
            .map(|value| super::value::Brief::of(value, super::eval::MAX_SHOWN))
            .collect();
        let what = format!("`{}` cannot take {}", function.name(), given.join(" and "));
        self.trouble(node, &what)
    }

    fn matches(&mut self, node: &'a Node, text: &Val<'a>, expression: &Val<'a>) -> Outcome<'a> {
        let (Some(text), Some(expression)) = (text.as_text(), expression.as_text()) else {
            return self.trouble(node, "`matches` takes strings");
        };
        self.step(PATTERN_STEPS + text.len() / 8)?;
        match pattern(expression) {
            Ok(pattern) => Ok(Val::Bool(pattern.is_match(text))),
            Err(_) => self.trouble(node, "this is not a regular expression"),
        }
    }

    fn split(&mut self, node: &'a Node, text: &Val<'a>, separator: &Val<'a>) -> Outcome<'a> {
        let (Some(text), Some(separator)) = (text.as_text(), separator.as_text()) else {
            return self.trouble(node, "`split` takes strings");
        };
        let mut parts = Vec::new();
        for part in text.split(separator) {
            self.step(1)?;
            parts.push(Val::made(part.to_owned()));
        }
        Ok(Val::list(parts))
    }

    fn join(&mut self, node: &'a Node, list: &List<'a>, rest: &[Val<'a>]) -> Outcome<'a> {
        let separator = rest.first().and_then(Val::as_text).unwrap_or_default();
        let mut joined = String::new();
        for at in 0..list.len() {
            let Some(slot) = list.get(at) else { break };
            let item = self.read(node, &slot)?;
            let Some(text) = item.as_text() else {
                return self.trouble(node, "`join` takes a list of strings");
            };
            self.step(1)?;
            self.step_text(text.len() + separator.len())?;
            if at > 0 {
                joined.push_str(separator);
            }
            joined.push_str(text);
        }
        Ok(Val::made(joined))
    }

    fn extreme(&mut self, node: &'a Node, values: &[Val<'a>], wanted: Ordering) -> Outcome<'a> {
        let mut best: Option<Val<'a>> = None;
        for value in values {
            let items = match value {
                Val::List(list) => list.clone(),
                other => List::Made([other.clone()].into()),
            };
            if items.len() == 0 {
                return self.trouble(node, "the list is empty: nothing was seen");
            }
            for at in 0..items.len() {
                self.step(1)?;
                let Some(slot) = items.get(at) else { break };
                let item = self.read(node, &slot)?;
                if item.as_double().is_none() {
                    let what = format!("{} is not a number", item.describe());
                    return self.trouble(node, &what);
                }
                let better = best
                    .as_ref()
                    .is_none_or(|best| item.order(best) == Some(wanted));
                if better {
                    best = Some(item);
                }
            }
        }
        match best {
            Some(value) => Ok(value),
            None => self.trouble(node, "the list is empty: nothing was seen"),
        }
    }
}

fn size<'a>(value: &Val<'a>) -> Option<Val<'a>> {
    let size = match value {
        Val::Text(text) => text.as_str().chars().count(),
        Val::List(list) => list.len(),
        Val::Map(map) => map.len(),
        _ => return None,
    };
    i64::try_from(size).ok().map(Val::Int)
}

fn search<'a>(function: Function, text: &Val<'a>, part: &Val<'a>) -> Option<Val<'a>> {
    let (text, part) = (text.as_text()?, part.as_text()?);
    Some(Val::Bool(match function {
        Function::Contains => text.contains(part),
        Function::StartsWith => text.starts_with(part),
        _ => text.ends_with(part),
    }))
}

fn convert<'a>(function: Function, value: &Val<'a>) -> Option<Val<'a>> {
    match function {
        Function::Int => to_whole(value).and_then(Val::whole),
        Function::Uint => to_whole(value)
            .filter(|value| *value >= 0)
            .and_then(Val::whole),
        Function::Double => match value {
            Val::Text(text) => text.as_str().parse().ok(),
            other => other.as_double(),
        }
        .filter(|value: &f64| value.is_finite())
        .map(Val::Double),
        Function::String => to_text(value),
        Function::Bool => match value {
            Val::Bool(_) => Some(value.clone()),
            Val::Text(text) => text.as_str().parse().ok().map(Val::Bool),
            _ => None,
        },
        Function::Timestamp => match value {
            Val::Timestamp(_) => Some(value.clone()),
            Val::Text(text) => text.as_str().parse().ok().map(Val::Timestamp),
            Val::Int(seconds) => jiff::Timestamp::from_second(*seconds)
                .ok()
                .map(Val::Timestamp),
            _ => None,
        },
        Function::Duration => match value {
            Val::Duration(_) => Some(value.clone()),
            Val::Text(text) => parse_duration(text.as_str()).map(Val::Duration),
            _ => None,
        },
        Function::Abs => match value {
            Val::Double(value) => Some(Val::Double(value.abs())),
            other => other.as_whole().and_then(|value| Val::whole(value.abs())),
        },
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "int() of a double drops its fraction; what does not fit is refused afterwards"
)]
fn to_whole(value: &Val<'_>) -> Option<i128> {
    match value {
        Val::Double(value) => Some(value.trunc() as i128),
        Val::Text(text) => text.as_str().parse().ok(),
        Val::Timestamp(at) => Some(at.as_second().into()),
        other => other.as_whole(),
    }
}

fn to_text<'a>(value: &Val<'a>) -> Option<Val<'a>> {
    Some(match value {
        Val::Text(_) => value.clone(),
        Val::Bool(value) => Val::made(value.to_string()),
        Val::Int(value) => Val::made(value.to_string()),
        Val::Uint(value) => Val::made(value.to_string()),
        Val::Double(value) => Val::made(value.to_string()),
        Val::Timestamp(at) => Val::made(at.to_string()),
        Val::Duration(duration) => Val::made(format_duration(*duration)),
        Val::Null | Val::List(_) | Val::Map(_) => return None,
    })
}
