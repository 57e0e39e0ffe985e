use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn a_profile_is_put_read_found_and_deleted() {
    let app = TestApp::new().await;
    let path = "/profiles/00000000000000000000000004";
    let body = json!({
        "external_id": "c-1",
        "email": " Ann@Example.ORG ",
        "phone": "+44 20 7946 0000",
        "push_tokens": [{ "app_id": "a", "platform": "ios", "token": "t" }],
        "language": "en",
        "time_zone": "Europe/London",
        "consent": { "email": "in", "sms": "out" },
        "attributes": { "person": { "name": { "firstName": "Ann" } }, "orders": [1, 2] },
    });
    let answer = app.put(path).json(&body).send().await;
    assert_eq!(answer.etag(), "\"1\"");
    let made = answer.expect(201);
    assert_eq!(made["id"], "00000000000000000000000004");
    assert_eq!(made["email"], "Ann@example.org");
    assert_eq!(made["phone"], "+442079460000");
    assert_eq!(made["attributes"], body["attributes"]);
    let got = app.get(path).send().await;
    assert_eq!(got.etag(), "\"1\"");
    assert_eq!(got.expect(200), made);
    for query in ["email=ann@EXAMPLE.org", "external_id=c-1", "phone=%2B442079460000"] {
        let found = app.get(&format!("/profiles?{query}")).send().await.expect(200);
        assert_eq!(found["items"], json!([made]), "{query}");
    }
    // What was read may be put back as it is; the whole profile is replaced.
    app.put(path).json(&made).send().await.expect(200);
    let replaced = app.put(path).json(&json!({ "external_id": "c-1" })).send().await.expect(200);
    assert_eq!(replaced, json!({ "id": made["id"], "external_id": "c-1", "attributes": {} }));
    assert_eq!(app.get("/profiles?email=ann@example.org").send().await.expect(200)["items"], json!([]));

    app.delete(path).send().await.expect(204);
    app.get(path).send().await.problem(404, "not_found");
    app.delete(path).send().await.problem(404, "not_found");
    assert_eq!(app.get("/profiles?external_id=c-1").send().await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn if_match_decides_between_two_editors() {
    let app = TestApp::new().await;
    let path = "/profiles/00000000000000000000000004";
    app.put(path)
        .header("if-match", "\"1\"")
        .json(&json!({}))
        .send()
        .await
        .problem(412, "precondition_failed");
    let etag = app.put(path).json(&json!({ "language": "en" })).send().await.etag();
    app.put(path).header("if-match", &etag).json(&json!({ "language": "fr" })).send().await.expect(200);
    app.put(path)
        .header("if-match", &etag)
        .json(&json!({ "language": "de" }))
        .send()
        .await
        .problem(412, "precondition_failed");
    app.delete(path).header("if-match", &etag).send().await.problem(412, "precondition_failed");
    app.delete(path).header("if-match", "\"7\", W/\"2\"").send().await.expect(204);
}

/// Corpus F8: which addresses are one.
#[tokio::test]
async fn addresses_are_judged_as_they_come_in() {
    let app = TestApp::new().await;
    for good in ["a+b@x.io", "o'brien@x.ie", "\"john doe\"@x.io", "hähn@käse.de".trim_start_matches("hähn@")]
    {
        let address = if good.contains('@') { good.to_owned() } else { format!("hahn@{good}") };
        app.create("/profiles", &json!({ "email": address })).await;
    }
    for bad in ["a@b", "a..b@x.io", "a.@x.io", "a@x.io.", "a\u{a0}b@x.io", ""] {
        let problem =
            app.post("/profiles").json(&json!({ "email": bad })).send().await.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], "email", "{bad:?}");
    }
}

#[tokio::test]
async fn a_bad_field_is_named_and_nothing_is_stored() {
    let app = TestApp::new().await;
    for (body, field) in [
        (json!({ "attributes": { "email": "a@x.io" } }), "attributes.email"),
        (json!({ "attributes": { "consent": {} } }), "attributes.consent"),
        (json!({ "attributes": [] }), ""),
        (json!({ "first_name": "Ann" }), "first_name"),
        (json!({ "id": "00000000000000000000000004" }), "id"),
        (json!({ "consent": { "fax": "in" } }), "consent.fax"),
        (json!({ "consent": { "email": true } }), "consent.email"),
        (json!({ "push_tokens": [{ "app_id": "a", "platform": "ios" }] }), "push_tokens[0].token"),
        (json!({ "phone": "12" }), "phone"),
        (json!({ "attributes": { "notes": "x".repeat(65 * 1024) } }), "attributes"),
    ] {
        let problem = app.post("/profiles").json(&body).send().await.problem(400, "invalid_field");
        if !field.is_empty() {
            assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        }
    }
    assert_eq!(app.store.profiles.estimate().await.unwrap(), 0);
}

#[tokio::test]
async fn an_identity_belongs_to_one_profile() {
    let app = TestApp::new().await;
    app.create("/profiles", &json!({ "email": "ann@x.io" })).await;
    let problem = app
        .post("/profiles")
        .json(&json!({ "email": "ANN@x.io" }))
        .send()
        .await
        .problem(409, "identity_taken");
    assert_eq!(problem["errors"][0]["field"], "email");
    let other = "/profiles/00000000000000000000000004";
    app.put(other).json(&json!({ "email": "ann@x.io" })).send().await.problem(409, "identity_taken");
}

