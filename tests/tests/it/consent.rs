//! Whom a message must not reach, each by name and reason: consent, topics, the suppression list and the allowed list.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use campaign::outcome::OnUnknown;
use campaign::suppression::SuppressionReason;
use campaign::{Channel, Code, Topic, TopicId};
use envoi_local::config::Email;
use envoi_local::{Config, Node};
use envoi_tests::process::Api;
use envoi_tests::sim::{Fate, Faults, Options, Person, Verdict, World};
use serde_json::{Value, json};

const POLL: Duration = Duration::from_millis(20);

async fn node(folder: &Path) -> (Node, Api) {
    let node = Node::start(Config::new(folder, Email::Outbox(folder.join("outbox")))).await.unwrap();
    let api = Api::new(&format!("http://{}", node.address()), node.first_key().unwrap());
    (node, api)
}

/// Sends a campaign to everybody, and says by external id what became of whom. What was counted adds up to the same.
async fn outcomes(api: &Api, category: &str, topic: Option<&str>) -> BTreeMap<String, String> {
    let sender = json!({ "channel": "email", "from": "news@example.org" });
    let configuration = json!({ "name": "n", "category": category, "sender": sender });
    let configuration = api.create("/configurations", &configuration).await.unwrap();
    let segment = api.rule("has(profile.external_id)").await.unwrap();
    let link = if category == "marketing" { "<a href=\"{{links.unsubscribe}}\">No more</a>" } else { "" };
    let html = format!("<p>Hello</p>{link}");
    let content = json!({ "subject": "Hello", "body": { "html": html } });
    let campaign = json!({
        "name": "n", "category": category, "segment_id": segment, "topic": topic,
        "actions": [{ "channel": "email", "configuration_id": configuration, "content": content }],
    });
    let campaign = api.create("/campaigns", &campaign).await.unwrap();
    api.activate(&campaign).await.unwrap();
    let execution = api.finished(&campaign, POLL).await.unwrap();
    let recipients =
        api.all(&format!("/executions/{}/recipients", execution["id"].as_str().unwrap())).await.unwrap();
    let (mut by_name, mut by_reason) = (BTreeMap::new(), BTreeMap::new());
    for recipient in &recipients {
        let path = format!("/profiles/{}", recipient["profile_id"].as_str().unwrap());
        let name = api.get(&path).await.unwrap()["external_id"].as_str().unwrap().to_owned();
        let reason = recipient["reason"].as_str().unwrap().to_owned();
        if recipient["outcome"] == "excluded" {
            *by_reason.entry(reason.clone()).or_insert(0) += 1;
        }
        assert_eq!(by_name.insert(name, reason), None, "{recipients:?}");
    }
    let total = &execution["total"];
    assert_eq!((&total["targeted"], &total["balances"]), (&json!(recipients.len()), &json!(true)), "{total}");
    assert_eq!(total["excluded"]["reasons"], json!(by_reason), "by count and by name");
    assert_eq!(total["sent"], by_name.values().filter(|reason| *reason == "sent").count());
    by_name
}

fn named(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, reason)| ((*name).to_owned(), (*reason).to_owned())).collect()
}

