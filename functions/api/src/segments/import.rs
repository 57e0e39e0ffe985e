use axum::Json;
use axum::body::Body;
use axum::extract::State;
use campaign::SegmentId;
use http::HeaderMap;
use serde::Serialize;
use store::import::MemberReport;
use utoipa::ToSchema;

use crate::error::{ProblemSchema, Result};
use crate::extract::Id;
use crate::profiles::{RowFaultOut, check_csv, import_answer, import_problem};
use crate::{Context, schema};

/// What became of a file. `rows = added + unchanged + invalid`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberImportOut {
    /// Data rows of the file.
    rows: u64,
    /// Members added.
    added: u64,
    /// Rows that name somebody who was on the list already, by an earlier row too.
    unchanged: u64,
    /// Rows left out.
    invalid: u64,
    /// Why, for the first 1,000 of them.
    errors: Vec<RowFaultOut>,
    /// Whether there are more errors than are listed.
    errors_truncated: bool,
}

impl From<MemberReport> for MemberImportOut {
    fn from(report: MemberReport) -> Self {
        Self {
            rows: report.rows,
            added: report.added,
            unchanged: report.unchanged,
            invalid: report.invalid,
            errors_truncated: report.invalid > report.faults.len() as u64,
            errors: report.faults.into_iter().map(RowFaultOut::from).collect(),
        }
    }
}

/// Add members to a list from CSV
///
/// The file has a column `id`, `external_id`, `email` or `phone`; the first of these that is there counts, and others are
/// not looked at. It is read as it comes. On AWS a body has at most 4 MB, and is read for 20 seconds: import a
/// larger file, or one of more than some 20,000 rows, by a job (`POST /imports`), which also lists every bad row.
#[utoipa::path(
    post, path = "/segments/{id}/members/import", tag = "segments",
    params(("id" = schema::Id, Path)),
    request_body(content((String = "text/csv", example = "email\nann@example.org\n")), description = "The file"),
    responses(
        (status = 200, description = "What became of the rows", body = MemberImportOut),
        (status = 400, description = "The file as a whole can't be read", body = ProblemSchema),
        (status = 404, description = "There is no such segment", body = ProblemSchema),
        (status = 409, description = "The segment is not a list", body = ProblemSchema),
        (status = 413, description = "The time is over before the file is: `rows` says how many were read, `report` what became of them, as with 200; those behind them were not looked at", body = ProblemSchema),
        (status = 415, description = "Not text/csv", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn import_members(
    State(context): State<Context>,
    Id(id): Id<SegmentId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<MemberImportOut>> {
    check_csv(&headers)?;
    let until = context.import_until();
    let report =
        context.store.import_members(id, body.into_data_stream(), until).await.map_err(import_problem)?;
    import_answer(report.extent, report.rows, report.into())
}
