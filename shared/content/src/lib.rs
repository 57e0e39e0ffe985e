//! What a message says: templates, personalization, HTML preparation and the MIME message. Pure: no I/O, no clock.
//!
//! A version's content is *lowered* once, when it is activated ([`lower()`]): limits, MJML, CSS inlining, the text part.
//! What comes of it is stored, and is all that a delivery reads: it compiles it once a process
//! ([`EmailTemplate::from_lowered`]). Rendering for one recipient then only walks programs over borrowed JSON, and
//! [`build_message`] puts the result on the wire. Preview, validation, proof and batch all go this way, so what was
//! previewed is what is sent. The HTML tools that only lowering needs are behind the feature `lower`.

mod any;
#[cfg(feature = "lower")]
mod body;
mod email;
mod error;
#[cfg(feature = "lower")]
mod lower;
mod mime;
mod position;
mod push;
mod sms;
mod template;
mod url;
mod webhook;

pub use any::{AnyTemplate, Rendered};
pub use email::{EmailTemplate, LoweredError, Part, RenderedEmail};
pub use error::{ContentError, RenderError};
/// What makes the links of a message, for [`EmailTemplate::render`].
pub use links::Issuer;
#[cfg(feature = "lower")]
pub use lower::{CompileOptions, Lowered, Variable, lower, lower_email};
pub use mime::{Mailbox, MessageHeaders, MimeError, build_message};
pub use push::{MAX_PUSH_BYTES, PUSH_LINK, PushTemplate, RenderedPush};
pub use sms::{
    Encoding, RenderedSms, Segments, SmsRequest, SmsRequestError, SmsRequestTemplate, SmsTemplate, SmsValues,
    beyond_gsm7, says, segments,
};
pub use template::Ours;
pub use url::WebUrl;
pub use webhook::{Destination, RenderedWebhook, WebhookTemplate};
