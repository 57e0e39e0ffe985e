//! Pages: of a partition, of a scan's bucket, of what is due.

use rusqlite::{Connection, ToSql, params};

use super::catalog::TableEntry;
use super::hash::{bucket_bounds, partition_hash};
use super::rows::item_of;
use crate::rules::size::{check_pk, item_size};
use crate::rules::{check_limit, check_scan};
use crate::{Item, Key, Page, PlatformError, Query, Range, Scan};

/// A page ends once its items hold this much, as in DynamoDB.
const PAGE_BYTES: usize = 1024 * 1024;

/// One end of a range of sort keys.
#[derive(Debug, PartialEq, Eq)]
struct Bound {
    sk: String,
    included: bool,
}

/// The ends of what the query still has to read.
fn bounds(query: &Query) -> (Option<Bound>, Option<Bound>) {
    let included = |sk: &str| Some(Bound { sk: sk.to_owned(), included: true });
    let (mut low, mut high) = match &query.range {
        Range::All => (None, None),
        Range::Prefix(prefix) if prefix.is_empty() => (None, None),
        Range::Prefix(prefix) => {
            (included(prefix), after_prefix(prefix).map(|sk| Bound { sk, included: false }))
        }
        Range::Between(first, last) => (included(first), included(last)),
    };
    if let Some(after) = &query.after {
        let bound = Bound { sk: after.clone(), included: false };
        if query.descending {
            if high.as_ref().is_none_or(|high| *after <= high.sk) {
                high = Some(bound);
            }
        } else if low.as_ref().is_none_or(|low| *after >= low.sk) {
            low = Some(bound);
        }
    }
    (low, high)
}

/// The first string after all that begin with `prefix`, if there is one.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut next = prefix.to_owned();
    while let Some(last) = next.pop() {
        // The order of UTF-8 is that of the code points; the surrogates between U+D7FF and U+E000 are none.
        let successor =
            if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(successor) = successor {
            next.push(successor);
            return Some(next);
        }
    }
    None
}

/// A page of a partition. `now` in seconds decides what is expired.
pub(super) fn query(
    conn: &Connection,
    table: &TableEntry,
    query: &Query,
    now: i64,
) -> Result<Page, PlatformError> {
    check_pk(&query.pk)?;
    check_limit(query.limit)?;
    let (low, high) = bounds(query);
    let rows = fetch_size(query.limit);
    let mut sql = format!(
        "SELECT due_bucket, due_at, expires, body, sk FROM {t} INDEXED BY {t}_key \
         WHERE pk = ?1 AND (expires IS NULL OR expires > ?2)",
        t = table.sql_name
    );
    let mut values: Vec<&dyn ToSql> = vec![&query.pk, &now, &rows];
    if let Some(low) = &low {
        values.push(&low.sk);
        sql.push_str(if low.included { " AND sk >= ?4" } else { " AND sk > ?4" });
    }
    if let Some(high) = &high {
        values.push(&high.sk);
        let operator = if high.included { "<=" } else { "<" };
        sql.push_str(&format!(" AND sk {operator} ?{}", values.len()));
    }
    sql.push_str(if query.descending { " ORDER BY sk DESC LIMIT ?3" } else { " ORDER BY sk LIMIT ?3" });

    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(values.as_slice())?;
    let mut filling = Filling::new(query.limit);
    while let Some(row) = rows.next()? {
        if filling.is_full() {
            return Ok(filling.page(|key| key.sk.clone()));
        }
        filling.add(item_of(row, Key::new(query.pk.as_str(), row.get::<_, String>(4)?))?);
    }
    Ok(filling.last_page())
}

