//! The SES client against an endpoint that answers as SES does, or as networks do.

#![expect(clippy::unwrap_used, reason = "a test is allowed to panic")]

mod answers;
mod connections;
mod doubt;
mod endpoint;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sesv2::config::{BehaviorVersion, Builder, Credentials, Region};
use campaign::ExecutionId;
use deliver_email::Answer;
use deliver_email::ses::{Outgoing, Ses};
use delivery::{MemberId, MessageId};
use platform::SystemClock;
use store::messages::ChunkKey;

/// Time enough for any machine.
const TIME: Duration = Duration::from_secs(20);
const FROM: &str = "news@shop.example";
const MESSAGE: &[u8] = b"Subject: Hello\r\nList-Unsubscribe: <https://u.example/1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nHello\r\n";

/// A configuration without credentials.
fn anonymous(url: &str) -> Builder {
    aws_sdk_sesv2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(url)
}

fn config(url: &str) -> Builder {
    anonymous(url).credentials_provider(Credentials::new("key", "secret", None, None, "test"))
}

fn ses(url: &str) -> Ses {
    Ses::new(config(url), None, Arc::new(SystemClock))
}

fn member(index: usize) -> MessageId {
    let execution = ExecutionId::from_bytes([7; 16]);
    MessageId::Member(MemberId { chunk: ChunkKey { execution, shard: 3, action: 1, number: 42 }, index })
}

/// Sends one message to each of these.
async fn send_to(ses: &Ses, recipients: &[&str]) -> Vec<Answer> {
    let ids: Vec<_> = (0..recipients.len()).map(member).collect();
    let window: Vec<_> = recipients
        .iter()
        .zip(&ids)
        .map(|(to, id)| Outgoing { id, from: FROM, to, message: MESSAGE })
        .collect();
    ses.send(&window, TIME).await
}
