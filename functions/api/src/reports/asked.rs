//! What may be asked of a report.

use axum::extract::FromRequestParts;
use campaign::report::Interval;
use campaign::schedule::Zone;
use http::header::ACCEPT;
use http::request::Parts;
use jiff::Timestamp;
use serde::Deserialize;
use store::reports::Part;
use utoipa::ToSchema;

use crate::error::{Kind, Problem, Result};

/// How a report of the last day is cut.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fine {
    Minute,
    Hour,
}

/// How a report of any period is cut.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Coarse {
    Hour,
    Day,
    Week,
    Month,
}

impl From<Fine> for Interval {
    fn from(interval: Fine) -> Self {
        match interval {
            Fine::Minute => Self::Minute,
            Fine::Hour => Self::Hour,
        }
    }
}

impl From<Coarse> for Interval {
    fn from(interval: Coarse) -> Self {
        match interval {
            Coarse::Hour => Self::Hour,
            Coarse::Day => Self::Day,
            Coarse::Week => Self::Week,
            Coarse::Month => Self::Month,
        }
    }
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    Json,
    Csv,
}

/// Which table a CSV file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Table {
    /// A row for each action of each version.
    #[default]
    Actions,
    /// A row for each interval.
    Series,
    /// A row for each link.
    Links,
}

/// When.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    /// The last 24 hours.
    LastDay,
    /// From the one to the other, where they are given.
    Between(Option<Timestamp>, Option<Timestamp>),
}

/// What a report is asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) when: When,
    pub(super) interval: Option<Interval>,
    pub(super) zone: Zone,
    pub(super) part: Part,
    /// The table, where CSV is wanted.
    pub(super) csv: Option<Table>,
}

/// In which zone; UTC where none is named.
pub(super) fn zone(name: Option<&str>) -> Result<Zone> {
    let zone = name.map_or(Ok(Zone::UTC), Zone::parse);
    zone.map_err(|error| Problem::new(Kind::InvalidParameter, format!("zone: {error}")))
}

/// The table of a CSV file, where that is wanted: by the parameter, else by the header.
pub(super) fn csv(format: Option<Format>, table: Option<Table>, accept: PrefersCsv) -> Option<Table> {
    let is_csv = format.map_or(accept.0, |format| matches!(format, Format::Csv));
    is_csv.then(|| table.unwrap_or_default())
}

/// Whether the `Accept` header names CSV, and not JSON with more weight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PrefersCsv(pub(super) bool);

impl<S: Send + Sync> FromRequestParts<S> for PrefersCsv {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Self::Rejection> {
        let values = parts.headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<_> = values.flat_map(|value| value.split(',')).map(range).collect();
        let weight = |name: &str| {
            let named = ranges.iter().filter(|(range, _)| range == name).map(|(_, weight)| *weight);
            named.reduce(f32::max).unwrap_or(0.0)
        };
        let csv = weight("text/csv");
        Ok(Self(csv > 0.0 && csv >= weight("application/json")))
    }
}

/// A media range and its weight.
fn range(text: &str) -> (String, f32) {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
    (name, weight)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[tokio::test]
    async fn csv_is_what_the_header_says_it_is() {
        for (accept, is_csv) in [
            ("text/csv", true),
            ("text/csv; q=0.9, */*;q=0.1", true),
            ("Text/CSV, application/json", true),
            ("application/json, text/csv;q=0.5", false),
            ("text/csv;q=0", false),
            ("*/*", false),
            ("", false),
        ] {
            let (mut parts, ()) = Request::builder().header(ACCEPT, accept).body(()).unwrap().into_parts();
            let Ok(PrefersCsv(prefers)) = PrefersCsv::from_request_parts(&mut parts, &()).await;
            assert_eq!(prefers, is_csv, "{accept}");
        }
    }
}
