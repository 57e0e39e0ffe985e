//! Every integration test, in one binary.

#![allow(clippy::unwrap_used, reason = "a failure is a panic")]

mod contract;
mod crash;
mod embedded;
mod journey;
mod lambda;
mod leases;
mod promises;
mod rates;
mod simulation;
mod smtp;
