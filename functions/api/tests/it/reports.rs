//! Reports of campaigns and executions.

use campaign::schedule::Zone;
use campaign::{Code, Fact, ProfileId};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::keys::Role;
use store::ledger::{Told, Visit};
use store::messages::ChunkKey;

use crate::app::TestApp;
use crate::executions::Run;

/// The n-th member of a shard gets this: of ten, two are left out, one fails, one is in doubt.
fn code(profile: ProfileId, _: u8) -> Code {
    match profile.as_bytes()[15] % 10 {
        0 => Code::NoConsent,
        1 => Code::Suppressed,
        2 => Code::BadAddress,
        3 => Code::Unknown,
        _ => Code::Sent,
    }
}

/// An execution of 20 members a shard that has ended, and the minute in which it was sent.
async fn sent() -> (Run, i64) {
    let run = Run::start(20).await;
    run.deliver(code).await;
    run.complete().await;
    let minute = run.app.store.platform.clock.now().as_second() / 60;
    (run, minute)
}

impl Run {
    fn first_chunk(&self) -> ChunkKey {
        ChunkKey { execution: self.head.id, shard: 0, action: 0, number: 0 }
    }

    async fn tell(&self, member: u8, fact: Fact, minute: i64) {
        self.app.store.ledger.tell(self.first_chunk(), &[Told { member, fact, minute }]).await.unwrap();
    }

    async fn visit(&self, member: u8, fact: Fact, link: Option<u16>, minute: i64) {
        let visit = Visit { member, fact, link, minute };
        self.app.store.ledger.visit(self.first_chunk(), visit).await.unwrap();
    }

    async fn report(&self, query: &str) -> Value {
        let path = format!("/campaigns/{}/reports/{query}", self.campaign);
        self.app.get(&path).send().await.expect(200)
    }

    async fn csv(&self, query: &str) -> Vec<Vec<String>> {
        let path = format!("/campaigns/{}/reports/{query}", self.campaign);
        let answer = self.app.get(&path).header("accept", "text/csv").send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
    }
}

/// The cell of a column in a row of a table.
#[track_caller]
fn cell<'t>(table: &'t [Vec<String>], row: usize, column: &str) -> &'t str {
    let place = table[0].iter().position(|name| name == column).unwrap_or_else(|| panic!("no {column}"));
    &table[row + 1][place]
}

