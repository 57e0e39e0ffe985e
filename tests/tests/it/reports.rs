//! Reports held against a recount: random campaigns with every reason there is, random facts in any order, twice and late.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use campaign::outcome::OnUnknown;
use campaign::{CampaignType, Category, Code, ExecutionId, Fact, Outcome};
use envoi_tests::recount::{Entry, Recount, What};
use envoi_tests::sim::{Fate, Faults, Options, Person, Trouble, World, chance};
use jiff::Timestamp;
use platform::Clock;
use serde_json::{Value, json};
use store::ledger::{Told, Visit};
use store::messages::ChunkKey;

use super::delivery_rules::reasons::any_campaign;

const DAY: Duration = Duration::from_secs(24 * 3600);
const VISITS: [Fact; 4] = [Fact::Opened, Fact::MachineOpened, Fact::Clicked, Fact::MachineClicked];

/// An event of a provider, or of who got a message.
#[derive(Debug, Clone, Copy)]
struct Event {
    chunk: ChunkKey,
    member: u8,
    fact: Fact,
    link: Option<u16>,
    minute: i64,
}

/// Events of those who were written to, made by chance, of the last three days.
fn events(reached: &[(ChunkKey, u8)], now_minute: i64, seed: u64) -> Vec<Event> {
    let mut thrown = 0;
    let mut throw = |of: usize| {
        thrown += 1;
        usize::try_from(chance(seed, thrown) % of as u64).unwrap()
    };
    if reached.is_empty() {
        return Vec::new();
    }
    let mut events: Vec<_> = (0..reached.len())
        .map(|_| {
            let (chunk, member) = reached[throw(reached.len())];
            // Of some actions nobody tells deliveries.
            let all: Vec<_> =
                Fact::ALL.into_iter().filter(|fact| *fact != Fact::Delivered || chunk.action == 0).collect();
            let fact = all[throw(all.len())];
            let is_click = matches!(fact, Fact::Clicked | Fact::MachineClicked);
            let link = is_click.then(|| u16::try_from(throw(4)).unwrap());
            let minute = now_minute - i64::try_from(throw(3 * 24 * 60)).unwrap();
            Event { chunk, member, fact, link, minute }
        })
        .collect();
    // Told twice, or at another time again.
    for _ in 0..events.len() / 2 {
        let mut again = events[throw(events.len())];
        let moved = again.minute + i64::try_from(throw(90)).unwrap() - 45;
        again.minute = moved.clamp(now_minute - 3 * 24 * 60 + 1, now_minute);
        events.push(again);
    }
    for place in (1..events.len()).rev() {
        events.swap(place, throw(place + 1));
    }
    events
}

/// Tells them in their order.
async fn tell(world: &World, events: &[Event]) {
    let ledger = &world.store.ledger;
    for Event { chunk, member, fact, link, minute } in events.iter().copied() {
        if VISITS.contains(&fact) {
            ledger.visit(chunk, Visit { member, fact, link, minute }).await.unwrap();
        } else {
            let told = Told { member, fact, minute };
            ledger.tell(chunk, &[told, told]).await.unwrap();
        }
    }
}

