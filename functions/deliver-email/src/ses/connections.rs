//! The client: one attempt a call, and no timeouts but the caller's.

use std::sync::Arc;

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::config::{Builder, StalledStreamProtectionConfig};
use platform::Clock;
use platform::aws::Connections;

pub(super) fn connections(config: Builder, clock: Arc<dyn Clock>) -> Connections<Client> {
    let timeouts = TimeoutConfig::builder()
        // The caller's time is the limit; the SDK's own would take the rest of the window's time from a slow call.
        .disable_read_timeout()
        .disable_operation_timeout()
        .disable_operation_attempt_timeout()
        .build();
    let config = config
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Connections::new(clock, move |http| Client::from_conf(config.clone().http_client(http).build()))
}
