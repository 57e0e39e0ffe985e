//! Fault simulation: a whole campaign on a clock of its own, in which any one call to a port or to the provider can
//! fail or be the process's last.
//!
//! The world is deterministic: one thread, an engine in memory, a clock that jumps. So the n-th call of a run is the same
//! call each time, and every one of them can be tried.

mod clock;
mod faults;
mod people;
mod ports;
mod provider;
mod verdict;
mod world;

pub use clock::JumpClock;
pub use faults::{Fault, Faults};
pub use people::{Fate, Person};
pub use provider::{Letter, Provider, Trouble};
pub use verdict::Verdict;
pub use world::{
    Answer, Beside, Delivered, Heard, Options, Post, Process, Told, World, chance, edit_configuration,
    furnish,
};
