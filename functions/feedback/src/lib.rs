//! What providers tell of the messages they were handed, brought to the ledger.
//!
//! Events come by a queue: from SNS and EventBridge as they are, and from [`router`]'s paths for whoever posts them by HTTP.
//! [`read`] makes one shape of them; [`handle`] settles members in doubt by them, joins what they say to what is known of
//! their members, keeps the suppression list, and sees to it that callers are told. Duplicates and any order come to the
//! same.
//!
//! | path | who posts | body |
//! |---|---|---|
//! | `POST /feedback/sns` | a topic of SNS that `ENVOI_SNS_TOPICS` names, by its signature | SNS's own |
//! | `POST /feedback/events` | whoever has a key of a manager: a provider's webhook, or who translates one | `{"events": [...]}`: [`http`] |
//! | `POST /feedback/bounces` | the same: a mail server that has a bounce for the sender's mailbox | `message/rfc822`: a report after RFC 3464 or RFC 5965; or events |

mod apply;
mod context;
mod event;
mod handler;
pub mod http;
pub mod read;
pub mod sns;
mod suppress;

pub use context::Context;
pub use event::ProviderEvent;
pub use handler::handle;
pub use http::router;
