//! Reports: what counters say of a campaign's executions and calls.
//!
//! First it is found out what there is to read, then it is read. Neither reads a chunk, save those of one call: so a report
//! costs the same for a thousand recipients as for a million. Of an execution over 16 shards it is 16 queries; of a
//! campaign, one for each shard of each of its executions that may have counted anything in the period, and one for each
//! thousand executions to list them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use campaign::model::CampaignType;
use campaign::report::{Scope, Tallied};
use campaign::status::Command;
use campaign::{Campaign, Channel, ExecutionId, Version};
use jiff::{SignedDuration, Timestamp};

use crate::ledger::{Counters, ExecutionSummary, Head, State};
use crate::tables::LEDGER_TTL_SECONDS;
use crate::{Store, StoreError};

/// How many entries of a list are asked for at once.
const PAGE: usize = 1000;

/// Which part of a campaign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Part {
    /// One version.
    pub version: Option<u32>,
    /// One execution.
    pub execution: Option<ExecutionId>,
    /// One action, by its number.
    pub action: Option<usize>,
}

/// What something was counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An execution with an audience.
    Execution(Box<ExecutionSummary>),
    /// All calls of a version that named their recipients.
    Calls {
        /// When the first may have come.
        since: Timestamp,
        /// Until when something may have been counted.
        until: Timestamp,
    },
    /// One such call.
    Call(Box<Head>),
}

/// Something there may be to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is counted for.
    pub origin: Origin,
    /// Of which version.
    pub version: u32,
    /// The channels of that version's actions, in their order.
    pub channels: Vec<Channel>,
}

impl Source {
    /// Since when there may be anything.
    pub fn since(&self) -> Timestamp {
        match &self.origin {
            Origin::Execution(summary) => {
                summary.started_at.map_or(summary.occurrence, |at| at.min(summary.occurrence))
            }
            Origin::Calls { since, .. } => *since,
            Origin::Call(head) => head.started_at,
        }
    }
}

/// A source, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// What was read.
    pub source: Source,
    /// Each of its actions. Those targeted are known where the scope is the whole.
    pub actions: Vec<Tallied>,
}

