//! Jobs: imports of files and counts of segments, a slice at a time.

mod context;
mod count;
mod errors;
mod handler;
mod import;

#[cfg(test)]
mod tests;

pub use context::{Context, Pace};
pub use handler::{go_on, handle};
