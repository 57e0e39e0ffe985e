//! Every integration test, in one binary.

mod contract;
mod embedded;
mod simulation;
mod smtp;