impl Store {
    /// What there may be to report of a part of a campaign, the latest execution first. `None` where the execution is none
    /// of the campaign, or was forgotten.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn report_sources(
        &self,
        campaign: &Campaign,
        part: Part,
    ) -> Result<Option<Vec<Source>>, StoreError> {
        let mut origins = Vec::new();
        match part.execution {
            Some(id) => match self.execution_origin(campaign, id).await? {
                Some(origin) => origins.push(origin),
                None => return Ok(None),
            },
            None => {
                let mut after = None;
                loop {
                    let (page, next) = self.ledger.executions(campaign.id, after, PAGE).await?;
                    let started = page.into_iter().filter(|summary| summary.state != State::Missed);
                    origins.extend(started.map(|summary| {
                        let version = summary.version;
                        (version, Origin::Execution(Box::new(summary)))
                    }));
                    after = next;
                    if after.is_none() {
                        break;
                    }
                }
                if campaign.kind == CampaignType::ApiTriggered {
                    origins.extend(self.calls_origins(campaign).await?);
                }
            }
        }
        origins.retain(|(version, _)| part.version.is_none_or(|wanted| wanted == *version));
        let mut versions: BTreeMap<u32, Version> = BTreeMap::new();
        let mut sources = Vec::with_capacity(origins.len());
        for (number, origin) in origins {
            let version = match versions.entry(number) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(self.campaigns.version(campaign.id, number).await?),
            };
            let channels = version.actions.iter().map(|action| action.channel).collect();
            sources.push(Source { origin, version: number, channels });
        }
        Ok(Some(sources))
    }

    async fn execution_origin(
        &self,
        campaign: &Campaign,
        id: ExecutionId,
    ) -> Result<Option<(u32, Origin)>, StoreError> {
        if let Some(head) = self.ledger.head(id).await? {
            if head.campaign != campaign.id {
                return Ok(None);
            }
            if head.is_call() {
                return Ok(Some((head.version, Origin::Call(Box::new(head)))));
            }
            let summary = self.ledger.summary(&head).await?;
            return Ok(summary.map(|summary| (head.version, Origin::Execution(Box::new(summary)))));
        }
        // What stays of one that the ledger has forgotten is known by its campaign alone.
        let mut after = None;
        loop {
            let (page, next) = self.ledger.executions(campaign.id, after, PAGE).await?;
            if let Some(found) = page.into_iter().find(|summary| summary.id == id) {
                return Ok(Some((found.version, Origin::Execution(Box::new(found)))));
            }
            after = next;
            if after.is_none() {
                return Ok(None);
            }
        }
    }

    /// The versions of a campaign that took calls, and when anything may have been counted for these: from their activation
    /// until the ledger has forgotten the last of them.
    async fn calls_origins(&self, campaign: &Campaign) -> Result<Vec<(u32, Origin)>, StoreError> {
        let now = self.platform.clock.now();
        let (mut lives, mut live_until, mut after) = (Vec::new(), now, None);
        loop {
            // The latest first.
            let (page, next) = self.campaigns.history(campaign.id, after, PAGE).await?;
            for entry in page {
                let begins = [Command::BecomeLive, Command::Replace].map(Command::name);
                if let Some(version) = entry.version.filter(|_| begins.contains(&entry.command.as_str())) {
                    let until = forgotten(live_until).min(now);
                    lives.push((version, Origin::Calls { since: entry.at, until }));
                    live_until = entry.at;
                }
            }
            after = next;
            if after.is_none() {
                return Ok(lives);
            }
        }
    }

    /// Reads sources.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn report(
        &self,
        campaign: &Campaign,
        sources: Vec<Source>,
        action: Option<usize>,
        scope: &Scope,
    ) -> Result<Vec<Reported>, StoreError> {
        let (mut counters, mut places) = (Vec::new(), Vec::new());
        let mut reported = Vec::with_capacity(sources.len());
        for source in sources {
            let counted = match &source.origin {
                Origin::Execution(summary) => Counters::Execution {
                    id: summary.id,
                    shards: summary.shards,
                    since: source.since(),
                    until: summary.ended_at.map(forgotten),
                },
                Origin::Calls { since, until } => Counters::Calls {
                    campaign: campaign.id,
                    version: source.version,
                    since: *since,
                    until: *until,
                },
                Origin::Call(head) => {
                    let actions = self.ledger.read_call(head, action, scope).await?;
                    reported.push(Reported { source, actions });
                    continue;
                }
            };
            counters.push((counted, source.channels.len()));
            places.push(reported.len());
            reported.push(Reported { source, actions: Vec::new() });
        }
        let read = self.ledger.read_counters(&counters, action, scope).await?;
        for (place, actions) in places.into_iter().zip(read) {
            reported[place].actions = actions;
        }
        if scope.period == campaign::report::Period::WHOLE {
            // Behind the counters: what is decided has been targeted before.
            self.add_targeted(&mut reported, action).await?;
        }
        Ok(reported)
    }

    /// How many executions target: what was written at their end, or while they run, what their cursors say.
    async fn add_targeted(&self, reported: &mut [Reported], only: Option<usize>) -> Result<(), StoreError> {
        for Reported { source, actions } in reported {
            let Origin::Execution(summary) = &source.origin else { continue };
            let so_far = match summary.state {
                State::Completed | State::Stopped => None,
                _ => Some(self.ledger.targeted_so_far(summary.id, summary.shards).await?),
            };
            for (action, tallied) in actions.iter_mut().enumerate() {
                if only.is_none_or(|only| only == action) {
                    let at_end = || summary.counts.get(action).map_or(0, |counts| counts.targeted);
                    tallied.targeted = so_far.unwrap_or_else(at_end);
                }
            }
        }
        Ok(())
    }
}

/// When the ledger has forgotten the recipients of what ended then, so that nothing is counted for them any more.
fn forgotten(ended_at: Timestamp) -> Timestamp {
    ended_at.saturating_add(SignedDuration::from_secs(LEDGER_TTL_SECONDS)).unwrap_or(Timestamp::MAX)
}