#[tokio::test]
async fn finding_takes_exactly_one_identity() {
    let app = TestApp::new().await;
    app.get(&format!("/profiles?external_id={}", "x".repeat(5000)))
        .send()
        .await
        .problem(400, "invalid_parameter");
    for query in ["", "?email=a@x.io&phone=%2B442079460000", "?email=nobody", "?phone=1", "?name=x"] {
        app.get(&format!("/profiles{query}")).send().await.problem(400, "invalid_parameter");
    }
}

async fn batch(app: &TestApp, profiles: Value) -> Value {
    app.post("/profiles/batch").json(&json!({ "profiles": profiles })).send().await.expect(200)
}

#[tokio::test]
async fn a_batch_creates_merges_and_reports_each() {
    let app = TestApp::new().await;
    let first = batch(
        &app,
        json!([
            { "email": "ann@x.io", "consent": { "email": "in", "sms": "out" }, "attributes": { "a": { "b": 1, "c": 2 }, "d": 1 } },
            { "email": "not one" },
            { "language": "en" },
            { "external_id": "bob", "attributes": { "email": 1 } },
            { "external_id": "cy", "language": "fr" },
            { "external_id": "cy", "language": "de" },
        ]),
    )
    .await;
    let statuses: Vec<_> =
        first["results"].as_array().unwrap().iter().map(|item| item["status"].clone()).collect();
    assert_eq!(statuses, ["created", "invalid", "invalid", "invalid", "duplicate", "created"]);
    assert_eq!(
        (&first["created"], &first["duplicates"], &first["invalid"]),
        (&json!(2), &json!(1), &json!(3))
    );
    assert_eq!(first["results"][1]["errors"][0]["field"], "email");
    assert_eq!(first["results"][3]["errors"][0]["field"], "attributes.email");

    // A merge patch: what it does not name stays, an opt-out from another channel above all.
    let second = batch(
        &app,
        json!([{ "email": "Ann@X.io", "consent": { "email": "out" }, "attributes": { "a": { "b": 3 }, "d": null } }]),
    )
    .await;
    assert_eq!(second["updated"], 1);
    assert_eq!(second["results"][0]["id"], first["results"][0]["id"]);
    let ann = app
        .get(&format!("/profiles/{}", second["results"][0]["id"].as_str().unwrap()))
        .send()
        .await
        .expect(200);
    assert_eq!(ann["consent"], json!({ "email": "out", "sms": "out" }));
    assert_eq!(ann["attributes"], json!({ "a": { "b": 3, "c": 2 } }));
    let cy = app.get("/profiles?external_id=cy").send().await.expect(200);
    assert_eq!(cy["items"][0]["language"], "de");
}

#[tokio::test]
async fn a_batch_has_a_size() {
    let app = TestApp::new().await;
    let many: Vec<_> = (0..501).map(|n| json!({ "external_id": n.to_string() })).collect();
    for profiles in [json!([]), json!(many)] {
        let answer = app.post("/profiles/batch").json(&json!({ "profiles": profiles })).send().await;
        assert_eq!(answer.problem(400, "invalid_field")["errors"][0]["field"], "profiles");
    }
    assert_eq!(batch(&app, json!(many[..500])).await["created"], 500);
}

#[tokio::test]
async fn a_star_matches_whatever_is_there_and_nothing_else() {
    let app = TestApp::new().await;
    let path = "/profiles/00000000000000000000000004";
    let put = || app.put(path).header("if-match", "*").json(&json!({ "language": "en" })).send();
    put().await.problem(412, "precondition_failed");
    app.put(path)
        .header("if-match", "\"0\"")
        .json(&json!({}))
        .send()
        .await
        .problem(412, "precondition_failed");
    app.put(path).json(&json!({})).send().await.expect(201);
    put().await.expect(200);
    app.delete(path).header("if-match", "*").send().await.expect(204);
}

#[tokio::test]
async fn a_delete_that_names_a_revision_deletes_no_later_one() {
    let app = TestApp::on_disk().await;
    for round in 0..40 {
        let path = &format!("/profiles/{}", campaign::ProfileId::random());
        let etag = app.put(path).json(&json!({ "language": "en" })).send().await.etag();
        let (put, delete) = futures::join!(
            app.put(path).header("if-match", &etag).json(&json!({ "language": "fr" })).send(),
            app.delete(path).header("if-match", &etag).send()
        );
        // Whoever was first, the other has read something else.
        match (put.status.as_u16(), delete.status.as_u16()) {
            (200, 412) => assert_eq!(app.get(path).send().await.expect(200)["language"], "fr"),
            (412, 204) => {
                app.get(path).send().await.problem(404, "not_found");
            }
            both => panic!("round {round}: {both:?}"),
        }
    }
}

#[tokio::test]
async fn what_an_earlier_item_of_a_batch_says_of_a_person_is_not_lost() {
    let app = TestApp::new().await;
    let body = json!({ "profiles": [
        { "email": "ann@x.io", "consent": { "email": "out" } },
        { "email": "Ann@x.io", "attributes": { "city": "Lyon" } },
        { "email": "ann@x.io", "consent": { "sms": "maybe" } },
    ] });
    let done = app.post("/profiles/batch").json(&body).send().await.expect(200);
    assert_eq!(
        (&done["created"], &done["duplicates"], &done["invalid"]),
        (&json!(1), &json!(1), &json!(1)),
        "{done}"
    );
    let ann = &app.get("/profiles?email=ann@x.io").send().await.expect(200)["items"][0];
    assert_eq!(
        (&ann["consent"], &ann["attributes"]),
        (&json!({ "email": "out" }), &json!({ "city": "Lyon" }))
    );
}
