//! From CEL text to a tree of our own, by the parser of the `cel` crate, which is named nowhere
//! else. The macros come expanded; they are recognised by the shapes they expand to.

use std::ops::Range;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo,
    operators,
};
use cel::parser::Parser;

use super::ExprError;
use super::ir::{MacroKind, Operator};
use super::syntax::{MAX_BRACKETS, is_word, syntax_error};
use super::text::{ceil_boundary, floor_boundary};

/// Longer rules belong into several: each then has its own verdict.
const MAX_SOURCE_BYTES: usize = 4096;
/// Levels of the tree: what walks it later is recursive.
const MAX_DEPTH: usize = 96;

/// A parsed expression; nothing is resolved yet.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
    Name(String),
    Select {
        operand: Box<Tree>,
        field: String,
        field_span: Range<usize>,
        has: bool,
    },
    Index(Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
    Negate(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Binary(Operator, Box<Tree>, Box<Tree>),
    Ternary(Box<Tree>, Box<Tree>, Box<Tree>),
    List(Vec<Tree>),
    Map(Vec<(Tree, Tree)>),
    Macro {
        kind: MacroKind,
        range: Box<Tree>,
        var: String,
        condition: Option<Box<Tree>>,
        body: Option<Box<Tree>>,
    },
    Call {
        name: String,
        name_span: Range<usize>,
        target: Option<Box<Tree>>,
        args: Vec<Tree>,
    },
}

/// Parses one expression.
pub(super) fn parse(source: &str) -> Result<Tree, ExprError> {
    if source.len() > MAX_SOURCE_BYTES {
        let end = floor_boundary(source, MAX_SOURCE_BYTES);
        return Err(ExprError::new(
            0..end,
            format!(
                "the rule has {} bytes, at most {MAX_SOURCE_BYTES} are allowed",
                source.len()
            ),
        )
        .help("make several rules of it: each has a verdict of its own"));
    }
    if source.trim().is_empty() {
        return Err(ExprError::new(0..source.len(), "the rule is empty")
            .help("write an expression that is true or false, such as `status == 200`"));
    }
    let parser = Parser::new().max_recursion_depth(MAX_BRACKETS);
    match parser.parse_with_source_info(source) {
        Ok((expr, info)) => Lowering { source, info }.lower(&expr, 0),
        Err(errors) => Err(syntax_error(source, errors.errors.first())),
    }
}

struct Lowering<'s> {
    source: &'s str,
    info: SourceInfo,
}

