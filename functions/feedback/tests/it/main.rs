//! The function against fixtures of what providers tell, in every envelope and order, on a clock that the tests move.

#![allow(clippy::unwrap_used, reason = "a failure is a panic")]

mod applies;
mod envelopes;
mod fixtures;
mod http;
mod mail;
mod world;
