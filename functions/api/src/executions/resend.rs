use std::time::Duration;

use axum::Json;
use axum::extract::State;
use campaign::status::{self, Command};
use campaign::{ExecutionId, Outcome};
use futures::{StreamExt, TryStreamExt};
use http::StatusCode;
use jiff::SignedDuration;
use platform::Deadline;
use serde::{Deserialize, Serialize};
use store::campaigns::HistoryEntry;
use store::ledger::{Head, Part, State as ExecutionState, StoredChunk};
use tracing::info;
use utoipa::ToSchema;

use crate::auth::By;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Body, Id};
use crate::{Context, cursor, schema};

/// How many chunks are read, and how many of them are reopened at once.
const PAGE: usize = 200;
const AT_ONCE: usize = 8;
/// How often taking an execution up, or a chunk of it, is tried anew when others are at work on it.
const TRIES: usize = 5;
/// For how long the ledger must be kept where it is to be written again: what is sent again may be paused for 14 days and
/// retried for 7, and nothing prolongs a ledger.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long chunks are reopened: API Gateway gives up after 30 seconds.
const LONGEST: Duration = Duration::from_secs(20);

/// To whom an execution is to be sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResendIn {
    /// `failed`, `unknown` or both. Whoever is `unknown` may get it twice; the report says so.
    #[schema(min_items = 1)]
    outcomes: Vec<Resendable>,
    /// The `next_cursor` of an earlier answer, to go on where that ended.
    #[serde(default)]
    #[schema(min_length = 1)]
    cursor: Option<String>,
}

const EXPIRES: &str = "what is known of this execution's recipients is removed in less than 30 days, which a resend may take: use another campaign";

/// Where a resend stands: which shard, and behind which of its chunks.
type Position = (u16, Option<String>);

/// Outcomes that may be sent again.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Resendable {
    Failed,
    Unknown,
}

impl From<Resendable> for Outcome {
    fn from(outcome: Resendable) -> Self {
        match outcome {
            Resendable::Failed => Self::Failed,
            Resendable::Unknown => Self::Unknown,
        }
    }
}

/// What will be sent again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResendOut {
    /// How many recipients, each action counted.
    reopened: usize,
    /// How many were left because others of their chunk of fifty are being sent to right now: ask again later.
    left: usize,
    /// Where there was no time for all of them: give this back as `cursor`, and the next call goes on; `null` at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Send again to the failed or unknown
