//! Single rows of a table: reading one, and changing one on a condition.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::catalog::TableEntry;
use super::change::{apply, holds};
use super::codec;
use super::hash::partition_hash;
use super::size::check_item;
use crate::{Condition, Due, Item, Key, PlatformError, WriteKind};

/// What lies at a key.
pub(super) enum Found {
    /// Nothing.
    Absent,
    /// A row that counts as absent because its expiry is past.
    Expired,
    /// An item.
    Live(Item),
}

impl Found {
    pub(super) fn item(&self) -> Option<&Item> {
        match self {
            Self::Live(item) => Some(item),
            Self::Absent | Self::Expired => None,
        }
    }

    pub(super) fn into_item(self) -> Option<Item> {
        match self {
            Self::Live(item) => Some(item),
            Self::Absent | Self::Expired => None,
        }
    }
}

/// The item of a row whose first columns are due_bucket, due_at, expires and body.
pub(super) fn item_of(row: &Row<'_>, key: Key) -> Result<Item, PlatformError> {
    let bucket: Option<u8> = row.get(0)?;
    let at_ms: Option<i64> = row.get(1)?;
    let body = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(Item {
        key,
        attributes: codec::decode(body)?,
        due: bucket.zip(at_ms).map(|(bucket, at_ms)| Due { bucket, at_ms }),
        expires: row.get(2)?,
    })
}

/// Reads the row at `key`; `now` in seconds decides whether it is expired.
pub(super) fn find(
    conn: &Connection,
    table: &TableEntry,
    key: &Key,
    now: i64,
) -> Result<Found, PlatformError> {
    let mut get = conn.prepare_cached(&table.get)?;
    let mut rows = get.query(params![partition_hash(&key.pk), key.pk, key.sk])?;
    let Some(row) = rows.next()? else {
        return Ok(Found::Absent);
    };
    let expires: Option<i64> = row.get(2)?;
    if expires.is_some_and(|expires| expires <= now) {
        return Ok(Found::Expired);
    }
    Ok(Found::Live(item_of(row, key.clone())?))
}

/// Puts the item, whatever was there.
pub(super) fn put(
    conn: &Connection,
    table: &TableEntry,
    item: &Item,
    size: usize,
) -> Result<(), PlatformError> {
    let body = codec::encode(&item.attributes, size)?;
    conn.prepare_cached(&table.upsert)?.execute(params![
        partition_hash(&item.key.pk),
        item.key.pk,
        item.key.sk,
        item.due.map(|due| due.bucket),
        item.due.map(|due| due.at_ms),
        item.expires,
        body
    ])?;
    Ok(())
}

/// A write whose condition held, ready to be carried out.
pub(super) struct Planned {
    table: Arc<TableEntry>,
    action: Action,
    /// The size of the item it leaves behind.
    pub(super) size: usize,
}

enum Action {
    Put(Item),
    /// Only attributes differ from the row as it is.
    SetBody(Item),
    Delete(Key),
    Nothing,
}

/// What became of a write when it was looked at.
pub(super) enum Plan {
    /// It can be carried out.
    Go(Planned),
    /// Its condition does not hold of this.
    Refused(Option<Item>),
}

/// Looks at what is stored and decides, changing nothing yet.
pub(super) fn plan(
    conn: &Connection,
    table: Arc<TableEntry>,
    kind: WriteKind,
    condition: Option<&Condition>,
    now: i64,
) -> Result<Plan, PlatformError> {
    // Without a condition only an update needs to know what is there.
    let mut found = Found::Absent;
    if condition.is_some() || matches!(kind, WriteKind::Update(..)) {
        let key = match &kind {
            WriteKind::Put(item) => &item.key,
            WriteKind::Update(key, _) | WriteKind::Delete(key) | WriteKind::Check(key) => key,
        };
        found = find(conn, &table, key, now)?;
    }
    if let Some(condition) = condition
        && !holds(condition, found.item())
    {
        return Ok(Plan::Refused(found.into_item()));
    }
    let (action, size) = match kind {
        WriteKind::Put(item) => {
            let size = check_item(&item)?;
            (Action::Put(item), size)
        }
        WriteKind::Update(key, changes) => {
            let before = found.item().map(|item| (item.due, item.expires));
            let mut item = found.into_item().unwrap_or_else(|| Item::new(key));
            apply(&mut item, changes)?;
            let size = check_item(&item)?;
            let same_columns = before == Some((item.due, item.expires));
            (
                if same_columns {
                    Action::SetBody(item)
                } else {
                    Action::Put(item)
                },
                size,
            )
        }
        WriteKind::Delete(key) => (Action::Delete(key), 0),
        WriteKind::Check(_) => (Action::Nothing, 0),
    };
    Ok(Plan::Go(Planned { table, action, size }))
}

impl Planned {
    /// Carries it out. Returns the item it leaves behind.
    pub(super) fn carry_out(self, conn: &Connection) -> Result<Option<Item>, PlatformError> {
        let table = &self.table;
        match self.action {
            Action::Put(item) => {
                put(conn, table, &item, self.size)?;
                Ok(Some(item))
            }
            Action::SetBody(item) => {
                let body = codec::encode(&item.attributes, self.size)?;
                let Key { pk, sk } = &item.key;
                conn.prepare_cached(&table.set_body)?
                    .execute(params![partition_hash(pk), pk, sk, body])?;
                Ok(Some(item))
            }
            Action::Delete(Key { pk, sk }) => {
                conn.prepare_cached(&table.delete)?
                    .execute(params![partition_hash(&pk), pk, sk])?;
                Ok(None)
            }
            Action::Nothing => Ok(None),
        }
    }
}

/// About how many rows the table has, from the span of hashes its first thousand rows cover; exact below that.
pub(super) fn estimate(conn: &Connection, table: &TableEntry) -> Result<u64, PlatformError> {
    const SAMPLE: u32 = 1000;
    let counted = conn
        .prepare_cached(&table.span)?
        .query_row([SAMPLE], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, Option<i64>>(1)?))
        })
        .optional()?;
    let Some((rows, Some(last))) = counted else {
        return Ok(0);
    };
    if rows < SAMPLE {
        return Ok(u64::from(rows));
    }
    // Rows up to the hash `last` over that hash's share of all hashes. A hash of 0 would mean one endless partition.
    let span = u128::from(last.unsigned_abs().max(1));
    let all = u128::from(rows) * u128::from(super::hash::HASH_SPAN) / span;
    Ok(u64::try_from(all).unwrap_or(u64::MAX))
}
