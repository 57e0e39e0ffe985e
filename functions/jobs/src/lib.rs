//! Jobs: imports of files, counts of segments, exports and erasures of people, a slice at a time.

mod context;
mod count;
mod delete_list;
mod erase;
mod errors;
mod export;
mod handler;
mod import;

#[cfg(test)]
mod tests;

pub use context::{Context, Pace};
pub use handler::{go_on, handle};
