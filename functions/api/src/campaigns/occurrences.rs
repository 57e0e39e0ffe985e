use axum::Json;
use axum::extract::State;
use campaign::schedule::{Occurrence, ScheduleError, Zone};
use campaign::{Campaign, CampaignId, Version};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Id, Params};
use crate::{Context, schema};

/// The most occurrences of one answer.
const MOST: usize = 100;
const DEFAULT: usize = 20;

/// How many occurrences, and in which zone besides.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// How many at most: 1 to 100, 20 where absent.
    #[param(minimum = 1, maximum = 100, default = 20)]
    n: Option<usize>,
    /// An IANA zone whose local time is shown beside the campaign's.
    #[param(example = "Asia/Tokyo")]
    time_zone: Option<String>,
}

/// The coming occurrences of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OccurrencesOut {
    /// Of which version.
    version: u32,
    /// The schedule's zone, under its canonical name; `null` where it starts at its activation.
    #[schema(required, example = "Europe/Paris")]
    campaign_time_zone: Option<String>,
    /// The zone asked for, under its canonical name.
    #[schema(required, example = "Asia/Tokyo")]
    time_zone: Option<String>,
    /// The earliest first; empty where nothing of it will start by a schedule any more.
    items: Vec<OccurrenceOut>,
}

/// When one occurrence starts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OccurrenceOut {
    /// 1, 2, 3, ..., from the schedule's start.
    number: u64,
    /// The instant.
    #[schema(value_type = schema::Instant)]
    instant: Timestamp,
    /// In the campaign's zone.
    campaign: LocalOut,
    /// The local time that the schedule asks for, where a clock change skips it, so that it moves forward by the gap.
    #[schema(value_type = String, nullable, example = "2027-03-14T02:30:00")]
    moved_from: Option<DateTime>,
    /// In the zone asked for.
    #[schema(required)]
    asked: Option<LocalOut>,
    /// Where the time is the recipients' own: what it is, and when it is so in the latest zone. `instant` is in the
    /// earliest.
    #[schema(required)]
    recipient_time: Option<RecipientTimeOut>,
}

/// A time in every recipient's own zone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecipientTimeOut {
    /// The local time.
    #[schema(value_type = String, example = "2027-03-14T09:00:00")]
    local: DateTime,
    /// When it is that in the latest zone.
    #[schema(value_type = schema::Instant)]
    last_instant: Timestamp,
}

/// An instant on the clocks of a zone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LocalOut {
    /// What clocks show.
    #[schema(value_type = String, example = "2027-03-14T03:30:00")]
    local: DateTime,
    /// How far they are ahead of UTC then.
    #[schema(example = "-04:00")]
    offset: String,
}

impl LocalOut {
    fn new(instant: Timestamp, offset: Offset) -> Self {
        let (sign, minutes) = (if offset.seconds() < 0 { '-' } else { '+' }, offset.seconds().abs() / 60);
        let offset_text = format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60);
        Self { local: offset.to_datetime(instant), offset: offset_text }
    }
}

/// List the coming occurrences of a campaign
///
/// Of its live version, or of its draft, as if that were activated now, where it has no live one.
#[utoipa::path(
    get, path = "/campaigns/{id}/occurrences", tag = "campaigns",
    params(("id" = schema::Id, Path), Asked),
    responses(
        (status = 200, description = "The occurrences", body = OccurrencesOut),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such campaign", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_occurrences(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    Params(asked): Params<Asked>,
) -> Result<Json<OccurrencesOut>> {
    let invalid = |message: String| Problem::new(Kind::InvalidParameter, message);
    let most = asked.n.unwrap_or(DEFAULT);
    if !(1..=MOST).contains(&most) {
        return Err(invalid(format!("n: must be between 1 and {MOST}")));
    }
    let zone = asked.time_zone.as_deref().map(Zone::parse).transpose();
    let zone = zone.map_err(|error| invalid(format!("time_zone: {error}")))?;
    let campaign = context.store.campaigns.get(id).await?;
    let number = campaign.live_version.or(campaign.draft_version);
    let number = number.ok_or_else(|| Problem::not_found("version of campaign", id))?;
    let version = context.store.campaigns.version(id, number).await?;
    let items = coming(&campaign, &version, context.now(), most)?;
    let campaign_zone = version.schedule.zone().map_err(|error| unreadable(&error))?;
    Ok(Json(OccurrencesOut {
        version: number,
        campaign_time_zone: campaign_zone.map(|zone| zone.name().to_owned()),
        time_zone: zone.as_ref().map(|zone| zone.name().to_owned()),
        items: items.into_iter().map(|occurrence| out(&occurrence, zone.as_ref())).collect(),
    }))
}

/// What the campaign says comes next, and what follows; of a draft, what would come.
fn coming(campaign: &Campaign, version: &Version, now: Timestamp, most: usize) -> Result<Vec<Occurrence>> {
    let from = match campaign.live_version {
        Some(_) => campaign.next_occurrence,
        None => Some(campaign.asked_at(now)),
    };
    let Some(from) = from else { return Ok(Vec::new()) };
    let closes = version.closes().map_err(|error| unreadable(&error))?;
    version.schedule.coming(from, closes, most).map_err(|error| unreadable(&error))
}

/// What is stored was checked when it was given: this machine's time zones are older than those it was checked by.
fn unreadable(error: &ScheduleError) -> Problem {
    Problem::field("schedule", error.to_string())
}

fn out(occurrence: &Occurrence, zone: Option<&Zone>) -> OccurrenceOut {
    let instant = occurrence.instant;
    OccurrenceOut {
        number: occurrence.number,
        instant,
        campaign: LocalOut::new(instant, occurrence.offset),
        moved_from: (occurrence.last.is_none() && occurrence.planned != occurrence.local)
            .then_some(occurrence.planned),
        asked: zone.map(|zone| LocalOut::new(instant, zone.offset(instant))),
        recipient_time: occurrence
            .last
            .map(|last_instant| RecipientTimeOut { local: occurrence.planned, last_instant }),
    }
}
