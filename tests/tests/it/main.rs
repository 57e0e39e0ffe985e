//! Every integration test, in one binary.

#![allow(clippy::unwrap_used, reason = "a failure is a panic")]

mod calls;
mod channels;
mod contract;
mod crash;
mod deployed;
mod embedded;
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
mod schemathesis;
mod simulation;
mod sms;
mod smtp;
mod triggered;
mod vault;
mod waves;
mod webhook;
