use axum::extract::State;
use campaign::configuration::default_retry_period;
use campaign::{Category, ConfigurationId};
use serde::Deserialize;
use store::StoreError;
use utoipa::ToSchema;

use super::{ConfigurationOut, Force, SenderBody, check};
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Body, Id, IfMatch, Params, Tagged, given};
use crate::{Context, schema, usage};

/// How often a patch that names no revision is tried anew when others change the configuration at the same time.
const TRIES: usize = 3;

/// What is to change of a channel configuration; what is absent stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigurationPatch {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: Option<String>,
    #[schema(value_type = Option<schema::Category>)]
    category: Option<Category>,
    /// `null`: no limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    rate_per_second: Option<Option<u32>>,
    /// `null`: twelve hours.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, maximum = 604_800)]
    retry_period_seconds: Option<Option<u32>>,
    /// Whether nothing is sent by it for now: what was to be sent waits, until the retry period ends.
    disabled: Option<bool>,
    /// Whether transactional messages go even to addresses on the suppression list.
    ignores_suppression: Option<bool>,
    sender: Option<SenderBody>,
}

/// Change a channel configuration
///
/// A change applies from the next 50 recipients on, also to executions under way. To disable one that a campaign under way uses
/// needs `force`.
#[utoipa::path(
    patch, path = "/configurations/{id}", tag = "configurations",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read"), Force),
    request_body = ConfigurationPatch,
    responses(
        (status = 200, description = "Changed", body = ConfigurationOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such configuration", body = ProblemSchema),
        (status = 409, description = "It kept changing, or it is to be disabled and a campaign uses it", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn patch_configuration(
    State(context): State<Context>,
    Id(id): Id<ConfigurationId>,
    Params(Force { force }): Params<Force>,
    if_match: IfMatch,
    Body(patch): Body<ConfigurationPatch>,
) -> Result<Tagged<ConfigurationOut>> {
    if patch.disabled == Some(true) && !force {
        usage::refuse_configuration_in_use(&context, id).await?;
    }
    let mut tries = TRIES;
    loop {
        let found = context.store.configurations.get(id).await?;
        if_match.check(found.revision)?;
        let (mut configuration, patch) = (found.value, patch.clone());
        configuration.name = patch.name.unwrap_or(configuration.name);
        configuration.category = patch.category.unwrap_or(configuration.category);
        configuration.rate_per_second = patch.rate_per_second.unwrap_or(configuration.rate_per_second);
        if let Some(period) = patch.retry_period_seconds {
            configuration.retry_period_seconds = period.unwrap_or_else(default_retry_period);
        }
        configuration.disabled = patch.disabled.unwrap_or(configuration.disabled);
        configuration.ignores_suppression =
            patch.ignores_suppression.unwrap_or(configuration.ignores_suppression);
        if let Some(sender) = patch.sender {
            configuration.sender = sender.parse()?;
        }
        check(&configuration, &context.outbound)?;
        tries -= 1;
        match context.store.configurations.put(&configuration, found.revision).await {
            Ok(()) => return Ok(Tagged::ok(found.revision + 1, configuration.into())),
            Err(StoreError::Stale { .. }) if !if_match.may_retry() => return Err(IfMatch::failed()),
            Err(StoreError::Stale { .. }) if tries > 0 => {}
            Err(error) => return Err(Problem::from(error)),
        }
    }
}
