//! The tables and queues in use, each with its SQL written out once.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;

use super::consumer::{Place, Taker};
use crate::{QueueName, TableName};

/// Every table and queue asked for so far.
#[derive(Default)]
pub(super) struct Catalog {
    tables: RwLock<HashMap<String, Arc<TableEntry>>>,
    queues: RwLock<HashMap<String, Arc<QueueEntry>>>,
}

/// Something that gets its SQL table when it is first used.
pub(super) trait Entry: Send + Sync + 'static {
    fn from_name(name: &str) -> Self;
    /// What creates it, if it is not there.
    fn schema(&self) -> &str;
    /// Whether it is known to be there.
    fn created(&self) -> &AtomicBool;
}

impl Catalog {
    pub(super) fn table(&self, name: TableName) -> Arc<TableEntry> {
        entry(&self.tables, name.0)
    }

    pub(super) fn queue(&self, name: QueueName) -> Arc<QueueEntry> {
        entry(&self.queues, name.0)
    }

    /// The queue of the dead letters of `queue`.
    pub(super) fn dead_letters(&self, queue: QueueName) -> Arc<QueueEntry> {
        entry(&self.queues, &format!("{}-dlq", queue.0))
    }
}

fn entry<E: Entry>(entries: &RwLock<HashMap<String, Arc<E>>>, name: &str) -> Arc<E> {
    if let Some(entry) = entries.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return Arc::clone(entry);
    }
    let mut entries = entries.write().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(entries.entry(name.to_owned()).or_insert_with(|| Arc::new(E::from_name(name))))
}

/// A logical table. Its rows lie in the order of their ids (see `hash`); an index finds them by key. (Rows as large as profiles would make a table without ids, ordered by
/// key, many levels deep.) The body is the last column: what it overflows into is only read where it is asked for.
pub(super) struct TableEntry {
    created: AtomicBool,
    schema: String,
    /// The table as it is written in SQL.
    pub(super) sql_name: String,
    /// (pk, sk) -> due_bucket, due_at, expires, body, id
    pub(super) get: String,
    /// (id, pk, sk, due_bucket, due_at, expires, body): the id only counts for a row that is new
    pub(super) upsert: String,
    /// (id, due_bucket, due_at, expires, body)
    pub(super) set_row: String,
    /// (id, body): for a row whose other columns stay, so that no index is touched
    pub(super) set_body: String,
    /// (pk, sk)
    pub(super) delete: String,
    /// (due_bucket, until, now in s, limit) -> due_bucket, due_at, expires, body, pk, sk
    pub(super) due: String,
    /// (after this id, up to that id, now in s, limit) -> due_bucket, due_at, expires, body, pk, sk, id
    pub(super) scan: String,
    /// (limit) -> how many of the first rows that lie by their hash, the greatest id among them
    pub(super) span: String,
    /// () -> how many rows lie in turn
    pub(super) in_turn: String,
}

impl Entry for TableEntry {
    fn from_name(name: &str) -> Self {
        let t = sql_name('t', name);
        let live = "(expires IS NULL OR expires > ?3)";
        Self {
            created: AtomicBool::new(false),
            schema: format!(
                "CREATE TABLE IF NOT EXISTS {t} (id INTEGER PRIMARY KEY, pk TEXT NOT NULL, sk TEXT NOT NULL, \
                 due_bucket INTEGER, due_at INTEGER, expires INTEGER, body BLOB NOT NULL);
                 CREATE UNIQUE INDEX IF NOT EXISTS {t}_key ON {t} (pk, sk);
                 CREATE INDEX IF NOT EXISTS {t}_due ON {t} (due_bucket, due_at) WHERE due_bucket IS NOT NULL;
                 CREATE INDEX IF NOT EXISTS {t}_expires ON {t} (expires) WHERE expires IS NOT NULL;"
            ),
            get: format!("SELECT due_bucket, due_at, expires, body, id FROM {t} WHERE pk = ?1 AND sk = ?2"),
            upsert: format!(
                "INSERT INTO {t} (id, pk, sk, due_bucket, due_at, expires, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                 ON CONFLICT (pk, sk) DO UPDATE SET due_bucket = ?4, due_at = ?5, expires = ?6, body = ?7"
            ),
            set_row: format!(
                "UPDATE {t} SET due_bucket = ?2, due_at = ?3, expires = ?4, body = ?5 WHERE id = ?1"
            ),
            set_body: format!("UPDATE {t} SET body = ?2 WHERE id = ?1"),
            delete: format!("DELETE FROM {t} WHERE pk = ?1 AND sk = ?2"),
            due: format!(
                "SELECT due_bucket, due_at, expires, body, pk, sk FROM {t} INDEXED BY {t}_due \
                 WHERE due_bucket = ?1 AND due_at <= ?2 AND {live} ORDER BY due_at LIMIT ?4"
            ),
            scan: format!(
                "SELECT due_bucket, due_at, expires, body, pk, sk, id FROM {t} NOT INDEXED \
                 WHERE id > ?1 AND id <= ?2 AND {live} ORDER BY id LIMIT ?4"
            ),
            span: format!(
                "SELECT count(*), max(id) FROM (SELECT id FROM {t} NOT INDEXED WHERE id >= 0 ORDER BY id LIMIT ?1)"
            ),
            in_turn: format!("SELECT count(*) FROM {t} NOT INDEXED WHERE id < 0"),
            sql_name: t,
        }
    }

