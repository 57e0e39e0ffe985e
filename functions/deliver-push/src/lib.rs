//! Push notifications: from a chunk in the ledger to Firebase Cloud Messaging, by its HTTP v1 API.
//!
//! A profile has a token for each app on each device, and a notification goes to all of those that the configuration
//! selects, each by a request of its own. The ledger has one outcome for all of them, and it is chosen so that nobody is
//! sent anything twice: it is *sent* as soon as one device's message was taken, though another's was not; where none was,
//! it is in doubt if one may have been; it is tried again only if none was and none may have been; and it is refused
//! only if all were. What a token is refused for stays with it: one that FCM no longer knows is removed from the profile.

mod access;
mod answer;
mod context;
mod device;
mod fcm;
mod handler;
mod message;
mod sender;
mod verdict;

pub use context::Context;
pub use fcm::Fcm;
pub use handler::{handle, handle_event};
pub use message::Push;
pub use sender::{PushSender, Template};
