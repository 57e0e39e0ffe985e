//! What is held of one person, as JSON.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use campaign::fact::{ChunkFacts, Minute};
use campaign::profile::Namespace;
use campaign::suppression::SuppressionReason;
use campaign::{
    CampaignId, Category, Channel, Code, ExecutionId, Fact, Outcome, Profile, ProfileId, SegmentId,
};
use jiff::Timestamp;
use platform::Deadline;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{PAGE, SEGMENTS};
use crate::ledger::{Head, StoredChunk, Trace};
use crate::messages::ChunkKey;
use crate::{Store, StoreError};

const WHAT: &str = "export";
/// A step ends once it has found this much, in bytes: it is held until then.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// How far an export is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exporting {
    /// At how many of the ledger's items was looked.
    pub scanned: u64,
    /// About how many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<u64>,
    /// How many messages to the person were found.
    pub messages: u64,
    /// The parts of what was found, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<i64>,
    /// Where to go on in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(default)]
    is_complete: bool,
}

impl Exporting {
    /// Whether all of the ledger was looked at.
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }
}

/// A message to the person, and what is known of it.
#[derive(Serialize)]
struct Message<'a> {
    campaign_id: Option<CampaignId>,
    campaign: Option<&'a str>,
    category: Option<Category>,
    version: Option<u32>,
    execution_id: ExecutionId,
    started_at: Option<Timestamp>,
    /// What whoever called calls it.
    request_id: Option<&'a str>,
    /// The action, by its number.
    action: u8,
    channel: Option<Channel>,
    outcome: Outcome,
    reason: &'static str,
    detail: Option<String>,
    /// When its group of recipients was first decided, to the minute.
    decided_at: Option<Timestamp>,
    events: Vec<Event>,
    /// What a call brought along for the person, while that is needed.
    call: Option<Brought<'a>>,
}

/// Something that became known later.
#[derive(Serialize)]
struct Event {
    event: &'static str,
    /// To the minute.
    at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Brought<'a> {
    addresses: &'a Map<String, Value>,
    attributes: &'a Map<String, Value>,
    context: &'a Value,
}

/// What is held of the person beside messages. The document ends where these follow.
#[derive(Serialize)]
struct Person<'a> {
    exported_at: Timestamp,
    profile: &'a Map<String, Value>,
    identities: Vec<Identity>,
    consent: Option<&'a Value>,
    topics: Option<&'a Value>,
    lists: Vec<List>,
    suppressions: Vec<Suppressed>,
}

#[derive(Serialize)]
struct Identity {
    kind: Namespace,
    name: String,
}

#[derive(Serialize)]
struct List {
    id: SegmentId,
    name: String,
}

#[derive(Serialize)]
struct Suppressed {
    channel: Channel,
    address: String,
    reason: SuppressionReason,
    source: Option<String>,
    at: Timestamp,
}

/// What a step has read of executions and campaigns.
#[derive(Default)]
struct Known {
    heads: HashMap<ExecutionId, Option<Arc<Head>>>,
    names: HashMap<CampaignId, Option<String>>,
}

impl Store {
    /// Goes on looking for messages to a person, until all of the ledger was looked at or `until`, whichever is first.
    /// Gives what was found: JSON objects with commas between. Broken off, nothing is found twice or left out.
    ///
    /// # Errors
    /// As the engine's, and then the export is as it was before.
    pub async fn export_messages(
        &self,
        person: ProfileId,
        exporting: &mut Exporting,
        until: Deadline,
    ) -> Result<Vec<u8>, StoreError> {
        let (mut next, mut known, mut found) = (exporting.clone(), Known::default(), Vec::new());
        while !next.is_complete
            && found.len() < MOST_BYTES
            && !until.remaining(&*self.platform.clock).is_zero()
        {
            let page = self.ledger.traces(person, next.after.take(), PAGE).await?;
            next.scanned += page.scanned;
            for trace in page.found {
                match trace {
                    Trace::Message(chunk, place) => {
                        let head = self.head_of(&mut known, chunk.key.execution).await?;
                        self.message(&mut known, head.as_deref(), &chunk, place, &mut found).await?;
                        next.messages += 1;
                    }
                    Trace::Call(head) => {
                        next.messages += self.waiting(&mut known, &head, person, &mut found).await?;
                    }
                    Trace::Answer(_) => {}
                }
            }
            next.is_complete = page.next.is_none();
            next.after = page.next;
            tokio::task::yield_now().await;
        }
        *exporting = next;
        Ok(found)
    }

