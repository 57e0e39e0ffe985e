//! What DynamoDB charges a request for, by its own rules, computed from the sizes of items.
//!
//! The rules are those of the developer guide's pages "DynamoDB item sizes and formats", "DynamoDB read and write
//! operations", "Managing complex workflows with transactions" and "Global secondary indexes". Items are in the JSON that
//! goes over the wire.

use serde_json::{Map, Value};

/// One write unit writes so many bytes.
const WRITE_UNIT: u64 = 1024;
/// One read unit reads so many bytes.
const READ_UNIT: u64 = 4096;

/// An item as it goes over the wire: each attribute's value is an object of one entry, its type.
pub(crate) type WireItem = Map<String, Value>;

/// How a request reads or writes, by which its units are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Half the units: an eventually consistent read.
    Eventual,
    /// The units themselves: a strongly consistent read, a write.
    Plain,
    /// Twice the units: part of a transaction.
    Transaction,
}

impl Mode {
    fn times(self, units: u64) -> f64 {
        let units = units as f64;
        match self {
            Self::Eventual => units / 2.0,
            Self::Plain => units,
            Self::Transaction => units * 2.0,
        }
    }
}

/// The units of reading so many bytes; what is not there costs as much as the smallest item.
pub(crate) fn read_units(bytes: u64, mode: Mode) -> f64 {
    mode.times(bytes.div_ceil(READ_UNIT).max(1))
}

/// The units of writing an item of so many bytes over one of so many, 0 where there is none: the larger counts. A write
/// whose condition fails costs what is there.
pub(crate) fn write_units(before: u64, after: u64, mode: Mode) -> f64 {
    mode.times(before.max(after).div_ceil(WRITE_UNIT).max(1))
}

/// The units of keeping an index in step: one write for an entry that comes or goes, two where it moves, and none where it
/// stays. Entries of the same bytes have the same place.
pub(crate) fn index_units(before: Option<&WireItem>, after: Option<&WireItem>) -> f64 {
    if before == after {
        return 0.0;
    }
    let write = |entry: &WireItem| write_units(0, item_size(entry), Mode::Plain);
    before.map_or(0.0, write) + after.map_or(0.0, write)
}

/// The bytes of an item: of its names and its values.
pub(crate) fn item_size(item: &WireItem) -> u64 {
    item.iter().map(|(name, value)| name.len() as u64 + value_size(value)).sum()
}

fn value_size(value: &Value) -> u64 {
    let Some((kind, value)) = value.as_object().and_then(|object| object.iter().next()) else { return 0 };
    let each = |size: &dyn Fn(&str) -> u64| -> u64 {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(size).sum()
    };
    let text = value.as_str().unwrap_or_default();
    match kind.as_str() {
        "S" => text.len() as u64,
        "N" => number_size(text),
        "B" => binary_size(text),
        "SS" => each(&|text| text.len() as u64),
        "NS" => each(&number_size),
        "BS" => each(&binary_size),
        "L" => 3 + value.as_array().into_iter().flatten().map(|value| 1 + value_size(value)).sum::<u64>(),
        "M" => {
            let entries = value.as_object().into_iter().flatten();
            3 + entries.map(|(name, value)| 1 + name.len() as u64 + value_size(value)).sum::<u64>()
        }
        // A truth or a null.
        _ => 1,
    }
}

/// One byte for two significant digits and one more; a sign takes another, as has been measured.
fn number_size(number: &str) -> u64 {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    // Zeros at either end are an exponent's affair.
    let digits = digits.trim_matches('0');
    (digits.len() as u64).div_ceil(2) + 1 + u64::from(number.starts_with('-'))
}

