//! The SMTP client against the sink: what it says of each message, and what the server says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod connections;
mod doubt;
mod replies;
mod secured;
mod sweep;

use std::time::Duration;

use deliver_email::{
    Answer, NotAccepted, Refusal,
    smtp::{Outgoing, SmtpConfig, SmtpPool, Tls},
};
use envoi_tests::sink::{Sink, SinkOptions};

/// Long enough that only a hanging client would notice.
const AMPLE: Duration = Duration::from_secs(60);

const FROM: &str = "news@example.com";

/// A message with an id and a recipient of its own.
struct Letter {
    to: String,
    text: Vec<u8>,
}

fn letter(n: usize) -> Letter {
    letter_with(n, "Hello.\r\n")
}

fn letter_with(n: usize, body: &str) -> Letter {
    let text = format!("From: {FROM}\r\nMessage-ID: <{n}@test>\r\nSubject: {n}\r\n\r\n{body}");
    Letter { to: format!("r{n}@example.com"), text: text.into_bytes() }
}

fn letters(count: usize) -> Vec<Letter> {
    (0..count).map(letter).collect()
}

async fn send(pool: &SmtpPool, letters: &[Letter], until: Duration) -> Vec<Answer> {
    let window: Vec<_> =
        letters.iter().map(|letter| Outgoing { from: FROM, to: &letter.to, message: &letter.text }).collect();
    let answers = pool.send(&window, until).await;
    assert_eq!(answers.len(), letters.len(), "one answer a message");
    answers
}

fn config(sink: &Sink) -> SmtpConfig {
    SmtpConfig { tls: Tls::None, ..SmtpConfig::new("127.0.0.1", sink.address().port()) }
}

fn pool(sink: &Sink) -> SmtpPool {
    SmtpPool::new(config(sink)).unwrap()
}

async fn sink(options: SinkOptions) -> Sink {
    Sink::start(options).await.unwrap()
}

fn recorded(sink: &Sink) -> Vec<String> {
    sink.messages().into_iter().map(|message| message.to).collect()
}

fn is_accepted(answer: &Answer) -> bool {
    matches!(answer, Answer::Accepted { .. })
}

fn is_doubtful(answer: &Answer) -> bool {
    matches!(answer, Answer::Ambiguous { .. })
}

#[track_caller]
fn assert_cause(answer: &Answer, expected: NotAccepted) {
    assert!(matches!(answer, Answer::NotAccepted { cause, .. } if *cause == expected), "{answer:?}");
}

#[track_caller]
fn assert_reason(answer: &Answer, expected: Refusal) {
    assert!(matches!(answer, Answer::Refused { reason, .. } if *reason == expected), "{answer:?}");
}

async fn until_ended(sink: &Sink, connections: u64) {
    let ended = async {
        while sink.counts().ended < connections {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(AMPLE, ended).await.unwrap();
}

fn secured(sink: &Sink, tls: Tls) -> SmtpConfig {
    let extra_roots_pem = sink.certificate_pem().map(str::to_owned);
    SmtpConfig { tls, extra_roots_pem, ..SmtpConfig::new("localhost", sink.address().port()) }
}
