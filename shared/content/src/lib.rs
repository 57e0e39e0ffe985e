//! What a message says: templates, personalization, HTML preparation and the MIME message. Pure: no I/O, no clock.
//!
//! A version's content is *lowered* once, when it is activated ([`lower()`]): limits, MJML, CSS inlining, the text part.
//! What comes of it is stored, and is all that a delivery reads: it compiles it once a process
//! ([`EmailTemplate::from_lowered`]). Rendering for one recipient then only walks programs over borrowed JSON, and
//! [`build_message`] puts the result on the wire. Preview, validation, proof and batch all go this way, so what was
//! previewed is what is sent. The HTML tools that only lowering needs are behind the feature `lower`.

#[cfg(feature = "lower")]
mod body;
mod email;
mod error;
#[cfg(feature = "lower")]
mod lower;
mod mime;
mod position;
mod template;

pub use email::{EmailTemplate, LoweredError, RenderedEmail};
pub use error::{ContentError, RenderError};
#[cfg(feature = "lower")]
pub use lower::{CompileOptions, Lowered, Variable, lower};
pub use mime::{Mailbox, MessageHeaders, MimeError, build_message};
