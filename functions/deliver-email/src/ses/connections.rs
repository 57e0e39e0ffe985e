//! The client, and how long its connections may be trusted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::config::{Builder, SharedHttpClient, StalledStreamProtectionConfig};
use aws_sdk_sesv2::{Client, Config};
use platform::Clock;

/// How long a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long connections may rest and be used again, in milliseconds. Between two invocations a function stands still, and
/// may not learn that the other end has closed a connection meanwhile. A request written to a dead connection is in doubt,
/// although nobody has read it; so connections that have rested longer are left behind.
const LONGEST_REST_MS: i64 = 20_000;

pub(super) struct Connections {
    config: Config,
    clock: Arc<dyn Clock>,
    current: Mutex<Current>,
}

struct Current {
    client: Client,
    /// By the wall clock, which goes on while a function stands still.
    used_ms: i64,
}

impl Connections {
    pub(super) fn new(config: Builder, clock: Arc<dyn Clock>) -> Self {
        let timeouts = TimeoutConfig::builder()
            // The caller's time is the limit; the SDK's own would take the rest of the window's time from a slow call.
            .disable_read_timeout()
            .disable_operation_timeout()
            .disable_operation_attempt_timeout()
            .build();
        let config = config
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(http_client())
            .build();
        let client = Client::from_conf(config.clone());
        let current = Mutex::new(Current { client, used_ms: clock.now().as_millisecond() });
        Self { config, clock, current }
    }

    /// The client to use now. Calls that others have under way are finished on the connections they have.
    pub(super) fn client(&self) -> Client {
        let now_ms = self.clock.now().as_millisecond();
        let mut current = self.current();
        // A clock that was set back says nothing about the rest.
        if !(0..=LONGEST_REST_MS).contains(&(now_ms - current.used_ms)) {
            current.client = Client::from_conf(self.config.to_builder().http_client(http_client()).build());
        }
        current.used_ms = now_ms;
        current.client.clone()
    }

    /// Says that the connections were just in use.
    pub(super) fn used(&self) {
        let now_ms = self.clock.now().as_millisecond();
        self.current().used_ms = now_ms;
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

/// A client of its own, so that its connections can be left behind without those of other services.
fn http_client() -> SharedHttpClient {
    platform::aws::http_client(CONNECT_TIMEOUT, Duration::from_millis(LONGEST_REST_MS.unsigned_abs()))
}
