//! A file becomes profiles.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use campaign::profile::{Namespace, ProfileError};
use campaign::segment::SegmentKind;
use campaign::{Profile, ProfileId, SegmentId};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt};
use platform::Deadline;
use serde_json::{Map, Value};

use super::columns::{self, Column};
use super::rows::{self, Sink, Until};
use super::{
    BATCH_BYTES, BATCH_ROWS, Extent, Faults, IN_FLIGHT, ImportError, MAX_REPORTED, MOST_SEEN, ProfileReport,
    RowFault,
};
use crate::profiles::{Incoming, RowResult, UpsertError, identities_of, patch};
use crate::segments::Changed;
use crate::{Store, StoreError};

type Identity = (Namespace, String);
/// The field that is at fault, if it is one field's, and what is wrong.
type Fault = (Option<String>, String);

/// One person of a batch: the rows that name them, merged.
struct Person {
    /// The last of the rows.
    row: u64,
    line: u64,
    document: Map<String, Value>,
    /// Whether an earlier row named them.
    is_repeated: bool,
}

/// Rows to be written together.
#[derive(Default)]
struct Batch {
    people: Vec<Person>,
    by_identity: HashMap<Identity, usize>,
    /// Every name by which somebody of the batch is found.
    identities: HashSet<Identity>,
    bytes: usize,
}

/// A batch that was written.
struct Written {
    number: u64,
    people: Vec<(u64, u64, bool, Result<RowResult, UpsertError>)>,
}

/// A list that everybody imported is to be on.
#[derive(Debug, Clone, Copy)]
struct List {
    segment: SegmentId,
    generation: u32,
}

pub(super) struct Importing<'s> {
    list: Option<List>,
    columns: Vec<Column>,
    batch: Batch,
    /// Whom earlier rows named, as hashes of each of their names.
    seen: HashSet<u64>,
    /// Those of them that were new since the last time, where somebody is to remember them.
    newly_seen: Option<Vec<u64>>,
    in_flight: FuturesUnordered<BoxFuture<'s, Result<Written, StoreError>>>,
    /// The names that are being written, by the number of their batch.
    busy: HashMap<u64, HashSet<Identity>>,
    batches: u64,
    /// How many were added to the list that it does not count yet, by whichever batch.
    added: Arc<Changed>,
    faults: Faults,
    report: ProfileReport,
    store: &'s Store,
}

impl Store {
    /// Imports a CSV file of profiles. The columns are named by the fields: the reserved ones (`external_id`, `email`,
    /// `phone`, `language`, `time_zone`, `consent.email`, `consent.sms`, `topics.newsletter`...), and anything else is an
    /// attribute, with dots for nested ones (`person.name.firstName`). A suffix says how the cells are read: `age:number`, `vip:bool`,
    /// `tags:list` (separated by `;` or `|`), `address:json`; otherwise they are strings. An empty cell leaves the field as
    /// it is. Each row needs an `external_id`, an `email` or a `phone`, by the first of which the profile is found.
    ///
    /// With `list` everybody who was imported is on that list afterwards. After `until` no more of the file is read, which the
    /// report says.
    ///
    /// # Errors
    /// [`ImportError`]; a bad row is none, it is reported.
    pub async fn import_profiles<B, E, S>(
        &self,
        bytes: S,
        list: Option<SegmentId>,
        until: Option<Deadline>,
    ) -> Result<ProfileReport, ImportError<E>>
    where
        B: AsRef<[u8]>,
        S: Stream<Item = Result<B, E>>,
    {
        let mut importing = Importing::new(self, list, Faults::up_to(MAX_REPORTED)).await?;
        let read = importing.run(bytes, Until::of(self, until)).await;
        // What was added is booked in any case: the members are there.
        let booked = importing.book().await;
        let extent = read?;
        booked?;
        Ok(ProfileReport { extent, ..importing.take_report().0 })
    }
}

async fn write(
    store: &Store,
    list: Option<(List, Arc<Changed>)>,
    number: u64,
    batch: Batch,
) -> Result<Written, StoreError> {
    let mut rows = Vec::with_capacity(batch.people.len());
    let mut incoming = Vec::with_capacity(batch.people.len());
    for person in batch.people {
        rows.push((person.row, person.line, person.is_repeated));
        incoming.push(Incoming { document: person.document });
    }
    let results = store.profiles.upsert(incoming).await?;
    if let Some((list, added)) = list {
        let members: Vec<ProfileId> = results
            .iter()
            .filter_map(|result| match result {
                Ok(RowResult::Created(id) | RowResult::Updated(id)) => Some(*id),
                _ => None,
            })
            .collect();
        store.segments.add(list.segment, list.generation, &members, &added).await?;
    }
    let people = rows
        .into_iter()
        .zip(results)
        .map(|((row, line, again), result)| (row, line, again, result))
        .collect();
    Ok(Written { number, people })
}

