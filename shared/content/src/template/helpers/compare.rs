//! Comparisons and logic, for `{{#if}}`. A missing value is no error here: asking whether it is there is their work.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Helper, numeric};
use crate::error::RenderError;
use crate::template::eval::{Machine, Val, truthy};
use crate::template::program::Call;

pub(super) fn call<'r>(machine: &Machine<'r>, call: &'r Call) -> Result<Val<'r>, RenderError> {
    match call.helper {
        // The value that decides is the result, so that {{or a b}} prints the first that is there.
        Helper::And => deciding(machine, call, |value| !truthy(value, false)),
        Helper::Or => deciding(machine, call, |value| truthy(value, false)),
        Helper::Not => Ok(flag(!truthy(&machine.eval(&call.arguments[0])?, false))),
        _ => {
            let first = machine.eval(&call.arguments[0])?;
            let second = machine.eval(&call.arguments[1])?;
            Ok(flag(compare(call.helper, first.json(), second.json())))
        }
    }
}

fn flag<'r>(flag: bool) -> Val<'r> {
    Val::Own(Value::Bool(flag))
}

fn deciding<'r>(
    machine: &Machine<'r>,
    call: &'r Call,
    decides: impl Fn(&Val<'_>) -> bool,
) -> Result<Val<'r>, RenderError> {
    let mut last = Val::Missing(call.name);
    for argument in &call.arguments {
        last = machine.eval(argument)?;
        if decides(&last) {
            break;
        }
    }
    Ok(last)
}

fn compare(helper: Helper, first: Option<&Value>, second: Option<&Value>) -> bool {
    match helper {
        Helper::Eq => equal(first, second),
        Helper::Ne => !equal(first, second),
        _ => match (first.zip(second).and_then(|(first, second)| order(first, second)), helper) {
            (None, _) => false,
            (Some(order), Helper::Lt) => order == Ordering::Less,
            (Some(order), Helper::Lte) => order != Ordering::Greater,
            (Some(order), Helper::Gt) => order == Ordering::Greater,
            (Some(order), _) => order != Ordering::Less,
        },
    }
}

fn equal(first: Option<&Value>, second: Option<&Value>) -> bool {
    match (first, second) {
        (None, None) => true,
        (Some(first), Some(second)) => first == second || numbers(first, second) == Some(Ordering::Equal),
        _ => false,
    }
}

/// Numbers by value, texts by their characters (which is right for ISO dates too); nothing else has an order.
fn order(first: &Value, second: &Value) -> Option<Ordering> {
    numbers(first, second).or_else(|| Some(first.as_str()?.cmp(second.as_str()?)))
}

/// The order of two numbers, at least one of which is really a number; the other may be a text that looks like one.
fn numbers(first: &Value, second: &Value) -> Option<Ordering> {
    if !(first.is_number() || second.is_number()) {
        return None;
    }
    numeric(first)?.partial_cmp(&numeric(second)?)
}
