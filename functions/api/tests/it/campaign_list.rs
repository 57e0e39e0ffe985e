//! The list of campaigns: filters, orders, pages.

use std::collections::HashSet;
use std::time::Duration;

use campaign::model::Actor;
use campaign::status::Command;
use campaign::{CampaignId, Status};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::keys::Role;

use crate::app::TestApp;

/// What Envoi itself does with a campaign.
async fn command(app: &TestApp, id: &str, command: Command, next: Option<&str>) {
    let id: CampaignId = id.parse().unwrap();
    let next: Option<Timestamp> = next.map(|next| next.parse().unwrap());
    let by = Actor::envoi();
    let changed = app.store.campaigns.command(id, command, &by, |campaign| {
        campaign.next_occurrence = next;
        Ok(())
    });
    changed.await.unwrap();
}

/// Takes a draft to a status, the way that campaigns go.
async fn bring(app: &TestApp, id: &str, status: Status, next: Option<&str>) {
    let way: &[Command] = match status {
        Status::Draft => &[],
        Status::Activating => &[Command::Activate],
        Status::Scheduled => &[Command::Activate, Command::BecomeScheduled],
        Status::Live => &[Command::Activate, Command::BecomeLive],
        Status::Stopped => &[Command::Activate, Command::BecomeScheduled, Command::Stop],
        Status::Completed => &[Command::Activate, Command::BecomeLive, Command::Complete],
        Status::Archived => &[Command::Activate, Command::BecomeLive, Command::Complete, Command::Archive],
    };
    for step in way {
        let is_start = matches!(step, Command::BecomeScheduled | Command::BecomeLive);
        command(app, id, *step, next.filter(|_| is_start)).await;
    }
}

/// Campaigns of every status, two of each and more, in no order.
struct Shelf {
    app: TestApp,
    anna: String,
}

impl Shelf {
    async fn new() -> Self {
        let app = TestApp::new().await;
        let (secret, key) = app.store.keys.create("Anna", Role::Manager).await.unwrap();
        let names = ["Spring", "spring sale", "Ähre", "ähre", "Zoo", "zoo", "a", "SPRING", "B%_\"x"];
        for n in 0..40_usize {
            app.clock.advance(Duration::from_millis([0, 1, 3_600_000][n % 3]));
            let category = if n % 2 == 0 { "marketing" } else { "transactional" };
            let mut body = json!({
                "name": names[n % names.len()], "category": category, "tags": [format!("t{}", n % 5), "all"],
            });
            if n % 4 != 0 {
                body["actions"] =
                    json!([{ "channel": "email", "content": { "subject": "s", "body": { "html": "x" } } }]);
            }
            let call = if n % 3 == 0 {
                app.anonymous(Method::POST, "/campaigns").header("authorization", format!("Bearer {secret}"))
            } else {
                app.post("/campaigns")
            };
            let id = call.json(&body).send().await.expect(201)["id"].as_str().unwrap().to_owned();
            let status = Status::ALL[n * 3 % 7];
            let next = format!("2027-01-{:02}T{:02}:30:00Z", 1 + n % 4, 20 + n % 4);
            bring(&app, &id, status, Some(&next)).await;
            if status == Status::Live && n % 2 == 0 {
                app.patch(&format!("/campaigns/{id}"))
                    .json(&json!({ "on_missing": "skip" }))
                    .send()
                    .await
                    .expect(200);
            }
        }
        Self { app, anna: key.id[..16].to_owned() }
    }

    async fn page(&self, query: &str) -> Value {
        self.app.get(&format!("/campaigns?{query}")).send().await.expect(200)
    }

    /// All pages.
    async fn list(&self, query: &str, limit: usize) -> Vec<Value> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.page(&format!("limit={limit}&{query}{cursor}")).await;
            let items = page["items"].as_array().unwrap();
            rows.extend(items.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => {
                    assert_eq!(items.len(), limit, "a page of so few that goes on is full");
                    cursor = format!("&cursor={next}");
                }
                None => return rows,
            }
        }
    }
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

fn instant(row: &Value, field: &str) -> Option<Timestamp> {
    row[field].as_str().map(|text| text.parse().unwrap())
}

