use axum::Json;
use axum::extract::State;
use campaign::model::CampaignType;
use campaign::{Campaign, CampaignId, Category, Status};
use serde::Deserialize;
use utoipa::IntoParams;

use super::out::CampaignSummary;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Params, limit};
use crate::page::Page;
use crate::{Context, cursor, schema};

const LIST: &str = "campaigns";
/// How many campaigns are read at once.
const PAGE: usize = 200;
/// How many campaigns one call looks at before it answers with what it has.
const MOST_READ: usize = 5000;
/// What is listed where no status is asked for: what is at work.
const AT_WORK: [Status; 4] = [Status::Draft, Status::Activating, Status::Scheduled, Status::Live];

/// Which campaigns.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Statuses, separated by commas, or `all`; `draft,activating,scheduled,live` where absent.
    status: Option<String>,
    /// The type.
    #[serde(rename = "type")]
    #[param(value_type = Option<schema::CampaignType>)]
    kind: Option<CampaignType>,
    /// The category.
    #[param(value_type = Option<schema::Category>)]
    category: Option<Category>,
    /// A tag they have.
    tag: Option<String>,
    /// A part of their name, whatever the case.
    q: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many items at most: 1 to 100, 50 where absent.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<usize>,
}

/// List campaigns
///
/// The newest first.
#[utoipa::path(
    get, path = "/campaigns", tag = "campaigns",
    params(Filter),
    responses(
        (status = 200, description = "A page", body = Page<CampaignSummary>),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_campaigns(
    State(context): State<Context>,
    Params(filter): Params<Filter>,
) -> Result<Json<Page<CampaignSummary>>> {
    let limit = limit(filter.limit)?;
    let statuses = statuses(filter.status.as_deref())?;
    let name = filter.q.as_deref().map(str::to_lowercase);
    let matches = |campaign: &Campaign| {
        statuses.contains(&campaign.status)
            && filter.kind.is_none_or(|kind| kind == campaign.kind)
            && filter.category.is_none_or(|category| category == campaign.category)
            && filter.tag.as_ref().is_none_or(|tag| campaign.tags.contains(tag))
            && name.as_ref().is_none_or(|name| campaign.name.to_lowercase().contains(name))
    };
    let mut after = cursor::decode::<CampaignId>(LIST, filter.cursor.as_deref())?.map(|id| id.to_string());
    let (mut items, mut read) = (Vec::new(), 0);
    loop {
        let page = context.store.campaigns.list(after, PAGE).await?;
        read += page.campaigns.len();
        let mut campaigns = page.campaigns.into_iter();
        while let Some(campaign) = campaigns.next() {
            if !matches(&campaign) {
                continue;
            }
            let id = campaign.id;
            items.push(CampaignSummary::from(campaign));
            if items.len() >= limit {
                let is_last = campaigns.len() == 0 && page.next.is_none();
                // A campaign's id is its place in the list.
                let next_cursor = (!is_last).then(|| cursor::encode(LIST, id.to_string()));
                return Ok(Json(Page { items, next_cursor }));
            }
        }
        if page.next.is_none() || read >= MOST_READ {
            let next_cursor = page.next.map(|next| cursor::encode(LIST, next));
            return Ok(Json(Page { items, next_cursor }));
        }
        after = page.next;
    }
}

fn statuses(asked: Option<&str>) -> Result<Vec<Status>> {
    match asked {
        None => Ok(AT_WORK.to_vec()),
        Some("all") => Ok(Status::ALL.to_vec()),
        Some(names) => names
            .split(',')
            .map(|name| {
                Status::from_name(name.trim()).ok_or_else(|| {
                    let known = Status::ALL.map(Status::name).join(", ");
                    Problem::new(Kind::InvalidParameter, format!("status: there are {known}, and all"))
                })
            })
            .collect(),
    }
}
