use std::num::NonZeroU16;

use axum::extract::State;
use axum::response::Response;
use campaign::report::Interval;
use campaign::{CampaignId, ExecutionId};
use jiff::Timestamp;
use serde::Deserialize;
use store::reports::Part;
use utoipa::IntoParams;

use super::asked::{self, Asked, Coarse, Fine, Format, PrefersCsv, Table, When};
use super::out::ReportOut;
use super::read::answer;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Id, Params};
use crate::{Context, schema};

/// What a live report is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LiveParams {
    /// How the series is cut; by the hour where absent.
    #[param(inline)]
    interval: Option<Fine>,
    /// The IANA zone whose hours they are; UTC where absent.
    #[param(example = "Europe/Berlin")]
    zone: Option<String>,
    /// Only this version.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 65535)]
    version: Option<NonZeroU16>,
    /// Only this execution.
    #[param(value_type = Option<schema::Id>)]
    execution: Option<ExecutionId>,
    /// Only this action, by its number.
    #[param(maximum = 255)]
    action: Option<u8>,
    /// The form of the answer; where absent, the `Accept` header says it, and JSON is it by default.
    #[param(inline)]
    format: Option<Format>,
    /// Of CSV, which table: a row an action of a version (`actions`, the default), an interval (`series`) or a link (`links`).
    #[param(inline)]
    table: Option<Table>,
}

/// What a report of any period is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GlobalParams {
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
    /// Only this version.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 65535)]
    version: Option<NonZeroU16>,
    /// Only this execution.
    #[param(value_type = Option<schema::Id>)]
    execution: Option<ExecutionId>,
    /// Only this action, by its number.
    #[param(maximum = 255)]
    action: Option<u8>,
    /// The form of the answer; where absent, the `Accept` header says it, and JSON is it by default.
    #[param(inline)]
    format: Option<Format>,
    /// Of CSV, which table: a row an action of a version (`actions`, the default), an interval (`series`) or a link (`links`).
    #[param(inline)]
    table: Option<Table>,
}

/// Report the last 24 hours of a campaign
///
/// To the minute, and at most seconds behind. Only what was counted in the last 24 hours, so `targeted`, which is of no
/// minute, is `null`.
#[utoipa::path(
    get, path = "/campaigns/{id}/reports/live", tag = "reports",
    params(("id" = schema::Id, Path), LiveParams),
    responses(
        (status = 200, description = "The report", content((ReportOut = "application/json"), (String = "text/csv"))),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such campaign, or it has no such execution", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_live_report(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    Params(params): Params<LiveParams>,
    accept: PrefersCsv,
) -> Result<Response> {
    let asked = Asked {
        when: When::LastDay,
        interval: Some(params.interval.map_or(Interval::Hour, Interval::from)),
        zone: asked::zone(params.zone.as_deref())?,
        part: Part {
            version: params.version.map(|version| version.get().into()),
            execution: params.execution,
            action: params.action.map(usize::from),
        },
        csv: asked::csv(params.format, params.table, accept),
    };
    let campaign = context.store.campaigns.get(id).await?;
    answer(&context, &campaign, asked).await
}

/// Report a campaign
///
/// Its whole life, or a period of it. It is read from counters that are kept for good, and costs the same whatever the
/// size of the audience. A series has at most 2,500 intervals.
#[utoipa::path(
    get, path = "/campaigns/{id}/reports/global", tag = "reports",
    params(("id" = schema::Id, Path), GlobalParams),
    responses(
        (status = 200, description = "The report", content((ReportOut = "application/json"), (String = "text/csv"))),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such campaign, or it has no such execution", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_global_report(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    Params(params): Params<GlobalParams>,
    accept: PrefersCsv,
) -> Result<Response> {
    let asked = Asked {
        when: When::Between(params.from, params.to),
        interval: params.interval.map(Interval::from),
        zone: asked::zone(params.zone.as_deref())?,
        part: Part {
            version: params.version.map(|version| version.get().into()),
            execution: params.execution,
            action: params.action.map(usize::from),
        },
        csv: asked::csv(params.format, params.table, accept),
    };
    let campaign = context.store.campaigns.get(id).await?;
    answer(&context, &campaign, asked).await
}
