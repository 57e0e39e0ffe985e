//! The function against receivers on this machine, on a clock that the tests move.

#![allow(clippy::unwrap_used, reason = "a failure is a panic")]

mod receiver;
mod tells;
mod waits;
mod world;
