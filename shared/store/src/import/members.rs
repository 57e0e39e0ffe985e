//! A file becomes members of a list.

use std::collections::HashSet;

use campaign::address::{EmailAddress, PhoneNumber};
use campaign::profile::Namespace;
use campaign::segment::SegmentKind;
use campaign::{ProfileId, SegmentId};
use futures::Stream;
use platform::Deadline;

use super::rows::{self, Sink, Until};
use super::{BATCH_ROWS, Faults, ImportError, MAX_REPORTED, MemberReport, RowFault, columns};
use crate::segments::Changed;
use crate::{Store, StoreError};

/// The longest external id, in bytes: that of a profile.
const MAX_EXTERNAL_ID: usize = 256;

/// A name by which a member is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberName {
    /// The profile's own id.
    Id(ProfileId),
    /// One of its identities, in canonical form.
    Identity(Namespace, String),
}

impl MemberName {
    /// The name in this column, or under this key of a JSON body: `id`, `external_id`, `email` or `phone`.
    ///
    /// # Errors
    /// Where the text is none such.
    pub fn parse(kind: &str, text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        match kind {
            "id" => text.parse().map(Self::Id).map_err(|_| "is no profile id".to_owned()),
            "email" => {
                let address = EmailAddress::parse(text).map_err(|error| error.to_string())?;
                Ok(Self::Identity(Namespace::Email, address.as_str().to_lowercase()))
            }
            "phone" => {
                let number = PhoneNumber::parse(text).map_err(|error| error.to_string())?;
                Ok(Self::Identity(Namespace::Phone, number.as_str().to_owned()))
            }
            _ if text.len() > MAX_EXTERNAL_ID => Err(format!("has at most {MAX_EXTERNAL_ID} bytes")),
            _ => Ok(Self::Identity(Namespace::ExternalId, text.to_owned())),
        }
    }
}

pub(super) struct Importing<'s> {
    store: &'s Store,
    segment: SegmentId,
    generation: u32,
    /// Which column names the members, and what kind of name it holds.
    column: (usize, &'static str),
    rows: Vec<(u64, u64, MemberName)>,
    faults: Faults,
    /// How many were added that the segment does not count yet.
    added: Changed,
    report: MemberReport,
}

impl Store {
    /// The profiles of these names that are there, in the order asked for.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn resolve(&self, names: &[MemberName]) -> Result<Vec<Option<ProfileId>>, StoreError> {
        let identities: Vec<_> = names
            .iter()
            .filter_map(|name| match name {
                MemberName::Identity(namespace, text) => Some((*namespace, text.clone())),
                MemberName::Id(_) => None,
            })
            .collect();
        let ids: Vec<_> = names
            .iter()
            .filter_map(|name| match name {
                MemberName::Id(id) => Some(*id),
                MemberName::Identity(..) => None,
            })
            .collect();
        let mut there = HashSet::new();
        for ids in ids.chunks(platform::table::MAX_BATCH_GET) {
            there.extend(self.profiles.get_many(ids).await?.iter().map(campaign::Profile::id));
        }
        let mut found = self.profiles.find_many(&identities).await?.into_iter();
        Ok(names
            .iter()
            .map(|name| match name {
                MemberName::Id(id) => there.contains(id).then_some(*id),
                MemberName::Identity(..) => found.next().flatten(),
            })
            .collect())
    }

    /// Adds everybody whom a CSV file names to a list. The file has a column `id`, `external_id`, `email` or `phone` (the
    /// first of these that is there counts); other columns are not looked at. After `until` no more of it is read, which the
    /// report says.
    ///
    /// # Errors
    /// [`ImportError`]; a name that nobody has is none, it is reported.
    pub async fn import_members<B, E, S>(
        &self,
        segment: SegmentId,
        bytes: S,
        until: Option<Deadline>,
    ) -> Result<MemberReport, ImportError<E>>
    where
        B: AsRef<[u8]>,
        S: Stream<Item = Result<B, E>>,
    {
        let mut importing = Importing::new(self, segment, Faults::up_to(MAX_REPORTED)).await?;
        let read = rows::read(bytes, Until::of(self, until), &mut importing).await;
        let written = if read.is_ok() { importing.write().await } else { Ok(()) };
        // What was added is booked in any case: the members are there.
        let booked = importing.book().await;
        let extent = read?;
        written.and(booked)?;
        Ok(MemberReport { extent, ..importing.take_report() })
    }
}

