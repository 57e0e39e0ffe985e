//! AWS End User Messaging SMS: one `SendTextMessage` a message.
//!
//! The API has no idempotency token, so what a failed call means is settled here and nowhere else: the SDK's retries are
//! off, and a call that ended without an answer is in doubt from the moment its request began to be written, and surely not
//! taken before.

mod call;
mod classify;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_pinpointsmsvoicev2::Client;
use aws_sdk_pinpointsmsvoicev2::config::retry::RetryConfig;
use aws_sdk_pinpointsmsvoicev2::config::timeout::TimeoutConfig;
use aws_sdk_pinpointsmsvoicev2::config::{Builder, StalledStreamProtectionConfig};
use campaign::configuration::AwsSms;
use delivery::Answer;
use platform::aws::Connections;
use platform::{Clock, SystemClock};

use crate::message::Text;

/// The longest that one message may take. What goes on longer is most likely lost.
const LONGEST_CALL: Duration = Duration::from_secs(20);

/// An account's End User Messaging in one region.
pub struct EndUserMessaging {
    connections: Connections<Client>,
}

impl EndUserMessaging {
    /// By the standard AWS variables; `AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2` names another endpoint. `None` where no
    /// region is named. It sends nothing yet.
    pub async fn of_environment() -> Option<Self> {
        let config = platform::aws::sdk_config().await;
        config.region()?;
        let mut builder = Builder::from(&config);
        if let Some(endpoint) = platform::aws::endpoint("AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2") {
            builder.set_endpoint_url(Some(endpoint));
        }
        Some(Self::new(builder, Arc::new(SystemClock)))
    }

    /// The account that `config` describes; its retries, timeouts and HTTP client are replaced by our own. It sends nothing
    /// yet. The clock tells how long connections have rested.
    pub fn new(config: Builder, clock: Arc<dyn Clock>) -> Self {
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
        let make = move |http| Client::from_conf(config.clone().http_client(http).build());
        Self { connections: Connections::new(clock, make) }
    }

    /// Hands messages over, all at once, and says of each, in the same order, what became of it. Takes at most `time`; there
    /// are no retries.
    pub(crate) async fn send(&self, settings: &AwsSms, messages: &[Text], time: Duration) -> Vec<Answer> {
        let client = self.connections.client();
        let time = time.min(LONGEST_CALL);
        let calls = messages.iter().map(|message| call::hand_over(&client, settings, message, time));
        let answers = futures::future::join_all(calls).await;
        self.connections.used();
        answers
    }
}

impl fmt::Debug for EndUserMessaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndUserMessaging").finish_non_exhaustive()
    }
}
