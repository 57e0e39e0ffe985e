use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use campaign::ExecutionId;
use campaign::call::Call;
use campaign::model::Actor;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use store::calls::{AudienceCall, CallSchedule, CallState, Planned, Started, call_schedule_id, unnamed};
use store::ledger::{CallRequest, call_id};
use utoipa::ToSchema;

use super::body::{AudienceIn, check_contexts, check_request_id, hash};
use super::live::{too_early, too_late};
use super::out::{ExecutionOut, ScheduleOut, StatusOut};
use super::problem::Ids;
use super::unitary::other;
use crate::auth::By;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Id, JsonBytes, parse};
use crate::{Context, schema};

/// What a call to an audience came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum AudienceOut {
    /// It runs.
    Execution(ExecutionOut),
    /// It will run.
    Schedule(Box<ScheduleOut>),
}

/// Trigger a campaign for an audience
///
/// At once, or at the instant that `schedule.executeAt` names. Everybody gets the same `context`. A request id stands for one
/// call, planned or not, and still does where its plan was taken back.
#[utoipa::path(
    post, path = "/im/executions/audience", tag = "executions api",
    request_body = AudienceIn,
    responses(
        (status = 202, description = "It runs, or is planned", body = AudienceOut),
        (status = 400, description = "A field is not valid; nothing is sent", body = ProblemSchema),
        (status = 404, description = "There is no such campaign or audience", body = ProblemSchema),
        (status = 409, description = "The campaign takes no calls then, or the plan was taken back", body = ProblemSchema),
        (status = 422, description = "The request id was used with another body", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn trigger_audience(
    State(context): State<Context>,
    By(by): By,
    JsonBytes(bytes): JsonBytes,
) -> Result<Response> {
    match trigger(&context, by, &bytes).await {
        Ok(out) => Ok((StatusCode::ACCEPTED, Json(out)).into_response()),
        Err(problem) => Err(Ids::of(&bytes).report(problem)),
    }
}

async fn trigger(context: &Context, by: Actor, bytes: &[u8]) -> Result<AudienceOut> {
    let body: AudienceIn = parse(bytes)?;
    if let Some(id) = &body.request_id {
        check_request_id(id)?;
    }
    check_contexts(vec![(String::new(), &body.context)])?;
    let hash = hash(bytes);
    let request = match body.request_id {
        Some(id) => CallRequest { id, by, hash },
        None => unnamed(by, hash),
    };
    let call = AudienceCall {
        campaign: body.campaign_id,
        segment: body.audience.map(|audience| audience.id),
        request,
        call: Call { recipients: Vec::new(), context: Value::Object(body.context) },
    };
    match body.schedule {
        None => run(context, call).await.map(AudienceOut::Execution),
        Some(schedule) => {
            let planned = plan(context, call, schedule.execute_at).await?;
            Ok(AudienceOut::Schedule(Box::new(schedule_out(context, &planned).await?)))
        }
    }
}

async fn run(context: &Context, call: AudienceCall) -> Result<ExecutionOut> {
    let id = call_id(call.campaign, &call.request.id);
    match context.store.start_call(id, &call, &[]).await? {
        Started::New(head) | Started::Before(head) => Ok(ExecutionOut::of(&head)),
        Started::Other => Err(other()),
        // It says which of the reasons it is.
        Started::NotLive(campaign) => {
            context.live.get(context, campaign.id).await?;
            let detail = format!("campaign {} was {} just now", campaign.id, campaign.status);
            Err(Problem::new(Kind::CampaignNotLive, detail))
        }
        Started::TooEarly(opens) => Err(too_early(call.campaign, opens)),
        Started::TooLate(closes) => Err(too_late(call.campaign, closes)),
        Started::NoCampaign => Err(Problem::not_found("campaign", call.campaign)),
        Started::NoSegment => Err(no_segment(&call)),
    }
}

fn no_segment(call: &AudienceCall) -> Problem {
    match call.segment {
        Some(segment) => Problem::not_found("segment", segment),
        None => Problem::field("audience", "must be given: the campaign names no segment"),
    }
}

async fn plan(context: &Context, call: AudienceCall, execute_at: jiff::Timestamp) -> Result<CallSchedule> {
    let store = &context.store;
    let id = call_schedule_id(call.campaign, &call.request.id);
    let schedule = CallSchedule {
        id,
        call,
        execute_at,
        created_at: context.now(),
        state: CallState::Scheduled,
        execution: None,
        why: None,
    };
    // What holds now may not have held when it was first asked for.
    if let Some(before) = planned(store.planned_before(&schedule.call).await?)? {
        return Ok(before);
    }
    if execute_at <= context.now() {
        return Err(Problem::field("schedule.executeAt", "has passed"));
    }
    let live = context.live.get_for(context, schedule.call.campaign, execute_at).await?;
    let segment = schedule.call.segment.or(live.version.segment);
    store.segments.get(segment.ok_or_else(|| no_segment(&schedule.call))?).await?;
    Ok(planned(store.plan_call(&schedule).await?)?.unwrap_or(schedule))
}

/// The call that was planned before; `None` where there was none.
fn planned(planned: Planned) -> Result<Option<CallSchedule>> {
    match planned {
        Planned::New => Ok(None),
        Planned::Before(schedule) => Ok(Some(*schedule)),
        Planned::TakenBack => {
            let detail = "what this request had planned was taken back: plan anew under another requestId";
            Err(Problem::new(Kind::TakenBack, detail))
        }
        Planned::Other => Err(other()),
    }
}

/// How an execution stands
///
/// Of a call to an audience or to recipients. `GET /executions/{id}/recipients` says what became of each.
#[utoipa::path(
    get, path = "/im/executions/audience/{executionId}", tag = "executions api",
    params(("executionId" = schema::Id, Path)),
    responses(
        (status = 200, description = "How it stands", body = StatusOut),
        (status = 404, description = "There is no such execution", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_audience_execution(
    State(context): State<Context>,
    Id(id): Id<ExecutionId>,
) -> Result<Json<StatusOut>> {
    let status = status(&context, id).await?;
    status.map(Json).ok_or_else(|| Problem::not_found("execution", id))
}

/// A planned execution, and how its execution stands where it has one.
pub(super) async fn schedule_out(context: &Context, schedule: &CallSchedule) -> Result<ScheduleOut> {
    let run = match schedule.execution {
        Some(execution) => status(context, execution).await?,
        None => None,
    };
    Ok(ScheduleOut::of(schedule, run))
}

/// How the execution of a call stands; `None` where there is none.
async fn status(context: &Context, id: ExecutionId) -> Result<Option<StatusOut>> {
    let ledger = &context.store.ledger;
    let Some(head) = ledger.head(id).await?.filter(|head| head.request.is_some()) else { return Ok(None) };
    let tally = ledger.tally(&head).await?;
    Ok(Some(StatusOut::of(&head, &tally)))
}
