//! Calls of a campaign that is triggered by them, from the HTTP API to the mailbox.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use envoi_tests::deployed::{Deployment, LOOK, deployed};
use envoi_tests::process::GUARD;
use jiff::Timestamp;
use platform::{Clock, SystemClock};
use serde_json::{Value, json};

/// What is nearer than 90 seconds does not go through the Scheduler; the rest is for a busy machine.
const AHEAD: Duration = Duration::from_secs(130);
/// Near enough for a delayed message.
const SOON: Duration = Duration::from_secs(15);
/// How many people each segment has.
const PEOPLE: usize = 3;
const UNITARY: &str = "/im/executions/unitary";
const AUDIENCE: &str = "/im/executions/audience";

/// Waits until something is as it is wanted.
async fn until(envoi: &Deployment, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let until = SystemClock.monotonic() + GUARD;
    loop {
        let found = envoi.api.get(path).await.unwrap();
        if is_so(&found) {
            return found;
        }
        assert!(SystemClock.monotonic() < until, "it never is so: {found}");
        SystemClock.sleep(LOOK).await;
    }
}

/// A campaign that takes calls, live.
async fn live(envoi: &Deployment) -> String {
    let sender = json!({ "channel": "email", "from": "orders@envoi.example.com", "from_name": "Orders" });
    let configuration = json!({ "name": "Orders", "category": "transactional", "sender": sender });
    let configuration = envoi.api.create("/configurations", &configuration).await.unwrap();
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
    let campaign = envoi.api.create("/campaigns", &campaign).await.unwrap();
    envoi.api.activate(&campaign).await.unwrap();
    until(envoi, &format!("/campaigns/{campaign}"), |campaign| campaign["status"] == "live").await;
    campaign
}

/// Waits until everybody of an execution is dealt with; its status then, and the outcome and reason of each.
async fn dealt_with(envoi: &Deployment, execution: &str) -> (Value, Vec<(String, String)>) {
    let path = format!("/executions/{execution}/recipients");
    let pending =
        |items: &Value| items.as_array().is_some_and(|all| all.iter().any(|one| one["outcome"] == "pending"));
    until(envoi, &path, |page| !pending(&page["items"])).await;
    let status =
        until(envoi, &format!("{AUDIENCE}/{execution}"), |status| status["status"] != "InProgress").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let recipients = envoi.api.all(&path).await.unwrap();
    (status, recipients.iter().map(|one| (text(&one["outcome"]), text(&one["reason"]))).collect())
}

/// Subject and HTML of what was sent to a domain, by recipient; nobody has got two.
async fn mails(envoi: &Deployment, domain: &str) -> BTreeMap<String, (String, String)> {
    let mut mails = BTreeMap::new();
    for mail in envoi.mails(domain).await.unwrap() {
        let earlier = mails.insert(mail.to[0].clone(), (mail.subject, mail.body_html.unwrap()));
        assert!(earlier.is_none(), "{:?} have got two", mail.to);
    }
    mails
}

/// A stored and an unknown recipient of one call, and one that is nobody.
async fn recipients_of_both_kinds(envoi: &Deployment, campaign: &str) {
    let call = json!({
        "requestId": "order-1", "campaignId": campaign,
        "recipients": [
            {
                "type": "aep", "userId": "r1@called.example", "namespace": "email",
                "profile": { "city": "Lyon" }, "context": { "order": { "id": 4711, "items": ["tea", "cups"] } },
            },
            {
                "type": "external", "userId": "new@called.example", "namespace": "email",
                "profile": { "person": { "name": { "firstName": "Zoë" } }, "city": "Oslo" },
                "context": { "order": { "id": 4712, "items": [] } },
            },
        ],
    });
    let answer = envoi.api.post(UNITARY, &call).await.unwrap();
    assert_eq!(envoi.api.post(UNITARY, &call).await.unwrap(), answer, "asked again, at once");
    let execution = answer["executionId"].as_str().unwrap();
    let (status, outcomes) = dealt_with(envoi, execution).await;
    let sent = || ("sent".to_owned(), "sent".to_owned());
    assert_eq!(outcomes, [sent(), sent()], "{status}");
    assert_eq!(
        (&status["status"], &status["campaignId"], &status["counts"]["sent"]),
        (&json!("Succeeded"), &json!(campaign), &json!(2)),
        "{status}"
    );
    assert_eq!(envoi.api.post(UNITARY, &call).await.unwrap(), answer, "asked again, when it was sent");

    let mut other = call.clone();
    other["recipients"][0]["context"]["order"]["id"] = json!(1);
    let refused = envoi.api.post(UNITARY, &other).await.unwrap_err().to_string();
    assert!(refused.contains("422") && refused.contains("request_id_reused"), "{refused}");
    let nobody = json!({
        "requestId": "order-2", "campaignId": campaign, "recipients": [
            { "type": "aep", "userId": "nobody@called.example", "namespace": "email" },
            { "type": "external", "userId": "never@called.example", "namespace": "email" },
        ],
    });
    let refused = envoi.api.post(UNITARY, &nobody).await.unwrap_err().to_string();
    assert!(refused.contains("404") && refused.contains("profile_not_found"), "{refused}");

    let mails = mails(envoi, "called.example").await;
    assert_eq!(mails.len(), 2, "one each, and none to anybody of a call that was refused: {mails:?}");
    let (subject, html) = &mails["r1@called.example"];
    assert_eq!(subject, "Order 4711 of Ann1");
    assert!(html.contains("Lyon: tea;cups;"), "what the call says lies over what is stored: {html}");
    let (subject, html) = &mails["new@called.example"];
    assert_eq!(subject, "Order 4712 of Zoë");
    assert!(html.contains("Oslo: "), "{html}");
}

