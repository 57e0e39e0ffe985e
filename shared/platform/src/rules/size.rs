//! DynamoDB's limits, held here too so that nothing works embedded that would fail on AWS.

use std::collections::BTreeMap;

use crate::table::MAX_ITEM_BYTES;
use crate::{Due, Item, Key, PlatformError, Value};

/// What the fields of an item are called where it is stored on AWS; their names count into its size.
pub(crate) const PK: &str = "pk";
/// The sort key.
pub(crate) const SK: &str = "sk";
/// The bucket of `due`.
pub(crate) const DUE_BUCKET: &str = "due_b";
/// The instant of `due`.
pub(crate) const DUE_AT: &str = "due_at";
/// The expiry.
pub(crate) const EXPIRES: &str = "ttl";

/// The longest partition key in bytes of UTF-8, as in DynamoDB.
const MAX_PK_BYTES: usize = 2048;
/// The longest sort key in bytes of UTF-8, as in DynamoDB.
const MAX_SK_BYTES: usize = 1024;

/// Refuses keys that DynamoDB would refuse.
pub(crate) fn check_key(key: &Key) -> Result<(), PlatformError> {
    check_pk(&key.pk)?;
    if key.sk.is_empty() {
        return Err(PlatformError::Invalid("an sk must not be empty".to_owned()));
    }
    within("sk bytes", key.sk.len(), MAX_SK_BYTES)
}

/// Refuses partition keys that DynamoDB would refuse.
pub(crate) fn check_pk(pk: &str) -> Result<(), PlatformError> {
    if pk.is_empty() {
        return Err(PlatformError::Invalid("a pk must not be empty".to_owned()));
    }
    within("pk bytes", pk.len(), MAX_PK_BYTES)
}

/// Refuses items above [`MAX_ITEM_BYTES`] and attributes without a name. Returns the item's size.
pub(crate) fn check_item(item: &Item) -> Result<usize, PlatformError> {
    check_key(&item.key)?;
    if item.attributes.contains_key("") {
        return Err(PlatformError::Invalid("an attribute must have a name".to_owned()));
    }
    if let Some(Due { bucket, .. }) = item.due
        && bucket >= crate::table::DUE_BUCKETS
    {
        return Err(PlatformError::Invalid(format!("due bucket {bucket} is not below 16")));
    }
    let size = item_size(item);
    within("item bytes", size, MAX_ITEM_BYTES)?;
    Ok(size)
}

/// Refuses a size above its limit.
pub(crate) fn within(what: &'static str, size: usize, limit: usize) -> Result<(), PlatformError> {
    if size > limit { Err(PlatformError::TooLarge { what, size, limit }) } else { Ok(()) }
}

/// The bytes DynamoDB counts: names and values as UTF-8, a number at one byte for two significant digits and one more.
pub(crate) fn item_size(item: &Item) -> usize {
    let key = PK.len() + item.key.pk.len() + SK.len() + item.key.sk.len();
    let due = item.due.map_or(0, |due| {
        DUE_BUCKET.len() + number_size(i64::from(due.bucket)) + DUE_AT.len() + number_size(due.at_ms)
    });
    let expires = item.expires.map_or(0, |at| EXPIRES.len() + number_size(at));
    key + due + expires + attributes_size(&item.attributes)
}

fn attributes_size(attributes: &BTreeMap<String, Value>) -> usize {
    attributes.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::S(text) => text.len(),
        Value::B(bytes) => bytes.len(),
        Value::N(number) => number_size(*number),
    }
}

fn number_size(number: i64) -> usize {
    let mut rest = number.unsigned_abs();
    while rest != 0 && rest.is_multiple_of(10) {
        rest /= 10;
    }
    let digits = rest.checked_ilog10().map_or(0, |log| log as usize + 1);
    digits.div_ceil(2) + 1 + usize::from(number < 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_cost_a_byte_for_two_significant_digits_and_one_more() {
        for (number, size) in
            [(0, 1), (7, 2), (10, 2), (99, 2), (100, 2), (123, 3), (-123, 4), (i64::MAX, 11)]
        {
            assert_eq!(number_size(number), size, "{number}");
        }
    }

    #[test]
    fn names_and_values_count_in_utf8() {
        let item = Item::new(Key::new("é", "s")).with("größe", "ß").with("b", vec![0_u8; 10]);
        assert_eq!(item_size(&item), 2 + 2 + 2 + 1 + 7 + 2 + 1 + 10);
    }

    #[test]
    fn an_item_at_the_limit_passes_and_one_byte_more_does_not() {
        let overhead = item_size(&Item::new(Key::new("p", "s")).with("a", ""));
        let fits = Item::new(Key::new("p", "s")).with("a", "x".repeat(MAX_ITEM_BYTES - overhead));
        assert_eq!(check_item(&fits).unwrap(), MAX_ITEM_BYTES);
        let over = Item::new(Key::new("p", "s")).with("a", "x".repeat(MAX_ITEM_BYTES - overhead + 1));
        assert!(matches!(
            check_item(&over),
            Err(PlatformError::TooLarge { what: "item bytes", size, limit: MAX_ITEM_BYTES }) if size == MAX_ITEM_BYTES + 1
        ));
    }
}