fn rank(row: &Value) -> usize {
    Status::ALL.iter().position(|status| status.name() == row["status"]).unwrap()
}

/// Whether a row is to be listed.
type Matches = Box<dyn Fn(&Value) -> bool>;

#[tokio::test]
async fn each_filter_leaves_what_it_says() {
    let shelf = Shelf::new().await;
    let all = shelf.list("status=all", 100).await;
    assert_eq!(all.len(), 40);
    let has = |row: &Value, field: &str, value: &str| row[field].as_array().unwrap().contains(&json!(value));
    let in_name = |row: &Value, part: &str| text(row, "name").to_lowercase().contains(part);
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let (early, late) = (at("2026-11-25T12:00:00Z"), at("2026-11-25T18:00:00Z"));
    let anna = shelf.anna.as_str();
    let checks: Vec<(String, Matches)> = vec![
        (String::new(), Box::new(|row| rank(row) < 4)),
        ("status=all".into(), Box::new(|_| true)),
        ("status=archived".into(), Box::new(|row| row["status"] == "archived")),
        (
            "status=live,%20draft,live".into(),
            Box::new(|row| row["status"] == "live" || row["status"] == "draft"),
        ),
        ("status=all&type=scheduled".into(), Box::new(|_| true)),
        ("status=all&category=marketing".into(), Box::new(|row| row["category"] == "marketing")),
        (
            "category=transactional".into(),
            Box::new(|row| rank(row) < 4 && row["category"] == "transactional"),
        ),
        ("status=all&channel=email".into(), Box::new(move |row| has(row, "channels", "email"))),
        ("status=all&tag=t1".into(), Box::new(move |row| has(row, "tags", "t1"))),
        ("status=all&tag=T1".into(), Box::new(|_| false)),
        ("status=all&q=SPRING".into(), Box::new(move |row| in_name(row, "spring"))),
        ("status=all&q=%C3%84HRE".into(), Box::new(move |row| in_name(row, "ähre"))),
        ("status=all&q=%25_%22".into(), Box::new(move |row| in_name(row, "%_\""))),
        ("status=all&q=".into(), Box::new(|_| true)),
        ("status=all&creator=Anna".into(), Box::new(|row| row["created_by"]["name"] == "Anna")),
        (format!("status=all&creator={anna}"), Box::new(|row| row["created_by"]["name"] == "Anna")),
        ("status=all&creator=anna".into(), Box::new(|_| false)),
        (
            "status=all&created_from=2026-11-25T12:00&created_to=2026-11-25T18:00:00Z".into(),
            Box::new(move |row| instant(row, "created_at").is_some_and(|at| early <= at && at < late)),
        ),
        (
            "status=all&modified_from=2026-11-25T12:00:00.000Z&modified_to=2026-11-25T19:00:00%2B01:00"
                .into(),
            Box::new(move |row| instant(row, "modified_at").is_some_and(|at| early <= at && at < late)),
        ),
        (
            "status=all&start_from=2027-01-02&start_to=2027-01-03".into(),
            Box::new(move |row| {
                instant(row, "next_occurrence").is_some_and(|next| {
                    at("2027-01-02T00:00:00Z") <= next && next < at("2027-01-04T00:00:00Z")
                })
            }),
        ),
        (
            "status=all&tag=all&q=spring&category=marketing&channel=email&creator=Anna".into(),
            Box::new(move |row| {
                in_name(row, "spring")
                    && row["category"] == "marketing"
                    && has(row, "channels", "email")
                    && row["created_by"]["name"] == "Anna"
            }),
        ),
    ];
    for (query, matches) in checks {
        for sort in ["", "&sort=name", "&sort=-status", "&sort=modified", "&sort=start", "&sort=created"] {
            let listed = shelf.list(&format!("{query}{sort}"), 3).await;
            let ids =
                |rows: &[Value]| rows.iter().map(|row| text(row, "id").to_owned()).collect::<HashSet<_>>();
            let expected: Vec<_> = all.iter().filter(|row| matches(row)).cloned().collect();
            assert_eq!(listed.len(), expected.len(), "{query}{sort}");
            assert_eq!(ids(&listed), ids(&expected), "{query}{sort}");
            let is_told_apart =
                query.is_empty() || !expected.is_empty() || query.contains("T1") || query.contains("anna");
            assert!(is_told_apart, "{query} matches nothing");
        }
    }
}

