//! Pages: of a partition, of a scan's bucket, of what is due.

use rusqlite::{Connection, ToSql, params};

use super::catalog::TableEntry;
use super::hash::{bucket_bounds, partition_hash};
use super::rows::item_of;
use super::size::{check_pk, item_size, within};
use crate::{Item, Key, Page, PlatformError, Query, Range, Scan};

/// A page ends once its items hold this much, as in DynamoDB.
const PAGE_BYTES: usize = 1024 * 1024;
/// The most buckets of a scan.
const MAX_BUCKETS: u32 = 4096;

/// Refuses a limit that asks for nothing.
pub(super) fn check_limit(limit: usize) -> Result<(), PlatformError> {
    if limit == 0 {
        Err(PlatformError::Invalid("a limit must be at least 1".to_owned()))
    } else {
        Ok(())
    }
}

/// One end of a range of sort keys.
#[derive(Debug, PartialEq, Eq)]
struct Bound {
    sk: String,
    included: bool,
}

/// The ends of what the query still has to read.
fn bounds(query: &Query) -> (Option<Bound>, Option<Bound>) {
    let included = |sk: &str| {
        Some(Bound {
            sk: sk.to_owned(),
            included: true,
        })
    };
    let (mut low, mut high) = match &query.range {
        Range::All => (None, None),
        Range::Prefix(prefix) if prefix.is_empty() => (None, None),
        Range::Prefix(prefix) => (
            included(prefix),
            after_prefix(prefix).map(|sk| Bound { sk, included: false }),
        ),
        Range::Between(first, last) => (included(first), included(last)),
    };
    if let Some(after) = &query.after {
        let bound = Bound {
            sk: after.clone(),
            included: false,
        };
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
        let successor = if last == '\u{D7FF}' {
            Some('\u{E000}')
        } else {
            char::from_u32(u32::from(last) + 1)
        };
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
    let hash = partition_hash(&query.pk);
    let rows = fetch_size(query.limit);
    let mut sql = format!(
        "SELECT due_bucket, due_at, expires, body, sk FROM {} \
         WHERE h = ?1 AND pk = ?2 AND (expires IS NULL OR expires > ?3)",
        table.sql_name
    );
    let mut values: Vec<&dyn ToSql> = vec![&hash, &query.pk, &now, &rows];
    if let Some(low) = &low {
        values.push(&low.sk);
        sql.push_str(if low.included {
            " AND sk >= ?5"
        } else {
            " AND sk > ?5"
        });
    }
    if let Some(high) = &high {
        values.push(&high.sk);
        let operator = if high.included { "<=" } else { "<" };
        sql.push_str(&format!(" AND sk {operator} ?{}", values.len()));
    }
    sql.push_str(if query.descending {
        " ORDER BY sk DESC LIMIT ?4"
    } else {
        " ORDER BY sk LIMIT ?4"
    });

    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(values.as_slice())?;
    let mut filling = Filling::new(query.limit);
    while let Some(row) = rows.next()? {
        if filling.is_full() {
            return Ok(filling.page(|key| key.sk.clone()));
        }
        filling.add(item_of(
            row,
            Key::new(query.pk.as_str(), row.get::<_, String>(4)?),
        )?);
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
    check_limit(scan.limit)?;
    within("scan buckets", scan.of as usize, MAX_BUCKETS as usize)?;
    if scan.bucket >= scan.of {
        return Err(PlatformError::Invalid(format!(
            "there is no bucket {} of {}",
            scan.bucket, scan.of
        )));
    }
    let (first, last) = bucket_bounds(scan.bucket, scan.of);
    let columns = format!(
        "SELECT due_bucket, due_at, expires, body, pk, sk FROM {}",
        table.sql_name
    );
    let rest = "h <= ?1 AND (expires IS NULL OR expires > ?2) ORDER BY h, pk, sk LIMIT ?3";
    let limit = fetch_size(scan.limit);
    let after = scan.after.as_deref().map(read_cursor).transpose()?;
    let (mut statement, mut rows);
    match &after {
        None => {
            statement = conn.prepare_cached(&format!("{columns} WHERE h >= ?4 AND {rest}"))?;
            rows = statement.query(params![last, now, limit, first])?;
        }
        Some(key) => {
            let hash = partition_hash(&key.pk);
            if !(first..=last).contains(&hash) {
                return Err(PlatformError::Invalid(
                    "the cursor is of another bucket".to_owned(),
                ));
            }
            statement =
                conn.prepare_cached(&format!("{columns} WHERE (h, pk, sk) > (?4, ?5, ?6) AND {rest}"))?;
            rows = statement.query(params![last, now, limit, hash, key.pk, key.sk])?;
        }
    }
    let mut filling = Filling::new(scan.limit);
    while let Some(row) = rows.next()? {
        if filling.is_full() {
            return Ok(filling.page(cursor));
        }
        filling.add(item_of(
            row,
            Key::new(row.get::<_, String>(4)?, row.get::<_, String>(5)?),
        )?);
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
        items.push(item_of(
            row,
            Key::new(row.get::<_, String>(4)?, row.get::<_, String>(5)?),
        )?);
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
        Self {
            items: Vec::new(),
            limit,
            bytes: 0,
        }
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
        Page {
            items: self.items,
            next,
        }
    }

    fn last_page(self) -> Page {
        Page {
            items: self.items,
            next: None,
        }
    }
}

/// A scan's cursor: the length of the last item's pk, and its pk and sk. Its hash follows from the pk.
fn cursor(key: &Key) -> String {
    format!("{}:{}{}", key.pk.len(), key.pk, key.sk)
}

fn read_cursor(cursor: &str) -> Result<Key, PlatformError> {
    let parse = || {
        let (length, keys) = cursor.split_once(':')?;
        let (pk, sk) = keys.split_at_checked(length.parse().ok()?)?;
        Some(Key::new(pk, sk))
    };
    parse().ok_or_else(|| PlatformError::Invalid("the cursor is not one of this table's scans".to_owned()))
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

    #[test]
    fn cursors_come_back_and_foreign_ones_are_refused() {
        let key = Key::new("Zür:ich", "7:x");
        assert_eq!(read_cursor(&cursor(&key)).unwrap(), key);
        for foreign in ["", "x", "3:ab", "2:Zü", "-1:ab"] {
            assert!(read_cursor(foreign).is_err(), "{foreign}");
        }
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
        let t = &table.sql_name;
        assert!(
            plan(&table.due).contains("USING INDEX t_plan_due (due_bucket=? AND due_at<?)"),
            "{}",
            plan(&table.due)
        );
        let scan = plan(&format!(
            "SELECT body FROM {t} WHERE (h, pk, sk) > (5, 'a', 'b') AND h <= 9 ORDER BY h, pk, sk LIMIT 5"
        ));
        assert!(
            scan.contains("USING PRIMARY KEY ((h,pk,sk)>(?,?,?) AND h<?)"),
            "{scan}"
        );
        let query = plan(&format!(
            "SELECT body FROM {t} WHERE h = 1 AND pk = 'a' AND sk > 'b' ORDER BY sk DESC"
        ));
        assert!(
            query.contains("USING PRIMARY KEY (h=? AND pk=? AND sk>?)"),
            "{query}"
        );
    }
}
