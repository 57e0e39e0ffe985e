//! The suppression list, from the outside.

use campaign::suppression::SuppressionReason;
use campaign::{Category, Channel};
use serde_json::{Value, json};

use crate::app::TestApp;

async fn stopped(app: &TestApp, category: Category, address: &str) -> bool {
    !app.store.suppressions.which(Channel::Email, category, &[address]).await.unwrap().is_empty()
}

fn ann(reason: &str) -> Value {
    json!({ "channel": "email", "address": " Ann@Example.ORG ", "reason": reason, "source": "support" })
}

#[tokio::test]
async fn an_address_is_added_found_listed_and_removed() {
    let app = TestApp::new().await;
    let added = app.post("/suppressions").json(&ann("complaint")).send().await.expect(201);
    assert_eq!((&added["address"], &added["reason"]), (&json!("Ann@example.org"), &json!("complaint")));
    let again = app.post("/suppressions").json(&ann("hard_bounce")).send().await.expect(200);
    assert_eq!((&again["reason"], &again["at"]), (&json!("hard_bounce"), &added["at"]));
    let lesser = app.post("/suppressions").json(&ann("complaint")).send().await.expect(200);
    assert_eq!(lesser["reason"], "hard_bounce");
    assert!(stopped(&app, Category::Transactional, "ann@example.org").await);

    let listed = app.get("/suppressions").send().await.expect(200);
    assert_eq!(listed["items"], json!([again]));
    let one = "/suppressions?channel=email&address=ANN@example.org";
    assert_eq!(app.get(one).send().await.expect(200)["items"], json!([again]));
    app.delete(one).send().await.expect(204);
    app.delete(one).send().await.problem(404, "not_found");
    assert_eq!(app.get(one).send().await.expect(200)["items"], json!([]));
    assert!(!stopped(&app, Category::Marketing, "ann@example.org").await);
}

