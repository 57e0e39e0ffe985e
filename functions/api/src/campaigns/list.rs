use axum::Json;
use axum::extract::State;
use campaign::model::CampaignType;
use campaign::schedule::{Moment, Zone};
use campaign::{CampaignRow, Category, Channel, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::StoreError;
use store::campaigns::{Direction, RowQuery, Sort, Span};
use utoipa::IntoParams;

use super::out::CampaignSummary;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Params, limit};
use crate::page::Page;
use crate::{Context, cursor, schema};

/// What is listed where no status is asked for: what is at work.
const AT_WORK: [Status; 4] = [Status::Draft, Status::Activating, Status::Scheduled, Status::Live];

/// Which campaigns, in which order. All that is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// Statuses, separated by commas, or `all`; `draft,activating,scheduled,live` where absent.
    #[param(example = "draft,scheduled")]
    status: Option<String>,
    /// The type.
    #[serde(rename = "type")]
    #[param(value_type = Option<schema::CampaignType>)]
    kind: Option<CampaignType>,
    /// The category.
    #[param(value_type = Option<schema::Category>)]
    category: Option<Category>,
    /// A channel of theirs.
    #[param(value_type = Option<schema::Channel>)]
    channel: Option<Channel>,
    /// A tag they have.
    tag: Option<String>,
    /// A part of their name, whatever the case.
    q: Option<String>,
    /// Who made them: the `id` or the `name` of `created_by`.
    creator: Option<String>,
    /// Made then or later: an instant, or a date or local time in `time_zone`.
    #[param(example = "2027-03-14")]
    created_from: Option<String>,
    /// Made before that time, or by the end of that date.
    #[param(example = "2027-03-14")]
    created_to: Option<String>,
    /// Last changed then or later.
    #[param(example = "2027-03-14T09:00:00Z")]
    modified_from: Option<String>,
    /// Last changed before that time, or by the end of that date.
    #[param(example = "2027-03-14T09:00:00Z")]
    modified_to: Option<String>,
    /// Next starting then or later. Those without a start ahead are left out, as by `start_to`.
    #[param(example = "2027-03-14T09:00:00")]
    start_from: Option<String>,
    /// Next starting before that time, or by the end of that date.
    #[param(example = "2027-03-14T09:00:00")]
    start_to: Option<String>,
    /// The IANA zone in which dates and local times are meant; UTC where absent.
    #[param(example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// By what they are sorted, `-` before it for the other way round; `-modified` where absent. `name` is whatever the case;
    /// `status` in the order of a campaign's life; by `start` and `-start` those without a start ahead come last.
    #[param(inline, value_type = Option<CampaignSort>)]
    sort: Option<String>,
    /// The `next_cursor` of the page before. It is good for the same filter and order only.
    #[param(min_length = 1)]
    cursor: Option<String>,
    /// How many items at most: 1 to 100, 50 where absent.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<usize>,
}

/// How campaigns may be sorted.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum CampaignSort {
    #[schema(rename = "name")]
    Name,
    #[schema(rename = "-name")]
    NameDescending,
    #[schema(rename = "status")]
    Status,
    #[schema(rename = "-status")]
    StatusDescending,
    #[schema(rename = "modified")]
    Modified,
    #[schema(rename = "-modified")]
    ModifiedDescending,
    #[schema(rename = "start")]
    Start,
    #[schema(rename = "-start")]
    StartDescending,
    #[schema(rename = "created")]
    Created,
    #[schema(rename = "-created")]
    CreatedDescending,
}

/// List campaigns
///
/// Of a page's length however many there are: one call looks at no more than 1,000 rows. A page may so be short, or empty,
/// while others follow: go on for as long as `next_cursor` is not null. Whoever goes from page to page meets each campaign
/// once, unless a change moves it to another place in the order meanwhile.
#[utoipa::path(
    get, path = "/campaigns", tag = "campaigns",
    params(Asked),
    responses(
        (status = 200, description = "A page", body = Page<CampaignSummary>),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_campaigns(
    State(context): State<Context>,
    Params(asked): Params<Asked>,
) -> Result<Json<Page<CampaignSummary>>> {
    let limit = limit(asked.limit)?;
    let filter = Filter::parse(&asked)?;
    let list = filter.name();
    let query = RowQuery {
        statuses: filter.statuses.clone(),
        sort: filter.sort,
        direction: filter.direction,
        span: match filter.sort {
            Sort::Created => filter.created,
            Sort::Modified => filter.modified,
            Sort::Start => filter.start,
            Sort::Name | Sort::Status => Span::default(),
        },
        after: cursor::decode(&list, asked.cursor.as_deref())?,
        limit,
    };
    let page = match context.store.campaigns.rows(&query, |row| filter.matches(row)).await {
        Err(StoreError::Invalid { .. }) => return Err(cursor::foreign()),
        page => page?,
    };
    Ok(Json(Page {
        items: page.rows.into_iter().map(CampaignSummary::from).collect(),
        next_cursor: page.next.map(|place| cursor::encode(&list, place)),
    }))
}

/// What is asked for, read.
#[derive(Debug, Serialize)]
struct Filter<'a> {
    /// Each once, in the life's order.
    statuses: Vec<Status>,
    kind: Option<CampaignType>,
    category: Option<Category>,
    channel: Option<Channel>,
    tag: Option<&'a str>,
    /// In lower case.
    name_part: Option<String>,
    creator: Option<&'a str>,
    created: Span,
    modified: Span,
    start: Span,
    sort: Sort,
    direction: Direction,
}

