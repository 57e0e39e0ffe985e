//! What a message says: templates, personalization, HTML preparation and the MIME message. Pure: no I/O, no clock.
//!
//! A version's content is compiled once ([`EmailTemplate::compile`]): limits, MJML, CSS inlining, the text part and the
//! Handlebars programs. Rendering for one recipient then only walks those programs over borrowed JSON, and
//! [`build_message`] puts the result on the wire. Preview, proof, batch and API all go through these two calls, so
//! what was previewed is what is sent.

mod body;
mod email;
mod error;
mod mime;
mod position;
mod template;

pub use email::{CompileOptions, EmailTemplate, RenderedEmail, Variable};
pub use error::{ContentError, RenderError};
pub use mime::{Mailbox, MessageHeaders, MimeError, build_message};
