//! The credentials of a server, which somebody may change while a process goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use campaign::Channel;
use store::Secrets;
use tokio::time::Instant;

use super::{Credentials, SmtpConfig};

/// No sooner than this are credentials read again: a server may refuse them for hours, and each read is paid for.
const READ_EVERY: Duration = Duration::from_secs(60);

/// Where a server's credentials are kept.
#[async_trait]
pub trait KeptCredentials: Send + Sync {
    /// The credentials as they are now; `None` where there are none, or they can't be read.
    async fn read(&self) -> Option<Credentials>;
}

/// Those that the API was given for the channel.
#[async_trait]
impl KeptCredentials for Secrets {
    async fn read(&self) -> Option<Credentials> {
        match self.credentials(Channel::Email).await {
            Ok(stored) => {
                stored.map(|stored| Credentials { username: stored.username, password: stored.password })
            }
            Err(error) => {
                let error = platform::batch::chain(&error);
                tracing::warn!(error, "the stored SMTP credentials can't be read");
                None
            }
        }
    }
}

/// What a pool logs in with.
pub(super) struct Login {
    current: Mutex<Option<Credentials>>,
    kept: Option<Arc<dyn KeptCredentials>>,
    /// When they were read last by this pool; held while they are, so that all who need them read them once.
    read_at: tokio::sync::Mutex<Option<Instant>>,
}

impl Login {
    pub(super) fn new(credentials: Option<Credentials>, kept: Option<Arc<dyn KeptCredentials>>) -> Self {
        Self { current: Mutex::new(credentials), kept, read_at: tokio::sync::Mutex::default() }
    }

    /// What to log in with, if with anything. Where there was nothing so far, there may be by now.
    pub(super) async fn current(&self, config: &SmtpConfig) -> Option<Credentials> {
        match self.known() {
            None => self.instead_of(None, config).await,
            known => known,
        }
    }

    /// Other credentials than those `refused`, if there are by now.
    pub(super) async fn instead_of(
        &self,
        refused: Option<&Credentials>,
        config: &SmtpConfig,
    ) -> Option<Credentials> {
        let kept = self.kept.as_ref()?;
        let mut read_at = self.read_at.lock().await;
        // Another connection may have read them meanwhile.
        let known = self.known();
        if known.as_ref() != refused {
            return known;
        }
        if read_at.is_some_and(|at| at.elapsed() < READ_EVERY) {
            return None;
        }
        *read_at = Some(Instant::now());
        let found = kept.read().await.filter(|found| Some(found) != refused)?;
        // These must not cross a network in plain text either.
        if let Err(error) = (SmtpConfig { credentials: Some(found.clone()), ..config.clone() }).check() {
            tracing::warn!(%error, "the stored SMTP credentials can't be used");
            return None;
        }
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Some(found)
    }

    fn known(&self) -> Option<Credentials> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tls;
    use super::*;

    struct Kept;

    #[async_trait]
    impl KeptCredentials for Kept {
        async fn read(&self) -> Option<Credentials> {
            Some(Credentials { username: "user".to_owned(), password: "s3cret".to_owned() })
        }
    }

    #[tokio::test]
    async fn credentials_that_are_stored_later_leave_the_machine_only_under_tls_too() {
        for (tls, host, is_used) in [
            (Tls::None, "mail.example.com", false),
            (Tls::None, "127.0.0.1", true),
            (Tls::StartTls, "mail.example.com", true),
        ] {
            let config = SmtpConfig { tls, ..SmtpConfig::new(host, 25) };
            let login = Login::new(None, Some(Arc::new(Kept)));
            assert_eq!(login.current(&config).await.is_some(), is_used, "{host} {tls:?}");
        }
    }
}
