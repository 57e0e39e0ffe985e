//! What a part of a rule can be, as far as its text tells.

use std::fmt;

use super::super::tree::Operator;

/// What a part's value can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// Anything JSON can say, and nothing it cannot.
    Json,
    /// Anything.
    Any,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    List,
    Map,
    Instant,
    Span,
}

impl Type {
    /// Whether a value of this type may be one of that type.
    pub(super) fn may_be(self, other: Type) -> bool {
        self == other
            || self == Type::Any
            || (self == Type::Json && !matches!(other, Type::Instant | Type::Span))
    }

    pub(super) fn is_open(self) -> bool {
        matches!(self, Type::Json | Type::Any)
    }

    /// Types that compare with each other.
    pub(super) fn family(self) -> Type {
        match self {
            Type::Uint | Type::Double => Type::Int,
            other => other,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Json => "a field's value",
            Type::Any => "a value",
            Type::Null => "null",
            Type::Bool => "true or false",
            Type::Int => "an int",
            Type::Uint => "a uint",
            Type::Double => "a double",
            Type::Text => "a text",
            Type::List => "a list",
            Type::Map => "an object",
            Type::Instant => "an instant",
            Type::Span => "a duration",
        })
    }
}

/// What an operator makes of two types; `None` where it never takes them.
pub(super) fn result_of(operator: Operator, left: Type, right: Type) -> Option<Type> {
    use Type::{Any, Double, Instant, Int, Json, List, Span, Text, Uint};
    match (left, right) {
        (Any, _) | (_, Any) => Some(Any),
        (Json, Json) => Some(Json),
        (Text, Text | Json) | (Json, Text) => (operator == Operator::Add).then_some(Text),
        (List, List | Json) | (Json, List) => (operator == Operator::Add).then_some(List),
        (Double, Double | Int | Json) | (Int | Json, Double) => {
            (operator != Operator::Remainder).then_some(Double)
        }
        (Int, Int) => Some(Int),
        (Uint, Uint) => Some(Uint),
        (Int | Uint, Json) | (Json, Int | Uint) => Some(Json),
        (Instant, Instant) => (operator == Operator::Subtract).then_some(Span),
        (Instant, Span) => matches!(operator, Operator::Add | Operator::Subtract).then_some(Instant),
        (Span, Instant) => (operator == Operator::Add).then_some(Instant),
        (Span, Span) => matches!(operator, Operator::Add | Operator::Subtract).then_some(Span),
        _ => None,
    }
}
