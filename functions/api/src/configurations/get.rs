use axum::extract::State;
use campaign::ConfigurationId;

use super::ConfigurationOut;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Id, Tagged};
use crate::{Context, schema};

/// Get a channel configuration
#[utoipa::path(
    get, path = "/configurations/{id}", tag = "configurations",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The configuration", body = ConfigurationOut, headers(("etag" = String, description = "The revision"))),
        (status = 404, description = "There is no such configuration", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_configuration(
    State(context): State<Context>,
    Id(id): Id<ConfigurationId>,
) -> Result<Tagged<ConfigurationOut>> {
    let found = context.store.configurations.get(id).await?;
    Ok(Tagged::ok(found.revision, found.value.into()))
}
