//! What tests share: the contract every engine of the ports must keep, and the tools to hold engines to it.

#![allow(clippy::unwrap_used, reason = "all of it is test code, where a failure is a panic")]

pub mod clock;
pub mod contract;
pub mod deployed;
pub mod lambda;
pub mod ministack;
pub mod process;
pub mod python;
pub mod recount;
pub mod sim;
pub mod sink;
