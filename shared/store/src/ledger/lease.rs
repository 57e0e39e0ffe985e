//! Leases: who works on a cursor, a chunk or a job, and until when nobody else may.

use std::time::Duration;

use campaign::id::random_bytes;
use platform::{Change, Condition};

pub(crate) const LEASE: &str = "l";
pub(super) const OWNER: &str = "o";

/// How far the clocks of two workers may differ.
pub const SKEW: Duration = Duration::from_secs(2);

/// Whether other processes may work on the same ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenancy {
    /// They may: a lease holds until it ends.
    Shared,
    /// This process is the only one, by the lock on its data: another owner's lease is a dead process's, and void.
    Sole,
}

/// Who takes leases: one process, from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    id: i64,
    tenancy: Tenancy,
}

impl Worker {
    /// A worker under a new random id.
    pub fn new(tenancy: Tenancy) -> Self {
        let bytes = random_bytes();
        let mut id = [0; 8];
        id.copy_from_slice(&bytes[..8]);
        // Six bytes are enough to tell processes apart, and short to store.
        Self { id: i64::from_be_bytes(id) >> 16, tenancy }
    }

    /// Which of so many parts is this worker's.
    pub(super) const fn part(&self, of: u8) -> u8 {
        self.id.to_be_bytes()[7] % of
    }

    /// Nobody else holds a lease at `now_ms`.
    pub(crate) fn may_take(&self, now_ms: i64) -> Condition {
        let skew = i64::try_from(SKEW.as_millis()).unwrap_or(i64::MAX);
        let mut free =
            vec![Condition::Lacks(LEASE.to_owned()), Condition::Below(LEASE.to_owned(), now_ms - skew)];
        if self.tenancy == Tenancy::Sole {
            free.push(Condition::Differs(OWNER.to_owned(), self.id.into()));
        }
        Condition::Any(free)
    }

    /// Takes the lease until `until_ms`.
    pub(crate) fn take(&self, until_ms: i64) -> [Change; 2] {
        [Change::set(LEASE, until_ms), Change::set(OWNER, self.id)]
    }
}

/// Gives a lease back.
pub(crate) fn give_back() -> [Change; 2] {
    [Change::Remove(LEASE.to_owned()), Change::Remove(OWNER.to_owned())]
}
