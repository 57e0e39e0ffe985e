use std::sync::Arc;

use campaign::fact::Minute;
use links::{Day, Kind, Link, TokenError, day_of};
use platform::Clock;
use store::{Store, StoreError};

use crate::templates::Templates;

/// What the function needs. Clones are cheap and share it.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) store: Arc<Store>,
    pub(crate) templates: Arc<Templates>,
}

/// Why a link can't be followed.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It is none of ours, or it is too old.
    Token(TokenError),
    /// What it is signed with can't be had.
    Store(StoreError),
}

impl Context {
    /// Over this store.
    pub fn new(store: Store) -> Self {
        Self { store: Arc::new(store), templates: Arc::default() }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.store.platform.clock
    }

    pub(crate) fn today(&self) -> Day {
        day_of(self.clock().now().as_second())
    }

    pub(crate) fn minute(&self) -> Minute {
        self.clock().now().as_second().div_euclid(60)
    }

    /// What a token of this kind says that was signed with this target.
    pub(crate) async fn read(&self, kind: Kind, token: &str, target: &str) -> Result<Link, Broken> {
        let keys = self.store.links.keys().await.map_err(Broken::Store)?;
        Link::read(kind, token, target, &keys, self.today()).map_err(Broken::Token)
    }
}

#[cfg(any(feature = "aws", feature = "embedded"))]
impl Context {
    /// From the function's environment: [`store::environment`].
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn from_environment() -> Result<Self, store::environment::EnvironmentError> {
        Ok(Self::new(store::environment::store().await?))
    }
}