impl Lowering<'_> {
    fn lower(&self, expr: &IdedExpr, depth: usize) -> Result<Tree, ExprError> {
        let token = self.token(expr.id);
        if depth > MAX_DEPTH {
            return Err(ExprError::new(
                token,
                format!("the expression is more than {MAX_DEPTH} operators deep"),
            )
            .help("make several rules of it"));
        }
        let depth = depth + 1;
        match &expr.expr {
            Expr::Literal(value) => self.literal(value, token),
            Expr::Ident(name) => Ok(Tree {
                span: token,
                kind: Kind::Name(name.trim_start_matches('.').to_owned()),
            }),
            Expr::Select(select) => self.select(select, token, depth),
            Expr::Call(call) => self.call(call, token, depth),
            Expr::List(list) => Ok(Tree {
                span: token.start..self.closing(token.start),
                kind: Kind::List(self.all(&list.elements, depth)?),
            }),
            Expr::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        entries.push((
                            self.lower(&entry.key, depth)?,
                            self.lower(&entry.value, depth)?,
                        ));
                    }
                }
                Ok(Tree {
                    span: token.start..self.closing(token.start),
                    kind: Kind::Map(entries),
                })
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, token, depth),
            Expr::Struct(_) => Err(ExprError::new(token, "rules have no message types")),
            Expr::Unspecified => Err(ExprError::new(token, "this is not a CEL expression")),
        }
    }

    fn all(&self, exprs: &[IdedExpr], depth: usize) -> Result<Vec<Tree>, ExprError> {
        exprs.iter().map(|expr| self.lower(expr, depth)).collect()
    }

    fn boxed(&self, expr: &IdedExpr, depth: usize) -> Result<Box<Tree>, ExprError> {
        self.lower(expr, depth).map(Box::new)
    }

    fn literal(&self, value: &LiteralValue, span: Range<usize>) -> Result<Tree, ExprError> {
        let kind = match value {
            LiteralValue::Null => Kind::Null,
            LiteralValue::Boolean(value) => Kind::Bool(*value.inner()),
            LiteralValue::Int(value) => Kind::Int(*value.inner()),
            LiteralValue::UInt(value) => Kind::Uint(*value.inner()),
            LiteralValue::Double(value) => Kind::Double(*value.inner()),
            LiteralValue::String(value) => Kind::String(value.inner().to_owned()),
            LiteralValue::Bytes(_) => {
                return Err(ExprError::new(span, "no fact is of the type bytes")
                    .help("write a string, without the b in front"));
            }
        };
        // The token of a negative number is the number without its sign.
        let start =
            if self.source[..span.start].ends_with('-') && matches!(kind, Kind::Int(i64::MIN..0)) {
                span.start - 1
            } else {
                span.start
            };
        Ok(Tree {
            span: start..span.end,
            kind,
        })
    }

    fn select(
        &self,
        select: &SelectExpr,
        token: Range<usize>,
        depth: usize,
    ) -> Result<Tree, ExprError> {
        let operand = self.boxed(&select.operand, depth)?;
        let field = select.field.clone();
        let (span, field_span) = if select.test {
            let end = self.closing(token.start);
            let inside = self.source.get(token.start..end).unwrap_or_default();
            let at = token.start + inside.rfind(&field).unwrap_or(0);
            (
                self.name_before(token.start).start..end,
                at..(at + field.len()).min(end),
            )
        } else {
            let rest = self.source.get(token.end..).unwrap_or_default();
            let at = token.end + rest.find(&field).unwrap_or(0);
            let end = (at + field.len()).min(self.source.len());
            (operand.span.start..end, at..end)
        };
        Ok(Tree {
            span: self.snap(&span),
            kind: Kind::Select {
                operand,
                field,
                field_span: self.snap(&field_span),
                has: select.test,
            },
        })
    }

    fn call(&self, call: &CallExpr, token: Range<usize>, depth: usize) -> Result<Tree, ExprError> {
        if let Some(op) = binary_operator(&call.func_name)
            && let [left, right] = call.args.as_slice()
        {
            let (left, right) = (self.boxed(left, depth)?, self.boxed(right, depth)?);
            return Ok(Tree {
                span: left.span.start..right.span.end,
                kind: Kind::Binary(op, left, right),
            });
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (name @ (operators::LOGICAL_AND | operators::LOGICAL_OR), [_, _]) => {
                let mut terms = Vec::new();
                self.flatten(name, call, depth, &mut terms)?;
                let span = terms.first().map_or(token.start, |term| term.span.start)
                    ..terms.last().map_or(token.end, |term| term.span.end);
                let kind = if name == operators::LOGICAL_AND {
                    Kind::And(terms)
                } else {
                    Kind::Or(terms)
                };
                Ok(Tree { span, kind })
            }
            (operators::LOGICAL_NOT, [operand]) => {
                let operand = self.boxed(operand, depth)?;
                Ok(Tree {
                    span: token.start..operand.span.end,
                    kind: Kind::Not(operand),
                })
            }
            (operators::NEGATE, [operand]) => {
                let operand = self.boxed(operand, depth)?;
                Ok(Tree {
                    span: token.start..operand.span.end,
                    kind: Kind::Negate(operand),
                })
            }
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                let condition = self.boxed(condition, depth)?;
                let then = self.boxed(then, depth)?;
                let otherwise = self.boxed(otherwise, depth)?;
                Ok(Tree {
                    span: condition.span.start..otherwise.span.end,
                    kind: Kind::Ternary(condition, then, otherwise),
                })
            }
            (operators::INDEX, [operand, index]) => {
                let operand = self.boxed(operand, depth)?;
                Ok(Tree {
                    span: operand.span.start..self.closing(token.start),
                    kind: Kind::Index(operand, self.boxed(index, depth)?),
                })
            }
            (name, args) => self.named_call(name, call.target.as_deref(), args, &token, depth),
        }
    }

    fn named_call(
        &self,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
        token: &Range<usize>,
        depth: usize,
    ) -> Result<Tree, ExprError> {
        let target = target.map(|target| self.boxed(target, depth)).transpose()?;
        let name_span = self.name_before(token.start);
        let start = target
            .as_ref()
            .map_or(name_span.start, |target| target.span.start);
        Ok(Tree {
            span: start..self.closing(token.start),
            kind: Kind::Call {
                name: name.trim_start_matches('.').to_owned(),
                name_span,
                target,
                args: self.all(args, depth)?,
            },
        })
    }

    /// The parser balances chains of `&&` and `||`; here they are one list again.
    fn flatten(
        &self,
        name: &str,
        call: &CallExpr,
        depth: usize,
        terms: &mut Vec<Tree>,
    ) -> Result<(), ExprError> {
        for arg in &call.args {
            match &arg.expr {
                Expr::Call(inner) if inner.func_name == name && depth < MAX_DEPTH => {
                    self.flatten(name, inner, depth + 1, terms)?;
                }
                _ => terms.push(self.lower(arg, depth)?),
            }
        }
        Ok(())
    }

    fn comprehension(
        &self,
        comprehension: &ComprehensionExpr,
        token: Range<usize>,
        depth: usize,
    ) -> Result<Tree, ExprError> {
        let range = self.boxed(&comprehension.iter_range, depth)?;
        let Some((kind, condition, body)) = macro_parts(comprehension) else {
            return Err(ExprError::new(token, "rules have no such macro"));
        };
        let lower = |part: Option<&IdedExpr>| part.map(|part| self.boxed(part, depth)).transpose();
        Ok(Tree {
            span: range.span.start..self.closing(token.start),
            kind: Kind::Macro {
                kind,
                range,
                var: comprehension.iter_var.clone(),
                condition: lower(condition)?,
                body: lower(body)?,
            },
        })
    }

    /// The bytes of a node's own token: an operator, a bracket, a name.
    fn token(&self, id: u64) -> Range<usize> {
        let (start, stop) = self.info.offset_for(id).unwrap_or((0, 0));
        self.snap(&(start as usize..(stop as usize).saturating_add(1)))
    }

    /// Inside the source, on character boundaries.
    fn snap(&self, span: &Range<usize>) -> Range<usize> {
        let start = floor_boundary(self.source, span.start);
        let end = ceil_boundary(self.source, span.end);
        start..end.max(start)
    }

    /// The name that stands before an opening bracket.
    fn name_before(&self, open: usize) -> Range<usize> {
        let head = self.source.get(..open).unwrap_or_default().trim_end();
        let start = head.rfind(|c: char| !is_word(c)).map_or(0, |at| {
            at + head[at..].chars().next().map_or(1, char::len_utf8)
        });
        start..head.len()
    }

    /// Just past the bracket that closes the one at `open`.
    fn closing(&self, open: usize) -> usize {
        let bytes = self.source.as_bytes();
        let (mut depth, mut quote, mut at) = (0_usize, None, open);
        while let Some(&byte) = bytes.get(at) {
            match (quote, byte) {
                (Some(_), b'\\') => at += 1,
                (Some(end), byte) if byte == end => quote = None,
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'(' | b'[' | b'{') => depth += 1,
                (None, b')' | b']' | b'}') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at + 1;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        self.source.len()
    }
}

