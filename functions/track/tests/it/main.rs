//! Public links over an engine in memory, by the router itself.

#![allow(clippy::unwrap_used, reason = "a failure is a panic")]

mod outage;
mod paths;
mod unsubscribe;
mod view;
mod visits;
mod world;
