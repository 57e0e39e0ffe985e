//! Helpers that make texts.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

use super::{Helper, argument, invalid, numeric, text};
use crate::error::RenderError;
use crate::template::bounded::Bounded;
use crate::template::escape::push_url;
use crate::template::eval::{self, MAX_RENDERED_BYTES, Machine, Val};
use crate::template::program::Call;

pub(super) fn call<'r>(machine: &Machine<'r>, call: &'r Call) -> Result<Val<'r>, RenderError> {
    let value = argument!(machine, call, 0);
    match call.helper {
        Helper::Json => return json(&value),
        Helper::Join => return join(machine, call, &value),
        Helper::Length => return length(call, &value),
        _ => {}
    }
    let source = text(&value, &call.arguments[0])?;
    machine.room(source.len())?;
    let made = match call.helper {
        Helper::Upper => source.to_uppercase(),
        Helper::Lower => source.to_lowercase(),
        Helper::Trim => source.trim().to_owned(),
        Helper::Capitalize => {
            let mut rest = source.chars();
            rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
        }
        Helper::Truncate => {
            let limit = argument!(machine, call, 1);
            let limit = limit
                .json()
                .and_then(numeric)
                .filter(|limit| *limit >= 0.0)
                .ok_or_else(|| invalid(call, "the length must be a number of characters"))?;
            let ellipsis = call.named("ellipsis").map(|expr| machine.eval(expr)).transpose()?;
            let ellipsis = ellipsis.as_ref().and_then(Val::json).and_then(eval::text_of);
            truncate(&source, limit as usize, ellipsis.as_deref().unwrap_or("…"))
        }
        Helper::Replace => {
            let (from, to) = (argument!(machine, call, 1), argument!(machine, call, 2));
            let from = text(&from, &call.arguments[1])?;
            replace(machine, source, &from, &text(&to, &call.arguments[2])?)?
        }
        _ => {
            let mut encoded = String::with_capacity(source.len() + 16);
            push_url(&mut encoded, &source);
            encoded
        }
    };
    Ok(Val::Own(made.into()))
}

/// A value as JSON.
fn json<'r>(value: &Val<'r>) -> Result<Val<'r>, RenderError> {
    let mut written = String::new();
    if let Some(json) = value.json() {
        write!(Bounded::new(&mut written, MAX_RENDERED_BYTES), "{json}")
            .map_err(|_| eval::too_long_value())?;
    }
    Ok(Val::Own(written.into()))
}

/// `source` with `to` in the place of each `from`. How long that is, is known before it is made.
fn replace(machine: &Machine<'_>, source: Cow<'_, str>, from: &str, to: &str) -> Result<String, RenderError> {
    // Replacing "" would write the new text between all characters, which nobody means.
    if from.is_empty() {
        return Ok(source.into_owned());
    }
    let found = source.matches(from).count();
    machine.room((source.len() - found * from.len()).saturating_add(found.saturating_mul(to.len())))?;
    Ok(source.replace(from, to))
}

/// At most `limit` characters, the ellipsis counted.
fn truncate(source: &str, limit: usize, ellipsis: &str) -> String {
    if source.chars().count() <= limit {
        return source.to_owned();
    }
    let kept = limit.saturating_sub(ellipsis.chars().count());
    let mut cut: String = source.chars().take(kept).collect();
    cut.truncate(cut.trim_end().len());
    cut.extend(ellipsis.chars().take(limit));
    cut
}

fn join<'r>(machine: &Machine<'r>, call: &'r Call, value: &Val<'r>) -> Result<Val<'r>, RenderError> {
    let Some(Value::Array(items)) = value.json() else {
        let text = text(value, &call.arguments[0])?;
        machine.room(text.len())?;
        return Ok(Val::Own(text.into()));
    };
    let separator = call.arguments.get(1).map(|expr| machine.eval(expr)).transpose()?;
    let separator = separator.as_ref().and_then(Val::json).and_then(eval::text_of);
    let separator = separator.as_deref().unwrap_or(", ");
    let mut joined = String::new();
    for item in items.iter().filter(|item| !item.is_null()) {
        let separator = if joined.is_empty() { "" } else { separator };
        let text = eval::text_of(item).ok_or_else(|| eval::not_printable(&call.arguments[0], item))?;
        machine.room(joined.len() + separator.len() + text.len())?;
        joined.push_str(separator);
        joined.push_str(&text);
    }
    Ok(Val::Own(joined.into()))
}

fn length<'r>(call: &Call, value: &Val<'r>) -> Result<Val<'r>, RenderError> {
    let length = match value.json() {
        Some(Value::Array(items)) => items.len(),
        Some(Value::Object(entries)) => entries.len(),
        Some(Value::String(text)) => text.chars().count(),
        _ => return Err(invalid(call, "a number or a truth value has no length")),
    };
    Ok(Val::Own(length.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncating_counts_the_ellipsis_and_never_cuts_a_character() {
        assert_eq!(truncate("gęślą jaźń", 10, "…"), "gęślą jaźń");
        assert_eq!(truncate("gęślą jaźń", 7, "…"), "gęślą…");
        assert_eq!(truncate("abc", 2, "..."), "..");
        assert_eq!(truncate("abc", 0, "…"), "");
    }
}