impl<'s> Importing<'s> {
    /// Onto this list too, if one is given.
    pub(super) async fn new(
        store: &'s Store,
        list: Option<SegmentId>,
        faults: Faults,
    ) -> Result<Self, StoreError> {
        let list = match list {
            None => None,
            Some(segment) => match store.segments.get(segment).await?.value.kind {
                SegmentKind::List { generation, .. } => Some(List { segment, generation }),
                SegmentKind::Rule { .. } => {
                    return Err(StoreError::invalid("segment", "only a list has members"));
                }
            },
        };
        Ok(Self {
            list,
            columns: Vec::new(),
            batch: Batch::default(),
            seen: HashSet::new(),
            newly_seen: None,
            in_flight: FuturesUnordered::new(),
            busy: HashMap::new(),
            batches: 0,
            added: Arc::default(),
            faults,
            report: ProfileReport::default(),
            store,
        })
    }

    /// The same, which also knows whom earlier rows named, and gives out whom later ones do.
    pub(super) fn remembering(mut self, seen: impl IntoIterator<Item = u64>) -> Self {
        self.seen.extend(seen);
        self.newly_seen = Some(Vec::new());
        self
    }

    /// Writes what was read, and waits for it.
    pub(super) async fn settle(&mut self) -> Result<(), StoreError> {
        let sent = self.send().await;
        let written = self.drain().await;
        let booked = self.book().await;
        sent.and(written).and(booked)
    }

    /// Brings to its end what is being written, and books what was added.
    pub(super) async fn give_up(&mut self) -> Result<(), StoreError> {
        let written = self.drain().await;
        written.and(self.book().await)
    }

    /// What became of the rows since the last time, once they are settled, and the names that were new among them.
    pub(super) fn take_report(&mut self) -> (ProfileReport, Vec<u64>) {
        let report = ProfileReport { faults: self.faults.take(), ..std::mem::take(&mut self.report) };
        (report, self.newly_seen.as_mut().map(std::mem::take).unwrap_or_default())
    }

    /// How many rows were left out since the last time.
    pub(super) const fn invalid_rows(&self) -> u64 {
        self.report.invalid
    }

    async fn run<B, E, S>(&mut self, bytes: S, until: Until<'_>) -> Result<Extent, ImportError<E>>
    where
        B: AsRef<[u8]>,
        S: Stream<Item = Result<B, E>>,
    {
        let read = rows::read(bytes, until, self).await;
        let sent = if read.is_ok() { self.send().await } else { Ok(()) };
        let written = self.drain().await;
        let extent = read?;
        sent.and(written)?;
        Ok(extent)
    }

    /// Brings whatever is being written to its end, so that what was written is known; the first error of it.
    async fn drain(&mut self) -> Result<(), StoreError> {
        let mut drained = Ok(());
        while !self.in_flight.is_empty() {
            drained = drained.and(self.settle_one().await);
        }
        drained
    }

    /// Begins to write the batch, as soon as nobody in it is being written already: of two rows about one person the
    /// later must win.
    async fn send(&mut self) -> Result<(), StoreError> {
        let batch = std::mem::take(&mut self.batch);
        if batch.people.is_empty() {
            return Ok(());
        }
        let is_free = |busy: &HashMap<u64, HashSet<Identity>>| {
            busy.values().all(|names| names.is_disjoint(&batch.identities))
        };
        while self.in_flight.len() >= IN_FLIGHT || !is_free(&self.busy) {
            self.settle_one().await?;
        }
        self.batches += 1;
        self.busy.insert(self.batches, batch.identities.clone());
        self.in_flight
            .push(write(self.store, self.list.zip(Some(self.added.clone())), self.batches, batch).boxed());
        Ok(())
    }

    async fn settle_one(&mut self) -> Result<(), StoreError> {
        let Some(written) = self.in_flight.next().await else {
            return Ok(());
        };
        let written = written?;
        self.busy.remove(&written.number);
        for (row, line, is_repeated, result) in written.people {
            match result {
                Ok(RowResult::Created(_)) => self.report.created += 1,
                Ok(RowResult::Updated(_)) if is_repeated => self.report.duplicates += 1,
                Ok(RowResult::Updated(_)) => self.report.updated += 1,
                Ok(RowResult::Duplicate) => self.report.duplicates += 1,
                Err(error) => {
                    let (field, message) = explain(&error);
                    self.invalid(RowFault { row, line, field, message });
                }
            }
        }
        Ok(())
    }

    fn invalid(&mut self, fault: RowFault) {
        self.report.invalid += 1;
        self.faults.note(fault);
    }

    async fn book(&mut self) -> Result<(), StoreError> {
        match self.list {
            Some(list) => self.store.segments.book(list.segment, &self.added).await,
            None => Ok(()),
        }
    }

    /// A row's fields, and how many bytes of text they are.
    fn understand<'r>(
        &self,
        cells: impl Iterator<Item = &'r str>,
    ) -> Result<(Map<String, Value>, usize), Fault> {
        let (mut document, mut bytes) = (Map::new(), 0);
        for (column, cell) in self.columns.iter().zip(cells) {
            bytes += cell.len();
            column.put(&mut document, cell).map_err(|message| (Some(column.name()), message.to_owned()))?;
        }
        Ok((document, bytes))
    }

