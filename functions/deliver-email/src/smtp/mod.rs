//! An SMTP client for submission: a pool of connections, each of which takes a window of messages at a time.
//!
//! On a server that offers PIPELINING (RFC 2920), MAIL, RCPT and DATA go out in one write, and the next envelope in the
//! same write as the end of the message before it: one write and one round trip a message.
//!
//! What makes it ours is that it knows what it does not know. Every byte the socket took is counted; a message whose
//! end-of-data dot was handed over and which got no final reply is [`Answer::Ambiguous`](crate::Answer), every other
//! one without a reply is `NotAccepted`.

mod body;
mod classify;
mod config;
mod connection;
mod envelope;
mod handshake;
mod login;
mod pool;
mod reply;
mod stream;
mod window;

pub use config::{ConfigError, Credentials, SmtpConfig, Timeouts, Tls};
pub use login::KeptCredentials;
pub use pool::SmtpPool;

/// One message for one recipient.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// Envelope sender; its domain in ASCII (A-labels). Empty is the null sender.
    pub from: &'a str,
    /// Envelope recipient; its domain in ASCII. A local part beyond ASCII needs a server with SMTPUTF8.
    pub to: &'a str,
    /// RFC 5322 text with CRLF line ends, not dot-stuffed. Stray CR or LF are sent as CRLF.
    pub message: &'a [u8],
}

impl std::fmt::Debug for Outgoing<'_> {
    /// Without addresses or text: this may end in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("message_bytes", &self.message.len()).finish_non_exhaustive()
    }
}
