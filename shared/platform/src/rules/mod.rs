//! What holds of every call on every engine: DynamoDB's, SQS's and EventBridge Scheduler's limits, and what conditions
//! and changes mean. Engines check a call with these before anything is sent or written.

pub(crate) mod change;
pub(crate) mod size;

use std::collections::HashSet;
use std::time::Duration;

use self::change::check_changes;
use self::size::{check_item, check_key, within};
use crate::queue::{MAX_BODY_BYTES, MAX_DELAY};
use crate::table::{DUE_BUCKETS, MAX_TRANSACTION};
use crate::{Message, PlatformError, Scan, WakeUp, Write, WriteKind};

/// The most a transaction may leave behind, as in DynamoDB.
pub(crate) const MAX_TRANSACTION_BYTES: usize = 4 * 1024 * 1024;
/// The most buckets of a scan.
const MAX_BUCKETS: u32 = 4096;
/// The longest name of a wake-up, as in EventBridge Scheduler.
const MAX_NAME: usize = 64;
/// The longest body of a wake-up, as in EventBridge Scheduler.
const MAX_WAKE_UP_BYTES: usize = 256 * 1024;

/// Refuses a limit that asks for nothing.
pub(crate) fn check_limit(limit: usize) -> Result<(), PlatformError> {
    if limit == 0 { Err(PlatformError::Invalid("a limit must be at least 1".to_owned())) } else { Ok(()) }
}

/// Refuses a bucket that is not there.
pub(crate) fn check_scan(scan: &Scan) -> Result<(), PlatformError> {
    check_limit(scan.limit)?;
    within("scan buckets", scan.of as usize, MAX_BUCKETS as usize)?;
    if scan.bucket >= scan.of {
        return Err(PlatformError::Invalid(format!("there is no bucket {} of {}", scan.bucket, scan.of)));
    }
    Ok(())
}

/// Refuses a due bucket that is not there.
pub(crate) fn check_due_bucket(bucket: u8) -> Result<(), PlatformError> {
    if bucket >= DUE_BUCKETS {
        return Err(PlatformError::Invalid(format!("there is no due bucket {bucket}")));
    }
    Ok(())
}

/// Refuses a transaction that no engine would take, as far as that shows before anything is read.
pub(crate) fn check_writes(writes: &[Write]) -> Result<(), PlatformError> {
    within("writes in a transaction", writes.len(), MAX_TRANSACTION)?;
    let mut items = HashSet::with_capacity(writes.len());
    let mut bytes = 0;
    for (position, write) in writes.iter().enumerate() {
        check_key(write.key())?;
        match &write.kind {
            WriteKind::Put(item) => bytes += check_item(item)?,
            WriteKind::Update(_, changes) => check_changes(changes)?,
            WriteKind::Check(_) if write.condition.is_none() => {
                return Err(PlatformError::Invalid(format!("write {position} checks nothing")));
            }
            WriteKind::Delete(_) | WriteKind::Check(_) => {}
        }
        if !items.insert((write.table, write.key())) {
            return Err(PlatformError::Invalid(format!("write {position} is the second on its item")));
        }
    }
    within("transaction bytes", bytes, MAX_TRANSACTION_BYTES)
}

/// Refuses messages that SQS would refuse.
pub(crate) fn check_messages(messages: &[Message]) -> Result<(), PlatformError> {
    for Message { body, delay, .. } in messages {
        if body.is_empty() {
            return Err(PlatformError::Invalid("a message's body must not be empty".to_owned()));
        }
        within("message bytes", body.len(), MAX_BODY_BYTES)?;
        let seconds =
            |duration: &Duration| usize::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(usize::MAX);
        within("delay in seconds", seconds(delay), seconds(&MAX_DELAY))?;
    }
    Ok(())
}

/// Refuses wake-ups that EventBridge Scheduler would refuse.
pub(crate) fn check_wake_up(wake_up: &WakeUp) -> Result<(), PlatformError> {
    let name = &wake_up.name;
    within("characters of a wake-up's name", name.len(), MAX_NAME)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(PlatformError::Invalid(format!("{name:?} can't name a wake-up")));
    }
    within("wake-up bytes", wake_up.body.len(), MAX_WAKE_UP_BYTES)
}
