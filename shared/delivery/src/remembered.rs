//! What was read a moment ago, for what may be a moment old: an edit or a stop is seen within two seconds.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use platform::Clock;

/// How long what was read is taken to hold.
const REMEMBER: Duration = Duration::from_secs(1);
/// The most that is remembered; beyond it all is forgotten, and what is in use read anew.
const MOST: usize = 1000;

/// Values by name, each until when (on the monotonic clock) it is taken to hold.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    kept: Mutex<HashMap<K, (V, Duration)>>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self { kept: Mutex::default() }
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// The value that `read` gives, or gave a moment ago. An error is not remembered.
    ///
    /// # Errors
    /// As `read`'s.
    pub(crate) async fn get<E>(
        &self,
        name: K,
        clock: &dyn Clock,
        read: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let now = clock.monotonic();
        if let Some((value, until)) = self.kept().get(&name)
            && now < *until
        {
            return Ok(value.clone());
        }
        let value = read.await?;
        self.keep(name, value.clone(), now);
        Ok(value)
    }

    /// Remembers a value that is known without reading.
    pub(crate) fn put(&self, name: K, value: V, clock: &dyn Clock) {
        self.keep(name, value, clock.monotonic());
    }

    fn keep(&self, name: K, value: V, now: Duration) {
        let mut kept = self.kept();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(name, (value, now + REMEMBER));
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<K, (V, Duration)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
