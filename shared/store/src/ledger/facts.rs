//! Facts in the ledger: what became of messages after they were sent, counted exactly however often it is told.
//!
//! What is known of a chunk's members is one item beside the chunk; a transaction changes it, on condition that it is still
//! as it was read, together with the counters. So what is counted is what the items say, and a doubled event finds itself.

use std::collections::BTreeMap;

use campaign::Fact;
use campaign::fact::{ChunkFacts, Deltas, Minute};
use campaign::link::Member;
use platform::{Change, Condition, Consistency, Item, Key, Write};

use super::counters::{self, Books};
use super::{Ledger, chunk};
use crate::StoreError;
use crate::error::refused;
use crate::messages::ChunkKey;
use crate::tables::{LEDGER, LEDGER_TTL_SECONDS};

const WHAT: &str = "facts";
const FACTS: &str = "f";
const REVISION: &str = "r";
/// Who has followed a link, one bit a member: people, and programs.
const PEOPLE: &str = "p";
const MACHINES: &str = "m";
/// How often a change is tried anew when others change the same chunk's facts at the same time.
const TRIES: usize = 30;
/// How many events are told in one transaction: each touches two hours at most, and a transaction has 100 writes.
const MOST_AT_ONCE: usize = 40;
/// Over how many items a shard's counters of an hour are spread, by the chunk's number: transactions on one item wait for
/// each other, and the events of many chunks come at the same time.
const PARTS: u32 = 8;

/// What an event says of a member of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Of whom, by the place in the chunk.
    pub member: u8,
    /// What.
    pub fact: Fact,
    /// When it came about.
    pub minute: Minute,
}

/// Somebody, or some program, has asked for a message's picture or followed one of its links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// Whose message.
    pub member: u8,
    /// [`Fact::Opened`], [`Fact::MachineOpened`], [`Fact::Clicked`] or [`Fact::MachineClicked`].
    pub fact: Fact,
    /// Where it was a link: which, by its number in the content.
    pub link: Option<u16>,
    /// When.
    pub minute: Minute,
}

/// What an event has made known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Members and what became known of them that was not before: no event told twice is here twice. Of a member's fates
    /// only one that is greater than all before.
    pub facts: Vec<(u8, Fact)>,
}

impl ChunkKey {
    /// The chunk of a message that a link names.
    pub const fn of(member: &Member) -> Self {
        Self { execution: member.execution, shard: member.shard, action: member.action, number: member.chunk }
    }

    /// The name in links of the message at this place.
    pub const fn member(&self, index: u8) -> Member {
        Member {
            execution: self.execution,
            shard: self.shard,
            action: self.action,
            chunk: self.number,
            index,
        }
    }
}

