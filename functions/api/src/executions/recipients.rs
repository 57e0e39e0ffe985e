use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use campaign::chunk::Members;
use campaign::fact::{ChunkFacts, Facts};
use campaign::{Code, ExecutionId, Fact, Outcome, ProfileId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::Ledger;
use store::ledger::{Head, Part};
use store::messages::{ChunkKey, FanOut};
use utoipa::{IntoParams, ToSchema};

use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Id, Params, limit};
use crate::page::Page;
use crate::{Context, cursor, schema};

/// How many chunks are read at once.
const PAGE: usize = 100;
/// How many chunks one call looks at before it answers with what it has.
const MOST_READ: usize = 2000;

/// Which recipients.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// What became of them.
    #[param(value_type = Option<schema::Outcome>)]
    outcome: Option<Outcome>,
    /// Why, such as `no_consent`.
    #[param(inline, value_type = Option<schema::Reason>)]
    reason: Option<String>,
    /// Of which action, by its number.
    #[param(maximum = 255)]
    action: Option<u8>,
    /// The `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
    /// How many items at most: 1 to 100, 50 where absent.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<usize>,
}

/// A recipient of one action, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecipientOut {
    /// `null` where a call named somebody of whom nothing stored was needed.
    #[schema(value_type = schema::Id, nullable)]
    profile_id: Option<ProfileId>,
    /// The place in the `recipients` of the call, from 0; `null` where no call named the recipients.
    #[schema(required)]
    index: Option<usize>,
    /// The action, by its number.
    action: u8,
    #[schema(value_type = schema::Outcome)]
    outcome: Outcome,
    /// Why, such as `no_consent`.
    reason: &'static str,
    /// What the provider said, where something failed.
    #[schema(required)]
    detail: Option<String>,
    /// What became known of it after that, the first of each kind. Of `delayed`, `soft_bounced`, `delivered` and `hard_bounced`
    /// there is one at most, the last of them in this order.
    events: Vec<EventOut>,
}

/// What became known of a message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventOut {
    /// What.
    #[schema(value_type = schema::Fact)]
    event: Fact,
    /// When it came about, to the minute.
    #[schema(value_type = schema::Instant)]
    at: Timestamp,
}

fn events(facts: Facts) -> Vec<EventOut> {
    let event = |(event, minute): (Fact, i64)| {
        let at = Timestamp::from_second(minute * 60).ok()?;
        Some(EventOut { event, at })
    };
    facts.iter().filter_map(event).collect()
}

/// Where the reading stands: at this member of this chunk, which is still to be looked at.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Position {
    #[serde(rename = "s")]
    shard: u16,
    /// The chunk, by action and number; none at the beginning of a shard.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    chunk: Option<(u8, u32)>,
    #[serde(rename = "m", default)]
    member: usize,
}

/// List the recipients of an execution
///
/// In the order in which the audience was read, or of the call that named them. A page may be short and still have a `next_cursor`. While the audience is
/// being read, recipients that are added behind what a walk has passed are not in it.
#[utoipa::path(
    get, path = "/executions/{id}/recipients", tag = "executions",
    params(("id" = schema::Id, Path), Filter),
    responses(
        (status = 200, description = "A page", body = Page<RecipientOut>),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such execution, or its recipients are no longer known", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_recipients(
    State(context): State<Context>,
    Id(id): Id<ExecutionId>,
    Params(filter): Params<Filter>,
) -> Result<Json<Page<RecipientOut>>> {
    let list = format!("recipients of {id}");
    let limit = limit(filter.limit)?;
    if let Some(reason) = &filter.reason
        && !Code::ALL.iter().any(|code| code.reason() == reason)
    {
        return Err(Problem::new(Kind::InvalidParameter, "reason: there is none such"));
    }
    let start = cursor::decode(&list, filter.cursor.as_deref())?;
    let ledger = &context.store.ledger;
    let head = ledger.head(id).await?.ok_or_else(|| Problem::not_found("execution", id))?;
    let mut walk = Walk { ledger, filter: &filter, limit, items: Vec::new(), read: 0 };
    if head.is_call() {
        let next_cursor = walk.call(&head, start).await?.map(|next| cursor::encode(&list, next));
        return Ok(Json(Page { items: walk.items, next_cursor }));
    }
    let mut at = start.unwrap_or(Position { shard: 0, chunk: None, member: 0 });
    while at.shard < head.shards {
        if let Some(next) = walk.shard(FanOut { execution: id, shard: at.shard }, at).await? {
            let next_cursor = Some(cursor::encode(&list, next));
            return Ok(Json(Page { items: walk.items, next_cursor }));
        }
        at = Position { shard: at.shard + 1, chunk: None, member: 0 };
    }
    Ok(Json(Page { items: walk.items, next_cursor: None }))
}