async fn get(world: &World, path: &str) -> Value {
    let answer = world.request(Method::GET, path, &Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    answer.body
}

fn minute_of(value: &Value) -> i64 {
    value.as_str().unwrap().parse::<Timestamp>().unwrap().as_second() / 60
}

/// Tells random events, and holds every report there is against a recount.
async fn hold_reports_against_a_recount(
    world: &World,
    executions: &[ExecutionId],
    seed: u64,
    story: &str,
) -> Recount {
    world.clock().advance(3 * DAY);
    let now_minute = world.clock().now().as_second() / 60;
    let reached = Recount::of(&world.store, executions).await.reached;
    let events = events(&reached, now_minute, seed);
    tell(world, &events).await;
    let mut recount = Recount::of(&world.store, executions).await;
    for event in events.iter().filter(|event| VISITS.contains(&event.fact)) {
        recount.note(&event.chunk, 1, event.fact, event.link, event.minute);
    }
    let path = format!("/campaigns/{}/reports", world.campaign);

    let whole = get(world, &format!("{path}/global?interval=hour&zone=Asia/Kolkata")).await;
    let everything = |_: &Entry| true;
    assert_eq!(whole["total"]["balances"], true, "{story}: {:#}", whole["total"]);
    recount.hold_against(&whole["total"], everything, true, story);
    recount.hold_against(&whole["versions"][0], everything, true, story);
    recount.hold_links_against(&whole["links"], story);
    for action in whole["actions"].as_array().unwrap() {
        let is_its = |entry: &Entry| action["action"] == entry.action;
        recount.hold_against(action, is_its, true, story);
        let alone = get(world, &format!("{path}/global?action={}", action["action"])).await;
        recount.hold_against(&alone["total"], is_its, true, story);
    }
    for execution in whole["executions"].as_array().unwrap() {
        let is_its = |entry: &Entry| execution["id"] == entry.execution.to_string();
        recount.hold_against(execution, is_its, true, story);
        let id = execution["id"].as_str().unwrap();
        let alone = get(world, &format!("/executions/{id}/report")).await;
        recount.hold_against(&alone["total"], is_its, true, story);
    }
    if !whole["calls"].is_null() {
        let is_call = |entry: &Entry| {
            !whole["executions"]
                .as_array()
                .unwrap()
                .iter()
                .any(|row| row["id"] == entry.execution.to_string())
        };
        recount.hold_against(&whole["calls"], is_call, true, story);
    }
    hold_series(&recount, &whole, story);

    // Two days, and what came before and after them.
    let (from, to) = (now_minute - 2 * 24 * 60 - 7, now_minute - 31);
    let instant = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
    for (query, from, to) in [
        (format!("to={}", instant(from)), i64::MIN, from),
        (format!("from={}&to={}&interval=day&zone=Europe/Berlin", instant(from), instant(to)), from, to),
        (format!("from={}", instant(to)), to, i64::MAX),
    ] {
        let part = get(world, &format!("{path}/global?{query}")).await;
        let is_in = |entry: &Entry| entry.minute.is_some_and(|minute| (from..to).contains(&minute));
        recount.hold_against(&part["total"], is_in, false, &format!("{story}: {query}"));
        hold_series(&recount, &part, story);
    }
    let live = get(world, &format!("{path}/live?interval=minute")).await;
    let is_of_last_day = |entry: &Entry| entry.minute.is_some_and(|minute| minute > now_minute - 24 * 60);
    recount.hold_against(&live["total"], is_of_last_day, false, story);
    hold_series(&recount, &live, story);
    recount
}

/// Every bucket of a series is what a recount finds in its minutes.
fn hold_series(recount: &Recount, report: &Value, story: &str) {
    let Some(series) = report["series"].as_array() else { return };
    for bucket in series {
        let (from, to) = (minute_of(&bucket["from"]), minute_of(&bucket["to"]));
        let story = format!("{story}: {bucket}");
        let minutes = from..to;
        let found: Vec<_> = recount
            .entries
            .iter()
            .filter(|entry| entry.minute.is_some_and(|minute| minutes.contains(&minute)))
            .collect();
        let count = |is: &dyn Fn(What) -> bool| found.iter().filter(|entry| is(entry.what)).count();
        for (name, outcome) in [
            ("sent", Outcome::Sent),
            ("failed", Outcome::Failed),
            ("excluded", Outcome::Excluded),
            ("unknown", Outcome::Unknown),
        ] {
            let expected = count(&|what| matches!(what, What::Code(code) if code.outcome() == outcome));
            assert_eq!(bucket[name], expected, "{story}");
        }
        for (name, fact) in [
            ("delivered", Fact::Delivered),
            ("hard_bounced", Fact::HardBounced),
            ("soft_bounced", Fact::SoftBounced),
            ("delayed", Fact::Delayed),
            ("unsubscribed", Fact::Unsubscribed),
            ("complained", Fact::Complained),
        ] {
            assert_eq!(bucket[name], count(&|what| what == What::Fact(fact)), "{story}");
        }
        for (name, who, fact) in [
            ("opens", "human", Fact::Opened),
            ("opens", "machine", Fact::MachineOpened),
            ("clicks", "human", Fact::Clicked),
            ("clicks", "machine", Fact::MachineClicked),
        ] {
            assert_eq!(bucket[name][who]["unique"], count(&|what| what == What::Fact(fact)), "{story}");
            assert_eq!(bucket[name][who]["total"], count(&|what| what == What::Visit(fact)), "{story}");
        }
    }
    // Nothing of the period is outside the buckets.
    for name in ["sent", "delivered", "complained"] {
        let sum: u64 = series.iter().map(|bucket| bucket[name].as_u64().unwrap()).sum();
        assert_eq!(report["total"][name], sum, "{story}: {name}");
    }
}

/// Rows J1 and J3.
#[tokio::test]
async fn reports_of_random_campaigns_with_every_reason_are_what_a_recount_finds() {
    let mut met = BTreeSet::new();
    for seed in 0..40 {
        let world = any_campaign(seed).await;
        let execution = world.execution().await;
        let recount =
            hold_reports_against_a_recount(&world, &[execution], seed, &format!("seed {seed}")).await;
        met.extend(recount.entries.iter().filter_map(|entry| match entry.what {
            What::Code(code) => Some(code),
            _ => None,
        }));
    }
    let is_left_out = |code: &Code| code.outcome() == Outcome::Excluded && !met.contains(code);
    assert_eq!(Code::ALL.into_iter().filter(is_left_out).collect::<Vec<_>>(), [], "these never occurred");
}

#[tokio::test]
async fn doubts_and_possible_duplicates_are_counted_as_a_recount_finds_them() {
    for (seed, on_unknown) in [(1, OnUnknown::Hold), (2, OnUnknown::Resend)] {
        let people = (1..=60).map(|number| Person::new(number, Fate::Taken)).collect();
        let options = Options { trouble: Trouble::SilentFor(9), on_unknown, ..Options::default() };
        let world = World::new(people, options, Faults::new(None)).await;
        world.activate().await;
        world.run().await;
        let execution = world.execution().await;
        let story = format!("{on_unknown:?}");
        let recount = hold_reports_against_a_recount(&world, &[execution], seed, &story).await;
        let code = if on_unknown == OnUnknown::Hold { Code::Unknown } else { Code::SentAgain };
        let doubts = recount.entries.iter().filter(|entry| entry.what == What::Code(code)).count();
        assert_eq!(doubts, 9, "{story}");
    }
}

#[tokio::test]
async fn calls_add_up_beside_executions_to_what_a_recount_finds() {
    let fates = [Fate::Taken, Fate::OptedOut, Fate::Suppressed, Fate::Greylisted, Fate::Unreachable];
    let people: Vec<_> = (1..).zip(fates).map(|(number, fate)| Person::new(number, fate)).collect();
    let options =
        Options { kind: CampaignType::ApiTriggered, category: Category::Marketing, ..Options::default() };
    let world = World::new(people, options, Faults::new(None)).await;
    world.go_live().await;
    let recipients: Vec<_> = world
        .people
        .iter()
        .map(|person| json!({ "type": "aep", "userId": person.id.to_string(), "namespace": "ecid" }))
        .collect();
    let mut executions = Vec::new();
    for call in 0..12 {
        executions.push(world.call(&format!("call-{call}"), &recipients[..1 + call % 5]).await);
        world.run().await;
        // Over the border between two partitions of counters.
        world.clock().advance(4 * DAY);
    }
    let audience = json!({ "requestId": "all", "campaignId": world.campaign });
    let answer = world.request(Method::POST, "/im/executions/audience", &audience).await;
    let audience = answer.body["executionId"].as_str().unwrap().parse().unwrap();
    world.wait_for(audience);
    world.run().await;
    executions.push(audience);
    let recount = hold_reports_against_a_recount(&world, &executions, 7, "calls").await;

    let path = format!("/campaigns/{}/reports/global", world.campaign);
    let one = get(&world, &format!("{path}?execution={}", executions[4])).await;
    let of_one = get(&world, &format!("/executions/{}/report", executions[4])).await;
    assert_eq!(one["total"], of_one["total"]);
    let figures = recount.figures(|entry| entry.execution == executions[4], true);
    for name in ["targeted", "balances", "sent", "excluded", "delivered", "bounced", "complained"] {
        assert_eq!(one["total"][name], figures[name], "{name}");
    }
    let opens = &one["total"]["opens"]["human"];
    assert_eq!(opens, &json!({ "total": null, "unique": figures["opens"]["human"]["unique"] }));
}
