//! Every integration test, in one binary.

#![allow(clippy::unwrap_used, reason = "a failure is a panic")]

mod calls;
mod channels;
mod consent;
mod contract;
mod corpus_quotas;
mod corpus_redriven;
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
mod local;
mod logs;
mod looks;
mod modify;
mod pause;
mod promises;
mod push;
mod rates;
mod recurring;
mod reports;
mod schemathesis;
mod settled;
mod silence;
mod simulation;
mod sms;
mod smtp;
mod template;
mod tracking;
mod triggered;
mod vault;
mod waves;
mod webhook;
