//! An import in steps: what a job does, which ends long before its file does.

use std::convert::Infallible;

use campaign::SegmentId;
use serde::{Deserialize, Serialize};

use super::rows::{Position, Rows};
use super::{Faults, ImportError, RowFault, members, profiles};
use crate::{Store, StoreError};

/// What became of a file's rows. Of profiles `rows = created + updated + duplicates + invalid`, of members
/// `rows = added + unchanged + invalid`; the others are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Data rows.
    pub rows: u64,
    /// Profiles made.
    pub created: u64,
    /// Profiles that were there before and were changed, or already said the same.
    pub updated: u64,
    /// Rows that name somebody an earlier row named.
    pub duplicates: u64,
    /// Members added.
    pub added: u64,
    /// Rows that name somebody who was on the list already.
    pub unchanged: u64,
    /// Rows left out.
    pub invalid: u64,
}

impl ImportCounts {
    /// Adds what became of more rows.
    pub fn add(&mut self, more: &Self) {
        let Self { rows, created, updated, duplicates, added, unchanged, invalid } = more;
        self.rows += rows;
        self.created += created;
        self.updated += updated;
        self.duplicates += duplicates;
        self.added += added;
        self.unchanged += unchanged;
        self.invalid += invalid;
    }
}

/// A step that was taken: every row before its position is written, and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Where to go on; `None` while the header is not known.
    pub position: Option<Position>,
    /// What became of the step's rows.
    pub counts: ImportCounts,
    /// Every row of the step that was left out, in their order.
    pub faults: Vec<RowFault>,
    /// Whom the step's rows named for the first time, as hashes: what the import remembers, for [`Steps::resume`].
    pub seen: Vec<u64>,
}

/// An import that takes a file in pieces, and can be broken off after every [`Step`].
///
/// A step that is taken twice, because it was not remembered that it had been taken, imports the same rows again: that
/// changes nothing but the counts, which then call updated or unchanged what the first time created or added.
pub struct Steps<'s> {
    rows: Rows,
    what: What<'s>,
}

enum What<'s> {
    Profiles(Box<profiles::Importing<'s>>),
    Members(Box<members::Importing<'s>>),
}

/// Calls a method of whichever it is.
macro_rules! each {
    ($what:expr, $importing:ident => $call:expr) => {
        match $what {
            What::Profiles($importing) => $call,
            What::Members($importing) => $call,
        }
    };
}

impl<'s> Steps<'s> {
    /// Begins an import of profiles, as [`Store::import_profiles`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or [`StoreError::Invalid`] where the segment is no list.
    pub async fn profiles(store: &'s Store, list: Option<SegmentId>) -> Result<Self, StoreError> {
        let importing = profiles::Importing::new(store, list, Faults::up_to(usize::MAX)).await?;
        let what = What::Profiles(Box::new(importing.remembering([])));
        Ok(Self { rows: Rows::new(), what })
    }

    /// Begins an import of list members, as [`Store::import_members`].
    ///
    /// # Errors
    /// As [`Self::profiles`].
    pub async fn members(store: &'s Store, list: SegmentId) -> Result<Self, StoreError> {
        let importing = members::Importing::new(store, list, Faults::up_to(usize::MAX)).await?;
        Ok(Self { rows: Rows::new(), what: What::Members(Box::new(importing)) })
    }

    /// Goes on where another was broken off. `preview` is the file's beginning: [`PREVIEW_BYTES`](crate::csv::PREVIEW_BYTES)
    /// of it, or the whole file where it is shorter. `seen` is what all steps so far have seen. What is pushed next is
    /// what stands at the position.
    ///
    /// # Errors
    /// [`ImportError`] where it is not the same file.
    pub fn resume(
        mut self,
        preview: &[u8],
        position: &Position,
        seen: impl IntoIterator<Item = u64>,
    ) -> Result<Self, ImportError<Infallible>> {
        if let What::Profiles(importing) = self.what {
            self.what = What::Profiles(Box::new(importing.remembering(seen)));
        }
        self.rows = each!(&mut self.what, importing => Rows::resume(preview, position, &mut **importing))?;
        Ok(self)
    }

    /// Takes the next bytes. Some of their rows are written, others are waited for by [`Self::step`].
    ///
    /// # Errors
    /// [`ImportError`].
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), ImportError<Infallible>> {
        each!(&mut self.what, importing => self.rows.push(bytes, &mut **importing).await)
    }

    /// Says that there are no more bytes; the last rows come with the next step.
    ///
    /// # Errors
    /// [`ImportError`].
    pub async fn finish(&mut self) -> Result<(), ImportError<Infallible>> {
        each!(&mut self.what, importing => self.rows.finish(&mut **importing).await)
    }

    /// Breaks off, for whatever reason, before the next step: a list counts whom it was given since the last one. They are on it,
    /// and whoever takes that step again finds them there.
    ///
    /// # Errors
    /// As the engine's; then the list counts too few.
    pub async fn give_up(mut self) -> Result<(), StoreError> {
        each!(&mut self.what, importing => importing.give_up().await)
    }

    /// How many rows of the step that is being taken were left out so far.
    pub fn invalid_rows(&self) -> u64 {
        each!(&self.what, importing => importing.invalid_rows())
    }

    /// How many data rows were read so far.
    pub fn rows(&self) -> u64 {
        self.rows.position().map_or(0, |position| position.rows)
    }

    /// Writes every row that was read, and says what became of those since the last step.
    ///
    /// # Errors
    /// As the engine's. Then some were written and none is known to be: go on from the last step.
    pub async fn step(&mut self) -> Result<Step, StoreError> {
        each!(&mut self.what, importing => importing.settle().await)?;
        let position = self.rows.position();
        Ok(match &mut self.what {
            What::Profiles(importing) => {
                let (report, seen) = importing.take_report();
                let counts = ImportCounts {
                    rows: report.rows,
                    created: report.created,
                    updated: report.updated,
                    duplicates: report.duplicates,
                    invalid: report.invalid,
                    ..ImportCounts::default()
                };
                Step { position, counts, faults: report.faults, seen }
            }
            What::Members(importing) => {
                let report = importing.take_report();
                let counts = ImportCounts {
                    rows: report.rows,
                    added: report.added,
                    unchanged: report.unchanged,
                    invalid: report.invalid,
                    ..ImportCounts::default()
                };
                Step { position, counts, faults: report.faults, seen: Vec::new() }
            }
        })
    }
}

impl std::fmt::Debug for Steps<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps").field("position", &self.rows.position()).finish_non_exhaustive()
    }
}
