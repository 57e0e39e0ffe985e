//! What only the embedded engine promises: its folder, its group commits, its waiting, and that a kill loses nothing.

mod crash;
mod groups;
mod opening;
mod waiting;