impl Ledger {
    /// What is known of the members of a chunk.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn facts(&self, chunk: ChunkKey) -> Result<ChunkFacts, StoreError> {
        Ok(self.read_facts(chunk).await?.0)
    }

    /// Joins what events say of members of a chunk, and counts the difference. Being told twice, or late, does no harm. Of a
    /// chunk that the ledger has forgotten, nothing is counted.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`] where others keep changing the chunk's facts.
    pub async fn tell(&self, chunk: ChunkKey, told: &[Told]) -> Result<News, StoreError> {
        let Some(books) = self.books_of(chunk).await? else { return Ok(News::default()) };
        let mut news = News::default();
        for some in told.chunks(MOST_AT_ONCE) {
            news.facts.extend(self.tell_some(chunk, books, some).await?.facts);
        }
        Ok(news)
    }

    async fn tell_some(&self, chunk: ChunkKey, books: Books, told: &[Told]) -> Result<News, StoreError> {
        for _ in 0..TRIES {
            let (before, revision) = self.read_facts(chunk).await?;
            if revision.is_none() && !self.has_chunk(chunk).await? {
                return Ok(News::default());
            }
            let (mut facts, mut deltas) = (before.clone(), Deltas::new());
            for Told { member, fact, minute } in told {
                facts.join(*member, *fact, *minute, &mut deltas);
            }
            if facts == before {
                return Ok(News::default());
            }
            let mut writes = vec![self.facts_write(chunk, &facts, revision)];
            let counted = Counted { deltas, ..Counted::default() };
            writes.extend(counted.writes(books, &chunk));
            if refused(self.platform.table.transact(writes).await)?.is_none() {
                return Ok(News::between(&before, &facts));
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Counts a visit: it itself, and whoever comes for the first time.
    ///
    /// # Errors
    /// As [`Self::tell`].
    pub async fn visit(&self, chunk: ChunkKey, visit: Visit) -> Result<News, StoreError> {
        let Visit { member, fact, link, minute } = visit;
        let Some(books) = self.books_of(chunk).await? else { return Ok(News::default()) };
        for _ in 0..TRIES {
            let mut counted = Counted::default();
            let (before, revision) = self.read_facts(chunk).await?;
            if revision.is_none() && !self.has_chunk(chunk).await? {
                return Ok(News::default());
            }
            let mut facts = before.clone();
            facts.join(member, fact, minute, &mut counted.deltas);
            counted.visits.push((fact, minute));
            let mut writes = Vec::new();
            if facts != before {
                writes.push(self.facts_write(chunk, &facts, revision));
            }
            if let Some(link) = link {
                let is_first = self.first_visit(chunk, member, fact, link).await?;
                let unique = i64::from(is_first.is_some());
                writes.extend(is_first);
                counted.links.push((link, fact, minute, unique));
            }
            writes.extend(counted.writes(books, &chunk));
            if refused(self.platform.table.transact(writes).await)?.is_none() {
                return Ok(News::between(&before, &facts));
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// The write that notes that a member has followed a link, where it has not before.
    async fn first_visit(
        &self,
        chunk: ChunkKey,
        member: u8,
        fact: Fact,
        link: u16,
    ) -> Result<Option<Write>, StoreError> {
        let key = chunk::beside(&chunk, 'L', &format!("#{link:05}"));
        let name = if fact == Fact::Clicked { PEOPLE } else { MACHINES };
        let item = self.platform.table.get(LEDGER, &key, Consistency::Strong).await?;
        if item.is_none() && !self.has_chunk(chunk).await? {
            return Ok(None);
        }
        let mut bits = item.as_ref().and_then(|item| item.bytes(name)).unwrap_or_default().to_vec();
        let (byte, bit) = (usize::from(member / 8), 1_u8 << (member % 8));
        if bits.len() <= byte {
            bits.resize(byte + 1, 0);
        }
        if bits[byte] & bit != 0 {
            return Ok(None);
        }
        bits[byte] |= bit;
        let revision = item.as_ref().and_then(|item| item.number(REVISION));
        let changes = vec![Change::set(name, bits), Change::add(REVISION, 1), self.expires()];
        Ok(Some(Write::update(LEDGER, key, changes).when(as_read(revision))))
    }

    /// How many members of a chunk have followed a link: people, and programs.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn link_visitors(&self, chunk: ChunkKey, link: u16) -> Result<(u64, u64), StoreError> {
        let key = chunk::beside(&chunk, 'L', &format!("#{link:05}"));
        let item = self.platform.table.get(LEDGER, &key, Consistency::Strong).await?;
        let count = |name| {
            let bits = item.as_ref().and_then(|item| item.bytes(name)).unwrap_or_default();
            bits.iter().map(|byte| u64::from(byte.count_ones())).sum()
        };
        Ok((count(PEOPLE), count(MACHINES)))
    }

    async fn read_facts(&self, chunk: ChunkKey) -> Result<(ChunkFacts, Option<i64>), StoreError> {
        let item = self.platform.table.get(LEDGER, &key(&chunk), Consistency::Strong).await?;
        let Some(item) = item else { return Ok((ChunkFacts::default(), None)) };
        Ok((facts_of(&item)?, item.number(REVISION)))
    }

    /// Whether the ledger still knows the chunk. Where it does not, what was known of its members may be forgotten, too: who
    /// comes then may have come before. What is known lives longer than the chunk, so while that is there nothing is forgotten.
    async fn has_chunk(&self, chunk: ChunkKey) -> Result<bool, StoreError> {
        Ok(self.chunk(chunk).await?.is_some())
    }

    fn facts_write(&self, chunk: ChunkKey, facts: &ChunkFacts, revision: Option<i64>) -> Write {
        let changes = vec![Change::set(FACTS, facts.pack()), Change::add(REVISION, 1), self.expires()];
        Write::update(LEDGER, key(&chunk), changes).when(as_read(revision))
    }

    fn expires(&self) -> Change {
        Change::Expires(Some(self.platform.clock.now().as_second() + LEDGER_TTL_SECONDS))
    }

    /// Where the facts of a chunk are counted. `None` where it is a call's that is forgotten.
    async fn books_of(&self, chunk: ChunkKey) -> Result<Option<Books>, StoreError> {
        if !chunk.is_call() {
            return Ok(Some(Books::Execution));
        }
        Ok(self.head(chunk.execution).await?.map(|head| head.books()))
    }
}

impl News {
    fn between(before: &ChunkFacts, after: &ChunkFacts) -> Self {
        let mut facts = Vec::new();
        for (member, known) in after.iter() {
            let known_before = before.of(member);
            let new = known.iter().filter(|(fact, _)| !known_before.has(*fact));
            facts.extend(new.map(|(fact, _)| (u8::try_from(member).unwrap_or(u8::MAX), fact)));
        }
        Self { facts }
    }
}

/// What the counters of a chunk's shard are to be told.
#[derive(Debug, Default)]
struct Counted {
    /// Members who have become, or are no more, of a fact.
    deltas: Deltas,
    /// Visits.
    visits: Vec<(Fact, Minute)>,
    /// Visits by a link, and whether it is the visitor's first.
    links: Vec<(u16, Fact, Minute, i64)>,
}

impl Counted {
    /// One write for each item.
    fn writes(&self, books: Books, chunk: &ChunkKey) -> Vec<Write> {
        let mut items: BTreeMap<Key, BTreeMap<String, i64>> = BTreeMap::new();
        let mut add = |key: Key, name: String, delta: i64| {
            if delta != 0 {
                *items.entry(key).or_default().entry(name).or_default() += delta;
            }
        };
        for ((fact, minute), delta) in &self.deltas {
            let name = format!("f{}m{}", *fact as u8, minute.rem_euclid(60));
            add(hour_key(books, chunk, *minute), name, *delta);
        }
        for (fact, minute) in &self.visits {
            let name = format!("v{}m{}", *fact as u8, minute.rem_euclid(60));
            add(hour_key(books, chunk, *minute), name, 1);
        }
        for (link, fact, minute, unique) in &self.links {
            let key = link_key(books, chunk, *link, *minute);
            add(key.clone(), format!("v{}", *fact as u8), 1);
            add(key, format!("f{}", *fact as u8), *unique);
        }
        let write = |(key, names): (Key, BTreeMap<String, i64>)| {
            let changes = names.iter().map(|(name, delta)| Change::add(name, *delta)).collect();
            Write::update(LEDGER, key, changes)
        };
        items.into_iter().map(write).collect()
    }
}

/// `E#action#hour#part`: `f<fact>m<minute>` counts members, `v<fact>m<minute>` visits.
fn hour_key(books: Books, chunk: &ChunkKey, minute: Minute) -> Key {
    let hour = minute.div_euclid(60);
    let partition = counters::partition(books, chunk, hour);
    Key::new(partition, format!("E#{:02}#{hour:08}#{:x}", chunk.action, part(books, chunk)))
}

/// `L#action#hour#link#part`: `f<fact>` counts members, `v<fact>` visits.
fn link_key(books: Books, chunk: &ChunkKey, link: u16, minute: Minute) -> Key {
    let hour = minute.div_euclid(60);
    let partition = counters::partition(books, chunk, hour);
    Key::new(partition, format!("L#{:02}#{hour:08}#{link:05}#{:x}", chunk.action, part(books, chunk)))
}

/// Calls are spread over partitions already.
const fn part(books: Books, chunk: &ChunkKey) -> u32 {
    match books {
        Books::Execution => chunk.number % PARTS,
        Books::Calls { .. } => 0,
    }
}

fn key(chunk: &ChunkKey) -> Key {
    chunk::beside(chunk, 'F', "")
}

fn as_read(revision: Option<i64>) -> Condition {
    revision.map_or(Condition::NotExists, |revision| Condition::equals(REVISION, revision))
}

fn facts_of(item: &Item) -> Result<ChunkFacts, StoreError> {
    let corrupt = || StoreError::Corrupt { what: WHAT, source: None };
    item.bytes(FACTS).and_then(|bytes| ChunkFacts::unpack(bytes).ok()).ok_or_else(corrupt)
}

#[cfg(test)]
mod tests;