impl<'s> Importing<'s> {
    /// Into this list.
    pub(super) async fn new(
        store: &'s Store,
        segment: SegmentId,
        faults: Faults,
    ) -> Result<Self, StoreError> {
        let SegmentKind::List { generation, .. } = store.segments.get(segment).await?.value.kind else {
            return Err(StoreError::invalid("kind", "only a list has members"));
        };
        Ok(Self {
            store,
            segment,
            generation,
            column: (0, "id"),
            rows: Vec::new(),
            faults,
            added: Changed::default(),
            report: MemberReport::default(),
        })
    }

    /// Writes what was read. What was added since the last time is booked, whether or not the writing succeeds.
    pub(super) async fn settle(&mut self) -> Result<(), StoreError> {
        let written = self.write().await;
        let booked = self.book().await;
        written.and(booked)
    }

    /// What became of the rows since the last time, once they are settled.
    pub(super) fn take_report(&mut self) -> MemberReport {
        MemberReport { faults: self.faults.take(), ..std::mem::take(&mut self.report) }
    }

    /// How many rows were left out since the last time.
    pub(super) const fn invalid_rows(&self) -> u64 {
        self.report.invalid
    }

    /// Books what was added.
    pub(super) async fn give_up(&mut self) -> Result<(), StoreError> {
        self.book().await
    }

    async fn book(&mut self) -> Result<(), StoreError> {
        self.store.segments.book(self.segment, &self.added).await
    }
}

impl Importing<'_> {
    async fn write(&mut self) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut self.rows);
        let names: Vec<_> = rows.iter().map(|(.., name)| name.clone()).collect();
        let mut members = Vec::with_capacity(rows.len());
        for ((row, line, _), found) in rows.into_iter().zip(self.store.resolve(&names).await?) {
            match found {
                Some(id) => members.push(id),
                None => self.invalid(row, line, "nobody has this identity".to_owned()),
            }
        }
        let added = self.store.segments.add(self.segment, self.generation, &members, &self.added).await?;
        self.report.added += added;
        self.report.unchanged += members.len() as u64 - added;
        Ok(())
    }

    fn invalid(&mut self, row: u64, line: u64, message: String) {
        self.report.invalid += 1;
        self.faults.note(RowFault { row, line, field: Some(self.column.1.to_owned()), message });
    }
}

impl<E> Sink<E> for Importing<'_> {
    fn header(&mut self, names: &[String]) -> Result<(), ImportError<E>> {
        let found = ["id", "external_id", "email", "phone"]
            .into_iter()
            .find_map(|kind| Some((names.iter().position(|name| name == kind)?, kind)));
        self.column = found.ok_or_else(|| columns::no_identity(names))?;
        Ok(())
    }

    fn row<'r>(&mut self, number: u64, line: u64, mut cells: impl Iterator<Item = &'r str>) {
        self.report.rows += 1;
        match MemberName::parse(self.column.1, cells.nth(self.column.0).unwrap_or_default()) {
            Ok(name) => self.rows.push((number, line, name)),
            Err(message) => self.invalid(number, line, message),
        }
    }

    fn unreadable(&mut self, fault: RowFault) {
        self.report.rows += 1;
        self.report.invalid += 1;
        self.faults.note(fault);
    }

    async fn relieve(&mut self) -> Result<(), ImportError<E>> {
        if self.rows.len() >= BATCH_ROWS {
            self.write().await?;
        }
        Ok(())
    }
}
