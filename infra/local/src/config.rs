//! What `envoi serve` is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use deliver_email::smtp::SmtpConfig;
use outbound::Policy;

/// How email leaves.
#[derive(Debug, Clone)]
pub enum Email {
    /// Through an SMTP server.
    Smtp(Box<SmtpConfig>),
    /// Into a folder, one file a message.
    Outbox(PathBuf),
}

/// What a node is made of.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the database and the secret are kept.
    pub data: PathBuf,
    /// Where the API listens; port 0 picks a free one.
    pub listen: SocketAddr,
    /// How email leaves.
    pub email: Email,
    /// What may be called that users name.
    pub outbound: Policy,
    /// What stands in place of Firebase Cloud Messaging, such as `http://127.0.0.1:9099`; that itself where absent.
    pub fcm_url: Option<String>,
    /// How many chunks are delivered at once.
    pub concurrency: usize,
    /// How often the sweep comes.
    pub sweep_every: Duration,
}

impl Config {
    /// A node with its data in `data` and its mail by `email`, on a free port of this machine.
    pub fn new(data: impl Into<PathBuf>, email: Email) -> Self {
        Self {
            data: data.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            email,
            outbound: Policy::public_only(),
            fcm_url: None,
            concurrency: 16,
            sweep_every: Duration::from_millis(250),
        }
    }
}
