//! Email: from a chunk in the ledger to a provider.
//!
//! What a provider says of a message is an [`Answer`], and the whole crate exists to give the right one: a message that
//! was surely not taken may be sent again, a message that may have been taken must not.

pub mod answer;
mod context;
#[cfg(all(
    any(feature = "aws", feature = "embedded"),
    any(feature = "outbox", feature = "ses", feature = "smtp")
))]
mod environment;
mod handler;
mod letter;
#[cfg(feature = "outbox")]
pub mod outbox;
#[cfg(any(feature = "ses", feature = "smtp"))]
mod redact;
mod sender;
#[cfg(feature = "ses")]
pub mod ses;
#[cfg(feature = "smtp")]
pub mod smtp;

pub use answer::{Answer, NotAccepted, Refusal};
pub use context::Context;
pub use delivery::tags;
pub use handler::{handle, handle_event};
pub use letter::Letter;
pub use sender::{EmailSender, Provider};
