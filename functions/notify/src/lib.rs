//! Tells callers what became of their messages: an event for each, posted to their own addresses and signed after
//! Standard Webhooks.
//!
//! What was decided comes by a queue, and is posted at once. What an address does not take waits for its time in the
//! control table, for a day and some; what it has not taken by then is a dead letter, which an operator can have sent
//! again. An address that is slow or down costs the others nothing: what is for it is put with what waits, and only one
//! worker at a time goes on with that.

mod addresses;
mod context;
mod event;
mod handler;
mod post;
mod schedule;
mod waiting;

pub use context::Context;
pub use handler::handle;
