//! What only the embedded engine promises: its folder, its group commits, its waiting, and that a kill loses nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod crash;
mod erasing;
mod groups;
mod opening;
mod waiting;
