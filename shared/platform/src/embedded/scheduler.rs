//! The [`Scheduler`] port, and what fires its wake-ups.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::params;
use tokio::sync::watch;

use super::Embedded;
use super::queue::{insert, instant, later};
use crate::rules::check_wake_up;
use crate::{PlatformError, QueueName, Scheduler, WakeUp};

/// How many wake-ups fire in one transaction.
const MAX_FIRED: i64 = 1000;

#[async_trait]
impl Scheduler for Embedded {
    async fn put(&self, wake_up: WakeUp) -> Result<(), PlatformError> {
        check_wake_up(&wake_up)?;
        self.write(move |step| -> Result<(), PlatformError> {
            let WakeUp { name, at, body } = wake_up;
            // Rounded up, since a wake-up comes late rather than early.
            let at = later(at, std::time::Duration::ZERO);
            step.conn
                .prepare_cached(
                    "INSERT INTO wake_up (name, at, body) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (name) DO UPDATE SET at = ?2, body = ?3",
                )?
                .execute(params![name, at, body])?;
            step.rescheduled();
            Ok(())
        })
        .await
    }

    async fn delete(&self, name: &str) -> Result<(), PlatformError> {
        let name = name.to_owned();
        self.write(move |step| -> Result<(), PlatformError> {
            step.conn.prepare_cached("DELETE FROM wake_up WHERE name = ?1")?.execute([name])?;
            step.rescheduled();
            Ok(())
        })
        .await
    }
}

impl Embedded {
    /// Moves the wake-ups whose instant has come to `queue`, in one transaction and the earliest first. Returns how many;
    /// call again while it is not 0.
    ///
    /// # Errors
    /// [`PlatformError`] where the database can't be written; then none was moved.
    pub async fn fire_due(&self, queue: QueueName) -> Result<usize, PlatformError> {
        let now = self.shared().now_micros();
        if self.next_wake_up().await?.is_none_or(|next| next.as_microsecond() > now) {
            return Ok(0);
        }
        let to = self.queue_entry(queue).await?;
        self.write(move |step| {
            let now = step.shared.now_micros();
            let due: Vec<(String, String)> = step
                .conn
                .prepare_cached("SELECT name, body FROM wake_up WHERE at <= ?1 ORDER BY at, name LIMIT ?2")?
                .query_map(params![now, MAX_FIRED], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            for (name, body) in &due {
                insert(step, &to, now, body)?;
                step.conn.prepare_cached("DELETE FROM wake_up WHERE name = ?1")?.execute([name])?;
            }
            step.rescheduled();
            Ok(due.len())
        })
        .await
    }

    /// The instant of the earliest wake-up; `None` if there is none.
    ///
    /// # Errors
    /// [`PlatformError`] where the database can't be read.
    pub async fn next_wake_up(&self) -> Result<Option<Timestamp>, PlatformError> {
        let next: Option<i64> = self.read(|conn| {
            Ok(conn.prepare_cached("SELECT min(at) FROM wake_up")?.query_row([], |row| row.get(0))?)
        })?;
        next.map(instant).transpose()
    }

    /// Changes whenever a commit may have changed [`Embedded::next_wake_up`]. Mark it seen, look, then wait for the
    /// change or the instant: nothing is missed.
    pub fn schedule_changes(&self) -> watch::Receiver<u64> {
        self.shared().schedule.subscribe()
    }
}
