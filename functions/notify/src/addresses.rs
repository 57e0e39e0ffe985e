//! The addresses that are told, remembered for a moment, and how each of them is doing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campaign::EndpointId;
use jiff::Timestamp;
use outbound::standard_webhooks::Secret;
use platform::{Clock, batch};
use store::endpoints::Endpoint;
use store::{Store, StoreError};
use tokio::sync::Semaphore;
use tracing::error;

/// How long what was read is taken to hold.
const REMEMBER: Duration = Duration::from_secs(2);
/// How long a secret is taken to be the newest: an old one that has run out signs no longer than this.
const REMEMBER_SECRETS: Duration = Duration::from_secs(60);
/// How many posts one process has under way at once to one address.
pub(crate) const AT_ONCE: usize = 16;
/// For how long an address that fails is told nothing new at once: what comes is put with what waits.
const TROUBLED: Duration = Duration::from_secs(5);

/// One address.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) endpoint: Endpoint,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) line: Arc<Line>,
}

/// How an address is doing, as far as this process knows.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) permits: Semaphore,
    /// Until when, on the monotonic clock, nothing new is told at once.
    troubled_until: Mutex<Duration>,
}

impl Line {
    pub(crate) fn is_troubled(&self, clock: &dyn Clock) -> bool {
        clock.monotonic() < *self.troubled_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has_trouble(&self, clock: &dyn Clock) {
        let until = clock.monotonic() + TROUBLED;
        *self.troubled_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    kept: tokio::sync::Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    endpoints: Option<(Vec<Endpoint>, Duration)>,
    /// With when they were made, and until when (on the monotonic clock) they are taken to hold.
    secrets: HashMap<EndpointId, (Vec<Secret>, Timestamp, Duration)>,
    lines: HashMap<EndpointId, Arc<Line>>,
}

impl Addresses {
    /// Every address that is told something now. One whose secret can't be opened is logged and left out, unless it is the
    /// only trouble there can be.
    pub(crate) async fn all(&self, store: &Store) -> Result<Vec<Arc<Address>>, StoreError> {
        let mut kept = self.kept.lock().await;
        let now = store.platform.clock.monotonic();
        let endpoints = match &kept.endpoints {
            Some((endpoints, until)) if now < *until => endpoints.clone(),
            _ => {
                let found = store.endpoints.all().await?;
                let endpoints: Vec<_> = found.into_iter().map(|found| found.value).collect();
                kept.endpoints = Some((endpoints.clone(), now + REMEMBER));
                endpoints
            }
        };
        let mut addresses = Vec::with_capacity(endpoints.len());
        let mut trouble = None;
        for endpoint in endpoints.into_iter().filter(|endpoint| !endpoint.wants().is_empty()) {
            let id = endpoint.id;
            match kept.address(store, endpoint).await {
                Ok(address) => addresses.push(address),
                Err(error) => {
                    error!(endpoint = %id, error = %batch::chain(&error), "webhook endpoint {id} can't be told anything");
                    trouble = Some(error);
                }
            }
        }
        match trouble {
            Some(trouble) if addresses.is_empty() => Err(trouble),
            _ => Ok(addresses),
        }
    }

    /// One address as it is now; `None` where it is gone.
    pub(crate) async fn one(
        &self,
        store: &Store,
        id: EndpointId,
    ) -> Result<Option<Arc<Address>>, StoreError> {
        let endpoint = match store.endpoints.get(id).await {
            Err(StoreError::NotFound { .. }) => {
                let mut kept = self.kept.lock().await;
                kept.secrets.remove(&id);
                kept.lines.remove(&id);
                return Ok(None);
            }
            found => found?.value,
        };
        self.kept.lock().await.address(store, endpoint).await.map(Some)
    }

    /// Has the list read anew: one has changed.
    pub(crate) async fn forget(&self) {
        self.kept.lock().await.endpoints = None;
    }
}

impl Kept {
    async fn address(&mut self, store: &Store, endpoint: Endpoint) -> Result<Arc<Address>, StoreError> {
        let id = endpoint.id;
        let clock = &*store.platform.clock;
        let kept = self
            .secrets
            .get(&id)
            .filter(|(_, made_at, until)| *made_at == endpoint.secret_at && clock.monotonic() < *until);
        let secrets = match kept {
            Some((secrets, ..)) => secrets.clone(),
            None => {
                let opened = store.endpoints.secrets(id, clock.now()).await.inspect_err(|trouble| {
                    error!(endpoint = %id, error = %batch::chain(trouble), "the secrets of webhook endpoint {id} can't be opened");
                })?;
                let unreadable = |_| StoreError::Corrupt { what: "webhook endpoint's secret", source: None };
                let secrets: Vec<_> = opened
                    .iter()
                    .map(|secret| Secret::read(secret).map_err(unreadable))
                    .collect::<Result<_, _>>()?;
                let until = clock.monotonic() + REMEMBER_SECRETS;
                self.secrets.insert(id, (secrets.clone(), endpoint.secret_at, until));
                secrets
            }
        };
        let line = self.lines.entry(id).or_insert_with(|| {
            let troubled_until = Mutex::new(Duration::ZERO);
            Arc::new(Line { permits: Semaphore::new(AT_ONCE), troubled_until })
        });
        Ok(Arc::new(Address { endpoint, secrets, line: Arc::clone(line) }))
    }
}
