//! Single rows of a table: reading one, and changing one on a condition.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::catalog::TableEntry;
use super::codec;
use super::hash::{HASH_SPAN, in_turn, partition_hash, row_id};
use super::writer::Step;
use crate::rules::change::{apply, holds};
use crate::rules::size::check_item;
use crate::{Change, Condition, Due, Item, Key, PlatformError, WriteKind};

/// How many ids are tried for a new row. Even where half of a partition's ids were taken, a hundred would not be.
const MAX_ATTEMPTS: u32 = 100;

/// What lies at a key.
pub(super) enum Found {
    /// Nothing.
    Absent,
    /// A row that counts as absent because its expiry is past.
    Expired(RowId),
    /// An item.
    Live(RowId, Item),
}

/// Where a row lies.
type RowId = i64;

impl Found {
    pub(super) fn item(&self) -> Option<&Item> {
        match self {
            Self::Live(_, item) => Some(item),
            Self::Absent | Self::Expired(_) => None,
        }
    }

    pub(super) fn into_item(self) -> Option<Item> {
        match self {
            Self::Live(_, item) => Some(item),
            Self::Absent | Self::Expired(_) => None,
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
    let mut rows = get.query(params![key.pk, key.sk])?;
    let Some(row) = rows.next()? else {
        return Ok(Found::Absent);
    };
    let id = row.get(4)?;
    let expires: Option<i64> = row.get(2)?;
    if expires.is_some_and(|expires| expires <= now) {
        return Ok(Found::Expired(id));
    }
    Ok(Found::Live(id, item_of(row, key.clone())?))
}

/// Puts the item, whatever was there.
pub(super) fn put(
    step: &Step<'_>,
    table: &TableEntry,
    item: &Item,
    size: usize,
) -> Result<(), PlatformError> {
    let body = codec::encode(&item.attributes, size)?;
    let mut upsert = step.conn.prepare_cached(&table.upsert)?;
    let place = match item.expires {
        Some(_) => Place::InTurn(step.shared.running_number()),
        None => Place::ByHash(partition_hash(&item.key.pk), step.shared.row_number()),
    };
    let mut attempt = 0;
    loop {
        let id = match place {
            Place::InTurn(number) => in_turn(number),
            Place::ByHash(hash, number) => row_id(hash, number, attempt),
        };
        let outcome = upsert.execute(params![
            id,
            item.key.pk,
            item.key.sk,
            item.due.map(|due| due.bucket),
            item.due.map(|due| due.at_ms),
            item.expires,
            body
        ]);
        attempt += 1;
        match outcome {
            Err(error) if is_taken(&error) && attempt < MAX_ATTEMPTS => {}
            outcome => return Ok(outcome.map(|_| ())?),
        }
    }
}

/// Where a new row lies, with its running number.
enum Place {
    InTurn(i64),
    ByHash(i64, u64),
}

/// Whether the row's id is another row's already.
fn is_taken(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID};
    error.sqlite_error().is_some_and(|error| {
        [SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID].contains(&error.extended_code)
    })
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
    /// The row that is there gets this item.
    SetRow(RowId, Item),
    /// The same, where only attributes differ.
    SetBody(RowId, Item),
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
    let live = found.item().is_some();
    let (action, size) = match kind {
        WriteKind::Put(item) => {
            let size = check_item(&item)?;
            (Action::Put(item), size)
        }
        WriteKind::Update(key, changes) => {
            let (place, mut item) = match found {
                Found::Absent => (None, Item::new(key)),
                Found::Expired(id) => (Some(id), Item::new(key)),
                Found::Live(id, item) => (Some(id), item),
            };
            let columns_stay =
                !changes.iter().any(|change| matches!(change, Change::Due(_) | Change::Expires(_)));
            apply(&mut item, changes)?;
            let size = check_item(&item)?;
            let action = match place {
                None => Action::Put(item),
                Some(id) if columns_stay && live => Action::SetBody(id, item),
                Some(id) => Action::SetRow(id, item),
            };
            (action, size)
        }
        WriteKind::Delete(key) => (Action::Delete(key), 0),
        WriteKind::Check(_) => (Action::Nothing, 0),
    };
    Ok(Plan::Go(Planned { table, action, size }))
}

impl Planned {
    /// Carries it out. Returns the item it leaves behind.
    pub(super) fn carry_out(self, step: &Step<'_>) -> Result<Option<Item>, PlatformError> {
        let (table, conn) = (&self.table, step.conn);
        match self.action {
            Action::Put(item) => {
                put(step, table, &item, self.size)?;
                Ok(Some(item))
            }
            Action::SetRow(id, item) => {
                let body = codec::encode(&item.attributes, self.size)?;
                let (bucket, at_ms) = (item.due.map(|due| due.bucket), item.due.map(|due| due.at_ms));
                conn.prepare_cached(&table.set_row)?.execute(params![
                    id,
                    bucket,
                    at_ms,
                    item.expires,
                    body
                ])?;
                Ok(Some(item))
            }
            Action::SetBody(id, item) => {
                let body = codec::encode(&item.attributes, self.size)?;
                conn.prepare_cached(&table.set_body)?.execute(params![id, body])?;
                Ok(Some(item))
            }
            Action::Delete(Key { pk, sk }) => {
                conn.prepare_cached(&table.delete)?.execute(params![pk, sk])?;
                Ok(None)
            }
            Action::Nothing => Ok(None),
        }
    }
}

/// About how many rows the table has, from the span of ids that the first thousand of those that lie by their hash cover;
/// exact below that. Those that lie in turn are counted one by one: who is asked for this has few of them.
pub(super) fn estimate(conn: &Connection, table: &TableEntry) -> Result<u64, PlatformError> {
    const SAMPLE: u32 = 1000;
    let in_turn: u64 =
        conn.prepare_cached(&table.in_turn)?.query_row([], |row| row.get(0)).map(i64::unsigned_abs)?;
    let counted = conn
        .prepare_cached(&table.span)?
        .query_row([SAMPLE], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, Option<i64>>(1)?)))
        .optional()?;
    let Some((rows, Some(last))) = counted else {
        return Ok(in_turn);
    };
    if rows < SAMPLE {
        return Ok(in_turn + u64::from(rows));
    }
    // Rows up to the id `last` over that id's share of all ids.
    let span = u128::from(last.unsigned_abs().max(1));
    let all = u128::from(rows) * u128::from(HASH_SPAN) / span;
    Ok(u64::try_from(all).unwrap_or(u64::MAX).saturating_add(in_turn))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use crate::embedded::Embedded;
    use crate::{Consistency, Item, Key, Scan, SystemClock, Table, TableName};

    const TABLE: TableName = TableName("rows");

    /// Wherever a row lies, it is found in the bucket of its partition, once, and counted.
    #[tokio::test]
    async fn rows_that_expire_are_scanned_with_their_partition() {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        let items: Vec<Item> = (0..240)
            .map(|n| {
                let mut item = Item::new(Key::new(format!("p{}", n / 4), format!("{n:03}")));
                item.expires = (n % 2 == 0).then_some(i64::MAX);
                item
            })
            .collect();
        engine.batch_put(TABLE, items).await.unwrap();
        assert_eq!(engine.estimate(TABLE).await.unwrap(), 240);
        for of in [1, 3, 16] {
            let mut bucket_of = std::collections::BTreeMap::new();
            let mut found = 0;
            for bucket in 0..of {
                let mut scan = Scan { bucket, of, after: None, limit: 7 };
                loop {
                    let page = engine.scan(TABLE, scan.clone()).await.unwrap();
                    found += page.items.len();
                    for item in page.items {
                        assert_eq!(*bucket_of.entry(item.key.pk).or_insert(bucket), bucket);
                    }
                    scan.after = page.next;
                    if scan.after.is_none() {
                        break;
                    }
                }
            }
            assert_eq!((found, bucket_of.len()), (240, 60));
        }
    }

    /// As when a counter has come round: the first ids of new rows are taken.
    #[tokio::test]
    async fn a_row_whose_id_is_taken_gets_another() {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        let items = |from: usize| -> Vec<Item> {
            (from..from + 50).map(|n| Item::new(Key::new("p", format!("{n:03}"))).with("n", 1)).collect()
        };
        let number = engine.shared().next_row.load(Ordering::Relaxed);
        for from in [0, 50, 100] {
            engine.shared().next_row.store(number, Ordering::Relaxed);
            engine.batch_put(TABLE, items(from)).await.unwrap();
        }
        // Putting them again changes no row's place.
        engine.shared().next_row.store(number, Ordering::Relaxed);
        let before = engine.scan(TABLE, Scan { bucket: 0, of: 1, after: None, limit: 1000 }).await.unwrap();
        engine.batch_put(TABLE, [items(0), items(50), items(100)].concat()).await.unwrap();
        let after = engine.scan(TABLE, Scan { bucket: 0, of: 1, after: None, limit: 1000 }).await.unwrap();
        assert_eq!(before, after);
        assert_eq!(after.items.len(), 150);
        for n in [0, 50, 149] {
            let key = Key::new("p", format!("{n:03}"));
            assert!(engine.get(TABLE, &key, Consistency::Strong).await.unwrap().is_some());
        }
    }
}
