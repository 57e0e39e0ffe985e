//! Access tokens: one for each configuration, asked for once for all who send by it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campaign::{Channel, ConfigurationId};
use delivery::{Answer, Cause};
use http::{HeaderValue, StatusCode};
use outbound::service_account::{AccessToken, ServiceAccount};
use outbound::{Client, Error, retry_after};
use platform::{Clock, batch};
use store::Store;

/// The name of a configuration's secret: the JSON file of its service account.
pub(crate) const SECRET: &str = "service_account";
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// How long a secret is taken to be as it was read.
const SECRET_LASTS: Duration = Duration::from_secs(30);
/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_secs(60);
/// How long nobody tries again after there was no token to be had.
const TROUBLE_LASTS: Duration = Duration::from_secs(5);
/// The most configurations whose tokens are kept; beyond it all are dropped, and those in use asked for anew.
const MOST: usize = 1000;

/// Why there is no token. Nothing was sent.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    cause: Cause,
    retry_after: Option<Duration>,
    detail: String,
}

impl Trouble {
    fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, retry_after: None, detail: detail.into() }
    }

    /// What it means for whatever was to be sent.
    pub(crate) fn answer(&self) -> Answer {
        let Self { cause, retry_after, detail } = self.clone();
        Answer::NotAccepted { cause, retry_after, detail }
    }
}

/// The access tokens of all configurations.
pub(crate) struct Access {
    store: Store,
    client: Client,
    entries: Mutex<HashMap<ConfigurationId, Arc<tokio::sync::Mutex<Entry>>>>,
}

/// What is known for one configuration. Whoever has it locked asks for what is missing, and the others wait for that.
#[derive(Default)]
struct Entry {
    account: Option<Account>,
    /// The token, as the value of a header, and until when (on the monotonic clock) it is used.
    token: Option<(HeaderValue, Duration)>,
    /// The last trouble, and until when nobody tries again.
    trouble: Option<(Trouble, Duration)>,
}

struct Account {
    secret: String,
    account: ServiceAccount,
    read_at: Duration,
}

impl Access {
    pub(crate) fn new(store: Store, client: Client) -> Self {
        Self { store, client, entries: Mutex::default() }
    }

    /// A token by which to send for this configuration.
    pub(crate) async fn token(&self, id: ConfigurationId) -> Result<HeaderValue, Trouble> {
        self.locked(id, |_| {}).await
    }

    /// A token in place of one that was not let in: another's find, or a new one.
    pub(crate) async fn in_place_of(
        &self,
        refused: &HeaderValue,
        id: ConfigurationId,
    ) -> Result<HeaderValue, Trouble> {
        let forget = |entry: &mut Entry| {
            if entry.token.as_ref().is_some_and(|(token, _)| token == refused) {
                // The account may have been changed for it, too.
                (entry.token, entry.account) = (None, None);
            }
        };
        self.locked(id, forget).await
    }

    async fn locked(
        &self,
        id: ConfigurationId,
        first: impl FnOnce(&mut Entry),
    ) -> Result<HeaderValue, Trouble> {
        let entry = self.entry(id);
        let mut entry = entry.lock().await;
        first(&mut entry);
        let now = self.clock().monotonic();
        if let Some((trouble, until)) = &entry.trouble
            && now < *until
        {
            return Err(trouble.clone());
        }
        let found = self.find(id, &mut entry, now).await;
        entry.trouble = found.as_ref().err().map(|trouble| (trouble.clone(), now + TROUBLE_LASTS));
        found
    }

    async fn find(
        &self,
        id: ConfigurationId,
        entry: &mut Entry,
        now: Duration,
    ) -> Result<HeaderValue, Trouble> {
        let account = match &entry.account {
            Some(known) if now < known.read_at + SECRET_LASTS => known,
            _ => {
                let read = self.read(id, now).await?;
                if entry.account.as_ref().is_none_or(|known| known.secret != read.secret) {
                    entry.token = None;
                }
                entry.account.insert(read)
            }
        };
        if let Some((token, until)) = &entry.token
            && now < *until
        {
            return Ok(token.clone());
        }
        let AccessToken { bearer, lifetime } = self.ask(&account.account).await?;
        entry.token = Some((bearer.clone(), now + lifetime.saturating_sub(MARGIN)));
        Ok(bearer)
    }

    async fn read(&self, id: ConfigurationId, now: Duration) -> Result<Account, Trouble> {
        let secrets = self.store.secrets.of_configuration(Channel::Push, id).await;
        let mut secrets = secrets.map_err(|error| {
            Trouble::new(Cause::Unreachable, format!("its secrets can't be read: {}", batch::chain(&error)))
        })?;
        let missing =
            || Trouble::new(Cause::Misconfigured, "the configuration has no secret service_account");
        let secret = secrets.remove(SECRET).ok_or_else(missing)?;
        let account = ServiceAccount::parse(&secret)
            .map_err(|why| Trouble::new(Cause::Misconfigured, format!("its secret service_account {why}")))?;
        Ok(Account { secret, account, read_at: now })
    }

    /// Asks the token endpoint. Whatever becomes of it, it may be asked again.
    async fn ask(&self, account: &ServiceAccount) -> Result<AccessToken, Trouble> {
        let request = account.request(SCOPE, self.clock().now());
        let response = match self.client.send(request).await {
            Ok(response) => response,
            Err(error) => {
                let is_refused = matches!(error, Error::Refused(_));
                let cause = if is_refused { Cause::Misconfigured } else { Cause::Unreachable };
                return Err(Trouble::new(cause, format!("the token endpoint: {}", batch::chain(&error))));
            }
        };
        let status = response.status();
        if status.is_success() {
            let why = || Trouble::new(Cause::Unreachable, "the token endpoint gives no token");
            return AccessToken::read(response.body()).ok_or_else(why);
        }
        let is_busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        let cause =
            if is_busy || status.is_server_error() { Cause::Unreachable } else { Cause::Misconfigured };
        let detail = format!("the token endpoint answers {}", status.as_u16());
        Err(Trouble { cause, retry_after: retry_after(response.headers(), self.clock().now()), detail })
    }

    fn entry(&self, id: ConfigurationId) -> Arc<tokio::sync::Mutex<Entry>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST && !entries.contains_key(&id) {
            entries.clear();
        }
        Arc::clone(entries.entry(id).or_default())
    }

    fn clock(&self) -> &dyn Clock {
        &*self.store.platform.clock
    }
}
