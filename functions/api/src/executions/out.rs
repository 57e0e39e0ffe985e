//! Counts as they go out.

use std::collections::BTreeMap;

use campaign::report::Counts;
use campaign::{CampaignId, ExecutionId, Outcome};
use jiff::Timestamp;
use serde::Serialize;
use store::ledger::{ExecutionSummary, State};
use utoipa::ToSchema;

use crate::schema;

/// How many recipients, by what became of them. Once nothing is pending,
/// `targeted = sent + failed + excluded + unknown`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountsOut {
    /// How many are to get it, as far as the audience has been read.
    targeted: u64,
    /// The provider took it.
    sent: u64,
    /// It could not be sent.
    failed: Reasons,
    /// It must not be sent.
    excluded: Reasons,
    /// It may have been sent; nobody can say.
    unknown: u64,
    /// Not decided yet.
    pending: u64,
    /// How many may have got it twice.
    possible_duplicates: u64,
    /// Whether `targeted = sent + failed + excluded + unknown`.
    balances: bool,
}

/// How many, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reasons {
    pub(crate) total: u64,
    /// By reason.
    #[schema(value_type = std::collections::HashMap<String, u64>)]
    pub(crate) reasons: BTreeMap<&'static str, u64>,
}

impl Reasons {
    pub(crate) fn of(counts: &Counts, outcome: Outcome) -> Self {
        let reasons =
            counts.reasons(outcome).into_iter().map(|(code, count)| (code.reason(), count)).collect();
        Self { total: counts.outcome(outcome), reasons }
    }
}

impl From<&Counts> for CountsOut {
    fn from(counts: &Counts) -> Self {
        Self {
            targeted: counts.targeted,
            sent: counts.outcome(Outcome::Sent),
            failed: Reasons::of(counts, Outcome::Failed),
            excluded: Reasons::of(counts, Outcome::Excluded),
            unknown: counts.outcome(Outcome::Unknown),
            pending: counts.outcome(Outcome::Pending),
            possible_duplicates: counts.possible_duplicates(),
            balances: counts.balances(),
        }
    }
}

/// The counts of all actions together.
pub(crate) fn total(counts: &[Counts]) -> CountsOut {
    let mut total = Counts::default();
    for counts in counts {
        total.add(counts);
    }
    CountsOut::from(&total)
}

/// An execution in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionListed {
    #[schema(value_type = schema::Id)]
    id: ExecutionId,
    #[schema(value_type = schema::Id)]
    campaign_id: CampaignId,
    /// The version it runs.
    version: u32,
    /// The instant it was to start at.
    #[schema(value_type = schema::Instant)]
    occurrence: Timestamp,
    #[schema(value_type = schema::State)]
    state: State,
    #[schema(value_type = schema::Instant, nullable)]
    started_at: Option<Timestamp>,
    /// Since when it is paused; `null` where it is not.
    #[schema(value_type = schema::Instant, nullable)]
    paused_at: Option<Timestamp>,
    #[schema(value_type = schema::Instant, nullable)]
    ended_at: Option<Timestamp>,
    /// The counts of all its actions as they are now, once it has ended.
    #[schema(required)]
    total: Option<CountsOut>,
}

impl From<ExecutionSummary> for ExecutionListed {
    fn from(summary: ExecutionSummary) -> Self {
        let has_counts = matches!(summary.state, State::Completed | State::Stopped);
        Self {
            id: summary.id,
            campaign_id: summary.campaign,
            version: summary.version,
            occurrence: summary.occurrence,
            state: summary.state,
            started_at: summary.started_at,
            paused_at: summary.paused_at,
            ended_at: summary.ended_at,
            total: has_counts.then(|| total(&summary.counts)),
        }
    }
}
