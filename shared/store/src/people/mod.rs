//! What is held of one person: all of it given out, or all of it erased.
//!
//! The ledger knows people by random ids alone and has no index of them, so both walk through all of it, a slice at a time.

mod erase;
mod export;
#[cfg(test)]
mod tests;

pub use erase::{Erased, Erasing};
pub use export::Exporting;

/// How many of the ledger's items are looked at at once.
const PAGE: usize = 500;
/// How many segments are looked at at once.
const SEGMENTS: usize = 50;
