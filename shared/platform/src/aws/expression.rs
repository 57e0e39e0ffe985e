//! Conditions and changes as DynamoDB's expressions. Names and values go in by placeholders, so that no word is reserved.
//!
//! An item whose expiry is past counts as absent, but DynamoDB removes it only later and its conditions still see it. So
//! every condition says what it means for an expired item too: what it would say of an absent one.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{number, stored_name, value};
use crate::rules::change::holds;
use crate::rules::size::{DUE_AT, DUE_BUCKET, EXPIRES, PK};
use crate::{Change, Condition, Value};

/// The placeholders of a call.
#[derive(Debug, Default)]
pub(super) struct Placeholders {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Placeholders {
    /// A placeholder for an attribute as it is stored.
    pub(super) fn field(&mut self, stored: &str) -> String {
        let placeholder = format!("#{}", self.names.len());
        self.names.insert(placeholder.clone(), stored.to_owned());
        placeholder
    }

    fn attribute(&mut self, name: &str) -> String {
        self.field(&stored_name(name))
    }

    /// A placeholder for a value.
    pub(super) fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    /// The names, as calls take them: none rather than an empty map, which DynamoDB refuses.
    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        Some(self.names.clone()).filter(|names| !names.is_empty())
    }

    /// The values, likewise.
    pub(super) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.clone()).filter(|values| !values.is_empty())
    }
}

/// Part of an expression, and what it is made of: DynamoDB refuses redundant parentheses.
struct Part {
    text: String,
    of: Of,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    One,
    All,
    Any,
}

impl Part {
    fn one(text: String) -> Self {
        Self { text, of: Of::One }
    }

    fn join(parts: Vec<Self>, of: Of) -> Self {
        if parts.len() == 1 {
            return parts.into_iter().next().expect("there is one");
        }
        let mut text = String::new();
        for part in &parts {
            if !text.is_empty() {
                text.push_str(if of == Of::All { " AND " } else { " OR " });
            }
            if part.of == Of::One {
                text.push_str(&part.text);
            } else {
                text.push('(');
                text.push_str(&part.text);
                text.push(')');
            }
        }
        Self { text, of }
    }
}

/// The condition of a put, a delete or a check at `now` in seconds.
pub(super) fn condition(condition: &Condition, now: i64, with: &mut Placeholders) -> String {
    let plain = plain(condition, with);
    let part = if holds(condition, None) {
        Part::join(vec![expired(now, with), plain], Of::Any)
    } else {
        Part::join(vec![not_expired(now, with), plain], Of::All)
    };
    part.text
}

/// The condition of an update: never of an expired item, whose old attributes would live on in the new one.
pub(super) fn update_condition(condition: Option<&Condition>, now: i64, with: &mut Placeholders) -> String {
    let mut parts = vec![not_expired(now, with)];
    if let Some(condition) = condition {
        parts.push(plain(condition, with));
    }
    Part::join(parts, Of::All).text
}

/// That there is no item, or an expired one: then an update is a put.
pub(super) fn nothing_there(now: i64, with: &mut Placeholders) -> String {
    condition(&Condition::NotExists, now, with)
}

fn expired(now: i64, with: &mut Placeholders) -> Part {
    let (ttl, now) = (with.field(EXPIRES), with.value(number(now)));
    // False of an item without an expiry: a comparison with what is absent never holds.
    Part::one(format!("{ttl} <= {now}"))
}

fn not_expired(now: i64, with: &mut Placeholders) -> Part {
    let (ttl, now) = (with.field(EXPIRES), with.value(number(now)));
    Part { text: format!("attribute_not_exists({ttl}) OR {ttl} > {now}"), of: Of::Any }
}

fn plain(condition: &Condition, with: &mut Placeholders) -> Part {
    let mut compare = |name: &str, operator: &str, bound: Value| {
        let (name, bound) = (with.attribute(name), with.value(value(bound)));
        Part::one(format!("{name} {operator} {bound}"))
    };
    match condition {
        Condition::Exists => Part::one(format!("attribute_exists({})", with.field(PK))),
        Condition::NotExists => Part::one(format!("attribute_not_exists({})", with.field(PK))),
        Condition::Equals(name, value) => compare(name, "=", value.clone()),
        Condition::Differs(name, other) => {
            let (name, other) = (with.attribute(name), with.value(value(other.clone())));
            Part { text: format!("attribute_not_exists({name}) OR {name} <> {other}"), of: Of::Any }
        }
        Condition::Below(name, bound) => compare(name, "<", Value::N(*bound)),
        Condition::Above(name, bound) => compare(name, ">", Value::N(*bound)),
        Condition::Has(name) => Part::one(format!("attribute_exists({})", with.attribute(name))),
        Condition::Lacks(name) => Part::one(format!("attribute_not_exists({})", with.attribute(name))),
        Condition::All(parts) if parts.is_empty() => {
            let pk = with.field(PK);
            Part { text: format!("attribute_exists({pk}) OR attribute_not_exists({pk})"), of: Of::Any }
        }
        Condition::Any(parts) if parts.is_empty() => {
            let pk = with.field(PK);
            Part { text: format!("attribute_exists({pk}) AND attribute_not_exists({pk})"), of: Of::All }
        }
        Condition::All(parts) => Part::join(parts.iter().map(|part| plain(part, with)).collect(), Of::All),
        Condition::Any(parts) => Part::join(parts.iter().map(|part| plain(part, with)).collect(), Of::Any),
    }
}