    fn schema(&self) -> &str {
        &self.schema
    }

    fn created(&self) -> &AtomicBool {
        &self.created
    }
}

/// A queue. A message's row keeps its id; the index over `visible_at` says what may be received.
pub(super) struct QueueEntry {
    created: AtomicBool,
    schema: String,
    /// Counts the commits that may have made a message visible sooner than was known before.
    arrivals: watch::Sender<u64>,
    /// Who takes messages as they are sent.
    takers: Mutex<Vec<Arc<Taker>>>,
    /// (id, visible_at, receives, body)
    pub(super) insert: String,
    /// (now) -> a row if a message is visible
    pub(super) any_visible: String,
    /// (now, limit) -> id, receives, body
    pub(super) visible: String,
    /// (id, visible_at): hides the message and counts the receive
    pub(super) hide: String,
    /// (id, receives, visible_at)
    pub(super) release: String,
    /// (now): makes what was received and not deleted visible
    pub(super) recover: String,
    /// (id, receives)
    pub(super) delete: String,
    /// () -> the earliest visible_at
    pub(super) next: String,
    /// (now) -> visible, in flight, delayed
    pub(super) counts: String,
    /// (limit) -> id, receives, body
    pub(super) oldest: String,
}

impl Entry for QueueEntry {
    fn from_name(name: &str) -> Self {
        let q = sql_name('q', name);
        Self {
            created: AtomicBool::new(false),
            schema: format!(
                "CREATE TABLE IF NOT EXISTS {q} (id INTEGER PRIMARY KEY, visible_at INTEGER NOT NULL, \
                 receives INTEGER NOT NULL, body TEXT NOT NULL);
                 CREATE INDEX IF NOT EXISTS {q}_visible ON {q} (visible_at, receives);"
            ),
            arrivals: watch::Sender::new(0),
            takers: Mutex::default(),
            insert: format!("INSERT INTO {q} (id, visible_at, receives, body) VALUES (?1, ?2, ?3, ?4)"),
            any_visible: format!("SELECT 1 FROM {q} WHERE visible_at <= ?1 LIMIT 1"),
            visible: format!(
                "SELECT id, receives, body FROM {q} WHERE visible_at <= ?1 ORDER BY visible_at, receives, id LIMIT ?2"
            ),
            hide: format!("UPDATE {q} SET visible_at = ?2, receives = receives + 1 WHERE id = ?1"),
            release: format!("UPDATE {q} SET visible_at = ?3 WHERE id = ?1 AND receives = ?2"),
            recover: format!("UPDATE {q} SET visible_at = ?1 WHERE receives > 0 AND visible_at > ?1"),
            delete: format!("DELETE FROM {q} WHERE id = ?1 AND receives = ?2"),
            next: format!("SELECT min(visible_at) FROM {q}"),
            counts: format!(
                "SELECT count(*) FILTER (WHERE visible_at <= ?1), count(*) FILTER (WHERE visible_at > ?1 AND receives > 0), \
                 count(*) FILTER (WHERE visible_at > ?1 AND receives = 0) FROM {q} INDEXED BY {q}_visible \
                 WHERE visible_at IS NOT NULL"
            ),
            oldest: format!("SELECT id, receives, body FROM {q} ORDER BY id LIMIT ?1"),
        }
    }

    fn schema(&self) -> &str {
        &self.schema
    }

    fn created(&self) -> &AtomicBool {
        &self.created
    }
}

impl QueueEntry {
    /// Wakes whoever waits for messages of this queue.
    pub(super) fn announce(&self) {
        self.arrivals.send_modify(|count| *count += 1);
    }

    pub(super) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }

    /// Lets messages go to this taker as they are sent, while it has places free.
    pub(super) fn enlist(&self, taker: Arc<Taker>) {
        self.takers.lock().unwrap_or_else(PoisonError::into_inner).push(taker);
    }

    /// No more messages go to this taker.
    pub(super) fn dismiss(&self, taker: &Arc<Taker>) {
        self.takers.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, taker));
    }

    /// A place for a message that is being sent, if a taker waits for one.
    pub(super) fn place(&self) -> Option<Place> {
        self.takers.lock().unwrap_or_else(PoisonError::into_inner).iter().find_map(Taker::reserve)
    }
}

/// The name of the SQL table: `t_` or `q_` and the logical name, where everything but `a-z` and `0-9` is written as `_`
/// and two hex digits a byte: distinct names stay distinct, for SQLite too, which ignores case.
fn sql_name(kind: char, name: &str) -> String {
    let mut sql = format!("{kind}_");
    for byte in name.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() {
            sql.push(char::from(byte));
        } else {
            sql.push_str(&format!("_{byte:02x}"));
        }
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_stay_different() {
        assert_eq!(sql_name('t', "ledger"), "t_ledger");
        assert_eq!(sql_name('q', "email-dlq"), "q_email_2ddlq");
        assert_ne!(sql_name('t', "A").to_lowercase(), sql_name('t', "a"));
        assert_ne!(sql_name('t', "a_2d"), sql_name('t', "a-"));
        assert_eq!(sql_name('t', "x\"; DROP"), "t_x_22_3b_20_44_52_4f_50");
    }
}
