use axum::Json;
use axum::extract::State;
use campaign::CallScheduleId;
use serde_json::{Value, json};

use super::audience::schedule_out;
use super::out::ScheduleOut;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::Id;
use crate::{Context, schema};

/// Get a planned execution
#[utoipa::path(
    get, path = "/im/executions/schedules/{scheduleId}", tag = "executions api",
    params(("scheduleId" = schema::Id, Path)),
    responses(
        (status = 200, description = "The planned execution", body = ScheduleOut),
        (status = 404, description = "There is none", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_schedule(
    State(context): State<Context>,
    Id(id): Id<CallScheduleId>,
) -> Result<Json<ScheduleOut>> {
    let schedule = context.store.call_schedule(id).await?;
    schedule_out(&context, &schedule).await.map(Json)
}

/// Take a planned execution back
///
/// Until its time has come. Its request id stays taken: repeating the request plans nothing anew.
#[utoipa::path(
    delete, path = "/im/executions/schedules/{scheduleId}", tag = "executions api",
    params(("scheduleId" = schema::Id, Path)),
    responses(
        (status = 200, description = "It will not run"),
        (status = 404, description = "There is none", body = ProblemSchema),
        (status = 409, description = "Its time has come", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn delete_schedule(
    State(context): State<Context>,
    Id(id): Id<CallScheduleId>,
) -> Result<Json<Value>> {
    if context.store.cancel_call(id).await? {
        return Ok(Json(json!({})));
    }
    context.store.call_schedule(id).await?;
    Err(Problem::new(Kind::AlreadyTriggered, format!("schedule {id} has been triggered")))
}
