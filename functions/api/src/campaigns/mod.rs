//! Campaigns: what is sent, to whom and when.

mod activate;
mod body;
mod create;
mod delete;
mod get;
mod list;
mod occurrences;
mod out;
mod patch;
mod preview;
mod proof;
mod schedule;
mod stop;
mod validate;

use campaign::content::{Content, EmailContent};
use campaign::{Campaign, Version};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Context;
use crate::error::{Kind, Problem, Result};

pub(crate) fn routes() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(create::create_campaign, list::list_campaigns))
        .routes(routes!(get::get_campaign, patch::patch_campaign, delete::delete_campaign))
        .routes(routes!(occurrences::list_occurrences))
        .routes(routes!(validate::validate_campaign))
        .routes(routes!(preview::preview_campaign))
        .routes(routes!(proof::proof_campaign))
        .routes(routes!(activate::activate_campaign))
        .routes(routes!(stop::stop_campaign))
}

/// The version that the user works on: the draft, else the live one.
async fn current(context: &Context, campaign: &Campaign) -> Result<Version> {
    let number = campaign.draft_version.or(campaign.live_version);
    let number = number.ok_or_else(|| Problem::not_found("version of campaign", campaign.id))?;
    Ok(context.store.campaigns.version(campaign.id, number).await?)
}

/// The content of one action of a version.
async fn content(
    context: &Context,
    campaign: &Campaign,
    version: &Version,
    action: usize,
) -> Result<EmailContent> {
    if action >= version.actions.len() {
        let detail = match version.actions.len() {
            0 => "there is no action yet".to_owned(),
            count => format!("there are the actions 0 to {}", count - 1),
        };
        return Err(Problem::field("action", detail));
    }
    let number =
        u8::try_from(action).map_err(|_| Problem::new(Kind::InvalidField, "action: is too large"))?;
    let Content::Email(content) =
        context.store.campaigns.content(campaign.id, version.number, number).await?;
    Ok(content)
}
