//! The values that a rule works with: views into the profile's JSON, and what the operators make of them.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Number, Value};

/// A value, borrowed from the profile or the rule wherever it can be.
#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Cow<'a, str>),
    List(List<'a>),
    Map(&'a Map<String, Value>),
    Instant(Timestamp),
    Span(SignedDuration),
}

/// A list: the profile's, the rule's, or one made on the way.
#[derive(Debug, Clone)]
pub(super) enum List<'a> {
    Json(&'a [Value]),
    Slice(&'a [Val<'a>]),
    Owned(Vec<Val<'a>>),
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            List::Json(values) => values.len(),
            List::Slice(values) => values.len(),
            List::Owned(values) => values.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Val<'a>> {
        match self {
            List::Json(values) => values.get(index).map(Val::from),
            List::Slice(values) => values.get(index).map(Val::borrow),
            List::Owned(values) => values.get(index).cloned(),
        }
    }

    pub(super) fn contains(&self, needle: &Val<'_>) -> bool {
        match self {
            List::Json(values) => values.iter().any(|value| needle.equals(&Val::from(value))),
            List::Slice(values) => values.iter().any(|value| needle.equals(value)),
            List::Owned(values) => values.iter().any(|value| needle.equals(value)),
        }
    }
}

impl<'a> From<&'a Value> for Val<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Val::Null,
            Value::Bool(value) => Val::Bool(*value),
            Value::Number(number) => Val::from(number),
            Value::String(text) => Val::Text(Cow::Borrowed(text)),
            Value::Array(values) => Val::List(List::Json(values)),
            Value::Object(map) => Val::Map(map),
        }
    }
}

impl From<&Number> for Val<'_> {
    fn from(number: &Number) -> Self {
        if let Some(int) = number.as_i64() {
            Val::Int(int)
        } else if let Some(uint) = number.as_u64() {
            Val::Uint(uint)
        } else {
            number.as_f64().map_or(Val::Null, Val::Double)
        }
    }
}

impl<'a> Val<'a> {
    /// The same value, lent.
    pub(super) fn borrow(&'a self) -> Val<'a> {
        match self {
            Val::Text(text) => Val::Text(Cow::Borrowed(text)),
            Val::List(List::Owned(values)) => Val::List(List::Slice(values)),
            Val::List(List::Slice(values)) => Val::List(List::Slice(values)),
            Val::List(List::Json(values)) => Val::List(List::Json(values)),
            Val::Null => Val::Null,
            Val::Bool(value) => Val::Bool(*value),
            Val::Int(value) => Val::Int(*value),
            Val::Uint(value) => Val::Uint(*value),
            Val::Double(value) => Val::Double(*value),
            Val::Map(map) => Val::Map(map),
            Val::Instant(instant) => Val::Instant(*instant),
            Val::Span(span) => Val::Span(*span),
        }
    }

    /// What cloning costs: nothing where the value is borrowed.
    pub(super) fn clone_cost(&self) -> usize {
        match self {
            Val::Text(Cow::Owned(text)) => text.len() / 64,
            Val::List(List::Owned(values)) => values.iter().map(|value| 1 + value.clone_cost()).sum(),
            _ => 0,
        }
    }

    /// CEL's equality: numbers by value, other types that differ never equal.
    pub(super) fn equals(&self, other: &Val<'_>) -> bool {
        match (self, other) {
            (Val::Null, Val::Null) => true,
            (Val::List(a), Val::List(b)) => {
                a.len() == b.len() && (0..a.len()).all(|i| equal_elements(a, b, i))
            }
            (Val::Map(a), Val::Map(b)) => {
                let same = |(key, value): (&String, &Value)| {
                    b.get(key).is_some_and(|other| Val::from(value).equals(&Val::from(other)))
                };
                a.len() == b.len() && a.iter().all(same)
            }
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }

    /// How two values compare; `None` where their types do not, or one is NaN, which only a division makes.
    pub(super) fn order(&self, other: &Val<'_>) -> Option<Ordering> {
        Some(match (self, other) {
            (Val::Text(a), Val::Text(b)) => a.cmp(b),
            (Val::Int(a), Val::Int(b)) => a.cmp(b),
            (Val::Uint(a), Val::Uint(b)) => a.cmp(b),
            (Val::Double(a), Val::Double(b)) => return a.partial_cmp(b),
            (Val::Int(a), Val::Uint(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Val::Uint(a), Val::Int(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Val::Int(a), Val::Double(b)) => return order_whole(i128::from(*a), *b),
            (Val::Uint(a), Val::Double(b)) => return order_whole(i128::from(*a), *b),
            (Val::Double(a), Val::Int(b)) => order_whole(i128::from(*b), *a)?.reverse(),
            (Val::Double(a), Val::Uint(b)) => order_whole(i128::from(*b), *a)?.reverse(),
            (Val::Bool(a), Val::Bool(b)) => a.cmp(b),
            (Val::Instant(a), Val::Instant(b)) => a.cmp(b),
            (Val::Span(a), Val::Span(b)) => a.cmp(b),
            _ => return None,
        })
    }
}

fn equal_elements(a: &List<'_>, b: &List<'_>, index: usize) -> bool {
    matches!((a.get(index), b.get(index)), (Some(a), Some(b)) if a.equals(&b))
}

/// A whole number against a double, exactly: neither is rounded to the other's type.
#[allow(clippy::cast_possible_truncation)]
fn order_whole(whole: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // A cast to an integer saturates, and i128's range is beyond that of both integer types.
    let order = whole.cmp(&(double.trunc() as i128));
    Some(order.then_with(|| 0.0_f64.partial_cmp(&double.fract()).unwrap_or(Ordering::Equal)))
}