#[tokio::test]
async fn the_list_is_paged_the_newest_first() {
    let app = TestApp::new().await;
    for number in 0..5 {
        let body = json!({ "channel": "sms", "address": format!("+3361234567{number}") });
        app.post("/suppressions").json(&body).send().await.expect(201);
        app.clock.advance(std::time::Duration::from_secs(1));
    }
    let mut found = Vec::new();
    let mut path = "/suppressions?channel=sms&limit=2".to_owned();
    loop {
        let page = app.get(&path).send().await.expect(200);
        found.extend(page["items"].as_array().unwrap().iter().map(|item| item["address"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/suppressions?channel=sms&limit=2&cursor={next}");
    }
    let expected: Vec<_> = (0..5).rev().map(|number| json!(format!("+3361234567{number}"))).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_domain_is_suppressed_with_all_its_addresses() {
    let app = TestApp::new().await;
    let path = "/suppressions/domains/K%C3%A4se.de";
    app.put(path).json(&json!({ "source": "legal" })).send().await.expect(204);
    assert!(stopped(&app, Category::Transactional, "anybody@xn--kse-qla.de").await);
    let listed = app.get("/suppressions/domains").send().await.expect(200);
    assert_eq!(listed["items"][0]["domain"], "xn--kse-qla.de");
    assert_eq!(
        (&listed["items"][0]["reason"], &listed["items"][0]["source"]),
        (&json!("manual"), &json!("legal"))
    );
    app.delete(path).send().await.expect(204);
    app.delete(path).send().await.problem(404, "not_found");
    assert!(!stopped(&app, Category::Marketing, "anybody@xn--kse-qla.de").await);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let app = TestApp::new().await;
    for (body, field) in [
        (json!({ "channel": "email", "address": "ann" }), "address"),
        (json!({ "channel": "sms", "address": "ann@example.org" }), "address"),
        (json!({ "channel": "push", "address": "x" }), "channel"),
        (json!({ "channel": "email", "address": "a@x.io", "reason": "whim" }), "reason"),
        (json!({ "channel": "email", "address": "a@x.io", "source": "x".repeat(201) }), "source"),
    ] {
        let refused = app.post("/suppressions").json(&body).send().await.problem(400, "invalid_field");
        assert_eq!(refused["errors"][0]["field"], field, "{body}");
    }
    app.put("/suppressions/domains/localhost").json(&json!({})).send().await.problem(400, "invalid_field");
    app.get("/suppressions?channel=webhook&address=x").send().await.problem(400, "invalid_parameter");
    app.delete("/suppressions?channel=email&address=x").send().await.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn only_a_transactional_configuration_may_ignore_the_list() {
    let app = TestApp::new().await;
    let body = |category: &str| {
        let sender = json!({ "channel": "email", "from": "a@x.io" });
        json!({ "name": "n", "category": category, "ignores_suppression": true, "sender": sender })
    };
    let created = app.post("/configurations").json(&body("transactional")).send().await.expect(201);
    assert_eq!(created["ignores_suppression"], true);
    let refused = app.post("/configurations").json(&body("marketing")).send().await;
    assert_eq!(refused.problem(400, "invalid_field")["errors"][0]["field"], "ignores_suppression");
}

#[tokio::test]
async fn an_entry_of_which_the_hash_alone_is_known_is_shown_and_removed() {
    let app = TestApp::new().await;
    let list = &app.store.suppressions;
    let hash = list.hash(Channel::Email, "ann@example.org").await.unwrap();
    let reason = SuppressionReason::Unsubscribed;
    list.add_hashed(Channel::Email, hash, reason, Some("link".to_owned())).await.unwrap();
    let listed = app.get("/suppressions").send().await.expect(200)["items"][0].clone();
    assert_eq!((&listed["address"], &listed["hash"]), (&Value::Null, &json!(hash.to_string())));
    assert_eq!((&listed["reason"], &listed["source"]), (&json!("unsubscribed"), &json!("link")));
    assert!(stopped(&app, Category::Marketing, "ann@example.org").await);
    assert!(!stopped(&app, Category::Transactional, "ann@example.org").await);
    let one = "/suppressions?channel=email&address=Ann@example.org";
    assert_eq!(app.get(one).send().await.expect(200)["items"], json!([listed]));
    let by_hash = format!("/suppressions?hash={hash}");
    app.delete(&by_hash).send().await.expect(204);
    app.delete(&by_hash).send().await.problem(404, "not_found");
    for wrong in ["hash=x", "channel=email", "address=a@x.io", "hash=x&channel=email&address=a@x.io", ""] {
        app.delete(&format!("/suppressions?{wrong}")).send().await.problem(400, "invalid_parameter");
    }
    list.add_hashed(Channel::Email, hash, reason, None).await.unwrap();
    app.delete(one).send().await.expect(204);
}

async fn import(app: &TestApp, path: &str, file: &str) -> Value {
    let report = app.post(path).csv(file.to_owned()).send().await.expect(200);
    let parts = ["new", "updated", "unchanged", "invalid"];
    let sum: u64 = parts.iter().map(|name| report[name].as_u64().unwrap()).sum();
    assert_eq!(report["rows"], sum, "{report}");
    report
}

#[tokio::test]
async fn a_file_is_imported_and_what_is_wrong_in_it_is_named() {
    let app = TestApp::new().await;
    let file = "address;reason;source\r\nann@example.org;hard_bounce;crm\r\nann;;\r\nbob@example.org;;\r\n";
    let report = import(&app, "/suppressions/import?reason=complaint&source=old%20list", file).await;
    assert_eq!((&report["new"], &report["invalid"]), (&json!(2), &json!(1)));
    let error = &report["errors"][0];
    assert_eq!((&error["row"], &error["line"], &error["field"]), (&json!(2), &json!(3), &json!("address")));
    let listed = app.get("/suppressions?address=bob@example.org").send().await.expect(200);
    assert_eq!(
        (&listed["items"][0]["reason"], &listed["items"][0]["source"]),
        (&json!("complaint"), &json!("old list"))
    );
    let again = import(&app, "/suppressions/import?reason=complaint", file).await;
    assert_eq!((&again["new"], &again["unchanged"]), (&json!(0), &json!(2)));
    let phones = import(&app, "/suppressions/import?channel=sms", "address\n+44 20 7946 0000\n").await;
    assert_eq!(phones["new"], 1);

    app.post("/suppressions/import").csv("email\na@x.io\n").send().await.problem(400, "invalid_csv");
    app.post("/suppressions/import").json(&json!({})).send().await.problem(415, "unsupported_media_type");
    let push = app.post("/suppressions/import?channel=push").csv("address\nx\n").send().await;
    push.problem(400, "invalid_parameter");
}

/// Row G12.
#[tokio::test]
async fn an_export_is_safe_in_a_spreadsheet_comes_in_parts_and_can_be_imported() {
    use std::fmt::Write;

    let app = TestApp::new().await;
    app.put("/suppressions/domains/example.net").json(&json!({ "source": "=1+1" })).send().await.expect(204);
    let hash = app.store.suppressions.hash(Channel::Email, "gone@example.org").await.unwrap();
    let reason = SuppressionReason::Unsubscribed;
    app.store.suppressions.add_hashed(Channel::Email, hash, reason, None).await.unwrap();
    app.clock.advance(std::time::Duration::from_secs(1));
    let mut file = "address,reason,source\n=cmd@example.org,hard_bounce,\"a \"\"b\"\", c\"\n".to_owned();
    for number in 0..5010 {
        writeln!(file, "p{number}@example.org,,").unwrap();
    }
    assert_eq!(import(&app, "/suppressions/import", &file).await["new"], 5011);

    let (mut whole, mut parts, mut path) = (String::new(), 0, "/suppressions/export".to_owned());
    loop {
        let part = app.get(&path).send().await;
        assert_eq!(part.headers["content-type"], "text/csv; charset=utf-8");
        let next = part.headers.get("x-next-cursor").map(|next| next.to_str().unwrap().to_owned());
        whole.push_str(std::str::from_utf8(&part.body).unwrap());
        parts += 1;
        let Some(next) = next else { break };
        path = format!("/suppressions/export?cursor={next}");
    }
    assert_eq!(parts, 2);
    let lines: Vec<_> = whole.lines().collect();
    assert_eq!(lines.len(), 1 + 1 + 5011 + 1);
    assert_eq!(lines[0], "channel,address,domain,hash,reason,source,at");
    assert!(lines[1].starts_with("email,,example.net,,manual,'=1+1,2026-"), "{}", lines[1]);
    assert!(whole.contains("email,'=cmd@example.org,,"), "a formula is defused");
    assert!(whole.contains(",hard_bounce,\"a \"\"b\"\", c\","));
    assert!(lines.last().unwrap().starts_with(&format!("email,,,{hash},unsubscribed,,")));
    app.get("/suppressions/export?cursor=x").send().await.problem(400, "invalid_cursor");

    let elsewhere = TestApp::new().await;
    let report = import(&elsewhere, "/suppressions/import", &whole).await;
    assert_eq!((&report["new"], &report["invalid"]), (&json!(5012), &json!(1)), "{}", report["errors"]);
    let found = elsewhere.store.suppressions.find(Channel::Email, "=cmd@example.org").await.unwrap();
    assert_eq!(found.unwrap().suppression.source.as_deref(), Some("a \"b\", c"));
}

#[tokio::test]
async fn a_place_in_one_channel_s_list_is_none_in_another_s() {
    let app = TestApp::new().await;
    for number in 0..3 {
        let body = json!({ "channel": "sms", "address": format!("+3361234567{number}") });
        app.post("/suppressions").json(&body).send().await.expect(201);
    }
    let page = app.get("/suppressions?channel=sms&limit=2").send().await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    app.get(&format!("/suppressions?channel=sms&cursor={cursor}")).send().await.expect(200);
    for elsewhere in ["/suppressions?channel=email", "/suppressions?", "/suppressions/export?channel=sms"] {
        let path = format!("{elsewhere}&cursor={cursor}");
        app.get(&path).send().await.problem(400, "invalid_cursor");
    }
}