/// The raw bytes of a text in base64.
fn binary_size(base64: &str) -> u64 {
    (base64.trim_end_matches('=').len() * 3 / 4) as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KB: u64 = 1024;

    fn item(value: Value) -> WireItem {
        let Value::Object(item) = value else { panic!("an item is an object") };
        item
    }

    /// "If you read an item that is 3.5 KB, DynamoDB rounds the item size to 4 KB. If you read an item of 10 KB, DynamoDB
    /// rounds the item size to 12 KB"; and 8 KB take 2 units strongly, 1 eventually, 4 in a transaction.
    #[test]
    fn reads_are_rounded_up_to_four_kilobytes() {
        assert_eq!(read_units(3 * KB + 512, Mode::Plain), 1.0);
        assert_eq!(read_units(10 * KB, Mode::Plain), 3.0);
        let eight = [Mode::Plain, Mode::Eventual, Mode::Transaction].map(|mode| read_units(8 * KB, mode));
        assert_eq!(eight, [2.0, 1.0, 4.0]);
    }

    /// "If BatchGetItem reads a 1.5 KB item and a 6.5 KB item, DynamoDB will calculate the size as 12 KB (4 KB + 8 KB), not
    /// 8 KB".
    #[test]
    fn items_of_a_batch_are_rounded_each() {
        assert_eq!(read_units(KB + 512, Mode::Plain) + read_units(6 * KB + 512, Mode::Plain), 3.0);
    }

    /// "Suppose your query returns 10 items whose combined size is 40.8 KB. DynamoDB rounds the item size for the operation
    /// to 44 KB. If a query returns 1500 items of 64 bytes each, the cumulative size is 96 KB".
    #[test]
    fn items_of_a_query_are_rounded_together() {
        assert_eq!(read_units(40 * KB + 800, Mode::Plain), 11.0);
        assert_eq!(read_units(1500 * 64, Mode::Plain), 24.0);
    }

    /// "If you perform a read operation on an item that doesn't exist, DynamoDB will still consume read throughput".
    #[test]
    fn what_is_not_there_costs_a_unit_to_look_for() {
        assert_eq!([read_units(0, Mode::Plain), read_units(0, Mode::Eventual)], [1.0, 0.5]);
    }

    /// "If BatchWriteItem writes a 500-byte item and a 3.5 KB item, DynamoDB will calculate the size as 5 KB (1 KB + 4 KB)";
    /// and an update costs "the larger of these item sizes", before and after.
    #[test]
    fn writes_are_rounded_up_to_a_kilobyte_of_the_larger_item() {
        let write = |bytes| write_units(0, bytes, Mode::Plain);
        assert_eq!(write(500) + write(3 * KB + 512), 5.0);
        assert_eq!(write_units(2 * KB, 1, Mode::Plain), 2.0);
        assert_eq!(write_units(1, 2 * KB, Mode::Plain), 2.0);
        assert_eq!(write_units(0, 0, Mode::Plain), 1.0, "a delete of nothing");
    }

    /// "Each transaction writes three 500-byte items: two units for each 500-byte item to be written, six in all".
    #[test]
    fn writes_of_a_transaction_cost_twice_as_much() {
        assert_eq!(3.0 * write_units(0, 500, Mode::Transaction), 6.0);
    }

    /// "If an existing item is 300 KB and the new item you are trying to create is 310 KB, the write capacity units consumed
    /// will be the 300 if the condition fails, and 310 if it succeeds".
    #[test]
    fn a_refused_write_costs_what_is_there() {
        assert_eq!(write_units(300 * KB, 0, Mode::Plain), 300.0);
        assert_eq!(write_units(300 * KB, 310 * KB, Mode::Plain), 310.0);
    }

    /// "If an update adds or removes the indexed attribute, one write is required; if it changes an indexed key attribute
    /// from A to B, two writes are required, one to delete the previous item from the index and another to put the new
    /// item; if the item doesn't change in the index, none".
    #[test]
    fn an_index_is_written_once_for_what_comes_or_goes_and_twice_for_what_moves() {
        let entry = |at: &str| item(json!({"pk": {"S": "p"}, "due_at": {"N": at}}));
        let (one, other) = (entry("1"), entry("2"));
        assert_eq!(index_units(None, Some(&one)), 1.0);
        assert_eq!(index_units(Some(&one), None), 1.0);
        assert_eq!(index_units(Some(&one), Some(&other)), 2.0);
        assert_eq!(index_units(Some(&one), Some(&one)), 0.0);
        assert_eq!(index_units(None, None), 0.0);
    }

    #[test]
    fn sizes_are_those_of_names_and_values() {
        assert_eq!(item_size(&item(json!({"größe": {"S": "ß"}}))), 7 + 2);
        assert_eq!(item_size(&item(json!({"b": {"B": "AAECAw=="}, "c": {"B": "AAEC"}}))), 1 + 4 + 1 + 3);
        assert_eq!(item_size(&item(json!({"yes": {"BOOL": true}, "no": {"NULL": true}}))), 3 + 1 + 2 + 1);
        // Three bytes for a list or a map, and one for each of its elements.
        assert_eq!(item_size(&item(json!({"l": {"L": []}, "m": {"M": {}}}))), 1 + 3 + 1 + 3);
        assert_eq!(
            item_size(&item(json!({"l": {"L": [{"S": "ab"}, {"N": "1"}]}}))),
            1 + 3 + (1 + 2) + (1 + 2)
        );
        assert_eq!(item_size(&item(json!({"m": {"M": {"k": {"S": "ab"}}}}))), 1 + 3 + (1 + 1 + 2));
        assert_eq!(item_size(&item(json!({"s": {"SS": ["a", "bc"]}}))), 1 + 1 + 2);
    }

    #[test]
    fn numbers_take_a_byte_for_two_digits_without_zeros_at_the_ends() {
        for (number, size) in
            [("0", 1), ("7", 2), ("99", 2), ("100", 2), ("123", 3), ("-123", 4), ("0.0050", 2), ("1.25e3", 3)]
        {
            assert_eq!(number_size(number), size, "{number}");
        }
    }
}
