use axum::extract::State;
use campaign::configuration::{Configuration, default_retry_period};
use campaign::{Category, ConfigurationId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ConfigurationOut, SenderBody, check};
use crate::error::{ProblemSchema, Result};
use crate::extract::{Body, Tagged};
use crate::{Context, schema};

/// A channel configuration to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigurationIn {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: String,
    #[schema(value_type = schema::Category)]
    category: Category,
    /// The most messages a second, over all campaigns that use it; no limit where absent.
    #[schema(minimum = 1, maximum = 1_000_000)]
    rate_per_second: Option<u32>,
    /// How long a message the provider would not take yet is tried again, in seconds.
    #[serde(default = "default_retry_period")]
    #[schema(maximum = 604_800)]
    retry_period_seconds: u32,
    /// Whether nothing is sent by it for now.
    #[serde(default)]
    disabled: bool,
    /// Whether transactional messages go even to addresses on the suppression list; for transactional configurations only.
    #[serde(default)]
    ignores_suppression: bool,
    sender: SenderBody,
}

/// Create a channel configuration
#[utoipa::path(
    post, path = "/configurations", tag = "configurations",
    request_body = ConfigurationIn,
    responses(
        (status = 201, description = "Created", body = ConfigurationOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn create_configuration(
    State(context): State<Context>,
    Body(body): Body<ConfigurationIn>,
) -> Result<Tagged<ConfigurationOut>> {
    let configuration = Configuration {
        id: ConfigurationId::ordered(context.now().as_millisecond()),
        name: body.name,
        category: body.category,
        rate_per_second: body.rate_per_second,
        retry_period_seconds: body.retry_period_seconds,
        disabled: body.disabled,
        ignores_suppression: body.ignores_suppression,
        sender: body.sender.parse()?,
    };
    check(&configuration, &context.outbound)?;
    context.store.configurations.put(&configuration, 0).await?;
    Ok(Tagged::created(1, configuration.into()))
}
