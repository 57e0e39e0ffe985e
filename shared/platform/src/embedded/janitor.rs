//! Removing items whose expiry is past. They count as absent already; this gives back their room.

use rusqlite::params;

use super::Embedded;
use crate::PlatformError;

impl Embedded {
    /// Removes up to `limit` expired items, over all tables. Returns how many; call again at once while it is `limit`.
    ///
    /// # Errors
    /// [`PlatformError`] where the database can't be written.
    pub async fn remove_expired(&self, limit: usize) -> Result<usize, PlatformError> {
        let now = self.shared().now_seconds();
        let tables = self.read(|conn| {
            let mut names = conn.prepare_cached(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 't_*' ORDER BY name",
            )?;
            let names = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
            // Most of the time nothing is expired, and then there is nothing to write.
            let mut expired = Vec::new();
            for name in names {
                let any = format!("SELECT 1 FROM {name} INDEXED BY {name}_expires WHERE expires <= ?1");
                if conn.prepare_cached(&any)?.exists([now])? {
                    expired.push(name);
                }
            }
            Ok(expired)
        })?;
        if tables.is_empty() || limit == 0 {
            return Ok(0);
        }
        self.write(move |step| -> Result<usize, PlatformError> {
            let mut removed = 0;
            for name in tables {
                let rows = i64::try_from(limit - removed).unwrap_or(i64::MAX);
                removed += step
                    .conn
                    .prepare_cached(&format!(
                        "DELETE FROM {name} WHERE id IN \
                         (SELECT id FROM {name} INDEXED BY {name}_expires WHERE expires <= ?1 LIMIT ?2)"
                    ))?
                    .execute(params![now, rows])?;
            }
            Ok(removed)
        })
        .await
    }
}
