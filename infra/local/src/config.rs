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

/// What becomes of the work that waits: campaigns to start, chunks to deliver, jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It is done.
    Done,
    /// It waits on: the API answers, and nothing starts or is sent.
    Held,
}

/// What a node is made of.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the database and the secret are kept.
    pub data: PathBuf,
    /// Where the API listens; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where public links are: scheme and host. `None` for where the API listens.
    pub public_url: Option<String>,
    /// How email leaves.
    pub email: Email,
    /// What may be called that users name.
    pub outbound: Policy,
    /// What stands in place of Firebase Cloud Messaging, such as `http://127.0.0.1:9099`; that itself where absent.
    pub fcm_url: Option<String>,
    /// The topics of SNS that may post what they tell, by their ARNs, separated by commas; none where empty.
    pub sns_topics: String,
    /// What stands in place of SNS, such as an emulator; that itself where absent.
    pub sns_url: Option<String>,
    /// How many chunks are delivered at once.
    pub concurrency: usize,
    /// How often the sweep comes.
    pub sweep_every: Duration,
    /// Whether it works.
    pub work: Work,
}

impl Config {
    /// A node with its data in `data` and its mail by `email`, on a free port of this machine.
    pub fn new(data: impl Into<PathBuf>, email: Email) -> Self {
        Self {
            data: data.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            email,
            outbound: Policy::public_only(),
            fcm_url: None,
            sns_topics: String::new(),
            sns_url: None,
            concurrency: 16,
            sweep_every: Duration::from_millis(250),
            work: Work::Done,
        }
    }
}
