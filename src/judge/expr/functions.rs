//! The functions a rule may call, and what they take and give.

use std::sync::Arc;

use super::types::Type;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    LowerAscii,
    UpperAscii,
    Trim,
    Split,
    Join,
    Int,
    Uint,
    Double,
    String,
    Bool,
    Timestamp,
    Duration,
    Now,
    Min,
    Max,
    Abs,
    GetHours,
    GetMinutes,
    GetSeconds,
}

/// How a function is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `f(x)`
    Global,
    /// `x.f()`
    Method,
    /// Either.
    Both,
}

/// What an argument may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    Text,
    Number,
    Span,
    /// Text, a list or a map.
    Sized,
    List,
    /// A number or a list.
    NumberOrList,
    /// Anything that is not made of parts.
    Scalar,
}

impl Wants {
    pub(super) fn accepts(self, ty: &Type) -> bool {
        let parts = matches!(ty, Type::List(_) | Type::Record(_) | Type::Map(_));
        match (self, ty) {
            (_, Type::Dyn) => true,
            (Self::Text, ty) => matches!(ty, Type::String(_)),
            (Self::Number, ty) => ty.is_number(),
            (Self::Span, ty) => *ty == Type::Duration,
            (Self::Sized, ty) => parts || matches!(ty, Type::String(_)),
            (Self::List, ty) => matches!(ty, Type::List(_)),
            (Self::NumberOrList, ty) => ty.is_number() || matches!(ty, Type::List(_)),
            (Self::Scalar, ty) => !parts && *ty != Type::Null,
        }
    }

    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Span => "a duration",
            Self::Sized => "a string, a list or a map",
            Self::List => "a list",
            Self::NumberOrList => "numbers or a list of numbers",
            Self::Scalar => "a bool, a number, a string, a timestamp or a duration",
        }
    }
}

/// How a function is called.
pub(super) struct Signature {
    pub(super) function: Function,
    pub(super) style: Style,
    /// What it takes; what it is called on comes first.
    pub(super) takes: &'static [Wants],
    /// How many of them, counted from the end, may be left out.
    pub(super) optional: usize,
    /// Whether the last may be repeated.
    pub(super) variadic: bool,
    pub(super) usage: &'static str,
}

const fn signature(
    function: Function,
    style: Style,
    takes: &'static [Wants],
    usage: &'static str,
) -> Signature {
    Signature {
        function,
        style,
        takes,
        optional: 0,
        variadic: false,
        usage,
    }
}

pub(super) const SIGNATURES: &[Signature] = &[
    signature(Function::Size, Style::Both, &[Wants::Sized], "x.size()"),
    signature(
        Function::Contains,
        Style::Method,
        &[Wants::Text, Wants::Text],
        "text.contains(\"part\")",
    ),
    signature(
        Function::StartsWith,
        Style::Method,
        &[Wants::Text, Wants::Text],
        "text.startsWith(\"part\")",
    ),
    signature(
        Function::EndsWith,
        Style::Method,
        &[Wants::Text, Wants::Text],
        "text.endsWith(\"part\")",
    ),
    signature(
        Function::Matches,
        Style::Both,
        &[Wants::Text, Wants::Text],
        "text.matches(\"regular expression\")",
    ),
    signature(
        Function::LowerAscii,
        Style::Method,
        &[Wants::Text],
        "text.lowerAscii()",
    ),
    signature(
        Function::UpperAscii,
        Style::Method,
        &[Wants::Text],
        "text.upperAscii()",
    ),
    signature(Function::Trim, Style::Method, &[Wants::Text], "text.trim()"),
    signature(
        Function::Split,
        Style::Method,
        &[Wants::Text, Wants::Text],
        "text.split(\",\")",
    ),
    Signature {
        optional: 1,
        ..signature(
            Function::Join,
            Style::Method,
            &[Wants::List, Wants::Text],
            "list.join(\",\")",
        )
    },
    signature(Function::Int, Style::Global, &[Wants::Scalar], "int(x)"),
    signature(Function::Uint, Style::Global, &[Wants::Scalar], "uint(x)"),
    signature(
        Function::Double,
        Style::Global,
        &[Wants::Scalar],
        "double(x)",
    ),
    signature(
        Function::String,
        Style::Global,
        &[Wants::Scalar],
        "string(x)",
    ),
    signature(Function::Bool, Style::Global, &[Wants::Scalar], "bool(x)"),
    signature(
        Function::Timestamp,
        Style::Global,
        &[Wants::Scalar],
        "timestamp(\"2026-12-31T00:00:00Z\")",
    ),
    signature(
        Function::Duration,
        Style::Global,
        &[Wants::Scalar],
        "duration(\"72h\")",
    ),
    signature(Function::Now, Style::Global, &[], "now()"),
    Signature {
        variadic: true,
        ..signature(
            Function::Min,
            Style::Global,
            &[Wants::NumberOrList],
            "min(a, b) or min(list)",
        )
    },
    Signature {
        variadic: true,
        ..signature(
            Function::Max,
            Style::Global,
            &[Wants::NumberOrList],
            "max(a, b) or max(list)",
        )
    },
    signature(Function::Abs, Style::Global, &[Wants::Number], "abs(x)"),
    signature(
        Function::GetHours,
        Style::Method,
        &[Wants::Span],
        "duration.getHours()",
    ),
    signature(
        Function::GetMinutes,
        Style::Method,
        &[Wants::Span],
        "duration.getMinutes()",
    ),
    signature(
        Function::GetSeconds,
        Style::Method,
        &[Wants::Span],
        "duration.getSeconds()",
    ),
];

impl Function {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Matches => "matches",
            Self::LowerAscii => "lowerAscii",
            Self::UpperAscii => "upperAscii",
            Self::Trim => "trim",
            Self::Split => "split",
            Self::Join => "join",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bool => "bool",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::Now => "now",
            Self::Min => "min",
            Self::Max => "max",
            Self::Abs => "abs",
            Self::GetHours => "getHours",
            Self::GetMinutes => "getMinutes",
            Self::GetSeconds => "getSeconds",
        }
    }

    /// The type of the result.
    pub(super) fn gives(self, args: &[Type]) -> Type {
        match self {
            Self::Size
            | Self::Int
            | Self::Uint
            | Self::GetHours
            | Self::GetMinutes
            | Self::GetSeconds => Type::Int,
            Self::Contains | Self::StartsWith | Self::EndsWith | Self::Matches | Self::Bool => {
                Type::Bool
            }
            Self::LowerAscii | Self::UpperAscii | Self::Trim | Self::Join | Self::String => {
                Type::text()
            }
            Self::Split => Type::List(Arc::new(Type::text())),
            Self::Double => Type::Double,
            Self::Timestamp | Self::Now => Type::Timestamp,
            Self::Duration => Type::Duration,
            Self::Abs => args.first().cloned().unwrap_or(Type::Dyn),
            Self::Min | Self::Max => args
                .iter()
                .map(|ty| match ty {
                    Type::List(item) => item.seen().clone(),
                    other => other.clone(),
                })
                .reduce(|left, right| left.join(&right))
                .unwrap_or(Type::Dyn),
        }
    }
}
