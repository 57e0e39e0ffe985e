//! A report, read and put together.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse, Response};
use campaign::lowered::{LoweredContent, LoweredLink};
use campaign::report::{Buckets, Figures, Interval, Period, Scope, Tallied};
use campaign::{Campaign, Channel, Fact};
use jiff::Timestamp;
use store::StoreError;
use store::reports::{Origin, Part, Reported, Source};

use super::asked::{Asked, Table, When};
use super::csv;
use super::figures::{ByWhomOut, FiguresOut, Known};
use super::out::{ActionRow, BucketOut, ExecutionRow, LinkOut, ReportOut, VersionRow};
use crate::Context;
use crate::error::{Kind, Problem, Result};

/// The most buckets of a series: some 100 days of hours, and an answer of some two megabytes.
pub(super) const MOST_BUCKETS: usize = 2500;
/// The most executions that are listed.
const MOST_EXECUTIONS: usize = 100;
const DAY: i64 = 24 * 60;

/// Reads what is asked for, and answers in the form that is.
pub(super) async fn answer(context: &Context, campaign: &Campaign, mut asked: Asked) -> Result<Response> {
    if asked.csv == Some(Table::Series) {
        asked.interval = asked.interval.or(Some(Interval::Day));
    }
    let report = report(context, campaign, &asked).await?;
    Ok(match asked.csv {
        Some(table) => csv::file(&report, table),
        None => Json(report).into_response(),
    })
}

async fn report(context: &Context, campaign: &Campaign, asked: &Asked) -> Result<ReportOut> {
    let store = &context.store;
    let now = context.now();
    let period = period(asked.when, now)?;
    let sources = store.report_sources(campaign, asked.part).await?;
    let sources = sources.ok_or_else(|| {
        let id = asked.part.execution.map(|id| id.to_string()).unwrap_or_default();
        Problem::not_found("execution of this campaign", id)
    })?;
    let buckets = asked.interval.map(|interval| buckets(asked, interval, period, &sources, campaign, now));
    let scope = Scope { period, buckets: buckets.transpose()? };
    let reported = store.report(campaign, sources, asked.part.action, &scope).await?;
    let names = link_names(context, campaign, &reported).await?;
    Ok(together(campaign, asked, &scope, &reported, &names, now))
}

fn minute_of(instant: Timestamp) -> i64 {
    instant.as_second().div_euclid(60)
}

fn instant_of(minute: i64) -> Timestamp {
    Timestamp::from_second(minute.saturating_mul(60)).unwrap_or(Timestamp::MAX)
}

/// The minute that is under way is reported, too.
fn end_of(period: Period, now: Timestamp) -> i64 {
    period.until.unwrap_or(minute_of(now) + 1)
}

fn period(when: When, now: Timestamp) -> Result<Period> {
    let period = match when {
        When::LastDay => Period { from: Some(minute_of(now) + 1 - DAY), until: None },
        When::Between(from, to) => Period {
            from: from.map(minute_of),
            // What is to come is not told yet.
            until: to.filter(|to| *to <= now).map(minute_of),
        },
    };
    if period.from.is_some_and(|from| from >= end_of(period, now)) {
        let message = "from: must lie before to, and before now, by a minute at least";
        return Err(Problem::new(Kind::InvalidParameter, message));
    }
    Ok(period)
}

fn buckets(
    asked: &Asked,
    interval: Interval,
    period: Period,
    sources: &[Source],
    campaign: &Campaign,
    now: Timestamp,
) -> Result<Buckets> {
    let first = sources.iter().map(Source::since).min().unwrap_or(campaign.created_at);
    let end = end_of(period, now);
    let from = period.from.unwrap_or(minute_of(first)).min(end - 1);
    Buckets::cut(interval, &asked.zone, from, end, MOST_BUCKETS).ok_or_else(|| {
        let message = format!(
            "interval: more than {MOST_BUCKETS} in this period: ask for a longer one, or name from and to"
        );
        Problem::new(Kind::InvalidParameter, message)
    })
}

type LinkNames = BTreeMap<(u32, usize), Vec<LoweredLink>>;

