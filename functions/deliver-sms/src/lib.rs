//! Text messages: from a chunk in the ledger to a provider, which is AWS End User Messaging or whoever takes them by HTTP.
//!
//! As with every channel, all depends on the right answer: a message that was surely not taken may be sent again, a message
//! that may have been taken must not.

#[cfg(feature = "aws")]
pub mod aws;
mod context;
mod gateway;
mod handler;
mod message;
mod sender;

pub use context::Context;
pub use handler::{handle, handle_event};
pub use message::Text;
pub use sender::SmsSender;
