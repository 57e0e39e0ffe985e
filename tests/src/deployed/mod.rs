//! Envoi as it is deployed: the template of `infra/`, with the functions' own programs in it, on an emulator of AWS. A
//! deployment is one stack; the tests talk to it as people and services do: to its API, its queues, its mailbox.
//!
//! The one change to the template is that of `sam package`: the folders of the functions' code become objects in a bucket.
//! Every function is held to its role: a call that the template does not allow it is denied, and fails the test.

mod calls;
mod cloud;
mod deployment;
mod gate;
mod package;
mod processes;
mod relay;
mod stack;

pub use deployment::{Deployment, Mail, Sweeps, Waiting, deployed};
pub use gate::Gate;

use std::time::Duration;

/// How often is looked whether something has happened.
pub const LOOK: Duration = Duration::from_millis(100);
