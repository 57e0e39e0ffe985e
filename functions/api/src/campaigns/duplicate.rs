use axum::extract::State;
use campaign::model::MAX_NAME;
use campaign::{Campaign, CampaignId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::check;
use super::out::CampaignOut;
use super::whole;
use crate::auth::By;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Body, Id, Tagged};
use crate::{Context, schema};

/// What is put behind the name of the original.
const SUFFIX: &str = " (copy)";

/// How the duplicate is to be.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DuplicateIn {
    /// Its name; the original's with ` (copy)` behind it where absent.
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: Option<String>,
    /// Of which version; of the live one where absent, or of the draft where there is no other.
    #[schema(nullable)]
    version: Option<Which>,
}

/// One of the two versions that a campaign may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Which {
    Live,
    Draft,
}

/// Duplicate a campaign
///
/// In any status: a draft with the same description, tags, audience, actions and schedule results.
#[utoipa::path(
    post, path = "/campaigns/{id}/duplicate", tag = "campaigns",
    params(("id" = schema::Id, Path)),
    request_body = Option<DuplicateIn>,
    responses(
        (status = 201, description = "The duplicate", body = CampaignOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such campaign or version", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn duplicate_campaign(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    By(by): By,
    body: Option<Body<DuplicateIn>>,
) -> Result<Tagged<CampaignOut>> {
    let body = body.map(|Body(body)| body).unwrap_or_default();
    let (original, mut version, contents) = whole(&context, id, |original| match body.version {
        None => original.live_version.or(original.draft_version),
        Some(Which::Live) => original.live_version,
        Some(Which::Draft) => original.draft_version,
    })
    .await?;
    version.number = 1;
    let name = body.name.unwrap_or_else(|| name_after(&original.name));
    let mut duplicate = Campaign {
        description: original.description,
        tags: original.tags,
        channels: version.channels(),
        ..Campaign::new(&name, original.kind, original.category, by, context.now())
    };
    check(&duplicate)?;
    context.store.campaigns.create(&duplicate, &version, &contents, Some(id)).await?;
    duplicate.revision = 1;
    Ok(Tagged::created(1, CampaignOut::load(&context, duplicate).await?))
}

/// The name of a duplicate of what has this one, cut where it would be too long.
fn name_after(name: &str) -> String {
    let room = MAX_NAME - SUFFIX.chars().count();
    let cut: String = name.chars().take(room).collect();
    format!("{}{SUFFIX}", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_duplicate_is_never_too_long() {
        assert_eq!(name_after("Spring"), "Spring (copy)");
        let longest = "ä".repeat(MAX_NAME);
        assert_eq!(name_after(&longest).chars().count(), MAX_NAME);
    }
}
