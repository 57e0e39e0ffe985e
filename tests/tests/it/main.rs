//! Every integration test, in one binary.

mod contract;
mod crash;
mod embedded;
mod leases;
mod promises;
mod simulation;
mod smtp;
