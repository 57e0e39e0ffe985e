use serde::Serialize;
use thiserror::Error;

/// One thing that is wrong with a content as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Error)]
#[error("{}{}: {message}", self.path(), self.place())]
pub struct ContentError {
    /// What kind of error, for programs; never changes its meaning.
    ///
    /// `empty_subject`, `empty_body`, `too_large`, `too_deep`, `control_character`, `syntax`, `unsupported_syntax`,
    /// `unknown_helper`, `wrong_arguments`, `unknown_variable`, `not_printable`, `mjml`, `css`, `misplaced_tag`, `empty_text`,
    /// `out_of_range`. Of webhooks
    /// also `empty_url`, `header_name`, `too_many_headers`, `body_not_allowed` and `not_valid`: as it would be rendered, it
    /// can't be sent.
    ///
    /// Of push notifications also `invalid_url`, `invalid_value`, `invalid_name`, `invalid_color`, `invalid_ttl` and
    /// `too_many_entries`.
    pub code: &'static str,
    /// The field: `subject`, `preheader`, `from_name`, `reply_to`, `body.html`, `body.mjml`, `text` of an email; as the content
    /// calls it, of other kinds.
    pub field: &'static str,
    /// Which of a field's entries, where it has names and values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The line, from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What is wrong, for people.
    pub message: String,
}

impl ContentError {
    pub(crate) fn new(code: &'static str, field: &'static str, message: impl Into<String>) -> Self {
        Self { code, field, key: None, line: None, column: None, message: message.into() }
    }

    /// The path of the field, its entry in it.
    pub fn path(&self) -> String {
        path(self.field, self.key.as_deref())
    }

    pub(crate) fn at(mut self, position: Option<(usize, usize)>) -> Self {
        (self.line, self.column) = position.unzip();
        self
    }

    fn place(&self) -> String {
        match (self.line, self.column) {
            (Some(line), Some(column)) => format!(" (line {line}, column {column})"),
            _ => String::new(),
        }
    }
}

/// The path of a field, or of one of its entries.
pub(crate) fn path(field: &str, key: Option<&str>) -> String {
    key.map_or_else(|| field.to_owned(), |key| format!("{field}.{key}"))
}

/// Why a content can't be rendered for one recipient. No message holds a value of the profile.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A value is absent or null, and the version says to skip such recipients.
    #[error("{variable} has no value")]
    MissingValue {
        /// Its path, for example `profile.person.name.firstName`.
        variable: String,
    },
    /// An object or an array stands where a text, a number or a truth value is to be printed.
    #[error("{variable} is {kind} and can't be printed")]
    NotPrintable {
        /// Its path.
        variable: String,
        /// "an object" or "an array".
        kind: &'static str,
    },
    /// A helper can't work with the value it was given.
    #[error("{helper} at line {line}: {message}")]
    InvalidValue {
        /// The helper's name.
        helper: &'static str,
        /// The line of the field as it was compiled, from 1.
        line: usize,
        /// What it expects.
        message: String,
    },
    /// What was rendered can't be sent as what it is meant to be.
    #[error("{field}: {message}")]
    NotValid {
        /// The field, its entry in it.
        field: String,
        /// What is wrong, and where, without what stands there.
        message: String,
    },
    /// The result is out of all proportion, or a loop would not come to an end in reasonable time.
    #[error("the rendered {what} is over the limit of {limit}")]
    TooLarge {
        /// What was counted, with its unit.
        what: &'static str,
        /// The largest allowed.
        limit: usize,
    },
}
