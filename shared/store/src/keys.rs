//! API keys: only their hashes are kept.

use campaign::id::random_bytes;
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use jiff::Timestamp;
use platform::{Consistency, Key, Platform, Query, Write};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::StoreError;
use crate::document;
use crate::error::refused;
use crate::tables::{self, CONTROL};

const WHAT: &str = "API key";

/// What the holder of a key may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read.
    Viewer,
    /// Edit profiles, segments, configurations and drafts.
    Manager,
    /// Activate, stop, resend: what reaches people.
    Publisher,
    /// Make and revoke keys.
    Admin,
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The SHA-256 of the key, in hexadecimal; also its id.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The repository of API keys.
#[derive(Debug, Clone)]
pub struct Keys {
    platform: Platform,
}

impl Keys {
    /// Over this platform.
    pub const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// Makes a key. The first of the pair is the key itself, which can't be had again.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn create(&self, name: &str, role: Role) -> Result<(String, ApiKey), StoreError> {
        let secret = [random_bytes(), random_bytes()].concat();
        let secret = format!("envoi_{}", BASE32_NOPAD.encode(&secret).to_lowercase());
        let key =
            ApiKey { id: hash(&secret), name: name.to_owned(), role, created_at: self.platform.clock.now() };
        let write = document::put(CONTROL, WHAT, item_key(&key.id), &key, 0)?;
        match refused(self.platform.table.transact(vec![write]).await)? {
            None => Ok((secret, key)),
            Some(_) => Err(StoreError::Stale { what: WHAT }),
        }
    }

    /// The key whose secret this is.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn find(&self, secret: &str) -> Result<Option<ApiKey>, StoreError> {
        let item = self.platform.table.get(CONTROL, &item_key(&hash(secret)), Consistency::Eventual).await?;
        item.map(|item| document::decode(WHAT, &item)).transpose()
    }

    /// A page of keys.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn list(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<ApiKey>, Option<String>), StoreError> {
        let query = Query::of(tables::KEYS, limit).after(after);
        let (keys, next) = document::list(&self.platform, WHAT, query).await?;
        Ok((keys.into_iter().map(|key| key.value).collect(), next))
    }

    /// Revokes a key; one that is not there is no error.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn delete(&self, id: &str) -> Result<(), StoreError> {
        refused(self.platform.table.transact(vec![Write::delete(CONTROL, item_key(id))]).await)?;
        Ok(())
    }
}

fn item_key(id: &str) -> Key {
    Key::new(tables::KEYS, id)
}

fn hash(secret: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(secret.as_bytes()))
}
