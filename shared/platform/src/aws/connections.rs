//! A service's client whose calls are not repeated, and how long its connections may be trusted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::http_client;
use crate::Clock;

/// How long a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long connections may rest and be used again, in milliseconds. Between two invocations a function stands still, and
/// may not learn that the other end has closed a connection meanwhile. A request written to a dead connection is in doubt,
/// although nobody has read it; so connections that have rested longer are left behind.
const LONGEST_REST_MS: i64 = 20_000;

/// A client over connections of its own, which can be left behind without those of other services: for calls that must not
/// be repeated, and so must not meet a connection that is dead.
pub struct Connections<C> {
    make: Box<dyn Fn(SharedHttpClient) -> C + Send + Sync>,
    clock: Arc<dyn Clock>,
    current: Mutex<Current<C>>,
}

struct Current<C> {
    client: C,
    /// By the wall clock, which goes on while a function stands still.
    used_ms: i64,
}

impl<C: Clone> Connections<C> {
    /// Clients as `make` makes them over the connections it is given. The clock tells how long these have rested.
    pub fn new(clock: Arc<dyn Clock>, make: impl Fn(SharedHttpClient) -> C + Send + Sync + 'static) -> Self {
        let current = Current { client: make(connections()), used_ms: clock.now().as_millisecond() };
        Self { make: Box::new(make), clock, current: Mutex::new(current) }
    }

    /// The client to use now. Calls that others have under way are finished on the connections they have.
    pub fn client(&self) -> C {
        let now_ms = self.clock.now().as_millisecond();
        let mut current = self.current();
        // A clock that was set back says nothing about the rest.
        if !(0..=LONGEST_REST_MS).contains(&(now_ms - current.used_ms)) {
            current.client = (self.make)(connections());
        }
        current.used_ms = now_ms;
        current.client.clone()
    }

    /// Says that the connections were just in use.
    pub fn used(&self) {
        let now_ms = self.clock.now().as_millisecond();
        self.current().used_ms = now_ms;
    }

    fn current(&self) -> MutexGuard<'_, Current<C>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> std::fmt::Debug for Connections<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

fn connections() -> SharedHttpClient {
    http_client(CONNECT_TIMEOUT, Duration::from_millis(LONGEST_REST_MS.unsigned_abs()))
}