#[tokio::test]
async fn each_order_goes_both_ways_and_pages_make_the_whole() {
    let shelf = Shelf::new().await;
    for sort in ["name", "status", "modified", "start", "created"] {
        for (sign, is_descending) in [("", false), ("-", true)] {
            let query = format!("status=all&sort={sign}{sort}");
            let whole = shelf.page(&format!("{query}&limit=100")).await;
            assert_eq!(whole["next_cursor"], Value::Null);
            let whole = whole["items"].as_array().unwrap();
            for limit in [1, 7, 40] {
                assert_eq!(&shelf.list(&query, limit).await, whole, "{query}");
            }
            let mut expected = whole.clone();
            expected.sort_by(|a, b| {
                let lacks = |row: &Value| sort == "start" && row["next_occurrence"].is_null();
                let order = match sort {
                    "name" => text(a, "name").to_lowercase().cmp(&text(b, "name").to_lowercase()),
                    "status" => rank(a).cmp(&rank(b)),
                    "modified" => instant(a, "modified_at").cmp(&instant(b, "modified_at")),
                    "start" => instant(a, "next_occurrence").cmp(&instant(b, "next_occurrence")),
                    _ => instant(a, "created_at").cmp(&instant(b, "created_at")),
                };
                let order = order.then_with(|| text(a, "id").cmp(text(b, "id")));
                lacks(a).cmp(&lacks(b)).then(if is_descending { order.reverse() } else { order })
            });
            let ids = |rows: &[Value]| rows.iter().map(|row| text(row, "id").to_owned()).collect::<Vec<_>>();
            assert_eq!(ids(whole), ids(&expected), "{query}");
        }
    }
    assert_eq!(shelf.list("status=all", 40).await, shelf.list("status=all&sort=-modified", 40).await);
}

