//! `envoi serve`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::Context;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use deliver_email::smtp::{Credentials, SmtpConfig, Tls};
use envoi_local::{
    Config, Node,
    config::{Email, Work},
};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where the database is kept; made if it is not there.
    #[arg(long, env = "ENVOI_DATA", default_value = "envoi-data")]
    data: PathBuf,
    /// Where the API listens.
    #[arg(long, env = "ENVOI_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where recipients reach the links in their mail: scheme and host, such as `https://links.example.org`, which leads here.
    /// Without it they are where the API listens, which is for trying only.
    #[arg(long, env = "ENVOI_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Writes email into this folder, one .eml file a message; without it and without an SMTP host, into `outbox` in the
    /// data folder.
    #[arg(long, env = "ENVOI_OUTBOX")]
    outbox: Option<PathBuf>,
    /// Sends email through this SMTP server.
    #[arg(long, env = "ENVOI_SMTP_HOST", value_parser = NonEmptyStringValueParser::new())]
    smtp_host: Option<String>,
    /// The server's port; by default 587, 465 with implicit TLS, 25 without TLS.
    #[arg(long, env = "ENVOI_SMTP_PORT", requires = "smtp_host")]
    smtp_port: Option<u16>,
    /// How the connection is encrypted.
    #[arg(long, env = "ENVOI_SMTP_TLS", default_value = "starttls")]
    smtp_tls: SmtpTls,
    /// The user to log in as; the password is read from ENVOI_SMTP_PASSWORD.
    #[arg(long, env = "ENVOI_SMTP_USER", value_parser = NonEmptyStringValueParser::new())]
    smtp_user: Option<String>,
    /// How to name ourselves to the server.
    #[arg(long, env = "ENVOI_SMTP_HELLO", value_parser = NonEmptyStringValueParser::new())]
    smtp_hello: Option<String>,
    /// The most connections to the server.
    #[arg(long, env = "ENVOI_SMTP_CONNECTIONS", default_value = "16")]
    smtp_connections: NonZeroU32,
    /// What may be called for webhooks and text messages beside the public Internet: hosts, addresses and networks,
    /// separated by commas, with http:// before those that may be called without TLS.
    #[arg(long, env = "ENVOI_OUTBOUND_ALLOW", value_name = "LIST", default_value = "")]
    outbound_allow: String,
    /// What push notifications go to in place of Firebase Cloud Messaging, such as an emulator of it.
    #[arg(long, env = "ENVOI_FCM_URL", value_parser = NonEmptyStringValueParser::new())]
    fcm_url: Option<String>,
    /// The topics of Amazon SNS that may post to /feedback/sns what a provider tells, by their ARNs, separated by commas.
    #[arg(long, env = "ENVOI_SNS_TOPICS", value_name = "LIST", default_value = "")]
    sns_topics: String,
    /// What stands in place of Amazon SNS, such as an emulator of it.
    #[arg(long, env = "ENVOI_SNS_URL", value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    sns_url: Option<String>,
    /// How many chunks of 50 are delivered at once.
    #[arg(long, env = "ENVOI_CONCURRENCY", default_value = "16")]
    concurrency: NonZeroU32,
    /// Answers the API and does nothing else: nothing starts and nothing is sent. For a restored backup, to pause or stop
    /// what went on after it was made.
    #[arg(long)]
    hold: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SmtpTls {
    /// Not at all: for a server on the same machine.
    None,
    /// By STARTTLS, which must be offered.
    Starttls,
    /// From the first byte.
    Implicit,
}

impl Serve {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let config = self.config()?;
        let outbox = match &config.email {
            Email::Outbox(folder) => Some(folder.clone()),
            Email::Smtp(_) => None,
        };
        let is_for_trying = config.public_url.is_none() && outbox.is_none();
        let node = Node::start(config).await?;
        if let Some(outbox) = outbox {
            eprintln!("envoi: email is written into {}, nothing is sent: see --smtp-host", outbox.display());
        }
        if is_for_trying {
            let url = node.store().links.public_url();
            eprintln!(
                "envoi: links in mail are at {url}, where recipients hardly reach them: see --public-url"
            );
        }
        println!("Envoi listens on http://{}", node.address());
        if let Some(key) = node.first_key() {
            println!("The first admin key, shown this once: {key}");
        }
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("envoi: stopping; what is being sent is finished first (again to stop at once)");
        tokio::select! {
            stopped = node.stop() => Ok(stopped?),
            _ = interrupt.recv() => anyhow::bail!("stopped at once; the next start finishes what was begun"),
            _ = terminate.recv() => anyhow::bail!("stopped at once; the next start finishes what was begun"),
        }
    }

    fn config(&self) -> anyhow::Result<Config> {
        let email = match (&self.smtp_host, self.outbox.clone()) {
            (Some(_), Some(_)) => anyhow::bail!("either --smtp-host or --outbox: email goes one way"),
            (Some(host), None) => Email::Smtp(Box::new(self.smtp(host)?)),
            (None, _) if self.smtp_user.is_some() || self.smtp_hello.is_some() => {
                anyhow::bail!("--smtp-user and --smtp-hello are for the server that --smtp-host names")
            }
            (None, outbox) => Email::Outbox(outbox.unwrap_or_else(|| self.data.join("outbox"))),
        };
        let mut config = Config::new(&self.data, email);
        config.listen = self.listen;
        config.public_url.clone_from(&self.public_url);
        anyhow::ensure!(
            config.public_url.as_deref().is_none_or(store::links::is_base),
            "--public-url must be such as https://links.example.org"
        );
        config.fcm_url.clone_from(&self.fcm_url);
        config.sns_topics.clone_from(&self.sns_topics);
        config.sns_url.clone_from(&self.sns_url);
        config.outbound = outbound::Policy::allowing(&self.outbound_allow).context("--outbound-allow")?;
        config.work = if self.hold { Work::Held } else { Work::Done };
        config.concurrency = usize::try_from(self.concurrency.get())?;
        Ok(config)
    }

    fn smtp(&self, host: &str) -> anyhow::Result<SmtpConfig> {
        let (tls, port) = match self.smtp_tls {
            SmtpTls::None => (Tls::None, 25),
            SmtpTls::Starttls => (Tls::StartTls, 587),
            SmtpTls::Implicit => (Tls::Implicit, 465),
        };
        let mut smtp = SmtpConfig::new(host, self.smtp_port.unwrap_or(port));
        smtp.tls = tls;
        smtp.max_connections = self.smtp_connections;
        if let Some(hello) = &self.smtp_hello {
            smtp.hello_name.clone_from(hello);
        }
        if let Some(username) = &self.smtp_user {
            let password = store::environment::variable("ENVOI_SMTP_PASSWORD")
                .context("with --smtp-user, the password is read from ENVOI_SMTP_PASSWORD")?;
            smtp.credentials = Some(Credentials { username: username.clone(), password });
        }
        Ok(smtp)
    }
}