/// Rows E6, H2, J1 and J3.
#[tokio::test]
async fn topics_and_lists_leave_people_out_by_name_and_everything_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let (node, api) = node(folder.path()).await;
    api.put("/topics/newsletter", &json!({ "names": { "en": "News" } })).await.unwrap();
    let import = api
        .import(
            "email,external_id,consent.email,topics.newsletter,topics.offers\n\
             ada@example.org,ada,,,\n\
             bob@example.org,bob,,out,\n\
             cid@example.org,cid,in,in,out\n\
             pia@example.org,pia,pending,in,\n\
             out@example.org,out,out,,\n\
             sue@example.org,sue,,,\n\
             una@example.org,una,,,\n\
             eve@example.com,eve,,,\n\
             tom@example.com,tom,,,\n",
        )
        .await
        .unwrap();
    assert_eq!(import["created"], 9, "{import}");
    let list = &node.store().suppressions;
    let hash = list.hash(Channel::Email, "una@example.org").await.unwrap();
    list.add_hashed(Channel::Email, hash, SuppressionReason::Unsubscribed, None).await.unwrap();
    let bounced = json!({ "channel": "email", "address": "sue@example.org", "reason": "hard_bounce" });
    api.post("/suppressions", &bounced).await.unwrap();
    let entries = json!({ "entries": ["example.org", "tom@example.com"] });
    api.post("/allowed/email/entries", &entries).await.unwrap();
    api.put("/allowed/email", &json!({ "enabled": true })).await.unwrap();

    let of_marketing = [
        ("ada", "sent"),
        ("bob", "no_consent"),
        ("cid", "sent"),
        ("pia", "no_consent"),
        ("out", "no_consent"),
        ("sue", "suppressed"),
        ("una", "suppressed"),
        ("eve", "not_allowed"),
        ("tom", "sent"),
    ];
    assert_eq!(outcomes(&api, "marketing", Some("newsletter")).await, named(&of_marketing));
    let without_topic =
        of_marketing.map(|(name, reason)| (name, if name == "bob" { "sent" } else { reason }));
    assert_eq!(outcomes(&api, "marketing", None).await, named(&without_topic));
    let of_transactional = of_marketing.map(|(name, reason)| match name {
        "sue" | "eve" => (name, reason),
        _ => (name, "sent"),
    });
    assert_eq!(outcomes(&api, "transactional", None).await, named(&of_transactional));

    let mails = || std::fs::read_dir(folder.path().join("outbox")).unwrap().count();
    let before = mails();
    assert_eq!(before, 3 + 4 + 7);
    for entry in ["example.org", "tom@example.com"] {
        api.delete(&format!("/allowed/email/entries?entry={entry}")).await.unwrap();
    }
    let nobody = of_marketing.map(|(name, _)| (name, "not_allowed"));
    assert_eq!(outcomes(&api, "transactional", None).await, named(&nobody), "it is on and empty");
    assert_eq!(mails(), before);
    node.stop().await.unwrap();
}

fn people(number: u8) -> Vec<Person> {
    (1..=number).map(|number| Person::new(number, Fate::Taken)).collect()
}

/// Makes the world's campaign be about a topic.
async fn about(world: &World, topic: &TopicId) {
    let store = &world.store;
    let names = [("en".to_owned(), "News".to_owned())].into();
    store.topics.put(&Topic { id: topic.clone(), names }).await.unwrap();
    let campaign = store.campaigns.get(world.campaign).await.unwrap();
    let mut version = store.campaigns.version(campaign.id, 1).await.unwrap();
    let contents = store.campaigns.contents(campaign.id, &version).await.unwrap();
    version.topic = Some(topic.clone());
    let (by, changed) = (campaign::model::Actor::envoi(), vec!["topic".to_owned()]);
    store.campaigns.save_draft(&campaign, Some((&version, &contents)), 1, &by, changed).await.unwrap();
}

#[tokio::test]
async fn b17_who_says_no_to_the_topic_before_the_message_goes_out_gets_none() {
    let world = World::new(people(20), Options::default(), Faults::new(None)).await;
    let (news, offers) = ("news".parse().unwrap(), "offers".parse().unwrap());
    about(&world, &news).await;
    world.activate().await;
    let mut handled = 0;
    world
        .run_until(|_| {
            handled += 1;
            handled == 2
        })
        .await;
    assert_eq!(world.provider.total(), 0, "nothing is delivered yet");
    let profiles = &world.store.profiles;
    assert!(profiles.opt_out(world.people[3].id, Channel::Email, Some(&news)).await.unwrap());
    assert!(profiles.opt_out(world.people[4].id, Channel::Email, Some(&offers)).await.unwrap());
    assert!(profiles.opt_out(world.people[5].id, Channel::Email, None).await.unwrap());
    assert!(profiles.opt_out(world.people[6].id, Channel::Sms, None).await.unwrap());
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "no to a topic").await;
    assert_eq!((verdict.count(Code::NoConsent), verdict.count(Code::Sent)), (2, 18));
    for person in [3, 5] {
        assert_eq!(verdict.codes[&world.people[person].id], Code::NoConsent);
    }
}

#[tokio::test]
async fn a_list_that_is_turned_on_after_the_fan_out_holds_for_what_is_not_sent_yet() {
    let world = World::new(people(20), Options::default(), Faults::new(None)).await;
    world.activate().await;
    let mut handled = 0;
    world
        .run_until(|_| {
            handled += 1;
            handled == 2
        })
        .await;
    assert_eq!(world.provider.total(), 0, "nothing is delivered yet");
    let turn_on = |list: &mut store::allowed::Allowed| {
        list.enabled = true;
        list.entries.extend([1, 2, 3].map(|number| format!("person-{number}@example.org")));
    };
    world.store.allowed.change(Channel::Email, turn_on).await.unwrap();
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "an allowed list").await;
    assert_eq!((verdict.count(Code::NotAllowed), verdict.count(Code::Sent)), (17, 3));
}

