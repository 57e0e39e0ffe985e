//! Erasing a person, in stages that may each be done again: a job that dies in one of them goes on with it.
//!
//! | stage | what goes |
//! |---|---|
//! | profile | the address and the source of its suppression entries (a keyed hash stays), its places on allowed lists, the profile, its identities |
//! | exports | files that were made of what is held of the person |
//! | ledger | what calls that are not through have brought along, error texts, answers kept for repeated calls |
//! | events | what webhook endpoints are still to be told, or could not be told |
//! | lists, deleted lists | the person's place on each list, and on those whose members are still being removed |
//! | counts | what frequency caps count of the person |
//!
//! The profile goes first and in one step, on condition that it is as it was read; from then on nobody writes to the
//! person, and what others do at the same time can only leave traces of an id that no longer says anything. The ledger keeps
//! that id: who got how many is as it was.
//!
//! Whoever read the profile before may be at work still: a delivery writes the provider's words, a call of the API its
//! answer. So everything behind the files waits until none of these can be ([`Erasing::let_settle`]); whoever begins later
//! finds no profile.

use std::time::Duration;

use campaign::profile::Consent;
use campaign::suppression::SuppressionReason;
use campaign::{Channel, Profile, ProfileId};
use jiff::Timestamp;
use platform::{Blob, Deadline};
use serde::{Deserialize, Serialize};

use super::export::addresses;
use super::{PAGE, SEGMENTS};
use crate::jobs::Task;
use crate::ledger::Trace;
use crate::{Store, StoreError};

/// How often the profile is read anew where others change it at the same time.
const TRIES: usize = 20;
/// How many jobs are looked at at once.
const JOBS: usize = 100;

/// How far an erasure is. It holds nothing of the person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasing {
    /// What is gone.
    #[serde(default)]
    pub erased: Erased,
    /// At how many of the ledger's items was looked.
    #[serde(default)]
    pub scanned: u64,
    /// About how many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<u64>,
    #[serde(default)]
    stage: Stage,
    /// When the profile was gone, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone_ms: Option<i64>,
    /// For how long from then on others may be at work with it still, in milliseconds.
    #[serde(default)]
    settles_ms: i64,
    /// Where to go on in the stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

/// What an erasure has removed, as far as that was remembered: what a process did before it died is done, but not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// The profile, if it was there: 0 or 1.
    pub profiles: u64,
    /// Files of exports.
    pub exports: u64,
    /// What calls had brought along.
    pub calls: u64,
    /// Error texts.
    pub error_texts: u64,
    /// Kept answers.
    pub answers: u64,
    /// Events of webhooks.
    pub events: u64,
    /// Places on lists.
    pub lists: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    #[default]
    Profile,
    Exports,
    Ledger,
    Events,
    Lists,
    DeletedLists,
    Counts,
    Over,
}

impl Stage {
    const fn next(self) -> Self {
        match self {
            Self::Profile => Self::Exports,
            Self::Exports => Self::Ledger,
            Self::Ledger => Self::Events,
            Self::Events => Self::Lists,
            // Behind these: a list that is deleted meanwhile moves there.
            Self::Lists => Self::DeletedLists,
            Self::DeletedLists => Self::Counts,
            Self::Counts | Self::Over => Self::Over,
        }
    }
}

