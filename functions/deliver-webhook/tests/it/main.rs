//! The webhook channel against a receiver that speaks HTTP as servers do, or as networks do.

#![expect(clippy::unwrap_used, reason = "a test is allowed to panic")]

mod answers;
mod doubt;
mod reach;
mod receiver;
mod signature;
mod world;