fn binary_operator(name: &str) -> Option<Operator> {
    Some(match name {
        operators::EQUALS => Operator::Equal,
        operators::NOT_EQUALS => Operator::NotEqual,
        operators::LESS => Operator::Less,
        operators::LESS_EQUALS => Operator::LessOrEqual,
        operators::GREATER => Operator::Greater,
        operators::GREATER_EQUALS => Operator::GreaterOrEqual,
        operators::IN => Operator::In,
        operators::ADD => Operator::Add,
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Remainder,
        _ => return None,
    })
}

type MacroParts<'e> = (MacroKind, Option<&'e IdedExpr>, Option<&'e IdedExpr>);

/// Which macro it was, its condition, and what it makes of an element.
fn macro_parts(comprehension: &ComprehensionExpr) -> Option<MacroParts<'_>> {
    let Expr::Call(step) = &comprehension.loop_step.expr else {
        return None;
    };
    match (&comprehension.accu_init.expr, step.args.as_slice()) {
        (Expr::Literal(LiteralValue::Boolean(init)), [_, condition]) => {
            let kind = if *init.inner() {
                MacroKind::All
            } else {
                MacroKind::Exists
            };
            Some((kind, Some(condition), None))
        }
        (Expr::Literal(LiteralValue::Int(_)), [condition, _, _]) => {
            Some((MacroKind::ExistsOne, Some(condition), None))
        }
        (Expr::List(_), [condition, appended, _]) => {
            let Expr::Call(append) = &appended.expr else {
                return None;
            };
            let body = appended_item(append)?;
            match &body.expr {
                Expr::Ident(name) if *name == comprehension.iter_var => {
                    Some((MacroKind::Filter, Some(condition), None))
                }
                _ => Some((MacroKind::Map, Some(condition), Some(body))),
            }
        }
        (Expr::List(_), [_, _]) => Some((MacroKind::Map, None, Some(appended_item(step)?))),
        _ => None,
    }
}

/// The `x` of `@result + [x]`.
fn appended_item(append: &CallExpr) -> Option<&IdedExpr> {
    match append.args.get(1).map(|list| &list.expr) {
        Some(Expr::List(list)) => list.elements.first(),
        _ => None,
    }
}
