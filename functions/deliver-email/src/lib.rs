//! Email: from a chunk in the ledger to a provider.
//!
//! What a provider says of a message is an [`Answer`], and the whole crate exists to give the right one: a message that
//! was surely not taken may be sent again, a message that may have been taken must not.

pub mod answer;
mod context;
#[cfg(all(feature = "embedded", feature = "smtp", feature = "outbox"))]
mod environment;
mod handler;
#[cfg(feature = "outbox")]
pub mod outbox;
mod proof;
mod sender;
#[cfg(feature = "smtp")]
pub mod smtp;

pub use answer::{Answer, NotAccepted, Refusal};
pub use context::Context;
pub use handler::{handle, handle_event, handle_proofs};
pub use sender::{EmailSender, Letter, Provider};
