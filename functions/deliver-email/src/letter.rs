//! An email ready to be handed over, and what it is made from.

use std::fmt;
use std::sync::Arc;

use campaign::Code;
use campaign::configuration::EmailSender as From;
use campaign::content::OnMissing;
use content::{EmailTemplate, Mailbox, MessageHeaders, RenderError, build_message};
use delivery::MessageId;
use serde_json::{Map, Value};

/// An email ready to be handed over.
#[cfg_attr(not(any(feature = "ses", feature = "smtp")), expect(dead_code, reason = "a file has no envelope"))]
pub struct Letter {
    pub(crate) id: MessageId,
    pub(crate) from: Arc<str>,
    pub(crate) to: String,
    pub(crate) message: Vec<u8>,
}

impl fmt::Debug for Letter {
    /// Without addresses or text: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter")
            .field("id", &self.id)
            .field("message_bytes", &self.message.len())
            .finish_non_exhaustive()
    }
}

/// What a letter is made from.
pub(crate) struct Draft<'a> {
    pub(crate) template: &'a EmailTemplate,
    pub(crate) from: &'a From,
    pub(crate) to: &'a str,
    /// What templates see as `profile`.
    pub(crate) profile: Map<String, Value>,
    /// What templates see as `context`.
    pub(crate) context: &'a Value,
    pub(crate) on_missing: OnMissing,
    /// Names the logical message: the left part of the Message-ID.
    pub(crate) id: MessageId,
    pub(crate) now_seconds: i64,
}

impl Draft<'_> {
    /// Renders and builds the email.
    ///
    /// # Errors
    /// The `failed` or `excluded` code, and why.
    pub(crate) fn letter(self) -> Result<Letter, (Code, String)> {
        let Self { from, to, id, .. } = self;
        let mut rendered = self
            .template
            .render(&Value::Object(self.profile), self.context, self.on_missing)
            .map_err(|error| (code_of(&error), error.to_string()))?;
        if matches!(id, MessageId::Proof { .. }) {
            rendered.subject.insert_str(0, "[Proof] ");
        }
        let message_id = format!("{id}@{}", from.from.domain());
        let headers = MessageHeaders {
            from: Mailbox { name: from.from_name.as_deref(), address: from.from.as_str() },
            to: Mailbox { name: None, address: to },
            reply_to: from.reply_to.as_ref().map(|address| Mailbox { name: None, address: address.as_str() }),
            message_id: &message_id,
            date_unix_seconds: self.now_seconds,
            list_unsubscribe: None,
            extra: Vec::new(),
        };
        let message =
            build_message(&headers, &rendered).map_err(|error| (Code::RenderFailed, error.to_string()))?;
        Ok(Letter { id, from: from.from.as_str().into(), to: to.to_owned(), message })
    }
}

fn code_of(error: &RenderError) -> Code {
    match error {
        RenderError::MissingValue { .. } => Code::MissingValue,
        _ => Code::RenderFailed,
    }
}
