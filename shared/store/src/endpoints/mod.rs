//! Addresses that are told what became of messages, and the secrets that they know us by.

mod erasing;
mod parked;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use campaign::EndpointId;
use campaign::feedback::{EventType, EventTypes};
use jiff::Timestamp;
use platform::{Consistency, Item, Key, Platform, Query, Vault, Write};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::document::{self, REVISION, Revised, at_revision};
use crate::error::refused;
use crate::messages::Notify;
use crate::tables::{self, CONTROL};

pub use self::parked::{DEAD_KEEP_SECONDS, DeadLetter, Fate, Parked, Telling};

const WHAT: &str = "webhook endpoint";
/// What their secrets are for: the partition behind `secret#`, and the context they are sealed in.
const PURPOSE: &str = "endpoint";
/// The secret, sealed.
const SEALED: &str = "sealed";
/// The one before, as it was sealed: whoever exchanges them need not be able to open it.
const BEFORE: &str = "before";
/// Until when that one signs, too, in milliseconds since the Unix epoch.
const UNTIL: &str = "until";
/// The most endpoints there can be: each is told of everything that it wants to know.
pub const MOST: usize = 20;
/// How long an old secret signs beside its new one, where nobody says.
pub const OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// An address that is told what became of messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Where it is.
    pub url: String,
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Of which events it is told; of all where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventType>,
    /// Whether it is told nothing for now.
    #[serde(default)]
    pub disabled: bool,
    /// Since when it has been disabled because it said that it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its secret was made.
    pub secret_at: Timestamp,
}

impl Endpoint {
    /// Of which events it is told now.
    pub fn wants(&self) -> EventTypes {
        if self.disabled {
            EventTypes::default()
        } else if self.events.is_empty() {
            EventTypes::all()
        } else {
            self.events.iter().copied().collect()
        }
    }
}

/// The repository of endpoints.
#[derive(Clone)]
pub struct Endpoints {
    platform: Platform,
    vault: Arc<dyn Vault>,
}

impl Endpoints {
    /// Over this platform; secrets are sealed in this vault.
    pub fn new(platform: Platform, vault: Arc<dyn Vault>) -> Self {
        Self { platform, vault }
    }

