//! What an action says, made ready for sending: everything that can be done once a version is done, and only templates
//! are left. It is written when a draft's activation is asked for, and never changes once that is the live version.

use serde::{Deserialize, Serialize};

use crate::Channel;
use crate::content::{PushContent, SmsContent, WebhookContent};

/// The form in which emails are written now. A reader knows the earlier ones too, and refuses a later one, which it would
/// misread. The first had no links: what was written in it is sent without counting clicks or opens.
pub const EMAIL_FORMAT: u32 = 2;
/// The largest lowered content of one action, as JSON: it is one item of the control table, and an item has 400 KiB.
pub const MAX_LOWERED_BYTES: usize = 380 * 1024;
/// The largest lowered contents of a version together, as JSON: they are written in one transaction of 4 MiB.
pub const MAX_LOWERED_TOTAL_BYTES: usize = 3584 * 1024;

/// The lowered content of one action; each channel has its own kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "snake_case")]
pub enum LoweredContent {
    /// An email.
    Email(LoweredEmail),
    /// A text message: there is nothing to be lowered.
    Sms(SmsContent),
    /// A push notification: there is nothing to be lowered.
    Push(Box<PushContent>),
    /// An HTTP call: there is nothing to be lowered.
    Webhook(WebhookContent),
}

impl LoweredContent {
    /// The channel it is for.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Email(_) => Channel::Email,
            Self::Sms(_) => Channel::Sms,
            Self::Push(_) => Channel::Push,
            Self::Webhook(_) => Channel::Webhook,
        }
    }

    /// Whether a program of this version can read it: it was not written by a later one in a form of its own.
    pub const fn is_known(&self) -> bool {
        match self {
            Self::Email(email) => email.is_known(),
            Self::Sms(_) | Self::Push(_) | Self::Webhook(_) => true,
        }
    }
}

/// An email of which nothing is left to do but to fill in what is about the recipient: MJML is HTML, CSS is inlined, the
/// preheader stands in the body, the text part is there. Every text is a Handlebars template over `profile` and `context`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoweredEmail {
    /// The form in which the rest is written: [`EMAIL_FORMAT`] when it was.
    pub format: u32,
    /// The subject line.
    pub subject: String,
    /// The sender's display name; the configuration's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// The address that answers go to; the configuration's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The HTML part; empty for an email of text only.
    #[serde(default)]
    pub html: String,
    /// The text part.
    #[serde(default)]
    pub text: String,
    /// Whether the text part was derived from the HTML, and so may be tidied once it is rendered.
    #[serde(default)]
    pub text_is_derived: bool,
    /// The links of the HTML whose clicks can be counted, by their numbers: the first is 0. Two that have the same URL and the
    /// same label are one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LoweredLink>,
}

impl LoweredEmail {
    /// Whether it is written in a form that is known here.
    pub const fn is_known(&self) -> bool {
        1 <= self.format && self.format <= EMAIL_FORMAT
    }
}

/// A link of an email, as its author wrote it: what reports call it by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LoweredLink {
    /// The URL, with the template's tags in it, entities decoded.
    pub url: String,
    /// What tells it from others that lead to the same URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}
