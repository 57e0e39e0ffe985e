//! Email: from rendered messages to a provider.
//!
//! What a provider says of a message is an [`Answer`], and the whole crate exists to give the right one: a message that
//! was surely not taken may be sent again, a message that may have been taken must not.

pub mod answer;
#[cfg(feature = "outbox")]
pub mod outbox;
#[cfg(feature = "smtp")]
pub mod smtp;

pub use answer::{Answer, NotAccepted, Refusal};
