//! HTTP calls to addresses that users configure, and their signatures.
//!
//! Whoever may name an address could name one that only we can reach: a database beside us, the machine's metadata. So a
//! [`Client`] connects to nothing but what its [`Policy`] admits, and checks the very address it connects to, not the name:
//! a name may lead elsewhere the next time it is asked for. It follows no redirect, reads no more of an answer than a cap,
//! and tells apart what surely was not taken from what may have been. [`standard_webhooks`] signs what is sent; a
//! [`service_account`] is how Google's services know us.
//!
//! This crate knows nothing of campaigns.

mod address;
mod client;
mod connect;
mod policy;
mod retry_after;
pub mod service_account;
pub mod standard_webhooks;

pub use address::Kind;
pub use client::{Client, Error, Limits};
pub use policy::{BadEntry, Policy, Refusal};
pub use retry_after::retry_after;
