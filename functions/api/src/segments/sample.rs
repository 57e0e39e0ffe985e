use std::time::Duration;

use axum::Json;
use axum::extract::State;
use campaign::segment::{Match, SegmentKind};
use campaign::{Profile, SegmentId};
use platform::{Deadline, Scan};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{PAGE, compile};
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Id, Params};
use crate::profiles::ProfileOut;
use crate::{Context, schema};

/// The most profiles of a sample.
const MAX_SAMPLE: usize = 20;
/// How long is looked for them.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SampleParams {
    /// How many profiles at most: 1 to 20, 20 where absent.
    #[param(minimum = 1, maximum = 20, default = 20)]
    limit: Option<usize>,
}

/// Some who are in a segment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SampleOut {
    /// The profiles.
    items: Vec<ProfileOut>,
}

/// Show some who are in a segment
#[utoipa::path(
    get, path = "/segments/{id}/sample", tag = "segments",
    params(("id" = schema::Id, Path), SampleParams),
    responses(
        (status = 200, description = "Some profiles", body = SampleOut),
        (status = 400, description = "The limit or the stored rule is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such segment", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn sample_segment(
    State(context): State<Context>,
    Id(id): Id<SegmentId>,
    Params(params): Params<SampleParams>,
) -> Result<Json<SampleOut>> {
    let limit = params.limit.unwrap_or(MAX_SAMPLE);
    if !(1..=MAX_SAMPLE).contains(&limit) {
        let detail = format!("limit: must be between 1 and {MAX_SAMPLE}");
        return Err(Problem::new(Kind::InvalidParameter, detail));
    }
    let segment = context.store.segments.get(id).await?.value;
    let found = match segment.kind {
        SegmentKind::Rule { expression } => matching(&context, &expression, limit).await?,
        SegmentKind::List { generation, partitions, .. } => {
            let mut found = Vec::new();
            for partition in 0..partitions {
                let wanted = limit - found.len();
                let page = context.store.segments.members(id, generation, partition, None, wanted).await?;
                if !page.members.is_empty() {
                    found.extend(context.store.profiles.get_many(&page.members).await?);
                }
                if found.len() >= limit {
                    break;
                }
            }
            found
        }
    };
    Ok(Json(SampleOut { items: found.into_iter().map(ProfileOut::new).collect() }))
}

/// The first profiles that a rule is true of.
async fn matching(context: &Context, expression: &str, limit: usize) -> Result<Vec<Profile>> {
    let (rule, now) = (compile(expression)?, context.now());
    let clock = &*context.store.platform.clock;
    let deadline = Deadline::after(clock, LONGEST_LOOK);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let scan = Scan { bucket: 0, of: 1, after, limit: PAGE };
        let (profiles, next) = context.store.profiles.scan(scan).await?;
        let matching =
            profiles.into_iter().filter(|profile| rule.matches(profile.document(), now) == Match::Yes);
        found.extend(matching.take(limit - found.len()));
        if found.len() >= limit || next.is_none() || deadline.remaining(clock).is_zero() {
            return Ok(found);
        }
        after = next;
        tokio::task::yield_now().await;
    }
}