    fn take(
        &mut self,
        row: u64,
        line: u64,
        document: Map<String, Value>,
        bytes: usize,
    ) -> Result<(), UpsertError> {
        let identity = identities_of(&document)?.swap_remove(0);
        // Judged by itself, so that a bad row does not spoil a good one about the same person.
        let profile = Profile::new(ProfileId::from_bytes([0; 16]), document.clone())?;
        self.batch.bytes += bytes;
        let identities = profile.identities();
        let is_repeated = !self.is_new(&identities);
        self.batch.identities.extend(identities);
        if let Some(index) = self.batch.by_identity.get(&identity) {
            let person = &mut self.batch.people[*index];
            patch(&mut person.document, document);
            (person.row, person.line) = (row, line);
            self.report.duplicates += 1;
            return Ok(());
        }
        self.batch.by_identity.insert(identity, self.batch.people.len());
        self.batch.people.push(Person { row, line, document, is_repeated });
        Ok(())
    }

    /// Whether no earlier row of the file names this person by any of these, as far as that is remembered.
    fn is_new(&mut self, identities: &[Identity]) -> bool {
        let mut is_new = true;
        for identity in identities {
            let mut hasher = DefaultHasher::new();
            identity.hash(&mut hasher);
            let hash = hasher.finish();
            if self.seen.len() >= MOST_SEEN {
                is_new &= !self.seen.contains(&hash);
            } else if self.seen.insert(hash) {
                self.newly_seen.iter_mut().for_each(|new| new.push(hash));
            } else {
                is_new = false;
            }
        }
        is_new
    }
}

impl<E> Sink<E> for Importing<'_> {
    fn header(&mut self, names: &[String]) -> Result<(), ImportError<E>> {
        self.columns = columns::parse(names)?;
        let is_identity =
            |column: &Column| ["external_id", "email", "phone"].contains(&column.name().as_str());
        if !self.columns.iter().any(is_identity) {
            return Err(columns::no_identity(names).into());
        }
        Ok(())
    }

    fn row<'r>(&mut self, number: u64, line: u64, cells: impl Iterator<Item = &'r str>) {
        self.report.rows += 1;
        let taken = match self.understand(cells) {
            Err(fault) => Err(fault),
            Ok((document, bytes)) => {
                self.take(number, line, document, bytes).map_err(|error| explain(&error))
            }
        };
        if let Err((field, message)) = taken {
            self.invalid(RowFault { row: number, line, field, message });
        }
    }

    fn unreadable(&mut self, fault: RowFault) {
        self.report.rows += 1;
        self.invalid(fault);
    }

    async fn relieve(&mut self) -> Result<(), ImportError<E>> {
        if self.batch.people.len() >= BATCH_ROWS || self.batch.bytes >= BATCH_BYTES {
            self.send().await?;
        }
        Ok(())
    }
}

/// What is told of an error.
fn explain(error: &UpsertError) -> Fault {
    match error {
        UpsertError::Profile(ProfileError::Field { field, message }) => {
            (Some(field.clone()), message.clone())
        }
        UpsertError::IdentityTaken(field) => (Some((*field).to_owned()), error.to_string()),
        _ => (None, error.to_string()),
    }
}
