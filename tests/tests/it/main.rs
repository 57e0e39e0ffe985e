//! Every integration test, in one binary.

#![allow(clippy::unwrap_used, reason = "a failure is a panic")]

mod calls;
mod channels;
mod consent;
mod contract;
mod crash;
mod delivery_rules;
mod deployed;
mod embedded;
mod erasure;
mod feedback;
mod jobs;
mod journey;
mod lambda;
mod leases;
mod life;
mod logs;
mod modify;
mod pause;
mod promises;
mod push;
mod rates;
mod recurring;
mod reports;
mod schemathesis;
mod settled;
mod simulation;
mod sms;
mod smtp;
mod tracking;
mod triggered;
mod vault;
mod waves;
mod webhook;
