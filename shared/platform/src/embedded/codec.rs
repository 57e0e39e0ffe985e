//! How attributes are stored: postcard, as a map from name to value in the order of the names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::{PlatformError, Value};

/// The stored form of a [`Value`]: the same variants in the same order, but borrowed, and with bytes written as one run.
#[derive(Serialize, Deserialize)]
enum Stored<'a> {
    S(&'a str),
    N(i64),
    B(#[serde(serialize_with = "as_one_run")] &'a [u8]),
}

fn as_one_run<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

struct Attributes<'a>(&'a BTreeMap<String, Value>);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| {
            let stored = match value {
                Value::S(text) => Stored::S(text),
                Value::N(number) => Stored::N(*number),
                Value::B(bytes) => Stored::B(bytes),
            };
            (name, stored)
        }))
    }
}

/// The bytes to store; `size` is about how many they will be.
pub(super) fn encode(attributes: &BTreeMap<String, Value>, size: usize) -> Result<Vec<u8>, PlatformError> {
    postcard::to_extend(&Attributes(attributes), Vec::with_capacity(size + 16))
        .map_err(|error| PlatformError::Invalid(format!("attributes that can't be stored: {error}")))
}

/// The attributes that [`encode`] stored.
pub(super) fn decode(body: &[u8]) -> Result<BTreeMap<String, Value>, PlatformError> {
    let stored: Vec<(&str, Stored<'_>)> =
        postcard::from_bytes(body).map_err(|error| PlatformError::Corrupt(error.to_string()))?;
    let value = |stored| match stored {
        Stored::S(text) => Value::S(text.to_owned()),
        Stored::N(number) => Value::N(number),
        Stored::B(bytes) => Value::B(bytes.to_vec()),
    };
    Ok(stored.into_iter().map(|(name, stored)| (name.to_owned(), value(stored))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("text".to_owned(), Value::from("Zoë 🏔\0")),
            ("empty".to_owned(), Value::from("")),
            ("low".to_owned(), Value::N(i64::MIN)),
            ("high".to_owned(), Value::N(i64::MAX)),
            ("bytes".to_owned(), Value::B((0..=255).collect())),
        ])
    }

    #[test]
    fn what_is_stored_comes_back() {
        for attributes in [BTreeMap::new(), sample()] {
            assert_eq!(decode(&encode(&attributes, 0).unwrap()).unwrap(), attributes);
        }
    }

    #[test]
    fn the_form_is_plain_postcard_of_the_map() {
        assert_eq!(encode(&sample(), 0).unwrap(), postcard::to_stdvec(&sample()).unwrap());
    }

    #[test]
    fn a_cut_body_is_corrupt() {
        let body = encode(&sample(), 0).unwrap();
        assert!(matches!(decode(&body[..body.len() - 1]), Err(PlatformError::Corrupt(_))));
    }
}