#[tokio::test]
async fn a_report_shows_every_outcome_with_its_reason_and_adds_up() {
    let (run, _) = sent().await;
    let report = run.report("global").await;
    let total = &report["total"];
    assert_eq!(total["targeted"], 80, "{report:#}");
    assert_eq!(total["sent"], 48);
    assert_eq!(total["excluded"]["reasons"], json!({ "no_consent": 8, "suppressed": 8 }));
    assert_eq!(total["failed"], json!({ "total": 8, "reasons": { "bad_address": 8 } }));
    assert_eq!((&total["unknown"], &total["pending"]), (&json!(8), &json!(0)));
    assert_eq!(total["balances"], true);
    let actions = report["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 2);
    assert!(actions.iter().all(|action| action["targeted"] == 40 && action["channel"] == "email"));
    assert_eq!(report["versions"][0]["sent"], 48);
    assert_eq!(report["executions"][0]["targeted"], 80);
    assert_eq!(report["executions"][0]["id"], run.head.id.to_string());
    assert_eq!((&report["calls"], &report["series"]), (&Value::Null, &Value::Null));
    let of_execution = run.app.get(&format!("{}/report", run.path())).send().await.expect(200);
    assert_eq!(of_execution["total"], report["total"]);
    let of_action = run.report("global?action=1").await;
    assert_eq!(of_action["total"]["targeted"], 40);
    assert_eq!(of_action["actions"].as_array().unwrap().len(), 1);
    assert_eq!(run.report("global?version=2").await["total"]["targeted"], 0);
}

#[tokio::test]
async fn what_is_not_decided_is_pending_and_does_not_balance() {
    let run = Run::start(20).await;
    let total = &run.report("global").await["total"];
    assert_eq!((&total["targeted"], &total["pending"]), (&json!(80), &json!(80)));
    assert_eq!(total["balances"], false);
}

#[tokio::test]
async fn targeted_is_what_the_audience_was_and_no_sum() {
    let (run, minute) = sent().await;
    // A counter that lost its way.
    let key = platform::Key::new(format!("s#{}#00", run.head.id), format!("00#{:08}", minute / 60));
    let change = platform::Change::add(&format!("c{}m{}", Code::Sent as u8, minute % 60), 1);
    let table = &run.app.store.platform.table;
    table.update(store::tables::LEDGER, &key, None, vec![change]).await.unwrap();
    let total = &run.report("global").await["total"];
    assert_eq!((&total["targeted"], &total["balances"]), (&json!(80), &json!(false)));
}

#[tokio::test]
async fn facts_are_counted_once_each_with_rates_that_name_what_they_are_of() {
    let (run, minute) = sent().await;
    for member in 4..8 {
        run.tell(member, Fact::Delivered, minute).await;
        run.tell(member, Fact::Delivered, minute + 1).await;
    }
    run.tell(8, Fact::SoftBounced, minute).await;
    run.tell(9, Fact::HardBounced, minute).await;
    run.tell(4, Fact::Unsubscribed, minute).await;
    for _ in 0..3 {
        run.visit(4, Fact::Opened, None, minute).await;
    }
    run.visit(5, Fact::MachineOpened, None, minute).await;
    run.visit(4, Fact::Clicked, Some(2), minute).await;
    run.visit(4, Fact::Clicked, Some(2), minute).await;
    let report = run.report("global?action=0").await;
    let total = &report["total"];
    assert_eq!(total["delivered"], 4, "{report:#}");
    assert_eq!(total["bounced"], json!({ "hard": 1, "soft": 1 }));
    let opens = json!({ "human": { "total": 3, "unique": 1 }, "machine": { "total": 1, "unique": 1 } });
    assert_eq!(total["opens"], opens);
    assert_eq!(total["clicks"]["human"], json!({ "total": 2, "unique": 1 }));
    assert_eq!(total["unsubscribed"], 1);
    let rate = |value: f64, of: &str, numerator: u64, denominator: u64| json!({ "value": value, "of": of, "numerator": numerator, "denominator": denominator });
    assert_eq!(total["rates"]["unique_open"], rate(0.25, "delivered", 1, 4));
    assert_eq!(total["rates"]["delivery"], rate(0.166_667, "sent", 4, 24));
    assert_eq!(total["rates"]["click_to_open"], rate(1.0, "unique_opens", 1, 1));
    let link = &report["links"][0];
    assert_eq!((&link["link"], &link["url"]), (&json!(2), &Value::Null));
    assert_eq!(link["clicks"]["human"], json!({ "total": 2, "unique": 1 }));
    // The other action's provider tells of no delivery: of both together the rule is of each.
    let both = run.report("global").await;
    assert_eq!(
        both["total"]["rates"]["unique_open"],
        rate(0.035_714, "delivered_or_sent_minus_bounced", 1, 28)
    );
    assert_eq!(both["total"]["rates"]["delivery"]["of"], "sent_where_deliveries_are_told");
    let silent = run.report("global?action=1").await;
    assert_eq!(silent["total"]["rates"]["delivery"]["value"], Value::Null);
    assert_eq!(silent["total"]["rates"]["unique_open"], rate(0.0, "sent_minus_bounced", 0, 24));
}

/// Row J4.
#[tokio::test]
async fn an_open_at_half_past_eleven_at_night_utc_is_of_the_next_day_in_berlin() {
    let (run, _) = sent().await;
    run.app.clock.advance(std::time::Duration::from_secs(3 * 24 * 3600));
    let at: Timestamp = "2026-11-26T23:30:00Z".parse().unwrap();
    run.visit(4, Fact::Opened, None, at.as_second() / 60).await;
    let opened_on = async |zone: &str| {
        let report = run.report(&format!("global?interval=day&zone={zone}")).await;
        let series = report["series"].as_array().unwrap().clone();
        let opened: Vec<_> = series.iter().filter(|bucket| bucket["opens"]["human"]["unique"] == 1).collect();
        let [opened] = opened.as_slice() else { panic!("{report:#}") };
        let sent: u64 = series.iter().map(|bucket| bucket["sent"].as_u64().unwrap()).sum();
        assert_eq!(report["total"]["sent"], sent, "the buckets are all there is");
        opened["local"].as_str().unwrap().to_owned()
    };
    assert_eq!(opened_on("UTC").await, "2026-11-26T00:00:00");
    assert_eq!(opened_on("Europe/Berlin").await, "2026-11-27T00:00:00");
    assert_eq!(opened_on("Asia/Calcutta").await, "2026-11-27T00:00:00");
    assert_eq!(
        run.report("global?zone=Asia/Calcutta").await["zone"],
        Zone::parse("Asia/Kolkata").unwrap().name()
    );
}

#[tokio::test]
async fn adjoining_periods_add_up_to_the_whole() {
    let (run, minute) = sent().await;
    run.app.clock.advance(std::time::Duration::from_secs(6 * 3600));
    for (member, later) in [(4, 1), (5, 61), (6, 200), (7, 333)] {
        run.tell(member, Fact::Delivered, minute + later).await;
        run.visit(member, Fact::Opened, None, minute + later).await;
    }
    let border = Timestamp::from_second((minute + 61) * 60).unwrap();
    let figures = |report: &Value| ["delivered", "sent"].map(|name| report["total"][name].as_u64().unwrap());
    let before = run.report(&format!("global?to={border}")).await;
    let after = run.report(&format!("global?from={border}")).await;
    let whole = run.report("global").await;
    assert_eq!((figures(&before), figures(&after)), ([1, 48], [3, 0]));
    assert_eq!(figures(&whole), [4, 48]);
    assert_eq!((&before["total"]["targeted"], &after["total"]["balances"]), (&Value::Null, &Value::Null));
    assert_eq!((&before["to"], &after["from"]), (&json!(border.to_string()), &json!(border.to_string())));
}

#[tokio::test]
async fn a_live_report_is_of_the_last_24_hours_to_the_minute() {
    let (run, minute) = sent().await;
    let live = run.report("live?interval=minute").await;
    assert_eq!(live["series"].as_array().unwrap().len(), 24 * 60);
    assert_eq!(live["series"][24 * 60 - 1]["sent"], 48, "the minute under way is there");
    assert_eq!(live["total"]["sent"], 48);
    let hours = run.report("live?zone=Asia/Kolkata").await;
    let lengths = hours["series"].as_array().unwrap().len();
    assert_eq!(lengths, 25, "the first and the last are cut short");
    run.app.clock.advance(std::time::Duration::from_secs(24 * 3600));
    run.visit(4, Fact::Opened, None, minute + 1).await;
    let later = run.report("live").await;
    assert_eq!((&later["total"]["sent"], &later["total"]["opens"]["human"]["total"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn csv_has_the_same_numbers_and_runs_no_formula() {
    let (run, minute) = sent().await;
    run.tell(4, Fact::Delivered, minute).await;
    run.visit(4, Fact::Clicked, Some(0), minute).await;
    let json = run.report("global?interval=day").await;
    let actions = run.csv("global").await;
    assert_eq!(actions.len(), 3);
    for row in 0..2 {
        let expected = &json["actions"][row];
        for name in ["version", "action", "targeted", "sent", "unknown", "pending", "delivered", "balances"] {
            assert_eq!(cell(&actions, row, name), expected[name].to_string(), "{name}");
        }
        assert_eq!(cell(&actions, row, "excluded_no_consent"), "4");
        assert_eq!(cell(&actions, row, "excluded_stopped"), "0");
        assert_eq!(cell(&actions, row, "failed_bad_address"), "4");
    }
    assert_eq!(cell(&actions, 0, "unique_click_rate"), "1");
    assert_eq!(cell(&actions, 0, "unique_click_of"), "1");
    assert_eq!(cell(&actions, 0, "unique_click_of_what"), "delivered");
    assert!(actions.iter().all(|row| row.len() == actions[0].len()));
    let series = run.csv("global?table=series").await;
    assert_eq!(series.len(), 1 + json["series"].as_array().unwrap().len());
    assert_eq!(cell(&series, 0, "sent"), json["series"][0]["sent"].to_string());
    assert_eq!(cell(&series, 0, "unique_clicks"), "1");
    let links = run.csv("global?format=csv&table=links").await;
    assert_eq!(cell(&links, 0, "unique_clicks"), "1");
}

/// Row G12: who writes a link's label does not run a formula on the computer of who opens the report.
#[tokio::test]
async fn links_have_the_url_and_label_of_the_content_and_are_defused_in_csv() {
    use campaign::lowered::{EMAIL_FORMAT, LoweredContent, LoweredEmail, LoweredLink};

    let (run, minute) = sent().await;
    let link =
        |url: &str, label: Option<&str>| LoweredLink { url: url.to_owned(), label: label.map(str::to_owned) };
    let links = vec![link("https://shop.example.org/?a=1", None), link("=cmd|' /C calc'!A0", Some("=1+1"))];
    let lowered =
        LoweredContent::Email(LoweredEmail { format: EMAIL_FORMAT, links, ..LoweredEmail::default() });
    let writes = store::Campaigns::lowered_writes(run.campaign, 1, [Ok(&lowered), Ok(&lowered)]).unwrap();
    run.app.store.platform.table.transact(writes).await.unwrap();
    run.visit(4, Fact::Clicked, Some(1), minute).await;
    run.visit(4, Fact::MachineClicked, Some(1), minute).await;
    let report = run.report("global?action=0").await;
    let links = report["links"].as_array().unwrap();
    assert_eq!(links.len(), 2);
    assert_eq!(
        (&links[0]["url"], &links[0]["clicks"]["human"]["total"]),
        (&json!("https://shop.example.org/?a=1"), &json!(0))
    );
    assert_eq!((&links[1]["label"], &links[1]["clicks"]["machine"]["unique"]), (&json!("=1+1"), &json!(1)));
    let csv = run.csv("global?action=0&table=links").await;
    assert_eq!(cell(&csv, 1, "url"), "'=cmd|' /C calc'!A0");
    assert_eq!(cell(&csv, 1, "label"), "'=1+1");
}

#[tokio::test]
async fn what_became_known_of_recipients_stands_beside_them() {
    let (run, minute) = sent().await;
    run.tell(4, Fact::Delivered, minute).await;
    run.visit(4, Fact::Opened, None, minute + 2).await;
    let page =
        run.app.get(&format!("{}/recipients?outcome=sent&action=0", run.path())).send().await.expect(200);
    let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap().to_string();
    let events = json!([
        { "event": "delivered", "at": at(minute) }, { "event": "opened", "at": at(minute + 2) },
    ]);
    assert_eq!(page["items"][0]["events"], events, "{page:#}");
    assert_eq!(page["items"][1]["events"], json!([]));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let (run, _) = sent().await;
    let of = |query: &str| format!("/campaigns/{}/reports/{query}", run.campaign);
    for (query, word) in [
        ("global?zone=Mars/Olympus", "zone"),
        ("global?from=2026-11-25T08:00:00Z&to=2026-11-25T08:00:30Z", "from"),
        ("global?from=2027-01-01T00:00:00Z", "from"),
        ("global?from=2020-01-01T00:00:00Z&interval=hour", "interval"),
        ("global?interval=minute", "interval"),
        ("live?interval=day", "interval"),
        ("global?format=xml", "format"),
        ("live?from=2026-11-25T09:00:00Z", "from"),
    ] {
        let problem = run.app.get(&of(query)).send().await.problem(400, "invalid_parameter");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{query}: {problem}");
    }
    let another = campaign::ExecutionId::random();
    run.app.get(&of(&format!("global?execution={another}"))).send().await.problem(404, "not_found");
    run.app.get(&format!("/executions/{another}/report")).send().await.problem(404, "not_found");
    let nobody = campaign::CampaignId::from_bytes([9; 16]);
    run.app.get(&format!("/campaigns/{nobody}/reports/live")).send().await.problem(404, "not_found");
    run.app.anonymous(Method::GET, &of("live")).send().await.problem(401, "unauthenticated");
    run.app.as_role(Role::Viewer, Method::GET, &of("live")).send().await.expect(200);
}

/// Chunks, cursors and the execution itself are gone by then.
#[tokio::test]
async fn a_report_outlives_what_it_is_of() {
    let (run, minute) = sent().await;
    run.visit(4, Fact::Opened, None, minute).await;
    let before = run.report("global").await;
    run.app.clock.advance(std::time::Duration::from_secs(130 * 24 * 3600));
    assert!(run.app.store.ledger.head(run.head.id).await.unwrap().is_none());
    let after = run.report("global").await;
    for part in ["total", "actions", "versions", "executions"] {
        assert_eq!(after[part], before[part], "{part}");
    }
    let alone = run.report(&format!("global?execution={}", run.head.id)).await;
    assert_eq!(alone["total"], before["total"]);
    run.app.get(&format!("{}/report", run.path())).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn a_draft_has_a_report_of_nothing() {
    let app = TestApp::new().await;
    let id = app.create("/campaigns", &json!({ "name": "c", "category": "marketing" })).await;
    let report = app.get(&format!("/campaigns/{id}/reports/global?interval=day")).send().await.expect(200);
    assert_eq!((&report["total"]["targeted"], &report["total"]["balances"]), (&json!(0), &json!(true)));
    assert_eq!(report["executions"], json!([]));
    assert_eq!(report["series"].as_array().unwrap().len(), 1);
}
