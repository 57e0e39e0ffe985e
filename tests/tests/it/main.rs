//! Every integration test, in one binary.

#![allow(clippy::unwrap_used, reason = "a failure is a panic")]

mod calls;
mod contract;
mod crash;
mod deployed;
mod embedded;
mod jobs;
mod journey;
mod lambda;
mod leases;
mod life;
mod logs;
mod modify;
mod pause;
mod promises;
mod rates;
mod recurring;
mod simulation;
mod smtp;
mod triggered;
mod vault;
mod waves;
