//! Calls to the program as it is, by HTTP, delivered to an SMTP server.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use envoi_tests::process::{Api, Envoi, GUARD};
use envoi_tests::sink::{Keep, Received, Sink, SinkOptions};
use mail_parser::MessageParser;
use platform::{Clock, SystemClock};
use serde_json::{Value, json};

const POLL: Duration = Duration::from_millis(20);
const PEOPLE: usize = 1200;
const NEWS: &str =
    "<p>Dear {{profile.person.name.firstName}}</p><a href=\"{{links.unsubscribe}}\">No more</a>";
const UNITARY: &str = "/im/executions/unitary";

/// A configuration with this rate.
async fn configuration(api: &Api, category: &str, rate: Option<u32>) -> String {
    let mut body = json!({
        "name": "Post", "category": category, "sender": { "channel": "email", "from": "post@example.org" },
    });
    if let Some(rate) = rate {
        body["rate_per_second"] = rate.into();
    }
    api.create("/configurations", &body).await.unwrap()
}

/// A campaign that takes calls, live. Doubt stays, so that nobody has to wait for its end.
async fn live(api: &Api, configuration: &str) -> String {
    let campaign = json!({
        "name": "Orders", "type": "api_triggered", "category": "transactional", "on_unknown": "hold",
        "actions": [{
            "channel": "email", "configuration_id": configuration,
            "content": {
                "subject": "Order {{context.order.id}} of {{profile.person.name.firstName}}",
                "body": { "html": "<p>{{profile.city}}: {{#each context.order.items}}{{this}};{{/each}}</p>" },
            },
        }],
    });
    let campaign = api.create("/campaigns", &campaign).await.unwrap();
    api.activate(&campaign).await.unwrap();
    until(|| async { api.get(&format!("/campaigns/{campaign}")).await.unwrap()["status"] == "live" }).await;
    campaign
}

/// Waits until something is so.
async fn until<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let begun = SystemClock.monotonic();
    while !is_so().await {
        assert!(SystemClock.monotonic() - begun < GUARD, "it never comes");
        SystemClock.sleep(POLL).await;
    }
}

/// A sink that takes its time, and a node that sends to it, with so many people in it.
async fn node(folder: &std::path::Path) -> (Sink, Envoi) {
    let options =
        SinkOptions { keep: Keep::Messages, delay: Duration::from_millis(40), ..SinkOptions::default() };
    let sink = Sink::start(options).await.unwrap();
    let mut envoi = Envoi::new(folder.join("envoi"), sink.address(), &[]);
    envoi.start().await.unwrap();
    let mut csv = "email,external_id,person.name.firstName,city\n".to_owned();
    for number in 0..PEOPLE {
        writeln!(csv, "p{number}@example.com,E{number},Ann{number},Oslo").unwrap();
    }
    let import = envoi.api().unwrap().import(csv).await.unwrap();
    assert_eq!(import["created"], PEOPLE, "{import}");
    (sink, envoi)
}

/// Starts a campaign to everybody, and waits until it is well under way.
async fn bulk(api: &Api, sink: &Sink, category: &str, configuration: &str) {
    let segment = api.rule("profile.city == \"Oslo\"").await.unwrap();
    let campaign = json!({
        "name": "News", "type": "scheduled", "category": category, "segment_id": segment,
        "actions": [{
            "channel": "email", "configuration_id": configuration,
            "content": { "subject": "News", "body": { "html": NEWS } },
        }],
    });
    let campaign = api.create("/campaigns", &campaign).await.unwrap();
    api.activate(&campaign).await.unwrap();
    until(|| async { sink.counts().accepted >= 100 }).await;
}

fn order(campaign: &str, request: &str, number: usize) -> Value {
    json!({
        "requestId": request, "campaignId": campaign,
        "recipients": [
            {
                "type": "aep", "userId": format!("p{number}@example.com"), "namespace": "email",
                "channelData": { "emailAddress": format!("{request}-stored@example.com") },
                "profile": { "city": "Lyon" },
                "context": { "order": { "id": request, "items": ["tea", "cups"] } },
            },
            {
                "type": "external", "userId": format!("{request}-new@example.com"), "namespace": "email",
                "profile": { "person": { "name": { "firstName": "Zoë" } } },
                "context": { "order": { "id": request, "items": [] } },
            },
        ],
    })
}

fn sent_to<'m>(messages: &'m [Received], address: &str) -> Vec<&'m Received> {
    messages.iter().filter(|message| message.to == address).collect()
}