    /// Every endpoint, the oldest first.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn all(&self) -> Result<Vec<Revised<Endpoint>>, StoreError> {
        // Somewhat more than there can be: several may be made at the same moment.
        Ok(document::list(&self.platform, WHAT, Query::of(tables::ENDPOINTS, 5 * MOST)).await?.0)
    }

    /// One of them, strongly read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get(&self, id: EndpointId) -> Result<Revised<Endpoint>, StoreError> {
        let item = self.platform.table.get(CONTROL, &key(id), Consistency::Strong).await?;
        item.map_or_else(|| Err(StoreError::not_found(WHAT, id)), |item| document::revised(WHAT, &item))
    }

    /// Makes one, which shares this secret with us.
    ///
    /// # Errors
    /// [`StoreError::InUse`] where there are as many as there can be.
    pub async fn create(&self, endpoint: &Endpoint, secret: &str) -> Result<(), StoreError> {
        if self.all().await?.len() >= MOST {
            return Err(StoreError::InUse(format!("there can be {MOST} webhook endpoints")));
        }
        let item = self.sealed(endpoint.id, secret).await?.with(REVISION, 1);
        let writes = vec![
            document::put(CONTROL, WHAT, key(endpoint.id), endpoint, 0)?,
            Write::put(CONTROL, item).when(at_revision(0)),
        ];
        self.apply(writes, Vec::new()).await
    }

    /// Stores an endpoint over the one at `revision`.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where that is not the newest.
    pub async fn put(&self, endpoint: &Endpoint, revision: i64) -> Result<(), StoreError> {
        let write = document::put(CONTROL, WHAT, key(endpoint.id), endpoint, revision)?;
        // What it is still to be told may be decided anew.
        self.apply(vec![write], vec![Notify::GoOn { endpoint: endpoint.id }.message()]).await
    }

    /// Removes an endpoint at `revision`, with its secret. What it is still to be told goes soon after.
    ///
    /// # Errors
    /// [`StoreError::Stale`].
    pub async fn delete(&self, id: EndpointId, revision: i64) -> Result<(), StoreError> {
        let writes = vec![
            Write::delete(CONTROL, key(id)).when(at_revision(revision)),
            Write::delete(CONTROL, secret_key(id)),
        ];
        self.apply(writes, vec![Notify::GoOn { endpoint: id }.message()]).await
    }

    /// The secrets that an endpoint's messages are signed with at `now`; the newest first.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or as the engine's and the vault's.
    pub async fn secrets(&self, id: EndpointId, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let item = self.secret_item(id).await?;
        let is_over = item.number(UNTIL).is_none_or(|until_ms| until_ms <= now.as_millisecond());
        let before = item.bytes(BEFORE).filter(|_| !is_over);
        let mut secrets = Vec::new();
        for sealed in [Some(item.bytes(SEALED).ok_or_else(corrupt)?), before].into_iter().flatten() {
            // What can't be read is not shown: it may be a secret.
            secrets.push(String::from_utf8(self.vault.open(PURPOSE, sealed).await?).map_err(|_| corrupt())?);
        }
        Ok(secrets)
    }

    /// Gives an endpoint at `revision` a new secret. The one before signs beside it for `overlap`; any older one is forgotten.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where that is not the newest revision.
    pub async fn change_secret(
        &self,
        endpoint: &Revised<Endpoint>,
        secret: &str,
        overlap: Duration,
    ) -> Result<Endpoint, StoreError> {
        let id = endpoint.value.id;
        let now = self.platform.clock.now();
        let kept = self.secret_item(id).await?;
        let revision = kept.number(REVISION).unwrap_or(0);
        let mut item = self.sealed(id, secret).await?.with(REVISION, revision + 1);
        if !overlap.is_zero() {
            let overlap_ms = i64::try_from(overlap.as_millis()).unwrap_or(i64::MAX);
            let before = kept.bytes(SEALED).ok_or_else(corrupt)?.to_vec();
            item = item.with(BEFORE, before).with(UNTIL, now.as_millisecond().saturating_add(overlap_ms));
        }
        let sealed = Write::put(CONTROL, item).when(at_revision(revision));
        let changed = Endpoint { secret_at: now, ..endpoint.value.clone() };
        let write = document::put(CONTROL, WHAT, key(id), &changed, endpoint.revision)?;
        self.apply(vec![write, sealed], Vec::new()).await?;
        Ok(changed)
    }

    async fn secret_item(&self, id: EndpointId) -> Result<Item, StoreError> {
        let item = self.platform.table.get(CONTROL, &secret_key(id), Consistency::Strong).await?;
        item.ok_or_else(|| StoreError::not_found(WHAT, id))
    }

    async fn sealed(&self, id: EndpointId, secret: &str) -> Result<Item, StoreError> {
        Ok(Item::new(secret_key(id)).with(SEALED, self.vault.seal(PURPOSE, secret.as_bytes()).await?))
    }

    async fn apply(&self, writes: Vec<Write>, messages: Vec<platform::Message>) -> Result<(), StoreError> {
        match refused(self.platform.commit(writes, messages).await)? {
            None => Ok(()),
            Some(_) => Err(StoreError::Stale { what: WHAT }),
        }
    }
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Endpoints(..)")
    }
}

const fn corrupt() -> StoreError {
    StoreError::Corrupt { what: "webhook endpoint's secret", source: None }
}

fn key(id: EndpointId) -> Key {
    Key::new(tables::ENDPOINTS, id.to_string())
}

fn secret_key(id: EndpointId) -> Key {
    Key::new(format!("{}{PURPOSE}", tables::SECRET), id.to_string())
}
