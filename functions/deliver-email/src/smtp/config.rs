//! How to reach a server.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use thiserror::Error;

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tls {
    /// Not at all. For a server on the same machine or a trusted network.
    None,
    /// STARTTLS, usually on port 587. A server that does not offer it is not used: there is no way down to plain text.
    #[default]
    StartTls,
    /// TLS from the first byte, usually on port 465.
    Implicit,
}

/// Who we are to the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// The longest waits for the server. The time a call to [`SmtpPool::send`](super::SmtpPool::send) is given cuts each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection, TLS, greeting and login, together.
    pub connect: Duration,
    /// For the replies to the commands of one message.
    pub command: Duration,
    /// For handing over one message, and again for the reply to it.
    pub data: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            command: Duration::from_secs(30),
            data: Duration::from_secs(60),
            idle: Duration::from_secs(30),
        }
    }
}

/// A server and how to talk to it.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// Host name or IP address; with TLS, the name the certificate must bear.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// Logged in with, where given.
    pub credentials: Option<Credentials>,
    /// Whether credentials may cross a network in plain text (`tls: None` and a host that is not this machine).
    pub allow_plaintext_auth: bool,
    /// How we name ourselves in EHLO.
    pub hello_name: String,
    /// Longest waits.
    pub timeouts: Timeouts,
    /// The most connections open at once.
    pub max_connections: NonZeroU32,
    /// After so many messages a connection is given up for a new one, for servers that ask for it.
    pub max_messages_per_connection: Option<NonZeroU32>,
    /// Certificates to trust besides the system's, in PEM.
    pub extra_roots_pem: Option<String>,
}

impl SmtpConfig {
    /// The usual settings for a server: STARTTLS, no credentials, at most 16 connections.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            tls: Tls::default(),
            credentials: None,
            allow_plaintext_auth: false,
            hello_name: "[127.0.0.1]".to_owned(),
            timeouts: Timeouts::default(),
            max_connections: NonZeroU32::new(16).expect("16 is not zero"),
            max_messages_per_connection: None,
            extra_roots_pem: None,
        }
    }

    /// Refuses what could never work or would give a secret away.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.host.is_empty() || self.host.bytes().any(|b| b.is_ascii_control() || b == b' ') {
            return Err(ConfigError::Host);
        }
        if self.hello_name.is_empty() || !self.hello_name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ConfigError::HelloName);
        }
        if let Some(Credentials { username, password }) = &self.credentials {
            if username.contains('\0') || password.contains('\0') {
                return Err(ConfigError::Credentials);
            }
            if self.tls == Tls::None && !self.allow_plaintext_auth && !self.is_this_machine() {
                return Err(ConfigError::PlaintextAuth);
            }
        }
        Ok(())
    }

    fn is_this_machine(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// Why a configuration can't be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The host is empty or holds what no host name has.
    #[error("the SMTP host is not a host name or an IP address")]
    Host,
    /// The EHLO name must be printable ASCII without spaces.
    #[error("the SMTP hello name must be printable ASCII without spaces")]
    HelloName,
    /// A user name or password with a NUL can't be sent.
    #[error("the SMTP user name or password holds a NUL")]
    Credentials,
    /// The password would cross the network in plain text.
    #[error("refusing to send an SMTP password without TLS to another machine")]
    PlaintextAuth,
    /// The extra root certificates are not PEM.
    #[error("the extra SMTP root certificates can't be read")]
    Roots(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Neither the system nor the configuration has a certificate to trust.
    #[error("there is no root certificate to trust")]
    NoRoots,
    /// TLS can't be set up.
    #[error("TLS can't be set up")]
    Tls(#[source] rustls::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_password(host: &str, tls: Tls) -> SmtpConfig {
        let credentials = Some(Credentials { username: "user".into(), password: "s3cret".into() });
        SmtpConfig { tls, credentials, ..SmtpConfig::new(host, 25) }
    }

    #[test]
    fn a_password_leaves_the_machine_only_under_tls_or_by_permission() {
        assert!(matches!(
            with_password("mail.example.com", Tls::None).check(),
            Err(ConfigError::PlaintextAuth)
        ));
        assert!(matches!(with_password("10.0.0.1", Tls::None).check(), Err(ConfigError::PlaintextAuth)));
        with_password("mail.example.com", Tls::StartTls).check().unwrap();
        with_password("mail.example.com", Tls::Implicit).check().unwrap();
        for host in ["localhost", "127.0.0.1", "::1"] {
            with_password(host, Tls::None).check().unwrap();
        }
        SmtpConfig { allow_plaintext_auth: true, ..with_password("10.0.0.1", Tls::None) }.check().unwrap();
    }

    #[test]
    fn the_password_is_not_in_the_debug_text() {
        let text = format!("{:?}", with_password("mail.example.com", Tls::Implicit));
        assert!(!text.contains("s3cret") && !text.contains("user\""), "{text}");
    }

    #[test]
    fn names_that_would_break_the_protocol_are_refused() {
        let config = SmtpConfig { hello_name: "a\r\nQUIT".into(), ..SmtpConfig::new("mail.example.com", 25) };
        assert!(matches!(config.check(), Err(ConfigError::HelloName)));
        assert!(matches!(SmtpConfig::new("", 25).check(), Err(ConfigError::Host)));
    }
}
