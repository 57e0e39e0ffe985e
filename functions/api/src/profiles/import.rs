use axum::Json;
use axum::body::Body;
use axum::extract::State;
use campaign::SegmentId;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use store::StoreError;
use store::import::{Extent, ImportError, ProfileReport, RowFault};
use utoipa::{IntoParams, ToSchema};

use crate::error::{FieldError, Kind, Problem, ProblemSchema, Result};
use crate::extract::{Params, essence};
use crate::{Context, schema};

/// What else is to be done with the profiles.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportParams {
    /// A list that everybody imported is to be on.
    #[param(value_type = Option<schema::Id>)]
    segment: Option<SegmentId>,
}

/// What became of a file. `rows = created + updated + duplicates + invalid`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportOut {
    /// Data rows of the file.
    rows: u64,
    /// Profiles made.
    created: u64,
    /// Profiles that were there and were changed, or already said the same.
    updated: u64,
    /// Rows that name somebody an earlier row named; of what both say the later holds.
    duplicates: u64,
    /// Rows left out.
    invalid: u64,
    /// Why, for the first 1,000 of them.
    errors: Vec<RowFaultOut>,
    /// Whether there are more errors than are listed.
    errors_truncated: bool,
}

/// Why a row was left out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RowFaultOut {
    /// Which data row, from 1; the header is none.
    row: u64,
    /// The line of the file where it begins, from 1.
    line: u64,
    /// The field, where it is one field's fault.
    #[schema(required)]
    field: Option<String>,
    /// What is wrong, for people.
    message: String,
}

impl From<RowFault> for RowFaultOut {
    fn from(fault: RowFault) -> Self {
        Self { row: fault.row, line: fault.line, field: fault.field, message: fault.message }
    }
}

impl From<ProfileReport> for ImportOut {
    fn from(report: ProfileReport) -> Self {
        Self {
            rows: report.rows,
            created: report.created,
            updated: report.updated,
            duplicates: report.duplicates,
            invalid: report.invalid,
            errors_truncated: report.invalid > report.faults.len() as u64,
            errors: report.faults.into_iter().map(RowFaultOut::from).collect(),
        }
    }
}

/// Import profiles from CSV
///
/// The body is read as it comes. On AWS it has at most 4 MB, and is read for 20 seconds: import a larger file, or one of more than some 20,000
/// rows, by a job (`POST /imports`), which also lists every bad row. UTF-8 with or without a byte order mark; comma, semicolon or tab;
/// any line ends. Columns are named by the fields: `external_id`, `email`, `phone` (one of these is needed), `language`,
/// `time_zone`, `consent.email`, `consent.sms` and so on, `topics.newsletter` and so on; anything else is an attribute, with
/// dots for nested ones (`person.name.firstName`). Cells are strings, unless the name has a type: `age:number`, `vip:bool`,
/// `tags:list` (separated by `;` or `|`), `address:json`; and `phone:FR` reads numbers without a country code as French
/// ones. An empty cell leaves the field as it is. A bad row is reported and stops nothing. The same file may be imported
/// again.
#[utoipa::path(
    post, path = "/profiles/import", tag = "profiles",
    params(ImportParams),
    request_body(content((String = "text/csv", example = "email,external_id,person.name.firstName\nann@example.org,A1,Ann\n")), description = "The file"),
    responses(
        (status = 200, description = "What became of the rows", body = ImportOut),
        (status = 400, description = "The file as a whole can't be read, or a column can't be imported", body = ProblemSchema),
        (status = 404, description = "There is no such segment", body = ProblemSchema),
        (status = 409, description = "The segment is not a list", body = ProblemSchema),
        (status = 413, description = "The time is over before the file is: `rows` says how many were read, `report` what became of them, as with 200; those behind them were not looked at", body = ProblemSchema),
        (status = 415, description = "Not text/csv", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn import_profiles(
    State(context): State<Context>,
    Params(params): Params<ImportParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ImportOut>> {
    check_csv(&headers)?;
    let until = context.import_until();
    let report = context
        .store
        .import_profiles(body.into_data_stream(), params.segment, until)
        .await
        .map_err(problem)?;
    answer(report.extent, report.rows, report.into())
}

/// The report of a file that was read to its end; where it was not, a problem that says how far, so that nobody takes a part for
/// the whole.
pub(crate) fn answer<T: Serialize>(extent: Extent, rows: u64, report: T) -> Result<Json<T>> {
    match extent {
        Extent::Whole => Ok(Json(report)),
        Extent::Part => {
            let detail = format!(
                "the first {rows} rows are imported, as `report` says, and the time for a call is over: import the file by \
                 a job (POST /imports), or send the rest"
            );
            let report = serde_json::to_value(report).unwrap_or_default();
            Err(Problem::new(Kind::ImportUnfinished, detail).with("rows", rows).with("report", report))
        }
    }
}

/// Refuses what does not say that it is CSV.
pub(crate) fn check_csv(headers: &HeaderMap) -> Result<()> {
    if ["text/csv", "application/csv", "text/plain"].contains(&essence(headers).as_str()) {
        return Ok(());
    }
    Err(Problem::new(Kind::UnsupportedMediaType, "the body must be text/csv"))
}

/// Why an import stopped.
pub(crate) fn problem(error: ImportError<axum::Error>) -> Problem {
    match error {
        ImportError::File(error) => Problem::new(Kind::InvalidCsv, error.to_string()),
        ImportError::Column(error) => {
            Problem::fields(Kind::InvalidCsv, vec![FieldError::new(error.name.clone(), error.message)])
        }
        ImportError::Source(_) => Problem::new(Kind::BadRequest, "the upload broke off: send the file again"),
        ImportError::Store(StoreError::Invalid { message, .. }) => Problem::new(Kind::NotAList, message),
        ImportError::Store(error) => error.into(),
    }
}
