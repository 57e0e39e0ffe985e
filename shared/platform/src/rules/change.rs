//! Conditions and changes, evaluated on an item that has been read.

use std::collections::BTreeSet;

use crate::{Change, Condition, Item, PlatformError, Value};

/// Whether `condition` holds of the item as stored; `None` is an absent one.
pub(crate) fn holds(condition: &Condition, item: Option<&Item>) -> bool {
    let attribute = |name: &str| item.and_then(|item| item.attributes.get(name));
    let number = |name: &str| item.and_then(|item| item.number(name));
    match condition {
        Condition::Exists => item.is_some(),
        Condition::NotExists => item.is_none(),
        Condition::Equals(name, value) => attribute(name) == Some(value),
        Condition::Differs(name, value) => attribute(name) != Some(value),
        Condition::Below(name, bound) => number(name).is_some_and(|number| number < *bound),
        Condition::Above(name, bound) => number(name).is_some_and(|number| number > *bound),
        Condition::Has(name) => attribute(name).is_some(),
        Condition::Lacks(name) => attribute(name).is_none(),
        Condition::All(parts) => parts.iter().all(|part| holds(part, item)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, item)),
    }
}

/// Refuses an update that names one attribute (or `due`, or the expiry) twice, as DynamoDB does, and a `due` bucket that
/// is not there.
pub(crate) fn check_changes(changes: &[Change]) -> Result<(), PlatformError> {
    let mut seen = BTreeSet::new();
    for change in changes {
        if let Change::Due(Some(due)) = change {
            super::check_due_bucket(due.bucket)?;
        }
        // An attribute may be called "due" too, hence the pair.
        let target = match change {
            Change::Set(name, _) | Change::Remove(name) | Change::Add(name, _) => {
                ("attribute", name.as_str())
            }
            Change::Due(_) => ("field", "due"),
            Change::Expires(_) => ("field", "expires"),
        };
        if !seen.insert(target) {
            return Err(PlatformError::Invalid(format!(
                "an update changes {} {:?} twice",
                target.0, target.1
            )));
        }
    }
    Ok(())
}

/// Applies the changes to the item.
pub(crate) fn apply(item: &mut Item, changes: Vec<Change>) -> Result<(), PlatformError> {
    for change in changes {
        match change {
            Change::Set(name, value) => {
                item.attributes.insert(name, value);
            }
            Change::Remove(name) => {
                item.attributes.remove(&name);
            }
            Change::Add(name, by) => add(item, name, by)?,
            Change::Due(due) => item.due = due,
            Change::Expires(expires) => item.expires = expires,
        }
    }
    Ok(())
}

fn add(item: &mut Item, name: String, by: i64) -> Result<(), PlatformError> {
    match item.attributes.get_mut(&name) {
        None => {
            item.attributes.insert(name, Value::N(by));
        }
        Some(Value::N(number)) => {
            *number = number.checked_add(by).ok_or_else(|| {
                PlatformError::Invalid(format!("adding to {name:?} leaves the range of numbers"))
            })?;
        }
        Some(_) => {
            return Err(PlatformError::Invalid(format!("{name:?} is not a number to add to")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[test]
    fn empty_lists_are_all_true_and_any_false() {
        assert!(holds(&Condition::All(vec![]), None));
        assert!(!holds(&Condition::Any(vec![]), None));
    }

    #[test]
    fn adding_past_the_range_is_refused() {
        let mut item = Item::new(Key::new("p", "s")).with("n", i64::MAX);
        assert!(matches!(apply(&mut item, vec![Change::add("n", 1)]), Err(PlatformError::Invalid(_))));
    }

    #[test]
    fn an_attribute_called_due_is_not_the_field() {
        check_changes(&[Change::set("due", 1), Change::Due(None)]).unwrap();
        assert!(check_changes(&[Change::set("a", 1), Change::add("a", 1)]).is_err());
    }
}
