//! The helpers: a closed set, known at compile time by name, arity and named arguments.
//!
//! A missing argument makes the result missing, so that `{{upper profile.x}}` is as missing as `{{profile.x}}`. Only
//! what exists to deal with absence looks past it: `default`, `and`, `or`, `not` and the comparisons.

mod compare;
mod date;
mod number;
mod text;

use std::borrow::Cow;

use serde_json::Value;

use super::eval::{self, Machine, Val};
use super::program::{Call, Expr};
use crate::error::RenderError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Helper {
    Default,
    Upper,
    Lower,
    Trim,
    Capitalize,
    Truncate,
    Replace,
    UrlEncode,
    Json,
    Join,
    Length,
    Lookup,
    Number,
    Currency,
    Add,
    Sub,
    Mul,
    Div,
    Date,
    Eq,
    Ne,
    Lt,
    Lte,
    Gt,
    Gte,
    And,
    Or,
    Not,
}

/// How a helper is called.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) helper: Helper,
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) named: &'static [&'static str],
    /// For error messages, after "takes".
    pub(super) usage: &'static str,
}

const MANY: usize = 16;

const fn spec(
    name: &'static str,
    helper: Helper,
    (least, most): (usize, usize),
    named: &'static [&'static str],
    usage: &'static str,
) -> Spec {
    Spec { name, helper, least, most, named, usage }
}

static SPECS: [Spec; 28] = [
    spec("default", Helper::Default, (2, 2), &[], "a value and what to write where it is missing or empty"),
    spec("upper", Helper::Upper, (1, 1), &[], "one value"),
    spec("lower", Helper::Lower, (1, 1), &[], "one value"),
    spec("trim", Helper::Trim, (1, 1), &[], "one value"),
    spec("capitalize", Helper::Capitalize, (1, 1), &[], "one value"),
    spec(
        "truncate",
        Helper::Truncate,
        (2, 2),
        &["ellipsis"],
        "a value, a length in characters and ellipsis=",
    ),
    spec("replace", Helper::Replace, (3, 3), &[], "a value, what to look for and what to write instead"),
    spec("url_encode", Helper::UrlEncode, (1, 1), &[], "one value"),
    spec("json", Helper::Json, (1, 1), &[], "one value"),
    spec("join", Helper::Join, (1, 2), &[], "an array and a separator"),
    spec("length", Helper::Length, (1, 1), &[], "one value"),
    spec("lookup", Helper::Lookup, (2, 2), &[], "an object or array and a key"),
    spec("number", Helper::Number, (1, 1), &["decimals", "locale"], "a number, decimals= and locale="),
    spec("currency", Helper::Currency, (2, 2), &["locale"], "a number, a currency code and locale="),
    spec("add", Helper::Add, (2, 2), &[], "two numbers"),
    spec("sub", Helper::Sub, (2, 2), &[], "two numbers"),
    spec("mul", Helper::Mul, (2, 2), &[], "two numbers"),
    spec("div", Helper::Div, (2, 2), &[], "two numbers"),
    spec(
        "date",
        Helper::Date,
        (2, 3),
        &["zone"],
        "an ISO date or instant, a strftime pattern and a time zone",
    ),
    spec("eq", Helper::Eq, (2, 2), &[], "two values"),
    spec("ne", Helper::Ne, (2, 2), &[], "two values"),
    spec("lt", Helper::Lt, (2, 2), &[], "two values"),
    spec("lte", Helper::Lte, (2, 2), &[], "two values"),
    spec("gt", Helper::Gt, (2, 2), &[], "two values"),
    spec("gte", Helper::Gte, (2, 2), &[], "two values"),
    spec("and", Helper::And, (2, MANY), &[], "two values or more"),
    spec("or", Helper::Or, (2, MANY), &[], "two values or more"),
    spec("not", Helper::Not, (1, 1), &[], "one value"),
];

pub(super) fn find(name: &str) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| spec.name == name)
}

/// Checks what is known of a call before there is data, and works out what need not be worked out again.
pub(super) fn prepare(call: &mut Call) -> Result<(), String> {
    match call.helper {
        Helper::Date => date::prepare(call),
        Helper::Number | Helper::Currency => number::prepare(call),
        _ => Ok(()),
    }
}

pub(super) fn call<'r>(machine: &Machine<'r>, call: &'r Call) -> Result<Val<'r>, RenderError> {
    match call.helper {
        Helper::Default => {
            let value = machine.eval(&call.arguments[0])?;
            let empty = match value.json() {
                None => true,
                Some(Value::String(text)) => text.trim().is_empty(),
                Some(_) => false,
            };
            if empty { machine.eval(&call.arguments[1]) } else { Ok(value) }
        }
        Helper::Upper
        | Helper::Lower
        | Helper::Trim
        | Helper::Capitalize
        | Helper::Truncate
        | Helper::Replace
        | Helper::UrlEncode
        | Helper::Json
        | Helper::Join
        | Helper::Length => text::call(machine, call),
        Helper::Number | Helper::Currency | Helper::Add | Helper::Sub | Helper::Mul | Helper::Div => {
            number::call(machine, call)
        }
        Helper::Date => date::call(machine, call),
        Helper::Lookup => lookup(machine, call),
        _ => compare::call(machine, call),
    }
}

fn lookup<'r>(machine: &Machine<'r>, call: &'r Call) -> Result<Val<'r>, RenderError> {
    let within = match machine.eval(&call.arguments[0])? {
        Val::Ref(value) => value,
        Val::Missing(variable) => return Ok(Val::Missing(variable)),
        Val::Own(_) => return Ok(Val::Missing("the result of lookup")),
    };
    let key = machine.eval(&call.arguments[1])?;
    let Some(key) = key.json().and_then(eval::text_of) else {
        return Ok(Val::Missing("the key of lookup"));
    };
    let found = match within {
        Value::Object(entries) => entries.get(&*key),
        Value::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
        _ => None,
    };
    Ok(match found {
        None | Some(Value::Null) => Val::Missing("the result of lookup"),
        Some(value) => Val::Ref(value),
    })
}

/// Evaluates argument `$index` of the call, and returns from the caller where it is missing.
macro_rules! argument {
    ($machine:expr, $call:expr, $index:expr) => {
        match $machine.eval(&$call.arguments[$index])? {
            Val::Missing(variable) => return Ok(Val::Missing(variable)),
            value => value,
        }
    };
}
use argument;

/// A value as text, or the error that names the variable.
fn text<'v>(value: &'v Val<'_>, expr: &Expr) -> Result<Cow<'v, str>, RenderError> {
    let Some(json) = value.json() else {
        return Ok(Cow::Borrowed(""));
    };
    eval::text_of(json).ok_or_else(|| eval::not_printable(expr, json))
}

/// A value as a number; a text that is one counts, for attributes imported from CSV are texts.
fn numeric(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

fn invalid(call: &Call, message: impl Into<String>) -> RenderError {
    RenderError::InvalidValue { helper: call.name, line: call.line, message: message.into() }
}

/// The text of a named argument that is written out in the template.
fn literal<'c>(call: &'c Call, name: &str) -> Option<&'c str> {
    match call.named(name) {
        Some(Expr::Literal(Value::String(text))) => Some(text),
        _ => None,
    }
}
