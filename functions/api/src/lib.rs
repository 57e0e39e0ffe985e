//! The HTTP API: campaigns, profiles, segments, configurations, executions, jobs, API keys.
//!
//! [`router`] is the whole of it, over a [`Context`]; the function's main and the local server both serve it.
#![allow(
    unused_qualifications,
    reason = "the macro that documents operations qualifies the types it is given"
)]

mod access_log;
mod allowed;
mod auth;
mod campaigns;
mod configurations;
mod context;
mod credentials;
mod cursor;
mod endpoints;
mod error;
mod executions;
mod extract;
mod handler;
mod health;
mod idempotency;
mod im;
mod jobs;
mod keys;
mod objects;
mod openapi;
mod operations;
mod page;
mod profiles;
mod reports;
mod rules;
mod schema;
mod segments;
mod suppressions;
mod topics;
mod usage;

pub use access_log::RequestId;
pub use context::Context;
pub use handler::{openapi, router};
