//! The API over the embedded engine in memory, from the outside: requests in, answers out.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod allowed;
mod app;
mod auth;
mod calls;
mod campaign_list;
mod campaigns;
mod channels;
mod configurations;
mod credentials;
mod delivery_rules;
mod endpoints;
mod executions;
mod idempotency;
mod import;
mod jobs;
mod life;
mod openapi;
mod outage;
mod pauses;
mod people;
mod problems;
mod profiles;
mod push;
mod reports;
mod schedules;
mod segments;
mod sms;
mod suppressions;
mod topics;
mod waves;
