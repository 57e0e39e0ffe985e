//! Cursors: opaque to the caller, and good for the list that gave them only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Kind, Problem};

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
    let envelope: Envelope<T> = serde_json::from_slice(&bytes).map_err(|_| foreign())?;
    if envelope.l == list { Ok(Some(envelope.p)) } else { Err(foreign()) }
}

/// A cursor that this list did not give.
pub(crate) fn foreign() -> Problem {
    Problem::new(Kind::InvalidCursor, "cursor: give back the next_cursor of a page of this list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let cursor = encode("campaigns", "abc");
        assert_eq!(decode::<String>("campaigns", Some(&cursor)), Ok(Some("abc".to_owned())));
        for foreign in [encode("segments", "abc"), encode("campaigns", 3), "!!".to_owned(), String::new()] {
            assert_eq!(decode::<String>("campaigns", Some(&foreign)).unwrap_err().kind, Kind::InvalidCursor);
        }
    }
}