#[tokio::test]
async fn a_row_says_what_the_campaign_says_and_what_may_be_done_with_it() {
    let shelf = Shelf::new().await;
    let mut offered = HashSet::new();
    for row in shelf.list("status=all", 100).await {
        let mut whole = shelf.app.get(&format!("/campaigns/{}", text(&row, "id"))).send().await.expect(200);
        let fields = whole.as_object_mut().unwrap();
        for only_there in ["description", "activation_errors", "draft", "live"] {
            assert!(fields.remove(only_there).is_some(), "{only_there}");
        }
        assert_eq!(row, whole);
        let actions: Vec<_> =
            row["actions"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        offered.insert((
            text(&row, "status").to_owned(),
            row["has_draft"].as_bool().unwrap(),
            actions.join(" "),
        ));
    }
    let expected = [
        ("draft", true, "edit rename activate duplicate delete"),
        ("activating", true, "rename stop duplicate"),
        ("scheduled", false, "edit rename stop duplicate"),
        ("live", false, "edit rename stop duplicate"),
        ("live", true, "edit rename activate discard_draft stop duplicate"),
        ("stopped", false, "rename duplicate archive"),
        ("completed", false, "rename duplicate archive"),
        ("archived", false, "rename duplicate"),
    ];
    let expected =
        expected.map(|(status, has_draft, actions)| (status.to_owned(), has_draft, actions.to_owned()));
    assert_eq!(offered, expected.into());
}

#[tokio::test]
async fn a_row_follows_every_change_and_goes_with_a_deleted_draft() {
    let app = TestApp::new().await;
    let id = app.create("/campaigns", &json!({ "name": "first", "category": "marketing" })).await;
    let path = format!("/campaigns/{id}");
    let listed = async |query: &str| {
        let page = app.get(&format!("/campaigns?{query}")).send().await.expect(200);
        page["items"].as_array().unwrap().iter().map(|row| text(row, "name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed("sort=name").await, ["first"]);
    app.patch(&path).json(&json!({ "name": "second", "tags": ["t"] })).send().await.expect(200);
    for sort in ["name", "status", "modified", "start", "created"] {
        assert_eq!(listed(&format!("tag=t&sort={sort}")).await, ["second"]);
        assert_eq!(listed(&format!("q=first&sort={sort}")).await, [""; 0]);
    }
    let copy = app.create(&format!("{path}/duplicate"), &json!({ "name": "third" })).await;
    assert_eq!(listed("sort=-name&tag=t").await, ["third", "second"]);
    app.delete(&path).send().await.expect(204);
    app.delete(&format!("/campaigns/{copy}")).send().await.expect(204);
    for sort in ["name", "status", "modified", "start", "created"] {
        assert_eq!(listed(&format!("status=all&sort={sort}")).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_filter_and_order_only() {
    let shelf = Shelf::new().await;
    let page = shelf.page("status=all&sort=name&limit=5").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    // As many as are asked for may change from page to page, and how a status is said.
    shelf.page(&format!("status=all&sort=name&limit=9&cursor={cursor}")).await;
    let every = Status::ALL.map(Status::name).join(",");
    shelf.page(&format!("status={every}&sort=name&cursor={cursor}")).await;
    for other in [
        "sort=name",
        "status=all&sort=-name",
        "status=all",
        "status=all&sort=name&q=a",
        "status=all&sort=name&tag=all",
        "status=all&sort=name&creator=Anna",
        "status=all&sort=name&channel=email",
        "status=all&sort=name&category=marketing",
        "status=all&sort=name&created_from=2020-01-01",
    ] {
        let answer = shelf.app.get(&format!("/campaigns?{other}&cursor={cursor}")).send().await;
        answer.problem(400, "invalid_cursor");
    }
    let segments = shelf.app.get(&format!("/segments?cursor={cursor}")).send().await;
    segments.problem(400, "invalid_cursor");
    for broken in ["x", &cursor[..cursor.len() - 4], &format!("{cursor}AAAA")] {
        let answer = shelf.app.get(&format!("/campaigns?status=all&sort=name&cursor={broken}")).send().await;
        answer.problem(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let app = TestApp::new().await;
    for (query, name) in [
        ("status=nope", "status"),
        ("status=", "status"),
        ("sort=colour", "sort"),
        ("sort=--name", "sort"),
        ("created_from=soon", "created_from"),
        ("created_to=2027-02-30", "created_to"),
        ("modified_from=2027-01-01T00:00:00+01:00", "modified_from"),
        ("start_to=9999-12-31", "start_to"),
        ("time_zone=Mars/Olympus", "time_zone"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("channel=pigeon", "pigeon"),
        ("colour=red", "colour"),
    ] {
        let problem = app.get(&format!("/campaigns?{query}")).send().await.problem(400, "invalid_parameter");
        assert!(text(&problem, "detail").contains(name), "{query}: {problem}");
    }
}

/// Corpus J4.
#[tokio::test]
async fn a_date_is_that_of_the_zone_that_is_asked_for() {
    let app = TestApp::new().await;
    let id = app.create("/campaigns", &json!({ "name": "late", "category": "marketing" })).await;
    bring(&app, &id, Status::Scheduled, Some("2027-01-14T23:30:00Z")).await;
    let count = async |query: &str| {
        let page = app.get(&format!("/campaigns?{query}")).send().await.expect(200);
        page["items"].as_array().unwrap().len()
    };
    for sort in ["start", "modified"] {
        for (day, zone, expected) in [
            // Half past eleven in London is half past midnight in Berlin.
            ("2027-01-15", "Europe/Berlin", 1),
            ("2027-01-14", "Europe/Berlin", 0),
            ("2027-01-14", "UTC", 1),
            ("2027-01-15", "UTC", 0),
            ("2027-01-14", "America/Sao_Paulo", 1),
        ] {
            let query = format!("start_from={day}&start_to={day}&time_zone={zone}&sort={sort}");
            assert_eq!(count(&query).await, expected, "{query}");
        }
        let query = format!("start_from=2027-01-15T00:30&time_zone=Europe/Berlin&sort={sort}");
        assert_eq!(count(&query).await, 1);
        assert_eq!(count(&format!("start_to=2027-01-15T00:30&time_zone=Europe/Berlin&sort={sort}")).await, 0);
        assert_eq!(count(&format!("start_from=2027-01-14&start_to=2027-01-14&sort={sort}")).await, 1);
    }
}
