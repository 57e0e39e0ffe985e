//! Items as DynamoDB keeps them: the key as `pk` and `sk`, `due` as `due_b` and `due_at`, the expiry as `ttl`, and every
//! attribute by its own name.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::rules::size::{DUE_AT, DUE_BUCKET, EXPIRES, PK, SK};
use crate::{Due, Item, Key, PlatformError, Value};

/// An item in DynamoDB's words.
pub(super) type Stored = HashMap<String, AttributeValue>;

/// A name that nothing is stored under: removing it changes nothing.
pub(super) const NOTHING: &str = "nothing";

/// What an attribute is called where it is stored. One that is called like a field of ours gets `_` in front, and so does
/// one that already looks like that.
pub(super) fn stored_name(name: &str) -> Cow<'_, str> {
    if is_reserved(name.trim_start_matches('_')) {
        Cow::Owned(format!("_{name}"))
    } else {
        Cow::Borrowed(name)
    }
}

fn name_of(stored: String) -> String {
    match stored.strip_prefix('_') {
        Some(name) if is_reserved(name.trim_start_matches('_')) => name.to_owned(),
        _ => stored,
    }
}

fn is_reserved(name: &str) -> bool {
    [PK, SK, DUE_BUCKET, DUE_AT, EXPIRES, NOTHING].contains(&name)
}

/// A number.
pub(super) fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// An attribute's value.
pub(super) fn value(value: Value) -> AttributeValue {
    match value {
        Value::S(text) => AttributeValue::S(text),
        Value::N(n) => number(n),
        Value::B(bytes) => AttributeValue::B(Blob::new(bytes)),
    }
}

/// The key alone.
pub(super) fn key(key: &Key) -> Stored {
    full_key(key.pk.clone(), key.sk.clone())
}

fn full_key(pk: String, sk: String) -> Stored {
    HashMap::from([(PK.to_owned(), AttributeValue::S(pk)), (SK.to_owned(), AttributeValue::S(sk))])
}

/// The whole item.
pub(super) fn encode(item: Item) -> Stored {
    let mut stored = full_key(item.key.pk, item.key.sk);
    stored.reserve(item.attributes.len() + 3);
    for (name, attribute) in item.attributes {
        stored.insert(stored_name(&name).into_owned(), value(attribute));
    }
    if let Some(Due { bucket, at_ms }) = item.due {
        stored.insert(DUE_BUCKET.to_owned(), number(i64::from(bucket)));
        stored.insert(DUE_AT.to_owned(), number(at_ms));
    }
    if let Some(expires) = item.expires {
        stored.insert(EXPIRES.to_owned(), number(expires));
    }
    stored
}

/// The item that [`encode`] stored.
pub(super) fn decode(mut stored: Stored) -> Result<Item, PlatformError> {
    let key = take_key(&mut stored)?;
    let bucket = take_number(&mut stored, DUE_BUCKET)?;
    let at_ms = take_number(&mut stored, DUE_AT)?;
    let due = bucket.zip(at_ms).map(|(bucket, at_ms)| {
        let bucket = u8::try_from(bucket).map_err(|_| corrupt(DUE_BUCKET))?;
        Ok::<_, PlatformError>(Due { bucket, at_ms })
    });
    let due = due.transpose()?;
    let expires = take_number(&mut stored, EXPIRES)?;
    let mut attributes = BTreeMap::new();
    for (name, stored) in stored {
        let value = match stored {
            AttributeValue::S(text) => Value::S(text),
            AttributeValue::N(digits) => Value::N(digits.parse().map_err(|_| corrupt(&name))?),
            AttributeValue::B(bytes) => Value::B(bytes.into_inner()),
            _ => return Err(corrupt(&name)),
        };
        attributes.insert(name_of(name), value);
    }
    Ok(Item { key, attributes, due, expires })
}

/// Takes the key out of an item, or out of an index's.
pub(super) fn take_key(stored: &mut Stored) -> Result<Key, PlatformError> {
    let mut take = |name: &str| match stored.remove(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(corrupt(name)),
    };
    Ok(Key { pk: take(PK)?, sk: take(SK)? })
}

fn take_number(stored: &mut Stored, name: &str) -> Result<Option<i64>, PlatformError> {
    match stored.remove(name) {
        None => Ok(None),
        Some(AttributeValue::N(digits)) => digits.parse().map(Some).map_err(|_| corrupt(name)),
        Some(_) => Err(corrupt(name)),
    }
}

fn corrupt(name: &str) -> PlatformError {
    PlatformError::Corrupt(format!("the attribute {name:?} is not of a kind that we write"))
}

/// Whether the item counts as absent at `now`, in seconds, though DynamoDB has not removed it yet.
pub(super) fn is_expired(item: &Item, now: i64) -> bool {
    item.expires.is_some_and(|expires| expires <= now)
}

/// The items that count, of those that came.
pub(super) fn decode_live(
    stored: impl IntoIterator<Item = Stored>,
    now: i64,
) -> Result<Vec<Item>, PlatformError> {
    stored.into_iter().map(decode).filter(|item| !matches!(item, Ok(item) if is_expired(item, now))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_may_be_called_like_fields() {
        let mut item = Item::new(Key::new("p", "s"));
        for (n, name) in (0..).zip(["pk", "_pk", "__pk", "ttl", "due_at", "nothing", "_", "_other", "pk_"]) {
            item = item.with(name, n);
        }
        item.due = Some(Due { bucket: 15, at_ms: -1 });
        item.expires = Some(7);
        assert_eq!(decode(encode(item.clone())).unwrap(), item);
    }

    #[test]
    fn what_we_never_write_is_corrupt() {
        for value in [AttributeValue::Bool(true), AttributeValue::N("1.5".to_owned())] {
            let mut stored = encode(Item::new(Key::new("p", "s")));
            stored.insert("other".to_owned(), value);
            assert!(matches!(decode(stored), Err(PlatformError::Corrupt(_))));
        }
    }

    #[test]
    fn an_item_expires_in_its_second() {
        let mut item = Item::new(Key::new("p", "s"));
        assert!(!is_expired(&item, i64::MAX));
        item.expires = Some(10);
        assert!(!is_expired(&item, 9));
        assert!(is_expired(&item, 10));
    }
}
