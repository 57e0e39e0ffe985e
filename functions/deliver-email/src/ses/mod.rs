//! Amazon SES, by its v2 API: one `SendEmail` a message, with the message as we built it.
//!
//! SES has no idempotency token, so what a failed call means is settled here and nowhere else: the SDK's retries are off,
//! and a call that ended without an answer is in doubt from the moment its request began to be written, and surely not
//! taken before.

mod call;
mod classify;
mod connections;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::Builder;
use delivery::MessageId;
use platform::Clock;
use platform::aws::Connections;

use crate::Answer;

/// The longest that one message may take. SES answers within a second; a call that goes on longer is most likely lost.
const LONGEST_CALL: Duration = Duration::from_secs(20);

/// One message for one recipient.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// What it is, for its [tags](crate::tags).
    pub id: &'a MessageId,
    /// The sender's address.
    pub from: &'a str,
    /// The recipient's address.
    pub to: &'a str,
    /// RFC 5322 text with CRLF line ends.
    pub message: &'a [u8],
}

impl std::fmt::Debug for Outgoing<'_> {
    /// Without addresses or text: this may end in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("id", &self.id)
            .field("message_bytes", &self.message.len())
            .finish_non_exhaustive()
    }
}

/// An account's SES in one region. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Ses {
    connections: Arc<Connections<Client>>,
    configuration_set: Option<String>,
}

impl Ses {
    /// The SES that `config` describes; its retries, timeouts and HTTP client are replaced by our own. It sends nothing yet.
    /// Without a configuration set, that of the sending identity applies, if it has one. The clock tells how long
    /// connections have rested.
    pub fn new(config: Builder, configuration_set: Option<String>, clock: Arc<dyn Clock>) -> Self {
        Self { connections: Arc::new(connections::connections(config, clock)), configuration_set }
    }

    /// Hands a window of messages over, all at once, and says of each, in the same order, what became of it. Takes at most
    /// `time`; there are no retries.
    ///
    /// Dropping the future ends all calls; what was being sent is then in doubt.
    pub async fn send(&self, window: &[Outgoing<'_>], time: Duration) -> Vec<Answer> {
        let client = self.connections.client();
        let time = time.min(LONGEST_CALL);
        let calls = window.iter().map(|message| self.hand_over(&client, message, time));
        let answers = futures::future::join_all(calls).await;
        self.connections.used();
        answers
    }
}
