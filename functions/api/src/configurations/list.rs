use axum::Json;
use axum::extract::State;
use campaign::ConfigurationId;

use super::ConfigurationOut;
use crate::Context;
use crate::cursor;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Params, limit};
use crate::page::{Page, Paging};

const LIST: &str = "configurations";

/// List channel configurations
///
/// The oldest first.
#[utoipa::path(
    get, path = "/configurations", tag = "configurations",
    params(Paging),
    responses(
        (status = 200, description = "A page", body = Page<ConfigurationOut>),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_configurations(
    State(context): State<Context>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<ConfigurationOut>>> {
    let after = cursor::decode::<ConfigurationId>(LIST, paging.cursor.as_deref())?.map(|id| id.to_string());
    let (found, next) = context.store.configurations.list(after, limit(paging.limit)?).await?;
    Ok(Json(Page {
        items: found.into_iter().map(|found| found.value.into()).collect(),
        next_cursor: next.map(|next| cursor::encode(LIST, next)),
    }))
}
