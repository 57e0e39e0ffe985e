//! Every integration test, in one binary.

mod contract;
mod embedded;
mod leases;
mod simulation;
mod smtp;
