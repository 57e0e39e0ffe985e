use axum::extract::State;
use axum::response::Response;
use campaign::ExecutionId;
use campaign::report::Interval;
use jiff::Timestamp;
use serde::Deserialize;
use store::reports::Part;
use utoipa::IntoParams;

use super::asked::{self, Asked, Coarse, Format, PrefersCsv, Table, When};
use super::out::ReportOut;
use super::read::answer;
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Id, Params};
use crate::{Context, schema};

/// What the report of an execution is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExecutionParams {
    /// The first instant; all there was until `to` where absent. Its seconds are cut off.
    #[param(value_type = Option<schema::Instant>)]
    from: Option<Timestamp>,
    /// The instant behind the last; until now where absent. Its seconds are cut off.
    #[param(value_type = Option<schema::Instant>)]
    to: Option<Timestamp>,
    /// How the series is cut; there is none where absent (in CSV: by the day).
    #[param(inline)]
    interval: Option<Coarse>,
    /// The IANA zone whose hours, days, weeks (from Monday) and months they are; UTC where absent.
    #[param(example = "Europe/Berlin")]
    zone: Option<String>,
    /// Only this action, by its number.
    #[param(maximum = 255)]
    action: Option<u8>,
    /// The form of the answer; where absent, the `Accept` header says it, and JSON is it by default.
    #[param(inline)]
    format: Option<Format>,
    /// Of CSV, which table: a row an action (`actions`, the default), an interval (`series`) or a link (`links`).
    #[param(inline)]
    table: Option<Table>,
}

/// Report an execution
///
/// The campaign's report of this execution alone, for as long as its recipients are known; after that it is the campaign's
/// with `execution`.
#[utoipa::path(
    get, path = "/executions/{id}/report", tag = "reports",
    params(("id" = schema::Id, Path), ExecutionParams),
    responses(
        (status = 200, description = "The report", content((ReportOut = "application/json"), (String = "text/csv"))),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such execution, it was missed, or its recipients are no longer known", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_execution_report(
    State(context): State<Context>,
    Id(id): Id<ExecutionId>,
    Params(params): Params<ExecutionParams>,
    accept: PrefersCsv,
) -> Result<Response> {
    let asked = Asked {
        when: When::Between(params.from, params.to),
        interval: params.interval.map(Interval::from),
        zone: asked::zone(params.zone.as_deref())?,
        part: Part { version: None, execution: Some(id), action: params.action.map(usize::from) },
        csv: asked::csv(params.format, params.table, accept),
    };
    let head = context.store.ledger.head(id).await?.ok_or_else(|| Problem::not_found("execution", id))?;
    let campaign = context.store.campaigns.get(head.campaign).await?;
    answer(&context, &campaign, asked).await
}
