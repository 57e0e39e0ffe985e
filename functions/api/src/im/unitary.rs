use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use campaign::call::Call;
use campaign::model::Actor;
use http::StatusCode;
use store::ledger::{Audience, CallRequest, Head, Placed, call_id};

use super::body::{HighThroughputSchema, UnitaryIn, check_recipients, check_request_id, hash};
use super::out::ExecutionOut;
use super::problem::Ids;
use super::recipient::{RecipientIn, RecipientType};
use super::resolve::{Unknown, resolve};
use crate::Context;
use crate::auth::By;
use crate::error::{FieldError, Kind, Problem, ProblemSchema, Result};
use crate::extract::{JsonBytes, parse};

type Answer = Result<(StatusCode, Json<ExecutionOut>)>;

/// Trigger a campaign for a few recipients
///
/// Once this is answered, the messages will be sent: they are written down before. The same request id with the same body
/// gets the same answer for at least a day and is sent once, whatever has become of the campaign meanwhile.
#[utoipa::path(
    post, path = "/im/executions/unitary", tag = "executions api",
    request_body = UnitaryIn,
    responses(
        (status = 202, description = "It will be sent", body = ExecutionOut),
        (status = 400, description = "A field is not valid; nothing is sent", body = ProblemSchema),
        (status = 404, description = "There is no such campaign or profile; nothing is sent", body = ProblemSchema),
        (status = 409, description = "The campaign takes no calls now", body = ProblemSchema),
        (status = 422, description = "The request id was used with another body", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn trigger_unitary(
    State(context): State<Context>,
    By(by): By,
    JsonBytes(bytes): JsonBytes,
) -> Answer {
    answer(trigger(&context, by, &bytes, |_| Ok(())).await, &bytes)
}

/// Trigger a campaign for a few recipients, with nothing stored
///
/// As the unitary call, for `external` recipients whose message takes its values from `context` alone.
#[utoipa::path(
    post, path = "/im/executions/highthroughput", tag = "executions api",
    request_body = HighThroughputSchema,
    responses(
        (status = 202, description = "It will be sent", body = ExecutionOut),
        (status = 400, description = "A field is not valid; nothing is sent", body = ProblemSchema),
        (status = 404, description = "There is no such campaign", body = ProblemSchema),
        (status = 409, description = "The campaign takes no calls now", body = ProblemSchema),
        (status = 422, description = "The request id was used with another body", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn trigger_high_throughput(
    State(context): State<Context>,
    By(by): By,
    JsonBytes(bytes): JsonBytes,
) -> Answer {
    answer(trigger(&context, by, &bytes, without_profiles).await, &bytes)
}

fn answer(placed: Result<Head>, bytes: &[u8]) -> Answer {
    match placed {
        Ok(head) => Ok((StatusCode::ACCEPTED, Json(ExecutionOut::of(&head)))),
        Err(problem) => Err(Ids::of(bytes).report(problem)),
    }
}

fn without_profiles(recipients: &[RecipientIn]) -> Result<()> {
    let mut errors = Vec::new();
    for (index, recipient) in recipients.iter().enumerate() {
        if recipient.r#type != RecipientType::External {
            errors.push(FieldError::new(format!("recipients[{index}].type"), "must be external here"));
        }
        if !recipient.profile.is_empty() {
            let message = "is not used here: give what the message needs as context";
            errors.push(FieldError::new(format!("recipients[{index}].profile"), message));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(Kind::InvalidField, errors)) }
}

/// Places the call and gives its execution, whichever request was the first to place it.
async fn trigger(
    context: &Context,
    by: Actor,
    bytes: &[u8],
    check: impl Fn(&[RecipientIn]) -> Result<()>,
) -> Result<Head> {
    let body: UnitaryIn = parse(bytes)?;
    check_request_id(&body.request_id)?;
    check_recipients(&body.recipients)?;
    check(&body.recipients)?;
    let id = call_id(body.campaign_id, &body.request_id);
    let request = CallRequest { id: body.request_id, by, hash: hash(bytes) };
    let ledger = &context.store.ledger;
    let made = async {
        let live = context.live.get(context, body.campaign_id).await?;
        let unknown = if live.version.create_profiles { Unknown::Create } else { Unknown::Refuse };
        if unknown == Unknown::Create
            && let Some(before) = before(ledger.placed_before(id, Some(&request)).await?)?
        {
            // No profile is made for a request that is not taken.
            return Ok(Err(before));
        }
        let call = resolve(context, body.recipients, live.country, unknown).await?;
        Ok(Ok((live, call)))
    };
    let (live, call): (_, Call) = match made.await {
        Ok(Ok(made)) => made,
        Ok(Err(before)) => return Ok(before),
        // What holds now may not have held when it was first asked for.
        Err(problem) => {
            let before: Option<Head> = before(ledger.placed_before(id, Some(&request)).await?)?;
            return before.ok_or(problem);
        }
    };
    let recipients = u32::try_from(call.recipients.len()).unwrap_or(u32::MAX);
    let audience = Audience::Call { recipients };
    let head = Head {
        request: Some(request),
        ..Head::new(id, &live.campaign, &live.version, audience, recipients.into(), context.now())
    };
    let placed = ledger.place(&head, &call).await?;
    Ok(before(placed)?.unwrap_or(Head { call: Some(Arc::new(call)), ..head }))
}

/// The execution that was placed before; `None` where there was none.
fn before(placed: Placed) -> Result<Option<Head>> {
    match placed {
        Placed::New => Ok(None),
        Placed::Before(head) => Ok(Some(*head)),
        Placed::Planned | Placed::Other => Err(other()),
    }
}

/// The request id names another request.
pub(super) fn other() -> Problem {
    let error = FieldError::new("requestId", "was used with another body for this campaign");
    Problem::fields(Kind::RequestReused, vec![error])
}
