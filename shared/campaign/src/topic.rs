//! Topics: what marketing is about, as far as people may choose. Who has said no to a topic gets nothing about it, and
//! everything else as before.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// The most topics there are.
pub const MAX_TOPICS: usize = 50;
/// The longest id, in bytes.
pub const MAX_ID: usize = 40;
/// The most languages that a topic has a name in.
pub const MAX_LANGUAGES: usize = 10;
/// The longest name, in characters.
pub const MAX_TOPIC_NAME: usize = 100;
/// The longest language tag, in bytes: that of a profile.
const MAX_LANGUAGE: usize = 35;
/// Whose name is shown to people of a language in which there is none.
const COMMON_LANGUAGE: &str = "en";

/// A topic's id, such as `newsletter`: in campaigns, in profiles and in storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TopicId(String);

/// A text that is no topic's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a topic's id has 1 to {MAX_ID} of a-z, 0-9, _ and -, and begins with a letter or a digit")]
pub struct InvalidTopicId;

/// A topic's name is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct TopicError {
    /// The field's path.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl TopicId {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text is a topic's id.
    pub fn is_one(text: &str) -> bool {
        let is_start = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let mut bytes = text.bytes();
        text.len() <= MAX_ID
            && bytes.next().is_some_and(is_start)
            && bytes.all(|byte| is_start(byte) || matches!(byte, b'_' | b'-'))
    }
}

impl FromStr for TopicId {
    type Err = InvalidTopicId;

    fn from_str(text: &str) -> Result<Self, InvalidTopicId> {
        if Self::is_one(text) { Ok(Self(text.to_owned())) } else { Err(InvalidTopicId) }
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TopicId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// What people see it called, by language: `en`, `pt-BR`.
    pub names: BTreeMap<String, String>,
}

impl Topic {
    /// Checks its names.
    ///
    /// # Errors
    /// [`TopicError`] names the field.
    pub fn check(&self) -> Result<(), TopicError> {
        let error = |field: String, message: String| Err(TopicError { field, message });
        if self.names.is_empty() || self.names.len() > MAX_LANGUAGES {
            return error("names".to_owned(), format!("has a name in 1 to {MAX_LANGUAGES} languages"));
        }
        for (language, name) in &self.names {
            let is_tag = (2..=MAX_LANGUAGE).contains(&language.len())
                && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if !is_tag {
                return error("names".to_owned(), "a language is a tag such as en or pt-BR".to_owned());
            }
            if name.trim().is_empty() || name.chars().count() > MAX_TOPIC_NAME {
                return error(format!("names.{language}"), format!("has 1 to {MAX_TOPIC_NAME} characters"));
            }
        }
        Ok(())
    }

    /// What it is called for somebody of this language: in it, else in the language it is a kind of (`pt` of `pt-BR`), else
    /// in English, else in any; its id where it has no name at all.
    ///
    /// ```
    /// use campaign::topic::Topic;
    ///
    /// let news: Topic = serde_json::from_value(serde_json::json!({
    ///     "id": "news", "names": { "en": "News", "fr": "Nouvelles" },
    /// })).unwrap();
    /// assert_eq!(news.name_in("fr-CA"), "Nouvelles");
    /// assert_eq!(news.name_in("de"), "News");
    /// ```
    pub fn name_in(&self, language: &str) -> &str {
        let find = |wanted: &str| {
            self.names
                .iter()
                .find(|(language, _)| language.eq_ignore_ascii_case(wanted))
                .map(|(_, name)| name)
        };
        let general = language.split(['-', '_']).next().unwrap_or(language);
        find(language)
            .or_else(|| find(general))
            .or_else(|| find(COMMON_LANGUAGE))
            .or_else(|| self.names.values().next())
            .map_or(self.id.as_str(), String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(names: &[(&str, &str)]) -> Topic {
        let names = names.iter().map(|(language, name)| ((*language).to_owned(), (*name).to_owned()));
        Topic { id: "news".parse().unwrap(), names: names.collect() }
    }

    #[test]
    fn an_id_is_short_plain_text() {
        for id in ["n", "newsletter", "2for1", "product_news-eu", &"x".repeat(MAX_ID)] {
            assert_eq!(id.parse::<TopicId>().unwrap().to_string(), id);
        }
        for id in ["", "News", "-x", "_x", "a b", "a.b", "é", &"x".repeat(MAX_ID + 1)] {
            assert_eq!(id.parse::<TopicId>(), Err(InvalidTopicId), "{id}");
        }
    }

    #[test]
    fn a_name_is_that_of_the_language_or_the_nearest_there_is() {
        let both = topic(&[("en", "News"), ("fr", "Nouvelles"), ("pt-BR", "Novidades")]);
        for (language, name) in [
            ("fr", "Nouvelles"),
            ("FR-ca", "Nouvelles"),
            ("pt-br", "Novidades"),
            ("pt", "News"),
            ("", "News"),
        ] {
            assert_eq!(both.name_in(language), name, "{language}");
        }
        assert_eq!(topic(&[("fr", "Nouvelles")]).name_in("en"), "Nouvelles");
        assert_eq!(topic(&[]).name_in("en"), "news");
    }

    #[test]
    fn what_is_wrong_with_names_is_named() {
        assert_eq!(topic(&[("en", "News")]).check(), Ok(()));
        let long = "x".repeat(MAX_TOPIC_NAME + 1);
        for (names, field) in [
            (&[][..], "names"),
            (&[("", "News")], "names"),
            (&[("en us", "News")], "names"),
            (&[("en", " ")], "names.en"),
            (&[("en", long.as_str())], "names.en"),
        ] {
            assert_eq!(topic(names).check().unwrap_err().field, field, "{names:?}");
        }
    }
}