/// A page of a scan's bucket. `now` in seconds decides what is expired.
pub(super) fn scan(
    conn: &Connection,
    table: &TableEntry,
    scan: &Scan,
    now: i64,
) -> Result<Page, PlatformError> {
    check_scan(scan)?;
    let (first, last) = bucket_bounds(scan.bucket, scan.of);
    let after = scan.after.as_deref().map(read_cursor).transpose()?;
    // Those that lie by their hash, then those that lie in turn, of which any may be of this bucket.
    let parts = match after {
        None => vec![(first - 1, last, fetch_size(scan.limit)), (i64::MIN, -1, NO_LIMIT)],
        Some(id) if id < 0 => vec![(id, -1, NO_LIMIT)],
        Some(id) if (first..=last).contains(&id) => {
            vec![(id, last, fetch_size(scan.limit)), (i64::MIN, -1, NO_LIMIT)]
        }
        Some(_) => {
            return Err(PlatformError::Invalid("the cursor is of another bucket".to_owned()));
        }
    };
    let mut statement = conn.prepare_cached(&table.scan)?;
    let mut filling = Filling::new(scan.limit);
    let mut last_id = first - 1;
    for (after, last_of_part, limit) in parts {
        let mut rows = statement.query(params![after, last_of_part, now, limit])?;
        while let Some(row) = rows.next()? {
            let key = Key::new(row.get::<_, String>(4)?, row.get::<_, String>(5)?);
            if !(first..=last).contains(&partition_hash(&key.pk)) {
                continue;
            }
            if filling.is_full() {
                return Ok(filling.page(|_| cursor(last_id)));
            }
            filling.add(item_of(row, key)?);
            last_id = row.get(6)?;
        }
    }
    Ok(filling.last_page())
}

/// Items that are due, the earliest first.
pub(super) fn due(
    conn: &Connection,
    table: &TableEntry,
    bucket: u8,
    until_ms: i64,
    limit: usize,
    now: i64,
) -> Result<Vec<Item>, PlatformError> {
    let mut statement = conn.prepare_cached(&table.due)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![bucket, until_ms, now, limit])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(item_of(row, Key::new(row.get::<_, String>(4)?, row.get::<_, String>(5)?))?);
    }
    Ok(items)
}

/// One row more than asked for, which shows whether there is a next page.
fn fetch_size(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// A page as it fills.
struct Filling {
    items: Vec<Item>,
    limit: usize,
    bytes: usize,
}

impl Filling {
    fn new(limit: usize) -> Self {
        Self { items: Vec::new(), limit, bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.items.len() >= self.limit || self.bytes >= PAGE_BYTES
    }

    fn add(&mut self, item: Item) {
        self.bytes += item_size(&item);
        self.items.push(item);
    }

    fn page(self, cursor: impl FnOnce(&Key) -> String) -> Page {
        let next = self.items.last().map(|item| cursor(&item.key));
        Page { items: self.items, next }
    }

    fn last_page(self) -> Page {
        Page { items: self.items, next: None }
    }
}

/// For a statement that gets as many rows as it finds.
const NO_LIMIT: i64 = -1;

/// A scan's cursor is the id of the last row.
fn cursor(id: i64) -> String {
    format!("{id:x}")
}

fn read_cursor(cursor: &str) -> Result<i64, PlatformError> {
    u64::from_str_radix(cursor, 16)
        .map(u64::cast_signed)
        .map_err(|_| PlatformError::Invalid("the cursor is not one of a scan".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TableName;
    use crate::embedded::catalog::Entry;
    use crate::embedded::files;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(after_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(after_prefix("a\u{D7FF}").as_deref(), Some("a\u{E000}"));
        assert_eq!(after_prefix("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{10FFFF}"), None);
    }

    /// A page must seek to where it begins, not read up to it.
    #[test]
    fn pages_seek() {
        let conn = files::open_in_memory().unwrap();
        let table = TableEntry::from_name(TableName("plan").0);
        conn.execute_batch(table.schema()).unwrap();
        let plan = |sql: &str| -> String {
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut rows = statement.raw_query();
            rows.next().unwrap().unwrap().get(3).unwrap()
        };
        let due = plan(&table.due);
        assert!(due.contains("USING INDEX t_plan_due (due_bucket=? AND due_at<?)"), "{due}");
        let scan = plan(&table.scan);
        assert!(scan.contains("USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), "{scan}");
        let get = plan(&table.get);
        assert!(get.contains("USING INDEX t_plan_key (pk=? AND sk=?)"), "{get}");
        let query =
            plan("SELECT body FROM t_plan INDEXED BY t_plan_key WHERE pk = ?1 AND sk > ?2 ORDER BY sk DESC");
        assert!(query.contains("USING INDEX t_plan_key (pk=? AND sk>?)"), "{query}");
    }
}
