use axum::Json;
use axum::body::Body;
use axum::extract::State;
use campaign::Channel;
use campaign::suppression::SuppressionReason;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use store::import::{SuppressionReport, Unsaid};
use utoipa::{IntoParams, ToSchema};

use super::addresses::manual;
use super::check_source;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::Params;
use crate::profiles::{RowFaultOut, check_csv, import_answer, import_problem};
use crate::{Context, schema};

/// What holds of rows that do not say it themselves.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Defaults {
    /// Over which channel: email or sms; email where absent.
    #[param(value_type = Option<schema::Channel>)]
    channel: Option<Channel>,
    /// Why; `manual` where absent.
    reason: Option<SuppressionReason>,
    /// Who or what they come from, for people.
    #[param(max_length = 200)]
    source: Option<String>,
}

/// What became of a file. `rows = new + updated + unchanged + invalid`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SuppressionImportOut {
    /// Data rows of the file.
    rows: u64,
    /// Addresses and domains that are suppressed now and were not.
    new: u64,
    /// Those that were suppressed for a lesser reason.
    updated: u64,
    /// Those that were suppressed for this reason or a graver one, by an earlier row too.
    unchanged: u64,
    /// Rows left out.
    invalid: u64,
    /// Why, for the first 1,000 of them.
    errors: Vec<RowFaultOut>,
    /// Whether there are more errors than are listed.
    errors_truncated: bool,
}

impl From<SuppressionReport> for SuppressionImportOut {
    fn from(report: SuppressionReport) -> Self {
        Self {
            rows: report.rows,
            new: report.new,
            updated: report.updated,
            unchanged: report.unchanged,
            invalid: report.invalid,
            errors_truncated: report.invalid > report.faults.len() as u64,
            errors: report.faults.into_iter().map(RowFaultOut::from).collect(),
        }
    }
}

/// Import suppressed addresses from CSV
///
/// The file has a column `address` or `domain`, or both, of which each row fills one; and perhaps `channel`, `reason` and
/// `source`. Other columns are not looked at; an export is taken as it is. It is read as it comes; on AWS a body has at most
/// 4 MB and is read for 20 seconds: split a file of more than some 20,000 rows. What is suppressed already keeps its time and the graver of the two reasons. A bad row is reported and stops
/// nothing. The same file may be imported again.
#[utoipa::path(
    post, path = "/suppressions/import", tag = "suppressions",
    params(Defaults),
    request_body(content((String = "text/csv", example = "address,reason\nann@example.org,hard_bounce\n")), description = "The file"),
    responses(
        (status = 200, description = "What became of the rows", body = SuppressionImportOut),
        (status = 400, description = "The file as a whole can't be read, or a parameter is not valid", body = ProblemSchema),
        (status = 413, description = "The time is over before the file is: `rows` says how many were read, `report` what became of them, as with 200; those behind them were not looked at", body = ProblemSchema),
        (status = 415, description = "Not text/csv", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn import_suppressions(
    State(context): State<Context>,
    Params(defaults): Params<Defaults>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<SuppressionImportOut>> {
    check_csv(&headers)?;
    let wrong = |message: &str| Problem::new(Kind::InvalidParameter, message);
    let channel = match defaults.channel.unwrap_or(Channel::Email) {
        channel @ (Channel::Email | Channel::Sms) => channel,
        Channel::Push | Channel::Webhook => return Err(wrong("channel: must be email or sms")),
    };
    check_source(defaults.source.as_deref()).map_err(|_| wrong("source: has at most 200 characters"))?;
    let unsaid = Unsaid { channel, reason: defaults.reason.unwrap_or_else(manual), source: defaults.source };
    let until = context.import_until();
    let report = context.store.import_suppressions(body.into_data_stream(), unsaid, until).await;
    let report = report.map_err(import_problem)?;
    import_answer(report.extent, report.rows, report.into())
}
