//! Cursors: opaque to the caller, and good for the list that gave them only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Kind, Problem};

/// The longest text in a position, in bytes: it stands for a key of a table, of which none is longer, or empty.
const MAX_KEY: usize = 1024;

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    /// Which list.
    l: String,
    /// Where in it.
    p: T,
}

/// The cursor of a position in a list.
pub(crate) fn encode<T: Serialize>(list: &str, position: T) -> String {
    let envelope = Envelope { l: list.to_owned(), p: position };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&envelope).expect("positions are plain data"))
}

/// The position of a cursor that this list gave.
pub(crate) fn decode<T: DeserializeOwned>(list: &str, cursor: Option<&str>) -> Result<Option<T>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| foreign())?;
    let envelope: Envelope<Value> = serde_json::from_slice(&bytes).map_err(|_| foreign())?;
    if envelope.l != list || !holds_keys(&envelope.p) {
        return Err(foreign());
    }
    serde_json::from_value(envelope.p).map(Some).map_err(|_| foreign())
}

/// Whether every text in a position could be a key.
fn holds_keys(position: &Value) -> bool {
    match position {
        Value::String(text) => (1..=MAX_KEY).contains(&text.len()),
        Value::Array(parts) => parts.iter().all(holds_keys),
        Value::Object(parts) => parts.values().all(holds_keys),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// A cursor that this list did not give.
pub(crate) fn foreign() -> Problem {
    Problem::new(Kind::InvalidCursor, "cursor: give back the next_cursor of a page of this list")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let cursor = encode("campaigns", "abc");
        assert_eq!(decode::<String>("campaigns", Some(&cursor)), Ok(Some("abc".to_owned())));
        for foreign in [encode("segments", "abc"), encode("campaigns", 3), "!!".to_owned(), String::new()] {
            assert_eq!(decode::<String>("campaigns", Some(&foreign)).unwrap_err().kind, Kind::InvalidCursor);
        }
    }
    #[test]
    fn a_position_that_no_table_has_is_none() {
        let key = |length| "x".repeat(length);
        let read = |cursor: &str| decode::<Value>("l", Some(cursor)).map_err(|problem| problem.kind);
        for position in [json!(key(MAX_KEY)), json!([0, key(MAX_KEY)]), json!([0, null])] {
            assert_eq!(read(&encode("l", position.clone())), Ok(Some(position)));
        }
        for length in [0, MAX_KEY + 1] {
            for crafted in [json!(key(length)), json!([0, key(length)]), json!({ "key": key(length) })] {
                assert_eq!(read(&encode("l", crafted)), Err(Kind::InvalidCursor));
            }
        }
    }
}
