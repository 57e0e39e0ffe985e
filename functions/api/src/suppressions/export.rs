use axum::extract::State;
use axum::response::{IntoResponse, Response};
use campaign::Channel;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use store::csv::write_row;
use utoipa::IntoParams;

use crate::error::{ProblemSchema, Result};
use crate::extract::Params;
use crate::{Context, cursor, schema};

/// The most addresses of an answer, which stays below the 6 MB that a Lambda may answer with.
const PAGE: usize = 5000;
/// How many are read at once.
const READ: usize = 1000;
/// The columns, which an import takes again.
const COLUMNS: [&str; 7] = ["channel", "address", "domain", "hash", "reason", "source", "at"];

/// Which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// Over which channel; email where absent.
    #[param(value_type = Option<schema::Channel>)]
    channel: Option<Channel>,
    /// Where to go on: the `x-next-cursor` of the answer before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Export suppressed addresses as CSV
///
/// Of email the domains and then the addresses, the newest first; of an address that is known by its hash alone, that. An
/// answer has at most 5,000 addresses, and where there are more, the header `x-next-cursor`: ask again with it as `cursor`.
/// All answers put together are one file, which an import takes. What a spreadsheet would run as a formula has a `'` in
/// front, phone numbers among them.
#[utoipa::path(
    get, path = "/suppressions/export", tag = "suppressions",
    params(Part),
    responses(
        (status = 200, description = "A part of the file", body = String, content_type = "text/csv", headers(("x-next-cursor" = String, description = "Where to go on; absent at the end"))),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn export_suppressions(
    State(context): State<Context>,
    Params(part): Params<Part>,
) -> Result<Response> {
    let channel = part.channel.unwrap_or(Channel::Email);
    let list = &context.store.suppressions;
    let of = format!("suppressions.csv/{}", channel.name());
    let mut after = cursor::decode::<String>(&of, part.cursor.as_deref())?;
    let mut file = Vec::new();
    if after.is_none() {
        write_row(&mut file, COLUMNS);
        if channel == Channel::Email {
            for (name, domain) in list.domains().await? {
                let (source, at) = (domain.source.unwrap_or_default(), domain.at.to_string());
                write_row(&mut file, [channel.name(), "", &name, "", domain.reason.name(), &source, &at]);
            }
        }
    }
    let mut rows = 0;
    loop {
        let (page, next) = list.list(channel, after, READ.min(PAGE - rows)).await?;
        rows += page.len();
        for entry in page {
            let (found, hash) = (entry.suppression, entry.hash.to_string());
            let (address, source) = (found.address.unwrap_or_default(), found.source.unwrap_or_default());
            let at = found.at.to_string();
            write_row(&mut file, [channel.name(), &address, "", &hash, found.reason.name(), &source, &at]);
        }
        after = next;
        if after.is_none() || rows >= PAGE {
            break;
        }
    }
    let file_name = format!("attachment; filename=\"suppressions-{}.csv\"", channel.name());
    let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, file_name)];
    let next = after.map(|after| [("x-next-cursor", cursor::encode(&of, after))]);
    Ok(match next {
        Some(next) => (headers, next, file).into_response(),
        None => (headers, file).into_response(),
    })
}
