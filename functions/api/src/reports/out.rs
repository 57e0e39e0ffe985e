//! Reports as they go out.

use campaign::report::Figures;
use campaign::schedule::Zone;
use campaign::{CampaignId, Channel, ExecutionId, Fact, Outcome};
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Serialize;
use store::ledger::State;
use utoipa::ToSchema;

use super::figures::{ByWhomOut, FiguresOut, Known};
use crate::schema;

/// What became of the messages of a campaign, or of a part of it.
///
/// Outcomes are counted in the minute in which the first of their group of at most fifty was decided, and a later change
/// of an outcome is booked there as well; what became known after, in the minute in which it came about, and of the same
/// only the first time; opens and clicks themselves in their own minute. A period has what was counted in its minutes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportOut {
    #[schema(value_type = schema::Id)]
    pub(super) campaign_id: CampaignId,
    /// The first instant reported, at the beginning of a minute; `null` where all there ever was is.
    #[schema(value_type = schema::Instant, nullable)]
    pub(super) from: Option<Timestamp>,
    /// Until when, without that instant: the end asked for, or the report's own time.
    #[schema(value_type = schema::Instant)]
    pub(super) to: Timestamp,
    /// In whose hours and days the series is cut, under its canonical name.
    #[schema(example = "Europe/Berlin")]
    pub(super) zone: String,
    /// How the series is cut: `minute`, `hour`, `day`, `week` or `month`; `null` where it is not.
    #[schema(required)]
    pub(super) interval: Option<&'static str>,
    /// All of it together.
    pub(super) total: FiguresOut,
    /// Each action of each version, the latest version first.
    pub(super) actions: Vec<ActionRow>,
    /// Each version, the latest first.
    pub(super) versions: Vec<VersionRow>,
    /// The executions of the latest 100 occurrences, the latest first. They are counted above, all of them.
    pub(super) executions: Vec<ExecutionRow>,
    /// How many executions are not listed.
    pub(super) executions_left_off: usize,
    /// All calls together that named their recipients; `null` where none is asked for. With all executions they are the total. A call is
    /// counted once it is decided about the first of its recipients.
    #[schema(required)]
    pub(super) calls: Option<FiguresOut>,
    /// The same by interval, without gaps: the buckets' sums are the total. `null` where no interval is asked for.
    #[schema(required)]
    pub(super) series: Option<Vec<BucketOut>>,
    /// Each link of each action. They are counted by the hour of UTC: these are of the hours that begin in the period. Empty in the
    /// report of one call.
    pub(super) links: Vec<LinkOut>,
}

/// One action of one version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActionRow {
    pub(super) version: u32,
    /// The action, by its number.
    pub(super) action: usize,
    #[schema(value_type = schema::Channel)]
    pub(super) channel: Channel,
    #[serde(flatten)]
    pub(super) figures: FiguresOut,
}

/// One version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionRow {
    pub(super) version: u32,
    #[serde(flatten)]
    pub(super) figures: FiguresOut,
}

/// One execution.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionRow {
    #[schema(value_type = schema::Id)]
    pub(super) id: ExecutionId,
    pub(super) version: u32,
    /// The instant it was to start at.
    #[schema(value_type = schema::Instant)]
    pub(super) occurrence: Timestamp,
    #[schema(value_type = schema::State)]
    pub(super) state: State,
    #[serde(flatten)]
    pub(super) figures: FiguresOut,
}

/// What was counted in an interval.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BucketOut {
    /// Where it begins.
    #[schema(value_type = schema::Instant)]
    pub(super) from: Timestamp,
    /// Where the next one begins.
    #[schema(value_type = schema::Instant)]
    pub(super) to: Timestamp,
    /// What the zone's clocks show where it begins.
    #[schema(value_type = String, example = "2027-03-28T00:00:00")]
    pub(super) local: DateTime,
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) excluded: u64,
    pub(super) unknown: u64,
    pub(super) delivered: u64,
    pub(super) hard_bounced: u64,
    pub(super) soft_bounced: u64,
    pub(super) delayed: u64,
    pub(super) opens: ByWhomOut,
    pub(super) clicks: ByWhomOut,
    pub(super) unsubscribed: u64,
    pub(super) complained: u64,
}

impl BucketOut {
    pub(super) fn new(from: Timestamp, to: Timestamp, zone: &Zone, figures: &Figures, known: Known) -> Self {
        Self {
            from,
            to,
            local: zone.local(from),
            sent: figures.outcome(Outcome::Sent),
            failed: figures.outcome(Outcome::Failed),
            excluded: figures.outcome(Outcome::Excluded),
            unknown: figures.outcome(Outcome::Unknown),
            delivered: figures.members(Fact::Delivered),
            hard_bounced: figures.members(Fact::HardBounced),
            soft_bounced: figures.members(Fact::SoftBounced),
            delayed: figures.members(Fact::Delayed),
            opens: ByWhomOut::of(figures, Fact::Opened, Fact::MachineOpened, known),
            clicks: ByWhomOut::of(figures, Fact::Clicked, Fact::MachineClicked, known),
            unsubscribed: figures.members(Fact::Unsubscribed),
            complained: figures.members(Fact::Complained),
        }
    }
}

/// One link of one action of one version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkOut {
    pub(super) version: u32,
    /// The action, by its number.
    pub(super) action: usize,
    /// The link, by its number in the content.
    pub(super) link: u16,
    /// Where it leads, as it stands in the content; `null` where that is no longer known.
    #[schema(required)]
    pub(super) url: Option<String>,
    /// Its label, where it has one.
    #[schema(required)]
    pub(super) label: Option<String>,
    pub(super) clicks: ByWhomOut,
}