/// A proof that was asked for before the list was turned on.
#[tokio::test]
async fn a_proof_keeps_to_the_list_as_it_is_when_it_goes_out() {
    let folder = tempfile::tempdir().unwrap();
    let (node, api) = node(folder.path()).await;
    let sender = json!({ "channel": "email", "from": "news@example.org" });
    let body = json!({ "name": "n", "category": "marketing", "sender": sender });
    let configuration = api.create("/configurations", &body).await.unwrap();
    let path = format!("/configurations/{configuration}/test");
    api.post("/allowed/email/entries", &json!({ "entries": ["me@example.org"] })).await.unwrap();
    api.put("/allowed/email", &json!({ "enabled": true })).await.unwrap();
    assert!(api.post(&path, &json!({ "addresses": ["you@example.org"] })).await.is_err());
    // As one would lie in the queue.
    let id: campaign::ConfigurationId = configuration.parse().unwrap();
    let proof = store::messages::Proof {
        id: "proof".to_owned(),
        campaign: None,
        configuration: id,
        profile: None,
        context: Value::Null,
        addresses: ["you@example.org", "Me@example.org"].map(str::to_owned).to_vec(),
        content: campaign::lowered::LoweredContent::Email(campaign::lowered::LoweredEmail {
            format: campaign::lowered::EMAIL_FORMAT,
            subject: "A test".to_owned(),
            text: "A test".to_owned(),
            ..Default::default()
        }),
    };
    node.store().platform.queue.send(vec![proof.message()]).await.unwrap();
    let outbox = folder.path().join("outbox");
    while std::fs::read_dir(&outbox).map_or(0, Iterator::count) == 0 {
        tokio::time::sleep(POLL).await;
    }
    node.stop().await.unwrap();
    let files: Vec<_> = std::fs::read_dir(&outbox).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let mail = std::fs::read_to_string(&files[0]).unwrap();
    assert!(mail.contains("Me@example.org") && !mail.contains("you@example.org"), "{mail}");
}

/// Whoever has said no once gets no marketing by a call that brings their address along as somebody's without a profile.
#[tokio::test]
async fn a_call_that_names_only_an_address_heeds_what_its_owner_has_said() {
    let folder = tempfile::tempdir().unwrap();
    let (node, api) = node(folder.path()).await;
    api.put("/topics/offers", &json!({ "names": { "en": "Offers" } })).await.unwrap();
    let people = "email,external_id,consent.email,topics.offers\n\
        out@example.org,out,out,\nyes@example.org,yes,in,\ntop@example.org,top,,out\n";
    api.import(people).await.unwrap();
    for (category, sent) in [("marketing", 2), ("transactional", 4)] {
        let sender = json!({ "channel": "email", "from": "news@example.org" });
        let configuration = json!({ "name": "n", "category": category, "sender": sender });
        let configuration = api.create("/configurations", &configuration).await.unwrap();
        let topic = (category == "marketing").then_some("offers");
        let content =
            json!({ "subject": "Hello", "body": { "html": "<a href=\"{{links.unsubscribe}}\">x</a>" } });
        let campaign = api
            .create("/campaigns", &json!({
                "name": "n", "type": "api_triggered", "category": category, "topic": topic,
                "actions": [{ "channel": "email", "configuration_id": configuration, "content": content }],
            }))
            .await
            .unwrap();
        api.activate(&campaign).await.unwrap();
        let is_live = async || api.get(&format!("/campaigns/{campaign}")).await.unwrap()["status"] == "live";
        while !is_live().await {
            tokio::time::sleep(POLL).await;
        }
        let recipient =
            |address: &str| json!({ "type": "external", "userId": address, "namespace": "email" });
        let called = ["Out@example.org", "yes@example.org", "top@example.org", "new@example.org"];
        let recipients: Vec<_> = called.into_iter().map(recipient).collect();
        let call = json!({ "requestId": category, "campaignId": campaign, "recipients": recipients });
        let called = api.post("/im/executions/unitary", &call).await.unwrap();
        let execution = called["executionId"].as_str().unwrap();
        let total = async || api.get(&format!("/executions/{execution}")).await.unwrap()["total"].clone();
        while total().await["pending"] != 0 {
            tokio::time::sleep(POLL).await;
        }
        let total = total().await;
        assert_eq!((&total["sent"], &total["balances"]), (&json!(sent), &json!(true)), "{category}: {total}");
        let out = total["excluded"]["reasons"]["no_consent"].as_i64().unwrap_or(0);
        assert_eq!(out, 4 - sent, "{category}: {total}");
    }
    node.stop().await.unwrap();
}
