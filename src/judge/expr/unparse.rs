//! CEL text of a checked expression, for reasons.

use std::fmt::Write as _;

use super::ir::{Literal, Macro, Node, Operator};

/// The expression as CEL.
pub(super) fn text(node: &Node) -> String {
    let mut out = String::new();
    write(node, LOWEST, &mut out);
    out
}

const LOWEST: u8 = 0;
const OR: u8 = 1;
const AND: u8 = 2;
const RELATION: u8 = 3;
const SUM: u8 = 4;
const PRODUCT: u8 = 5;
const UNARY: u8 = 6;
const MEMBER: u8 = 7;

const fn precedence(node: &Node) -> u8 {
    match node {
        Node::Ternary { .. } => LOWEST,
        Node::Or(_) => OR,
        Node::And(_) => AND,
        Node::Binary { op, .. } => match op {
            Operator::Add | Operator::Subtract => SUM,
            Operator::Multiply | Operator::Divide | Operator::Remainder => PRODUCT,
            _ => RELATION,
        },
        Node::Not(_) | Node::Negate(_) => UNARY,
        Node::Literal(Literal::Int(value)) if *value < 0 => UNARY,
        Node::Literal(Literal::Double(value)) if value.is_sign_negative() => UNARY,
        _ => MEMBER,
    }
}

/// Writes `node`, in parentheses where it binds less tightly than its place demands.
fn write(node: &Node, place: u8, out: &mut String) {
    let bare = precedence(node) >= place;
    if !bare {
        out.push('(');
    }
    write_bare(node, out);
    if !bare {
        out.push(')');
    }
}

fn write_bare(node: &Node, out: &mut String) {
    match node {
        Node::Literal(literal) => write_literal(literal, out),
        Node::Fact { name, .. } | Node::Var { name, .. } => out.push_str(name),
        Node::Field { operand, name } => {
            write(operand, MEMBER, out);
            out.push('.');
            out.push_str(name);
        }
        Node::Has { operand, name } => {
            out.push_str("has(");
            write(operand, MEMBER, out);
            out.push('.');
            out.push_str(name);
            out.push(')');
        }
        Node::Index { operand, index } => {
            write(operand, MEMBER, out);
            out.push('[');
            write(index, LOWEST, out);
            out.push(']');
        }
        Node::Not(operand) => {
            out.push('!');
            write(operand, MEMBER, out);
        }
        Node::Negate(operand) => {
            out.push('-');
            write(operand, MEMBER, out);
        }
        Node::And(terms) => write_joined(terms, " && ", RELATION, out),
        Node::Or(terms) => write_joined(terms, " || ", AND, out),
        Node::Binary { op, left, right } => {
            let own = precedence(node);
            write(left, own, out);
            out.push(' ');
            out.push_str(op.symbol());
            out.push(' ');
            write(right, own + 1, out);
        }
        Node::Ternary {
            condition,
            then,
            otherwise,
        } => {
            write(condition, OR, out);
            out.push_str(" ? ");
            write(then, OR, out);
            out.push_str(" : ");
            write(otherwise, LOWEST, out);
        }
        Node::List(items) => {
            out.push('[');
            write_joined(items, ", ", LOWEST, out);
            out.push(']');
        }
        Node::Map(entries) => {
            out.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                write(key, LOWEST, out);
                out.push_str(": ");
                write(value, LOWEST, out);
            }
            out.push('}');
        }
        Node::Macro(call) => write_macro(call, out),
        Node::Call {
            function,
            method,
            args,
        } => write_call(function.name(), *method, args, out),
        Node::Matches { subject, pattern } => {
            write(subject, MEMBER, out);
            out.push_str(".matches(");
            write_string(pattern.as_str(), out);
            out.push(')');
        }
    }
}

fn write_joined(nodes: &[Node], separator: &str, place: u8, out: &mut String) {
    for (at, node) in nodes.iter().enumerate() {
        if at > 0 {
            out.push_str(separator);
        }
        write(node, place, out);
    }
}

fn write_call(name: &str, method: bool, args: &[Node], out: &mut String) {
    let args = match (method, args) {
        (true, [target, rest @ ..]) => {
            write(target, MEMBER, out);
            out.push('.');
            rest
        }
        (_, all) => all,
    };
    out.push_str(name);
    out.push('(');
    write_joined(args, ", ", LOWEST, out);
    out.push(')');
}

fn write_macro(call: &Macro, out: &mut String) {
    write(&call.range, MEMBER, out);
    out.push('.');
    out.push_str(call.kind.name());
    out.push('(');
    out.push_str(&call.var);
    for part in [&call.condition, &call.body].into_iter().flatten() {
        out.push_str(", ");
        write(part, LOWEST, out);
    }
    out.push(')');
}

fn write_literal(literal: &Literal, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = match literal {
        Literal::Null => out.write_str("null"),
        Literal::Bool(value) => write!(out, "{value}"),
        Literal::Int(value) => write!(out, "{value}"),
        Literal::Uint(value) => write!(out, "{value}u"),
        Literal::Double(value) => write!(out, "{value:?}"),
        Literal::String(value) => {
            write_string(value, out);
            Ok(())
        }
        Literal::Timestamp(_, text) => {
            out.push_str("timestamp(");
            write_string(text, out);
            out.write_str(")")
        }
        Literal::Duration(_, text) => {
            out.push_str("duration(");
            write_string(text, out);
            out.write_str(")")
        }
    };
}

fn write_string(value: &str, out: &mut String) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