/// Calls while a campaign to everybody is under way, by one configuration or by two.
async fn overtakes(rate: Option<u32>, shared: bool) {
    let folder = tempfile::tempdir().unwrap();
    let (sink, mut envoi) = node(folder.path()).await;
    let api = envoi.api().unwrap();
    let of_calls = configuration(api, "transactional", rate).await;
    let campaign = live(api, &of_calls).await;
    if shared {
        bulk(api, &sink, "transactional", &of_calls).await;
    } else {
        let of_bulk = configuration(api, "marketing", rate).await;
        bulk(api, &sink, "marketing", &of_bulk).await;
    }
    let mut executions = Vec::new();
    for number in 0..10 {
        let request = format!("r{number}");
        let body = order(&campaign, &request, number);
        let answer = api.post(UNITARY, &body).await.unwrap();
        assert_eq!(api.post(UNITARY, &body).await.unwrap(), answer, "asked again");
        executions.push(answer["executionId"].as_str().unwrap().to_owned());
        let address = format!("{request}-new@example.com");
        until(|| async { !sent_to(&sink.messages(), &address).is_empty() }).await;
    }
    let taken = sink.messages();
    let bulk_so_far = taken.iter().filter(|message| message.to.starts_with('p')).count();
    assert!(bulk_so_far < PEOPLE, "the campaign to everybody was still under way");
    for (number, execution) in executions.iter().enumerate() {
        let path = format!("/im/executions/audience/{execution}");
        until(|| async { api.get(&path).await.unwrap()["status"] == "Succeeded" }).await;
        let recipients = api.get(&format!("/executions/{execution}/recipients")).await.unwrap();
        let reasons: Vec<_> =
            recipients["items"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
        assert_eq!(reasons, ["sent", "sent"], "{recipients}");
        assert!(
            recipients["items"][0]["profile_id"].is_string()
                && recipients["items"][1]["profile_id"].is_null()
        );
        let taken = sink.messages();
        for (who, name, text) in
            [("stored", format!("Ann{number}"), "Lyon: tea;cups;"), ("new", "Zoë".to_owned(), ": ")]
        {
            let messages = sent_to(&taken, &format!("r{number}-{who}@example.com"));
            let [message] = messages[..] else { panic!("one message: {}", messages.len()) };
            let mail = MessageParser::default().parse(message.message.as_deref().unwrap()).unwrap();
            assert_eq!(mail.subject(), Some(&*format!("Order r{number} of {name}")));
            let html = mail.body_html(0).unwrap();
            assert!(html.contains(text.trim_end()), "{html}");
        }
        let stored = api.get(&format!("/profiles?email=p{number}@example.com")).await.unwrap();
        assert_eq!(
            stored["items"][0]["attributes"]["city"], "Oslo",
            "what a call says is not stored: {stored}"
        );
    }
    // Nobody of the campaign to everybody gets less for it, or anything twice.
    until(|| async { sink.counts().accepted >= PEOPLE as u64 + 20 }).await;
    let all = sink.messages();
    let addresses: BTreeSet<_> = all.iter().map(|message| &message.to).collect();
    assert_eq!((all.len(), addresses.len()), (PEOPLE + 20, PEOPLE + 20));
    assert!(envoi.terminate(GUARD).await.unwrap().success());
    assert!(envoi.logged().is_empty(), "{:?}", envoi.logged());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_delivered_while_a_campaign_to_many_is_under_way() {
    overtakes(None, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_stand_behind_no_others_at_the_rate_of_their_configuration() {
    overtakes(Some(300), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_were_answered_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let (sink, mut envoi) = node(folder.path()).await;
    let api = envoi.api().unwrap();
    let configuration = configuration(api, "transactional", None).await;
    let campaign = live(api, &configuration).await;
    let mut executions = Vec::new();
    for number in 0..60 {
        let body = order(&campaign, &format!("r{number}"), number);
        let answer = envoi.api().unwrap().post(UNITARY, &body).await.unwrap();
        executions.push(answer["executionId"].as_str().unwrap().to_owned());
        if number % 20 == 19 {
            envoi.kill().unwrap();
            envoi.start().await.unwrap();
        }
    }
    let api = envoi.api().unwrap();
    let (mut sent, mut doubtful) = (0, 0);
    for execution in &executions {
        let path = format!("/executions/{execution}/recipients");
        until(|| async {
            let recipients = api.get(&path).await.unwrap();
            let items = recipients["items"].as_array().unwrap().clone();
            items.len() == 2 && items.iter().all(|one| one["outcome"] != "pending")
        })
        .await;
        for one in api.get(&path).await.unwrap()["items"].as_array().unwrap() {
            match one["outcome"].as_str().unwrap() {
                "sent" => sent += 1,
                "unknown" => doubtful += 1,
                other => panic!("{other}: {one}"),
            }
        }
    }
    assert_eq!(sent + doubtful, 120, "nobody is lost");
    let messages = sink.messages();
    let addresses: BTreeSet<_> = messages.iter().map(|message| &message.to).collect();
    assert_eq!(addresses.len(), messages.len(), "nobody gets it twice");
    assert!(addresses.len() >= sent && addresses.len() <= 120, "{sent} sent, {doubtful} in doubt");
    assert!(envoi.terminate(GUARD).await.unwrap().success());
}
