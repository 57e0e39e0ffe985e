//! Whether a path leads to a value, for previews.

use serde_json::Value;

use super::path;

/// Whether a label without its root (`orders[].id`) leads to a value everywhere it goes.
pub(super) fn is_defined(value: &Value, label: &str) -> bool {
    let names = path::split(label);
    defined(value, &names)
}

fn defined(value: &Value, names: &[&str]) -> bool {
    let Some((name, rest)) = names.split_first() else {
        return !value.is_null();
    };
    let (name, each) = name.strip_suffix("[]").map_or((*name, false), |name| (name, true));
    let inner = match value {
        Value::Object(entries) => entries.get(name),
        Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
        _ => None,
    };
    match inner {
        Some(Value::Array(items)) if each => items.iter().all(|item| defined(item, rest)),
        Some(Value::Object(entries)) if each => entries.values().all(|item| defined(item, rest)),
        Some(inner) => defined(inner, rest),
        None => false,
    }
}
