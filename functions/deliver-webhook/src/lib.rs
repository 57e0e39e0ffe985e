//! Webhooks: from a chunk in the ledger to an HTTP call for each recipient.
//!
//! A call carries the name of its logical message as `webhook-id`, the same each time it is tried, and is signed after the
//! Standard Webhooks specification where the configuration has a key. Where it may go is the configuration's and the
//! operator's to say: the content's author, and still less a profile, can't reach into our own network ([`outbound`]).

mod answer;
mod call;
mod context;
mod handler;
mod keys;
mod sender;

pub use context::Context;
pub use handler::{handle, handle_event};
pub use sender::WebhookSender;