struct Walk<'a> {
    ledger: &'a Ledger,
    filter: &'a Filter,
    limit: usize,
    items: Vec<RecipientOut>,
    /// How many chunks were looked at.
    read: usize,
}

impl Walk<'_> {
    /// Reads a shard from a position on. Where to go on, if the page is full before the shard is over.
    async fn shard(&mut self, shard: FanOut, at: Position) -> Result<Option<Position>> {
        let mut after = None;
        if let Some((action, number)) = at.chunk {
            let key = ChunkKey { execution: shard.execution, shard: shard.shard, action, number };
            if let Some(chunk) = self.ledger.chunk(key).await?
                && let Some(next) = self.chunk(&chunk.key, &chunk.members, at.member, None).await?
            {
                return Ok(Some(next));
            }
            after = Some(Ledger::behind(&key));
        }
        loop {
            let (chunks, next) = self.ledger.chunks(shard, Part::Whole, after, PAGE).await?;
            for chunk in &chunks {
                if let Some(next) = self.chunk(&chunk.key, &chunk.members, 0, None).await? {
                    return Ok(Some(next));
                }
            }
            if next.is_none() {
                return Ok(None);
            }
            after = next;
        }
    }

    /// Reads a call from a position on. Where to go on, if the page is full before its end.
    async fn call(&mut self, head: &Head, start: Option<Position>) -> Result<Option<Position>> {
        let (first, member) =
            start.map_or((0, 0), |at| (at.chunk.map_or(0, |(action, _)| action), at.member));
        for key in head.call_chunks().filter(|key| key.action >= first) {
            let members = self.ledger.call_recipients(head, key).await?;
            let from = if key.action == first { member } else { 0 };
            if let Some(next) = self.chunk(&key, &members, from, Some(head)).await? {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    /// Takes the members of a chunk, of a call where that is given, from one on. Where to go on, if the page is full.
    async fn chunk(
        &mut self,
        key: &ChunkKey,
        members: &Members,
        from: usize,
        call: Option<&Head>,
    ) -> Result<Option<Position>> {
        let stop =
            |member| Some(Position { shard: key.shard, chunk: Some((key.action, key.number)), member });
        if self.items.len() >= self.limit || self.read >= MOST_READ {
            return Ok(stop(from));
        }
        self.read += 1;
        if self.filter.action.is_some_and(|action| action != key.action) {
            return Ok(None);
        }
        let mut details: Option<BTreeMap<usize, String>> = None;
        let mut facts: Option<ChunkFacts> = None;
        for (member, (profile, code)) in members.profiles.iter().zip(&members.codes).enumerate().skip(from) {
            if !self.wants(*code) {
                continue;
            }
            if self.items.len() >= self.limit {
                return Ok(stop(member));
            }
            let may_have_events = !matches!(code.outcome(), Outcome::Pending | Outcome::Excluded);
            if may_have_events && facts.is_none() {
                facts = Some(self.ledger.facts(*key).await?);
            }
            let known = facts.as_ref().filter(|_| may_have_events).map(|facts| facts.of(member));
            let may_have_detail = matches!(code.outcome(), Outcome::Failed | Outcome::Unknown);
            if may_have_detail && details.is_none() {
                details = Some(self.ledger.details(*key).await?);
            }
            let detail =
                details.as_mut().filter(|_| may_have_detail).and_then(|details| details.remove(&member));
            self.items.push(RecipientOut {
                profile_id: call.map_or(Some(*profile), |call| call.stored_profile(member, *profile)),
                index: call.map(|_| member),
                action: key.action,
                outcome: code.outcome(),
                reason: code.reason(),
                detail,
                events: known.map(events).unwrap_or_default(),
            });
        }
        Ok(None)
    }

    fn wants(&self, code: Code) -> bool {
        self.filter.outcome.is_none_or(|outcome| outcome == code.outcome())
            && self.filter.reason.as_ref().is_none_or(|reason| reason == code.reason())
    }
}