/// The clauses of an update; `None` where nothing changes.
pub(super) fn changes(changes: &[Change], with: &mut Placeholders) -> Option<String> {
    let (mut set, mut remove, mut add) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::Set(name, new) => set.push((with.attribute(name), with.value(value(new.clone())))),
            Change::Remove(name) => remove.push(with.attribute(name)),
            Change::Add(name, by) => add.push((with.attribute(name), with.value(number(*by)))),
            Change::Due(Some(due)) => {
                set.push((with.field(DUE_BUCKET), with.value(number(i64::from(due.bucket)))));
                set.push((with.field(DUE_AT), with.value(number(due.at_ms))));
            }
            Change::Due(None) => remove.extend([with.field(DUE_BUCKET), with.field(DUE_AT)]),
            Change::Expires(Some(expires)) => set.push((with.field(EXPIRES), with.value(number(*expires)))),
            Change::Expires(None) => remove.push(with.field(EXPIRES)),
        }
    }
    let mut text = String::new();
    let pairs = |pairs: Vec<(String, String)>, between: &str| -> Vec<String> {
        pairs.into_iter().map(|(name, value)| format!("{name}{between}{value}")).collect()
    };
    for (word, clause) in [("SET", pairs(set, " = ")), ("REMOVE", remove), ("ADD", pairs(add, " "))] {
        if !clause.is_empty() {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a string can't fail.
            let _ = write!(text, "{space}{word} {}", clause.join(", "));
        }
    }
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Due;

    /// The expression with its placeholders filled in.
    fn filled(text: &str, with: &Placeholders) -> String {
        let word = |word: &str| -> String {
            let bare = word.trim_matches(|c| "(),".contains(c));
            let bare = bare.rsplit('(').next().unwrap_or(bare);
            let meaning = match with.values.get(bare) {
                Some(AttributeValue::N(number)) => number.clone(),
                Some(AttributeValue::S(text)) => format!("{text:?}"),
                _ => with.names.get(bare).cloned().unwrap_or_else(|| bare.to_owned()),
            };
            word.replacen(bare, &meaning, 1)
        };
        text.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }

    fn conditioned(wanted: &Condition) -> String {
        let mut with = Placeholders::default();
        let text = condition(wanted, 7, &mut with);
        filled(&text, &with)
    }

    #[test]
    fn an_expired_item_answers_like_an_absent_one() {
        assert_eq!(
            conditioned(&Condition::Exists),
            "(attribute_not_exists(ttl) OR ttl > 7) AND attribute_exists(pk)"
        );
        assert_eq!(conditioned(&Condition::NotExists), "ttl <= 7 OR attribute_not_exists(pk)");
        assert_eq!(
            conditioned(&Condition::Any(vec![Condition::NotExists, Condition::equals("state", "free")])),
            "ttl <= 7 OR (attribute_not_exists(pk) OR state = \"free\")"
        );
        assert_eq!(
            conditioned(&Condition::Differs("n".to_owned(), 1.into())),
            "ttl <= 7 OR (attribute_not_exists(n) OR n <> 1)"
        );
    }

    #[test]
    fn lists_of_one_need_no_parentheses() {
        let nested =
            Condition::All(vec![Condition::Any(vec![Condition::All(vec![Condition::equals("n", 1)])])]);
        assert_eq!(conditioned(&nested), "(attribute_not_exists(ttl) OR ttl > 7) AND n = 1");
    }

    #[test]
    fn an_update_never_touches_an_expired_item() {
        let mut with = Placeholders::default();
        let text = update_condition(None, 7, &mut with);
        assert_eq!(filled(&text, &with), "attribute_not_exists(ttl) OR ttl > 7");
        let mut with = Placeholders::default();
        let text = update_condition(Some(&Condition::NotExists), 7, &mut with);
        assert_eq!(
            filled(&text, &with),
            "(attribute_not_exists(ttl) OR ttl > 7) AND attribute_not_exists(pk)"
        );
    }

    #[test]
    fn changes_are_grouped_by_clause() {
        let mut with = Placeholders::default();
        let all = [
            Change::add("n", -2),
            Change::set("ttl", "mine"),
            Change::Remove("gone".to_owned()),
            Change::Due(Some(Due { bucket: 3, at_ms: 9 })),
            Change::Expires(None),
        ];
        let text = changes(&all, &mut with).unwrap();
        assert_eq!(
            filled(&text, &with),
            "SET _ttl = \"mine\", due_b = 3, due_at = 9 REMOVE gone, ttl ADD n -2"
        );
        assert_eq!(changes(&[], &mut Placeholders::default()), None);
    }
}
