//! How a sink behaves.

use std::{collections::HashMap, path::PathBuf, time::Duration};

/// How connections are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SinkTls {
    /// Not at all.
    #[default]
    None,
    /// STARTTLS is offered.
    StartTls,
    /// From the first byte.
    Implicit,
}

/// What is kept in memory of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Nothing but counts.
    Nothing,
    /// Sender, recipient, Message-ID.
    #[default]
    Envelopes,
    /// The message itself, too.
    Messages,
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Resets the connection (RST).
    Reset,
    /// Closes the connection (FIN).
    Close,
    /// Says 421, then closes.
    Say421,
    /// Says what is no reply, then closes.
    SayNonsense,
    /// Says and does nothing any more.
    Stall,
}

/// What becomes of replies that stand ready to go out when a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// They go out first.
    Sent,
    /// They are lost.
    Lost,
}

/// A failure at one step of the protocol.
///
/// Steps are counted from 0 over all connections: a connection is there, a command has come, part of a message has
/// come, a message has come, is recorded, is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The step at which it strikes.
    pub step: u64,
    /// What it does.
    pub kind: FaultKind,
    /// What becomes of replies not sent yet.
    pub queued: Queued,
}

/// How a sink behaves. The default takes everything at once.
#[derive(Debug, Clone)]
pub struct SinkOptions {
    /// Whether PIPELINING is offered.
    pub pipelining: bool,
    /// How connections are protected.
    pub tls: SinkTls,
    /// User name and password without which no mail is taken.
    pub login: Option<(String, String)>,
    /// The mechanisms offered for the login.
    pub mechanisms: String,
    /// Further lines for the reply to EHLO (`SIZE 1000`, `SMTPUTF8`).
    pub extensions: Vec<String>,
    /// What is kept in memory.
    pub keep: Keep,
    /// A file that gets one line a message taken: recipient, tab, Message-ID.
    pub log: Option<PathBuf>,
    /// Closes each connection after this many messages.
    pub close_after: Option<u64>,
    /// The reply to every MAIL.
    pub refuse_sender: Option<String>,
    /// Replies to RCPT, by recipient.
    pub refuse_recipient: HashMap<String, String>,
    /// Replies to the end of a message, by recipient.
    pub refuse_message: HashMap<String, String>,
    /// Says 354 to DATA even where no recipient was taken, as RFC 2920 allows.
    pub data_without_recipient: bool,
    /// The most messages taken in any second of its life; what is over gets a 454, as from SES.
    pub per_second: Option<u64>,
    /// Whether the first attempt for each recipient gets a 451.
    pub greylist: bool,
    /// Takes the n-th message it is offered (from 1), then drops the connection instead of saying 250.
    pub drop_before_reply: Option<u64>,
    /// Waits so long before the reply to the n-th message (from 1).
    pub stall: Option<(u64, Duration)>,
    /// Waits so long before the reply to every message.
    pub delay: Duration,
    /// A failure at one step of the protocol.
    pub fault: Option<Fault>,
    /// What goes out in the clear right behind the reply to STARTTLS, as an attacker's would.
    pub inject_after_starttls: Option<String>,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            pipelining: true,
            tls: SinkTls::None,
            login: None,
            mechanisms: "PLAIN LOGIN".to_owned(),
            extensions: Vec::new(),
            keep: Keep::default(),
            log: None,
            close_after: None,
            refuse_sender: None,
            refuse_recipient: HashMap::new(),
            refuse_message: HashMap::new(),
            data_without_recipient: false,
            per_second: None,
            greylist: false,
            drop_before_reply: None,
            stall: None,
            delay: Duration::ZERO,
            fault: None,
            inject_after_starttls: None,
        }
    }
}
