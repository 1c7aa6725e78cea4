//! What the macros do.

use super::eval::{MAX_SHOWN, Outcome, Run, Unknown};
use super::explain::subject;
use super::ir::{Macro, MacroKind, Node};
use super::text::truncate;
use super::unparse;
use super::value::{List, Slot, Val};

impl<'a> Run<'a> {
    /// The elements a macro goes over.
    pub(super) fn elements(&mut self, node: &Node, range: &'a Node) -> Result<List<'a>, Unknown> {
        match self.eval(range)? {
            Val::List(list) => Ok(list),
            Val::Map(map) => {
                self.step(map.len())?;
                Ok(List::Made(map.keys().into()))
            }
            other => {
                let what = format!("{} is neither a list nor a map", other.describe());
                self.trouble(node, &what)
            }
        }
    }

    /// Evaluates with the macro's variable set.
    pub(super) fn with_var<T>(&mut self, slot: Slot<'a>, f: impl FnOnce(&mut Self) -> T) -> T {
        self.vars.push(slot);
        let result = f(self);
        self.vars.pop();
        result
    }

    pub(super) fn r#macro(&mut self, node: &'a Node, call: &'a Macro) -> Outcome<'a> {
        let list = self.elements(node, &call.range)?;
        match (call.kind, &call.condition) {
            (MacroKind::All, _) if list.len() == 0 => {
                let place = truncate(unparse::text(node), MAX_SHOWN);
                Err(self.unknown(format!(
                    "`{place}`: all over an empty list: nothing was seen"
                )))
            }
            (MacroKind::All, Some(condition)) => self.quantify(&list, condition, false),
            (MacroKind::Exists, Some(condition)) => self.quantify(&list, condition, true),
            (MacroKind::ExistsOne, Some(condition)) => {
                let mut found = 0_usize;
                for at in 0..list.len() {
                    found += usize::from(self.condition(&list, at, condition)?);
                }
                Ok(Val::Bool(found == 1))
            }
            _ => self.collect(&list, call),
        }
    }

    /// `all` is decided by one false, `exists` by one true.
    fn quantify(&mut self, list: &List<'a>, condition: &'a Node, decisive: bool) -> Outcome<'a> {
        let mut unknown = None;
        for at in 0..list.len() {
            match self.condition(list, at, condition) {
                Ok(value) if value == decisive => return Ok(Val::Bool(decisive)),
                Ok(_) => {}
                Err(Unknown::TooExpensive) => return Err(Unknown::TooExpensive),
                Err(reason) => unknown = unknown.or(Some(reason)),
            }
        }
        match unknown {
            Some(reason) => Err(reason),
            None => Ok(Val::Bool(!decisive)),
        }
    }

    fn condition(
        &mut self,
        list: &List<'a>,
        at: usize,
        condition: &'a Node,
    ) -> Result<bool, Unknown> {
        let Some(slot) = list.get(at) else {
            return Err(self.unknown("an element went missing".to_owned()));
        };
        let result = self.with_var(slot.clone(), |run| run.boolean(condition));
        match result {
            Err(Unknown::Because(reason)) => {
                let subject = subject(&slot, at);
                Err(self.unknown(format!("for {subject}: {reason}")))
            }
            other => other,
        }
    }

    fn collect(&mut self, list: &List<'a>, call: &'a Macro) -> Outcome<'a> {
        let mut made = Vec::new();
        for at in 0..list.len() {
            self.step(1)?;
            let wanted = match &call.condition {
                Some(condition) => self.condition(list, at, condition)?,
                None => true,
            };
            let Some(slot) = list.get(at).filter(|_| wanted) else {
                continue;
            };
            made.push(match &call.body {
                Some(body) => self.with_var(slot, |run| run.eval(body))?,
                None => self.read(&call.range, &slot)?,
            });
        }
        Ok(Val::list(made))
    }
}
