use axum::Json;
use axum::extract::State;
use campaign::SegmentId;

use super::SegmentOut;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Params, limit};
use crate::page::{Page, Paging};
use crate::{Context, cursor};

const LIST: &str = "segments";

/// List segments
///
/// The oldest first.
#[utoipa::path(
    get, path = "/segments", tag = "segments",
    params(Paging),
    responses(
        (status = 200, description = "A page", body = Page<SegmentOut>),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_segments(
    State(context): State<Context>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<SegmentOut>>> {
    let after = cursor::decode::<SegmentId>(LIST, paging.cursor.as_deref())?.map(|id| id.to_string());
    let (found, next) = context.store.segments.list(after, limit(paging.limit)?).await?;
    Ok(Json(Page {
        items: found.into_iter().map(|found| found.value.into()).collect(),
        next_cursor: next.map(|next| cursor::encode(LIST, next)),
    }))
}
