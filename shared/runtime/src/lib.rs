//! What the programs around the handlers share: how they log, and on Lambda the loop of a function that a queue feeds
//! with the figures it gives, and that of a function behind API Gateway.
//!
//! | variable | |
//! |---|---|
//! | `ENVOI_LOG` | what is logged: `info` (the default), `debug`, `warn,delivery=debug`... See [`logs::filter`] |
//! | `ENVOI_METRICS_NAMESPACE` | the namespace of the metrics in CloudWatch; `Envoi` by default |

#[cfg(feature = "lambda")]
pub mod emf;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod logs;
#[cfg(feature = "lambda")]
mod queue;

#[cfg(feature = "lambda")]
pub use queue::{Handled, run};