/// The links of the emails that are reported.
async fn link_names(context: &Context, campaign: &Campaign, reported: &[Reported]) -> Result<LinkNames> {
    let mut names = LinkNames::new();
    for Reported { source, .. } in reported.iter().filter(|reported| has_links(&reported.source)) {
        let emails = source.channels.iter().enumerate().filter(|(_, channel)| **channel == Channel::Email);
        for (action, _) in emails {
            if names.contains_key(&(source.version, action)) {
                continue;
            }
            let number = u8::try_from(action).unwrap_or(u8::MAX);
            let links = match context.store.campaigns.lowered(campaign.id, source.version, number).await {
                Ok(LoweredContent::Email(email)) => email.links,
                // What is not known here has numbers still.
                Ok(_) | Err(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            names.insert((source.version, action), links);
        }
    }
    Ok(names)
}

const fn has_links(source: &Source) -> bool {
    !matches!(source.origin, Origin::Call(_))
}

fn together(
    campaign: &Campaign,
    asked: &Asked,
    scope: &Scope,
    reported: &[Reported],
    names: &LinkNames,
    now: Timestamp,
) -> ReportOut {
    let is_whole = scope.period == Period::WHOLE;
    let has_visits = reported.iter().all(|reported| has_links(&reported.source));
    let known = Known { is_whole, has_visits };
    let mut actions: BTreeMap<(u32, usize), (Channel, Tallied)> = BTreeMap::new();
    for Reported { source, actions: tallied } in reported {
        for (action, (channel, tallied)) in wanted(asked.part, source, tallied) {
            let (_, into) = actions.entry((source.version, action)).or_insert((channel, Tallied::default()));
            into.add(tallied);
        }
    }
    let of_version = |version: u32| {
        let all = actions.range((version, 0)..=(version, usize::MAX));
        FiguresOut::of(all.map(|(_, (_, tallied))| tallied), known)
    };
    let mut versions: Vec<u32> = actions.keys().map(|(version, _)| *version).collect();
    versions.dedup();
    let by_version = |(&(version, action), (channel, tallied)): (&(u32, usize), &(Channel, Tallied))| {
        ActionRow { version, action, channel: *channel, figures: FiguresOut::of([tallied], known) }
    };
    let mut action_rows: Vec<_> = actions.iter().map(by_version).collect();
    action_rows.sort_by_key(|row| (std::cmp::Reverse(row.version), row.action));
    let executions: Vec<_> =
        reported.iter().filter_map(|reported| execution(reported, asked.part, known)).collect();
    let calls: Vec<_> =
        reported.iter().filter(|reported| !matches!(reported.source.origin, Origin::Execution(_))).collect();
    let calls = (!calls.is_empty()).then(|| {
        // Each action of each version for itself: each says what arrived.
        FiguresOut::of(calls.iter().flat_map(|reported| &reported.actions), known)
    });
    ReportOut {
        campaign_id: campaign.id,
        from: scope.period.from.map(instant_of),
        to: scope.period.until.map_or(now, instant_of),
        zone: asked.zone.name().to_owned(),
        interval: asked.interval.map(Interval::name),
        total: FiguresOut::of(actions.values().map(|(_, tallied)| tallied), known),
        versions: versions
            .iter()
            .rev()
            .map(|version| VersionRow { version: *version, figures: of_version(*version) })
            .collect(),
        executions_left_off: executions.len().saturating_sub(MOST_EXECUTIONS),
        executions: executions.into_iter().take(MOST_EXECUTIONS).map(|row| row()).collect(),
        calls,
        series: scope.buckets.as_ref().map(|buckets| series(buckets, &actions, asked, known)),
        links: links(&actions, names, known),
        actions: action_rows,
    }
}

/// The actions that are asked for.
fn wanted<'t>(
    part: Part,
    source: &'t Source,
    tallied: &'t [Tallied],
) -> impl Iterator<Item = (usize, (Channel, &'t Tallied))> {
    let all = source.channels.iter().copied().zip(tallied).enumerate();
    all.filter(move |(action, _)| part.action.is_none_or(|wanted| wanted == *action))
}

/// How the row of an execution is made; `None` for calls.
fn execution<'r>(
    reported: &'r Reported,
    part: Part,
    known: Known,
) -> Option<impl FnOnce() -> ExecutionRow + 'r> {
    let Origin::Execution(summary) = &reported.source.origin else { return None };
    Some(move || ExecutionRow {
        id: summary.id,
        version: summary.version,
        occurrence: summary.occurrence,
        state: summary.state,
        figures: FiguresOut::of(
            wanted(part, &reported.source, &reported.actions).map(|(_, (_, tallied))| tallied),
            known,
        ),
    })
}

fn series(
    buckets: &Buckets,
    actions: &BTreeMap<(u32, usize), (Channel, Tallied)>,
    asked: &Asked,
    known: Known,
) -> Vec<BucketOut> {
    let bucket = |(place, (from, to))| {
        let mut sum = Figures::default();
        let all = actions.values().filter_map(|(_, tallied)| tallied.series.get(&place));
        all.for_each(|figures| sum.add(figures));
        BucketOut::new(instant_of(from), instant_of(to), &asked.zone, &sum, known)
    };
    buckets.iter().enumerate().map(bucket).collect()
}

fn links(
    actions: &BTreeMap<(u32, usize), (Channel, Tallied)>,
    names: &LinkNames,
    known: Known,
) -> Vec<LinkOut> {
    let mut links = Vec::new();
    let nobody = Figures::default();
    for ((version, action), (_, tallied)) in actions.iter().rev() {
        let names = names.get(&(*version, *action)).map(Vec::as_slice).unwrap_or_default();
        let most = tallied.links.last_key_value().map_or(0, |(last, _)| usize::from(*last) + 1);
        for number in (0..=u16::MAX).take(names.len().max(most)) {
            let figures = tallied.links.get(&number);
            let name = names.get(usize::from(number));
            // A number without a name or a visit is no link.
            if name.is_none() && figures.is_none() {
                continue;
            }
            links.push(LinkOut {
                version: *version,
                action: *action,
                link: number,
                url: name.map(|name| name.url.clone()),
                label: name.and_then(|name| name.label.clone()),
                clicks: ByWhomOut::of(figures.unwrap_or(&nobody), Fact::Clicked, Fact::MachineClicked, known),
            });
        }
    }
    links.sort_by_key(|link| (std::cmp::Reverse(link.version), link.action, link.link));
    links
}