impl Erasing {
    /// Whether everything is gone that is to go.
    pub fn is_complete(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Has what is behind the profile and the files wait until the profile is gone for so long: the longest that whoever
    /// read it before may be at work. Without this, nothing waits.
    pub fn let_settle(&mut self, time: Duration) {
        self.settles_ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    }

    /// How long there is nothing to be done at `now` but to wait; `None` where there is something.
    pub fn wait(&self, now: Timestamp) -> Option<Duration> {
        let gone_ms = self.gone_ms.filter(|_| self.stage == Stage::Ledger && self.after.is_none())?;
        let left_ms = gone_ms.saturating_add(self.settles_ms) - now.as_millisecond();
        u64::try_from(left_ms).ok().filter(|left_ms| *left_ms > 0).map(Duration::from_millis)
    }
}

impl Store {
    /// Goes on erasing a person until that is done, has to wait ([`Erasing::wait`]), or `until`, whichever is first. Being
    /// done again it does no harm, from wherever it was remembered to be.
    ///
    /// # Errors
    /// As the engine's; then some of it may be done.
    pub async fn erase(
        &self,
        blob: &dyn Blob,
        person: ProfileId,
        erasing: &mut Erasing,
        until: Deadline,
    ) -> Result<(), StoreError> {
        let clock = &*self.platform.clock;
        while !erasing.is_complete()
            && erasing.wait(clock.now()).is_none()
            && !until.remaining(clock).is_zero()
        {
            let after = erasing.after.take();
            let (counts, next) = match erasing.stage {
                Stage::Profile => {
                    let erased = self.erase_profile(person).await?;
                    erasing.gone_ms = Some(clock.now().as_millisecond());
                    (erased, None)
                }
                Stage::Exports => self.erase_exports(blob, person, after).await?,
                Stage::Ledger => self.erase_traces(person, after, &mut erasing.scanned).await?,
                Stage::Events => self.erase_events(person, after).await?,
                Stage::Lists => self.erase_memberships(person, after).await?,
                Stage::DeletedLists => {
                    let (lists, next) = self.segments.leave_deleted(person, after, SEGMENTS).await?;
                    (Erased { lists, ..Erased::default() }, next)
                }
                Stage::Counts => {
                    self.frequency.forget(person).await?;
                    (Erased::default(), None)
                }
                Stage::Over => return Ok(()),
            };
            erasing.erased.add(counts);
            if next.is_none() {
                erasing.stage = erasing.stage.next();
            }
            erasing.after = next;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The profile and its identities, and what is known of its addresses but a keyed hash. Who wants no marketing is
    /// remembered by that hash, so that they get none if they are imported again.
    async fn erase_profile(&self, person: ProfileId) -> Result<Erased, StoreError> {
        for _ in 0..TRIES {
            let found = match self.profiles.get(person).await {
                Err(StoreError::NotFound { .. }) => return Ok(Erased::default()),
                found => found?,
            };
            for (channel, address) in addresses(&found.value) {
                if wants_no_marketing(&found.value, channel) {
                    let hash = self.suppressions.hash(channel, address).await?;
                    let reason = SuppressionReason::Unsubscribed;
                    self.suppressions.add_hashed(channel, hash, reason, None).await?;
                }
                self.suppressions.forget(channel, address).await?;
            }
            self.allowed.forget(&found.value).await?;
            match self.profiles.delete_as_read(&found).await {
                Ok(()) => return Ok(Erased { profiles: 1, ..Erased::default() }),
                // It may say something else by now: of its addresses, or of what the person wants.
                Err(StoreError::Stale { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Contended { what: "profile" })
    }

    async fn erase_exports(
        &self,
        blob: &dyn Blob,
        person: ProfileId,
        after: Option<String>,
    ) -> Result<(Erased, Option<String>), StoreError> {
        let (jobs, next) = self.jobs.list(after, JOBS).await?;
        let mut erased = Erased::default();
        for job in jobs {
            if !matches!(job.task, Task::ExportProfile { profile, .. } if profile == person) {
                continue;
            }
            let file = job.export_file();
            erased.exports += u64::from(blob.stat(&file).await?.is_some());
            blob.delete(&file).await?;
            for part in job.export_parts() {
                blob.delete(&part).await?;
            }
        }
        Ok((erased, next))
    }

    async fn erase_traces(
        &self,
        person: ProfileId,
        after: Option<String>,
        scanned: &mut u64,
    ) -> Result<(Erased, Option<String>), StoreError> {
        let page = self.ledger.traces(person, after, PAGE).await?;
        let mut erased = Erased::default();
        for trace in page.found {
            match trace {
                Trace::Message(chunk, place) => {
                    erased.error_texts += u64::from(self.ledger.forget_detail(chunk.key, place).await?);
                }
                Trace::Call(head) => {
                    erased.calls += u64::from(self.ledger.forget_recipient(head.id, person).await?);
                }
                Trace::Answer(partition) => {
                    erased.answers += u64::from(self.idempotency.erase(&partition).await?);
                }
            }
        }
        *scanned += page.scanned;
        Ok((erased, page.next))
    }

    /// One page of one endpoint's events at a time: `after` is the endpoint, and where to go on with it.
    async fn erase_events(
        &self,
        person: ProfileId,
        after: Option<String>,
    ) -> Result<(Erased, Option<String>), StoreError> {
        let mut endpoints: Vec<_> =
            self.endpoints.all().await?.into_iter().map(|found| found.value.id.to_string()).collect();
        endpoints.sort();
        let (from, within) = match after.as_deref().and_then(|after| after.split_once(' ')) {
            Some((endpoint, within)) => {
                (endpoint, Some(within.to_owned()).filter(|within| !within.is_empty()))
            }
            None => ("", None),
        };
        let Some(place) = endpoints.iter().position(|endpoint| endpoint.as_str() >= from) else {
            return Ok((Erased::default(), None));
        };
        let endpoint = &endpoints[place];
        let corrupt = |_| StoreError::Corrupt { what: "webhook endpoint", source: None };
        let within = within.filter(|_| endpoint == from);
        let (events, next) = self.endpoints.erase(endpoint.parse().map_err(corrupt)?, person, within).await?;
        let next = match next {
            Some(within) => Some(format!("{endpoint} {within}")),
            None => endpoints.get(place + 1).map(|endpoint| format!("{endpoint} ")),
        };
        Ok((Erased { events, ..Erased::default() }, next))
    }

    async fn erase_memberships(
        &self,
        person: ProfileId,
        after: Option<String>,
    ) -> Result<(Erased, Option<String>), StoreError> {
        let (lists, next) = self.segments.lists_of(person, after, SEGMENTS).await?;
        let mut erased = Erased::default();
        for list in lists {
            erased.lists += u64::from(self.segments.leave(list.id, person).await?);
        }
        Ok((erased, next))
    }
}

impl Erased {
    const fn add(&mut self, more: Self) {
        let Self { profiles, exports, calls, error_texts, answers, events, lists } = more;
        self.profiles += profiles;
        self.exports += exports;
        self.calls += calls;
        self.error_texts += error_texts;
        self.answers += answers;
        self.events += events;
        self.lists += lists;
    }
}

/// Whether the person has said no to marketing over this channel, or to any topic: which, nobody will know any more.
fn wants_no_marketing(profile: &Profile, channel: Channel) -> bool {
    let topics = profile.document().get("topics").and_then(serde_json::Value::as_object);
    profile.consent(channel) == Some(Consent::Out)
        || topics.is_some_and(|topics| topics.values().any(|said| said == "out"))
}
