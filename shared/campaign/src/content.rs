//! What an action says: its templates, as the user wrote them.

use serde::{Deserialize, Serialize};

/// The largest content of one action, as JSON: it is one item of the control table.
pub const MAX_CONTENT_BYTES: usize = 256 * 1024;

/// The content of one action; each channel has its own kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "snake_case")]
pub enum Content {
    /// An email.
    Email(EmailContent),
}

/// An email. Every field is a Handlebars template over `profile` and `context`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailContent {
    /// The subject line.
    pub subject: String,
    /// The line that mail readers show behind the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preheader: Option<String>,
    /// The sender's display name; the configuration's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// The address that answers go to; the configuration's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The body.
    pub body: EmailBody,
    /// The plain text part; derived from the body where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The body of an email, in the language it was written in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailBody {
    /// HTML.
    Html(String),
    /// MJML, turned into HTML when the version is compiled.
    Mjml(String),
}

impl Default for EmailBody {
    fn default() -> Self {
        Self::Html(String::new())
    }
}

/// What to do where a template asks for a value that is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// Write nothing in its place; the `default` helper still applies.
    #[default]
    Blank,
    /// Leave the recipient out, with the reason `missing_value`.
    Skip,
}
