//! Reports as tables.

use axum::response::{IntoResponse, Response};
use campaign::{Code, Outcome};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use store::csv::write_row;

use super::asked::Table;
use super::figures::{FiguresOut, RateOut};
use super::out::{BucketOut, ReportOut};

const VISITS: [&str; 8] = [
    "opens",
    "unique_opens",
    "machine_opens",
    "unique_machine_opens",
    "clicks",
    "unique_clicks",
    "machine_clicks",
    "unique_machine_clicks",
];

/// One table of a report, as a file.
pub(super) fn file(report: &ReportOut, table: Table) -> Response {
    let (name, bytes) = match table {
        Table::Actions => ("actions", actions(report)),
        Table::Series => ("series", series(report.series.as_deref().unwrap_or_default())),
        Table::Links => ("links", links(report)),
    };
    let file_name = format!("attachment; filename=\"report-{}-{name}.csv\"", report.campaign_id);
    let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, file_name)];
    (headers, bytes).into_response()
}

/// The codes that have a column of their own, by their outcome and reason.
fn reasons() -> impl Iterator<Item = Code> {
    let has_reason = |code: &Code| matches!(code.outcome(), Outcome::Failed | Outcome::Excluded);
    Code::ALL.into_iter().filter(has_reason)
}

fn actions(report: &ReportOut) -> Vec<u8> {
    let mut file = Vec::new();
    let mut header: Vec<String> = ["version", "action", "channel"].map(str::to_owned).to_vec();
    header.extend(figure_names());
    write_row(&mut file, &header);
    for row in &report.actions {
        let mut cells = vec![row.version.to_string(), row.action.to_string(), row.channel.name().to_owned()];
        cells.extend(figure_cells(&row.figures));
        write_row(&mut file, &cells);
    }
    file
}

fn figure_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "targeted",
        "sent",
        "failed",
        "excluded",
        "unknown",
        "pending",
        "balances",
        "possible_duplicates",
        "delivered",
        "hard_bounced",
        "soft_bounced",
        "delayed",
    ]
    .into_iter()
    .chain(VISITS)
    .chain(["unsubscribed", "complained"])
    .map(str::to_owned)
    .collect();
    for rate in RATES {
        names.extend(["rate", "of", "of_what"].map(|part| format!("{rate}_{part}")));
    }
    names.extend(reasons().map(|code| format!("{}_{}", code.outcome().name(), code.reason())));
    names
}

const RATES: [&str; 8] = [
    "delivery",
    "hard_bounce",
    "soft_bounce",
    "unique_open",
    "unique_click",
    "click_to_open",
    "unsubscribe",
    "complaint",
];

fn figure_cells(figures: &FiguresOut) -> Vec<String> {
    let known = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let mut cells = vec![
        known(figures.targeted),
        figures.sent.to_string(),
        figures.failed.total.to_string(),
        figures.excluded.total.to_string(),
        figures.unknown.to_string(),
        known(figures.pending),
        figures.balances.map(|balances| balances.to_string()).unwrap_or_default(),
        figures.possible_duplicates.to_string(),
        figures.delivered.to_string(),
        figures.bounced.hard.to_string(),
        figures.bounced.soft.to_string(),
        figures.delayed.to_string(),
    ];
    cells.extend(figures.opens.cells());
    cells.extend(figures.clicks.cells());
    cells.extend([figures.unsubscribed.to_string(), figures.complained.to_string()]);
    cells.extend(figures.rates().into_iter().flat_map(RateOut::cells));
    cells.extend(reasons().map(|code| {
        let of = if code.outcome() == Outcome::Failed { &figures.failed } else { &figures.excluded };
        of.reasons.get(code.reason()).copied().unwrap_or(0).to_string()
    }));
    cells
}

fn series(buckets: &[BucketOut]) -> Vec<u8> {
    let mut file = Vec::new();
    let counts = [
        "from",
        "to",
        "local",
        "sent",
        "failed",
        "excluded",
        "unknown",
        "delivered",
        "hard_bounced",
        "soft_bounced",
        "delayed",
    ];
    write_row(&mut file, counts.into_iter().chain(VISITS).chain(["unsubscribed", "complained"]));
    for bucket in buckets {
        let mut cells = vec![bucket.from.to_string(), bucket.to.to_string(), bucket.local.to_string()];
        let counts = [
            bucket.sent,
            bucket.failed,
            bucket.excluded,
            bucket.unknown,
            bucket.delivered,
            bucket.hard_bounced,
            bucket.soft_bounced,
            bucket.delayed,
        ];
        cells.extend(counts.map(|count| count.to_string()));
        cells.extend(bucket.opens.cells());
        cells.extend(bucket.clicks.cells());
        cells.extend([bucket.unsubscribed.to_string(), bucket.complained.to_string()]);
        write_row(&mut file, &cells);
    }
    file
}

fn links(report: &ReportOut) -> Vec<u8> {
    let mut file = Vec::new();
    let names = ["version", "action", "link", "url", "label"];
    write_row(&mut file, names.into_iter().chain(VISITS.into_iter().skip(4)));
    for link in &report.links {
        let mut cells = vec![
            link.version.to_string(),
            link.action.to_string(),
            link.link.to_string(),
            link.url.clone().unwrap_or_default(),
            link.label.clone().unwrap_or_default(),
        ];
        cells.extend(link.clicks.cells());
        write_row(&mut file, &cells);
    }
    file
}