///
/// They turn pending in place, so that the execution's counts go on adding up. Those of a paused execution wait for its
/// resume. What a call brought along is not kept: an execution whose call names its recipients can't be sent again, and
/// one of a call to an audience only until it has ended. What became of the recipients of an execution is kept for 120 days
/// past its start, or its last wave or hour: in the last 30 of these it can't be sent again.
#[utoipa::path(
    post, path = "/executions/{id}/resend", tag = "executions",
    params(("id" = schema::Id, Path)),
    request_body = ResendIn,
    responses(
        (status = 202, description = "They will be sent to again", body = ResendOut),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such execution, or its recipients are no longer known", body = ProblemSchema),
        (status = 409, description = "It is stopped or being stopped, or was of a call, or its recipients are known for less than 30 more days", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn resend_execution(
    State(context): State<Context>,
    Id(id): Id<ExecutionId>,
    By(by): By,
    Body(body): Body<ResendIn>,
) -> Result<(StatusCode, Json<ResendOut>)> {
    if body.outcomes.is_empty() {
        return Err(Problem::field("outcomes", "name failed, unknown or both"));
    }
    let outcomes: Vec<Outcome> = body.outcomes.into_iter().map(Outcome::from).collect();
    let list = format!("resend of {id}");
    let from: Option<Position> = cursor::decode(&list, body.cursor.as_deref())?;
    let head = open(&context, id, &outcomes).await?;
    let Some(head) = head else {
        return Ok((StatusCode::ACCEPTED, Json(ResendOut { reopened: 0, left: 0, next_cursor: None })));
    };
    if from.is_none() {
        let entry = HistoryEntry::new(Command::Resend.name(), &by, context.now())
            .with_version(Some(head.version))
            .with_execution(id);
        context.store.campaigns.record(head.campaign, &entry).await?;
    }
    let mut resent = ResendOut { reopened: 0, left: 0, next_cursor: None };
    let next = reopen_all(&context, &head, &outcomes, from.unwrap_or((0, None)), &mut resent).await?;
    resent.next_cursor = next.map(|next| cursor::encode(&list, next));
    info!(execution = %id, reopened = resent.reopened, "{} recipients of execution {id} are sent to again", resent.reopened);
    Ok((StatusCode::ACCEPTED, Json(resent)))
}

/// The execution, open: taken up again if it was completed. `None` where nobody has such an outcome.
async fn open(context: &Context, id: ExecutionId, outcomes: &[Outcome]) -> Result<Option<Head>> {
    let ledger = &context.store.ledger;
    for _ in 0..TRIES {
        let head = ledger.head(id).await?.ok_or_else(|| Problem::not_found("execution", id))?;
        if let Some(why) = is_forgotten(&head) {
            let problem = Problem::new(Kind::StateNotAllowed, why);
            return Err(problem.with("execution_state", head.state.name()));
        }
        if head.expires_at().duration_since(context.now()) < KEPT {
            return Err(
                Problem::new(Kind::LedgerExpires, EXPIRES).with("expires_at", head.expires_at().to_string())
            );
        }
        let mut campaign = context.store.campaigns.get(head.campaign).await?;
        let is_stopped =
            matches!(head.state, ExecutionState::Stopping | ExecutionState::Stopped | ExecutionState::Missed);
        // A stop that died before it came to its executions has stopped this one all the same.
        if is_stopped || campaign.is_stopped() {
            let state = if is_stopped { head.state.name() } else { "stopped with its campaign" };
            return Err(Problem::new(
                Kind::StateNotAllowed,
                format!("an execution that is {state} can't be sent again"),
            ));
        }
        let counts = ledger.tally(&head).await?.counts();
        let any = counts.iter().any(|counts| outcomes.iter().any(|outcome| counts.outcome(*outcome) > 0));
        if !any {
            return Ok(None);
        }
        campaign.status = status::after(campaign.status, Command::Resend).map_err(store::StoreError::from)?;
        if ExecutionState::OPEN.contains(&head.state) {
            return Ok(Some(head));
        }
        campaign.open_executions += 1;
        campaign.touch(context.now());
        if ledger.take_up(&head, &campaign).await? {
            return Ok(Some(Head { state: ExecutionState::Running, ..head }));
        }
    }
    Err(Problem::new(Kind::Conflict, "the execution kept changing: try again"))
}

/// Why an execution that a call started can't be sent again; `None` where it can, or no call did.
fn is_forgotten(head: &Head) -> Option<&'static str> {
    let has_ended = !ExecutionState::OPEN.contains(&head.state);
    match head.request {
        Some(_) if head.is_call() => {
            Some("an execution whose call names its recipients can't be sent again: make another call")
        }
        Some(_) if has_ended => {
            Some("what the call brought along is not kept past the execution's end: make another call")
        }
        _ => None,
    }
}

/// Reopens chunks from a position on, as far as the time goes, and counts; where to go on.
async fn reopen_all(
    context: &Context,
    head: &Head,
    outcomes: &[Outcome],
    (first, mut after): Position,
    resent: &mut ResendOut,
) -> Result<Option<Position>> {
    let clock = &*context.store.platform.clock;
    let deadline = Deadline::after(clock, LONGEST);
    for shard in head.shards().skip(usize::from(first)) {
        loop {
            if deadline.remaining(clock).is_zero() {
                return Ok(Some((shard.shard, after)));
            }
            let (chunks, next) = context.store.ledger.chunks(shard, Part::Whole, after.clone(), PAGE).await?;
            let wanted: Vec<_> = chunks
                .into_iter()
                .filter(|chunk| outcomes.iter().any(|outcome| chunk.members.count(*outcome) > 0))
                .map(|chunk| reopen(context, head, chunk, outcomes))
                .collect();
            let done: Vec<_> = futures::stream::iter(wanted).buffer_unordered(AT_ONCE).try_collect().await?;
            for (reopened, left) in done {
                resent.reopened += reopened;
                resent.left += left;
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(None)
}

/// Reopens one chunk and says how many of its members, and how many were left because somebody else holds the chunk.
/// Takes the execution up again where it was completed in between.
async fn reopen(
    context: &Context,
    head: &Head,
    chunk: StoredChunk,
    outcomes: &[Outcome],
) -> Result<(usize, usize)> {
    for _ in 0..TRIES {
        if let Some(members) = context.store.ledger.reopen(&chunk, outcomes, head).await? {
            return Ok((members, 0));
        }
        if open(context, head.id, outcomes).await?.is_none() {
            return Ok((0, 0));
        }
        context.store.platform.clock.sleep(Duration::from_millis(50)).await;
    }
    Ok((0, outcomes.iter().map(|outcome| chunk.members.count(*outcome)).sum()))
}