impl<'a> Filter<'a> {
    fn parse(asked: &'a Asked) -> Result<Self> {
        let zone = asked.time_zone.as_deref().map_or(Ok(Zone::UTC), Zone::parse);
        let zone = zone.map_err(|error| invalid("time_zone", error))?;
        let span = |name: &str, from: Option<&str>, to: Option<&str>| -> Result<Span> {
            let from =
                from.map(|text| begin(text, &zone).map_err(|error| invalid(&format!("{name}_from"), error)));
            let to = to.map(|text| end(text, &zone).map_err(|error| invalid(&format!("{name}_to"), error)));
            Ok(Span { from: from.transpose()?, to: to.transpose()? })
        };
        let (sort, direction) = order(asked.sort.as_deref().unwrap_or("-modified"))?;
        Ok(Self {
            statuses: statuses(asked.status.as_deref())?,
            kind: asked.kind,
            category: asked.category,
            channel: asked.channel,
            tag: asked.tag.as_deref(),
            name_part: asked.q.as_deref().map(str::to_lowercase),
            creator: asked.creator.as_deref(),
            created: span("created", asked.created_from.as_deref(), asked.created_to.as_deref())?,
            modified: span("modified", asked.modified_from.as_deref(), asked.modified_to.as_deref())?,
            start: span("start", asked.start_from.as_deref(), asked.start_to.as_deref())?,
            sort,
            direction,
        })
    }

    fn matches(&self, row: &CampaignRow) -> bool {
        self.kind.is_none_or(|kind| kind == row.kind)
            && self.category.is_none_or(|category| category == row.category)
            && self.channel.is_none_or(|channel| row.channels.contains(&channel))
            && self.tag.is_none_or(|tag| row.tags.iter().any(|has| has == tag))
            && self.creator.is_none_or(|who| who == row.created_by.id || who == row.created_by.name)
            && self.created.contains(row.created_at)
            && self.modified.contains(row.modified_at)
            && (self.start.is_all() || row.next_occurrence.is_some_and(|next| self.start.contains(next)))
            && self.name_part.as_ref().is_none_or(|part| row.name.to_lowercase().contains(part))
    }

    /// What its cursors are bound to: another filter or order has another name.
    fn name(&self) -> String {
        let text = serde_json::to_vec(self).expect("a filter is plain data");
        let hash = Sha256::digest(&text);
        let short: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        format!("campaigns {short}")
    }
}

fn invalid(name: &str, error: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::InvalidParameter, format!("{name}: {error}"))
}

/// Instants may have fractions of seconds here, as those that are shown.
fn moment(text: &str) -> Result<Moment, String> {
    let instant = text.parse().map(Moment::Instant);
    instant.or_else(|_| Moment::parse(text)).map_err(|error| error.to_string())
}

/// Where a stretch of time from then on begins.
fn begin(text: &str, zone: &Zone) -> Result<Timestamp, String> {
    let begin = match moment(text)? {
        Moment::Day(day) => zone.instant(day.into()),
        moment => moment.over(zone),
    };
    begin.map_err(|error| error.to_string())
}

/// Where a stretch of time until then ends.
fn end(text: &str, zone: &Zone) -> Result<Timestamp, String> {
    moment(text)?.over(zone).map_err(|error| error.to_string())
}

fn order(text: &str) -> Result<(Sort, Direction)> {
    let (name, direction) = match text.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (text, Direction::Ascending),
    };
    let sort = match name {
        "name" => Sort::Name,
        "status" => Sort::Status,
        "modified" => Sort::Modified,
        "start" => Sort::Start,
        "created" => Sort::Created,
        _ => {
            return Err(invalid(
                "sort",
                "there are name, status, modified, start and created, and each with - before it",
            ));
        }
    };
    Ok((sort, direction))
}

fn statuses(asked: Option<&str>) -> Result<Vec<Status>> {
    let asked = match asked {
        None => return Ok(AT_WORK.to_vec()),
        Some("all") => return Ok(Status::ALL.to_vec()),
        Some(names) => names.split(',').map(|name| {
            let known = || format!("there are {}, and all", Status::ALL.map(Status::name).join(", "));
            Status::from_name(name.trim()).ok_or_else(|| invalid("status", known()))
        }),
    };
    let asked = asked.collect::<Result<Vec<_>>>()?;
    Ok(Status::ALL.into_iter().filter(|status| asked.contains(status)).collect())
}