/// People under a domain of their own, and the segment of them.
async fn people(envoi: &Deployment, group: &str) -> String {
    let mut csv = "email,external_id,person.name.firstName,group\n".to_owned();
    for number in 0..PEOPLE {
        writeln!(csv, "r{number}@{group}.example,{group}{number},Ann{number},{group}").unwrap();
    }
    envoi.api.import(csv).await.unwrap();
    envoi.api.rule(&format!("profile.group == \"{group}\"")).await.unwrap()
}

fn call_to(segment: &str, campaign: &str, request: &str) -> Value {
    json!({
        "requestId": request, "campaignId": campaign, "audience": { "id": segment },
        "context": { "order": { "id": request, "items": ["news"] } },
    })
}

/// Waits until an execution has succeeded, and holds it to its people and their mailbox.
async fn reaches_everybody(envoi: &Deployment, execution: &str, group: &str, request: &str) {
    let until = SystemClock.monotonic() + GUARD;
    let status = loop {
        let status = envoi.api.get(&format!("{AUDIENCE}/{execution}")).await.unwrap();
        if status["status"] != "InProgress" {
            break status;
        }
        assert!(SystemClock.monotonic() < until, "it does not end: {status}");
        // Only a sweep ends the execution of an audience.
        envoi.sweep().await.unwrap();
        SystemClock.sleep(LOOK * 10).await;
    };
    assert_eq!(
        (&status["status"], &status["targetedProfileCount"], &status["counts"]["sent"]),
        (&json!("Succeeded"), &json!(PEOPLE), &json!(PEOPLE)),
        "{status}"
    );
    let mails = mails(envoi, &format!("{group}.example")).await;
    assert_eq!(mails.len(), PEOPLE, "{mails:?}");
    for (number, (subject, html)) in mails.values().enumerate() {
        assert_eq!(subject, &format!("Order {request} of Ann{number}"));
        assert!(html.contains(": news;"), "{html}");
    }
}

/// A call that will be made then; its id.
async fn plan(envoi: &Deployment, mut call: Value, at: Timestamp) -> String {
    call["schedule"] = json!({ "executeAt": at.to_string() });
    let planned = envoi.api.post(AUDIENCE, &call).await.unwrap();
    assert_eq!(planned["scheduleStatus"], "Scheduled", "{planned}");
    assert_eq!(envoi.api.post(AUDIENCE, &call).await.unwrap(), planned, "asked again");
    format!("/im/executions/schedules/{}", planned["scheduleId"].as_str().unwrap())
}

fn from_now(ahead: Duration) -> Timestamp {
    (SystemClock.now() + ahead).round(jiff::Unit::Second).unwrap()
}

pub(super) async fn calls_are_sent_once_and_planned_ones_can_be_taken_back() {
    deployed("called", async |envoi| {
        let stored = "email,external_id,person.name.firstName,city\nr1@called.example,R1,Ann1,Oslo\n";
        envoi.api.import(stored).await.unwrap();
        let [now, soon, never] =
            [people(envoi, "now").await, people(envoi, "soon").await, people(envoi, "never").await];
        let campaign = live(envoi).await;
        let at = from_now(AHEAD);
        let taken_back = plan(envoi, call_to(&never, &campaign, "taken back"), at).await;
        let wake_up = format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S"));
        assert_eq!(envoi.schedules().await.unwrap(), std::slice::from_ref(&wake_up));
        envoi.api.delete(&taken_back).await.unwrap();
        for outcome in [envoi.api.get(&taken_back).await, envoi.api.delete(&taken_back).await] {
            let refused = outcome.unwrap_err().to_string();
            assert!(refused.contains("404"), "{refused}");
        }

        recipients_of_both_kinds(envoi, &campaign).await;
        let call = call_to(&now, &campaign, "now");
        let answer = envoi.api.post(AUDIENCE, &call).await.unwrap();
        assert_eq!(envoi.api.post(AUDIENCE, &call).await.unwrap(), answer, "asked again");
        reaches_everybody(envoi, answer["executionId"].as_str().unwrap(), "now", "now").await;

        let planned = plan(envoi, call_to(&soon, &campaign, "soon"), from_now(SOON)).await;
        let made = until(envoi, &planned, |planned| planned["scheduleStatus"] == "Triggered").await;
        let execution = made["executionDetails"]["executionId"].as_str().unwrap();
        reaches_everybody(envoi, execution, "soon", "soon").await;
        let refused = envoi.api.delete(&planned).await.unwrap_err().to_string();
        assert!(refused.contains("409") && refused.contains("already_triggered"), "{refused}");

        // The time of what was taken back comes, and the wake-up that was asked for.
        let fired = SystemClock.monotonic() + GUARD;
        while envoi.schedules().await.unwrap().contains(&wake_up) || SystemClock.now() < at {
            assert!(SystemClock.monotonic() < fired, "{wake_up} never fires");
            SystemClock.sleep(LOOK * 5).await;
        }
        envoi.sweep().await.unwrap();
        SystemClock.sleep(SOON).await;
        assert!(mails(envoi, "never.example").await.is_empty(), "nobody gets what was taken back");
        let executions = envoi.api.all(&format!("/campaigns/{campaign}/executions")).await.unwrap();
        let campaign = envoi.api.get(&format!("/campaigns/{campaign}")).await.unwrap();
        assert_eq!(campaign["status"], "live", "{campaign}");
        assert_eq!(executions.len(), 2, "one of each call to an audience that was made: {executions:#?}");
    })
    .await;
}
