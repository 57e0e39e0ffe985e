//! Public links: what a message's links say of it, signed, so that nobody can make one up or turn one elsewhere.
//!
//! A link is `{base}/t/{kind}/{token}`: an open's picture under `o`, a click under `c` with its target behind the token, an
//! unsubscription under `u`, the message as a page under `v`. The token is the base64url of what the link is about and of a
//! MAC over that and the target. No link is looked up anywhere to be understood, and none leads where it was not made to.
//! Pure: no I/O, no clock.

mod issuer;
mod keys;
mod token;

pub use issuer::{Issuer, target_of};
pub use keys::{KEY_BYTES, LinkKey, LinkKeys, MOST_KEYS, MOST_UNSUBSCRIBE_KEYS};
pub use token::{About, DAYS, Day, Kind, Link, TokenError, day_of};
