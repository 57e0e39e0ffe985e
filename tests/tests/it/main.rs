//! Every integration test, in one binary.

#![allow(clippy::unwrap_used, reason = "a failure is a panic")]

mod contract;
mod crash;
mod deployed;
mod embedded;
mod jobs;
mod journey;
mod lambda;
mod leases;
mod logs;
mod promises;
mod rates;
mod recurring;
mod simulation;
mod smtp;
mod vault;