    /// What is held of a person beside messages: the beginning of a JSON object that ends where the members of its last
    /// field, a list of messages, follow. `None` where there is no such person.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn export_person(&self, person: ProfileId) -> Result<Option<Vec<u8>>, StoreError> {
        let profile = match self.profiles.get(person).await {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            found => found?.value,
        };
        let (mut lists, mut after) = (Vec::new(), None);
        loop {
            let (found, next) = self.segments.lists_of(person, after, SEGMENTS).await?;
            lists.extend(found.into_iter().map(|list| List { id: list.id, name: list.name }));
            after = next;
            if after.is_none() {
                break;
            }
        }
        let mut suppressions = Vec::new();
        for (channel, address) in addresses(&profile) {
            if let Some(entry) = self.suppressions.find(channel, address).await? {
                let entry = entry.suppression;
                suppressions.push(Suppressed {
                    channel,
                    address: address.to_owned(),
                    reason: entry.reason,
                    source: entry.source,
                    at: entry.at,
                });
            }
        }
        let document = profile.document();
        let identities =
            profile.identities().into_iter().map(|(kind, name)| Identity { kind, name }).collect();
        let whole = Person {
            exported_at: self.platform.clock.now(),
            profile: document,
            identities,
            consent: document.get("consent"),
            topics: document.get("topics"),
            lists,
            suppressions,
        };
        let mut json = encode(&whole)?;
        json.pop();
        json.extend_from_slice(b",\"messages\":[\n");
        Ok(Some(json))
    }

    async fn head_of(&self, known: &mut Known, id: ExecutionId) -> Result<Option<Arc<Head>>, StoreError> {
        if let Some(head) = known.heads.get(&id) {
            return Ok(head.clone());
        }
        let head = self.ledger.head(id).await?.map(Arc::new);
        known.heads.insert(id, head.clone());
        Ok(head)
    }

    async fn name_of<'k>(
        &self,
        known: &'k mut Known,
        id: Option<CampaignId>,
    ) -> Result<Option<&'k str>, StoreError> {
        let Some(id) = id else { return Ok(None) };
        let name = match known.names.entry(id) {
            Entry::Occupied(name) => name.into_mut(),
            Entry::Vacant(place) => place.insert(match self.campaigns.get(id).await {
                Err(StoreError::NotFound { .. }) => None,
                found => Some(found?.name),
            }),
        };
        Ok(name.as_deref())
    }

    /// One message as it is written down.
    async fn message(
        &self,
        known: &mut Known,
        head: Option<&Head>,
        chunk: &StoredChunk,
        place: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let code = chunk.members.codes.get(place).copied().unwrap_or(Code::Pending);
        let detail = self.ledger.details(chunk.key).await?.remove(&place);
        let facts = self.ledger.facts(chunk.key).await?;
        let decided_at = chunk.minute.filter(|_| !code.is_pending()).and_then(at_minute);
        let message = self.describe(known, head, chunk.key, place, code).await?;
        write(&Message { detail, decided_at, events: events(&facts, place), ..message }, into)
    }

    /// The messages of a call that nobody has begun to deliver, so that it has no chunks yet.
    async fn waiting(
        &self,
        known: &mut Known,
        head: &Head,
        person: ProfileId,
        into: &mut Vec<u8>,
    ) -> Result<u64, StoreError> {
        let mut found = 0;
        let recipients = head.call.iter().flat_map(|call| &call.recipients).enumerate();
        let places: Vec<_> =
            recipients.filter(|(_, who)| who.profile == Some(person)).map(|(place, _)| place).collect();
        for key in head.call_chunks() {
            if self.ledger.chunk(key).await?.is_some() {
                continue;
            }
            for place in &places {
                write(&self.describe(known, Some(head), key, *place, Code::Pending).await?, into)?;
                found += 1;
            }
        }
        Ok(found)
    }

    async fn describe<'a>(
        &self,
        known: &'a mut Known,
        head: Option<&'a Head>,
        key: ChunkKey,
        place: usize,
        code: Code,
    ) -> Result<Message<'a>, StoreError> {
        let campaign = self.name_of(known, head.map(|head| head.campaign)).await?;
        let recipient =
            head.filter(|_| key.is_call()).and_then(|head| head.call.as_ref()?.recipients.get(place));
        Ok(Message {
            campaign_id: head.map(|head| head.campaign),
            campaign,
            category: head.map(|head| head.category),
            version: head.map(|head| head.version),
            execution_id: key.execution,
            started_at: head.map(|head| head.started_at),
            request_id: head.and_then(|head| head.request.as_ref()).map(|request| request.id.as_str()),
            action: key.action,
            channel: head.and_then(|head| head.actions.get(usize::from(key.action)).copied()),
            outcome: code.outcome(),
            reason: code.reason(),
            detail: None,
            decided_at: None,
            events: Vec::new(),
            call: recipient.map(|who| Brought {
                addresses: &who.addresses,
                attributes: &who.attributes,
                context: &who.context,
            }),
        })
    }
}

/// Where a person is written to, by channel.
pub(super) fn addresses(profile: &Profile) -> impl Iterator<Item = (Channel, &str)> {
    let of = |channel, field| profile.text(field).map(|address| (channel, address));
    [of(Channel::Email, "email"), of(Channel::Sms, "phone")].into_iter().flatten()
}

fn events(facts: &ChunkFacts, place: usize) -> Vec<Event> {
    let mut known: Vec<(Fact, Minute)> = facts.of(place).iter().collect();
    known.sort_by_key(|(_, minute)| *minute);
    known.into_iter().map(|(fact, minute)| Event { event: fact.name(), at: at_minute(minute) }).collect()
}

fn at_minute(minute: Minute) -> Option<Timestamp> {
    Timestamp::from_second(minute.checked_mul(60)?).ok()
}

fn write(message: &Message<'_>, into: &mut Vec<u8>) -> Result<(), StoreError> {
    if !into.is_empty() {
        into.extend_from_slice(b",\n");
    }
    into.extend(encode(message)?);
    Ok(())
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|source| StoreError::Corrupt { what: WHAT, source: Some(source) })
}
