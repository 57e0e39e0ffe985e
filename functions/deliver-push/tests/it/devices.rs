//! Several devices of one profile: one outcome, and tokens that are gone.

use std::collections::BTreeSet;

use super::*;

/// Answers by what the token begins with.
fn by_token(asked: &Asked) -> Reply {
    match asked.token().split('-').next().unwrap() {
        "ok" => Reply::taken(),
        "gone" => Reply::unregistered(),
        "foreign" => Reply::error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
        "busy" => Reply::Answer(503, "retry-after: 3\r\n", String::new()),
        "doubt" => Reply::error(500, "INTERNAL", "INTERNAL"),
        "wrong" => Reply::error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn one_outcome_is_made_of_all_devices_and_only_gone_tokens_are_removed() {
    let world = World::new(by_token).await;
    for (tokens, outcome, left) in [
        (&["ok-1", "gone-1", "doubt-1", "busy-1"][..], "accepted", &["ok-1", "doubt-1", "busy-1"][..]),
        (&["gone-2", "doubt-2", "busy-2"], "doubt", &["doubt-2", "busy-2"]),
        (&["gone-3", "busy-3", "wrong-3"], "again", &["busy-3", "wrong-3"]),
        (&["gone-4", "wrong-4"], "refused", &["wrong-4"]),
        (&["gone-5", "gone-6"], "bad address", &[]),
    ] {
        let (answer, id) = world.send_to(tokens).await;
        let got = match answer {
            Answer::Accepted => "accepted",
            Answer::Ambiguous { .. } => "doubt",
            Answer::NotAccepted { .. } => "again",
            Answer::Refused { code: Code::BadAddress, .. } => "bad address",
            Answer::Refused { .. } => "refused",
        };
        assert_eq!(got, outcome, "{tokens:?}");
        assert_eq!(world.tokens(id).await, left, "{tokens:?}");
    }
}

#[tokio::test]
async fn each_answer_finds_its_message_however_many_there_are() {
    let world = World::new(by_token).await;
    let (mut messages, mut all) = (Vec::new(), BTreeSet::new());
    for number in 0..10 {
        let kind = if number % 2 == 0 { "ok" } else { "gone" };
        let tokens: Vec<_> = (0..25).map(|device| format!("{kind}-{number}-{device}")).collect();
        all.extend(tokens.iter().take(20).cloned());
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let profile = world.profile(&number.to_string(), &tokens).await;
        messages.push(world.prepare(&hello(), profile).unwrap());
    }
    let answers = world.send(messages).await;
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(*answer == Answer::Accepted, number % 2 == 0, "{number}: {answer:?}");
    }
    let asked = world.google.asked();
    let sent: BTreeSet<_> = asked.iter().map(|asked| asked.token().to_owned()).collect();
    assert_eq!((asked.len(), sent), (200, all), "the first twenty of each, once");
}

#[tokio::test]
async fn tokens_of_another_project_are_removed_only_where_the_configuration_is_known_to_be_right() {
    let world = World::new(by_token).await;
    let (answer, first) = world.send_to(&["foreign-1"]).await;
    assert!(matches!(answer, Answer::Refused { code: Code::BadAddress, .. }), "{answer:?}");
    assert_eq!(world.tokens(first).await, ["foreign-1"], "perhaps it is the project that is wrong");
    let (answer, second) = world.send_to(&["foreign-2", "ok-2"]).await;
    assert_eq!(answer, Answer::Accepted);
    assert_eq!(world.tokens(second).await, ["ok-2"]);
    let (_, third) = world.send_to(&["foreign-3"]).await;
    assert_eq!(world.tokens(third).await, [""; 0]);
    // Where all apps are sent to, another configuration may have the token's project.
    let mut world = world;
    let settings = Settings { project_id: PROJECT.to_owned(), app_id: None };
    world.configuration.sender = SenderSettings::Push(settings);
    let (_, fourth) = world.send_to(&["foreign-4", "ok-4"]).await;
    assert_eq!(world.tokens(fourth).await, ["foreign-4", "ok-4"]);
}

#[tokio::test]
async fn a_profile_that_changes_meanwhile_keeps_its_change() {
    let world = World::new(by_token).await;
    let profile = world.profile("p", &["gone-1", "ok-1"]).await;
    let id = profile.id();
    let message = world.prepare(&hello(), profile).unwrap();
    let row = json!({ "external_id": "p", "city": "Lyon" });
    let Value::Object(document) = row else { panic!("an object") };
    world.store.profiles.upsert(vec![Incoming { document }]).await.unwrap();
    assert_eq!(world.send(vec![message]).await, [Answer::Accepted]);
    assert_eq!(world.tokens(id).await, ["ok-1"]);
    assert_eq!(world.store.profiles.get(id).await.unwrap().value.text("city"), Some("Lyon"));
}

#[tokio::test]
async fn a_proof_goes_to_its_own_token_and_removes_nothing() {
    let world = World::new(by_token).await;
    let profile = world.profile("p", &["gone-1"]).await;
    let id = profile.id();
    let push = world.prepare_to(&hello(), profile, Some("gone-1")).unwrap();
    let answers = world.send(vec![push]).await;
    assert!(matches!(answers[..], [Answer::Refused { code: Code::BadAddress, .. }]), "{answers:?}");
    assert_eq!(world.tokens(id).await, ["gone-1"]);
    assert_eq!(world.google.asked()[0].message["notification"]["title"], "Hello p");
}

#[tokio::test]
async fn a_call_s_recipient_without_a_profile_has_nothing_to_be_removed() {
    let world = World::new(by_token).await;
    let external = nobody(json!({ "name": "x", "push_tokens": [device("app", "ios", "gone-1")] }));
    let push = world.prepare(&hello(), external).unwrap();
    let answers = world.send(vec![push]).await;
    assert!(matches!(answers[..], [Answer::Refused { code: Code::BadAddress, .. }]), "{answers:?}");
}
