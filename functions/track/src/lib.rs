//! Public links: what recipients, and the programs around them, ask for by the links of a message.
//!
//! | path | |
//! |---|---|
//! | `/t/o/{token}` | a picture of one pixel; the message counts as opened |
//! | `/t/c/{token}/{target}` | leads on to the target, and to nothing else; the link counts as followed |
//! | `/t/u/{token}` | a page to unsubscribe by, and what its button and one-click unsubscription (RFC 8058) post to |
//! | `/t/v/{token}` | the message as a page |
//!
//! Nobody has a key here: a token says what it is about and is signed ([`links`]). GET and HEAD change nothing but counts.
//! Whoever visits is a person or a program, by what the request says of itself; programs are counted apart. Nothing
//! here keeps or logs an IP address, sets a cookie or runs a script.

mod access_log;
mod click;
mod context;
mod language;
mod location;
mod open;
mod page;
mod router;
mod templates;
mod texts;
mod unsubscribe;
mod view;
mod visit;
mod visitor;

pub use access_log::RequestId;
pub use context::Context;
pub use router::router;
