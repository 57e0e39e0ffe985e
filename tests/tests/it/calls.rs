//! Calls, under every fault there can be: whoever a call names gets its message once, and the caller can know it.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use campaign::outcome::OnUnknown;
use campaign::{CallScheduleId, CampaignType, Category, ExecutionId, Status};
use envoi_tests::sim::{Answer, Delivered, Fate, Fault, Faults, Heard, Options, Person, Trouble, World};
use platform::Clock;
use serde_json::{Value, json};
use store::ledger::{State, Tenancy, call_id};

/// What no table may hold once a call is through.
const SECRET: &str = "s3cret-of-the-call";
const AUDIENCE: &str = "/im/executions/audience";

fn options(category: Category) -> Options {
    let on_unknown = match category {
        Category::Marketing => OnUnknown::Hold,
        Category::Transactional => OnUnknown::Resend,
    };
    Options { kind: CampaignType::ApiTriggered, category, on_unknown, ..Options::default() }
}

/// Those whose profiles are stored.
fn stored() -> Vec<Person> {
    let fates = [Fate::Taken, Fate::OptedOut, Fate::Suppressed, Fate::Greylisted];
    (1..).zip(fates).map(|(number, fate)| Person::new(number, fate)).collect()
}

async fn live(people: Vec<Person>, options: Options) -> World {
    let world = World::new(people, options, Faults::new(None)).await;
    world.go_live().await;
    world.begin_faults(None);
    world
}

fn aep(person: &Person) -> Value {
    json!({
        "type": "aep", "userId": person.id.to_string(), "namespace": "ecid",
        "context": { "secret": SECRET },
    })
}

fn external(address: &str, fate: &str) -> Value {
    json!({
        "type": "external", "userId": address, "namespace": "email",
        "profile": { "fate": fate, "secret": SECRET }, "context": { "secret": SECRET },
    })
}

/// One of each kind, and what becomes of them where nothing goes wrong.
fn everybody(world: &World, category: Category) -> (Vec<Value>, Vec<&'static str>) {
    let opted_out = if category == Category::Marketing { "no_consent" } else { "sent" };
    let mut recipients: Vec<_> = world.people.iter().map(aep).collect();
    recipients.extend([
        external("new@example.org", "taken"),
        external("refused@example.org", "refused"),
        external("greylisted@example.org", "greylisted"),
        external("unrenderable@example.org", "unrenderable"),
        // Suppressed by its address, under another name.
        json!({
            "type": "external", "userId": "17", "namespace": "crm",
            "channelData": { "emailAddress": "Person-3@example.org" }, "context": { "secret": SECRET },
        }),
    ]);
    let outcomes = vec![
        "sent",
        opted_out,
        "suppressed",
        "sent",
        "sent",
        "bad_address",
        "sent",
        "render_failed",
        "suppressed",
    ];
    (recipients, outcomes)
}

/// How often the provider took each recipient's message, by action.
fn taken(world: &World, execution: ExecutionId, heard: &Heard) -> BTreeMap<u64, Vec<usize>> {
    let letters = world.provider.letters(execution);
    let of = |action: u64, index: usize| {
        let is_it =
            |member: delivery::MemberId| u64::from(member.chunk.action) == action && member.index == index;
        letters.iter().filter(|letter| is_it(letter.member)).count()
    };
    heard
        .reasons
        .iter()
        .map(|(action, reasons)| (*action, (0..reasons.len()).map(|index| of(*action, index)).collect()))
        .collect()
}

/// Holds what the API tells of a call against the provider's record.
async fn judge(
    world: &World,
    execution: ExecutionId,
    recipients: usize,
    actions: usize,
    story: &str,
) -> Heard {
    let heard = world.heard(execution).await;
    let (status, counts) = (&heard.status, &heard.status["counts"]);
    assert_ne!(status["status"], "InProgress", "{story}: {status}");
    assert_eq!(status["targetedProfileCount"], recipients, "{story}");
    assert_eq!(
        (&counts["targeted"], &counts["pending"]),
        (&json!(recipients * actions), &json!(0)),
        "{story}"
    );
    assert_eq!(counts["balances"], true, "{story}: {counts}");
    assert_eq!(heard.reasons.len(), actions, "{story}");
    let sent = heard.reasons.values().flatten().filter(|reason| reason.starts_with("sent")).count();
    assert_eq!(counts["sent"], sent, "{story}: by count and by name");
    for (action, taken) in taken(world, execution, &heard) {
        for (index, times) in taken.into_iter().enumerate() {
            let reason = heard.reasons[&action][index].as_str();
            let right = match reason {
                "sent" => times == 1,
                "sent_again" => (1..=2).contains(&times),
                "unknown" => times <= 1,
                "unknown_once" => times <= 2,
                _ => times == 0,
            };
            assert!(right, "{story}: recipient {index} of action {action} is {reason}, taken {times} times");
        }
    }
    let head = world.store.ledger.head(execution).await.unwrap().unwrap();
    assert!(head.call.is_none(), "{story}: the payload is kept");
    assert!(head.ended_at.is_some(), "{story}");
    assert!(!world.holds(SECRET).await, "{story}: a table holds what the call brought along");
    heard
}

fn all(heard: &Heard) -> Vec<&str> {
    heard.reasons.values().flatten().map(String::as_str).collect()
}

#[tokio::test]
async fn whoever_a_call_names_gets_it_once_or_has_the_reason() {
    for category in [Category::Transactional, Category::Marketing] {
        for delivered in [Delivered::Once, Delivered::Twice].into_iter().chain((0..30).map(Delivered::Astray))
        {
            let story = format!("{category:?}, {delivered:?}");
            let world = live(stored(), Options { delivered, actions: 2, ..options(category) }).await;
            let (recipients, outcomes) = everybody(&world, category);
            let execution = world.call("r1", &recipients).await;
            assert!(world.holds(SECRET).await, "the payload is kept until it is used");
            world.run().await;
            let heard = judge(&world, execution, recipients.len(), 2, &story).await;
            assert_eq!(all(&heard), [outcomes.clone(), outcomes].concat(), "{story}");
            let profiles = &heard.profiles[&0];
            assert_eq!(profiles[0], world.people[0].id.to_string());
            assert!(profiles[4..].iter().all(Value::is_null), "{profiles:?}");
            // The same request is the same call, long after.
            assert_eq!(world.call("r1", &recipients).await, execution);
            world.run().await;
            judge(&world, execution, recipients.len(), 2, &story).await;
        }
    }
}

/// A message that comes for the first time leaves no trace before its first window is open; once the process has died of
/// it, it does.
#[tokio::test]
async fn a_recipient_who_kills_the_process_fails_alone() {
    for delivered in [Delivered::Once, Delivered::Twice] {
        let world = live(Vec::new(), Options { delivered, ..options(Category::Transactional) }).await;
        let fates = ["taken", "deadly", "taken"];
        let recipients: Vec<_> =
            (0..).zip(fates).map(|(number, fate)| external(&format!("{number}@example.org"), fate)).collect();
        let execution = world.call("r1", &recipients).await;
        world.run().await;
        let heard = judge(&world, execution, recipients.len(), 1, "deadly").await;
        assert_eq!(all(&heard), ["sent", "crashed", "sent"], "{delivered:?}");
    }
}

/// Who makes a request again that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Persistent,
    /// Nobody: what was written down is delivered all the same.
    GivesUp,
}

/// How many calls to ports and to the provider there are, from the request on, where none goes wrong.
async fn calls_without_fault(options: Options) -> usize {
    let world = live(stored(), options).await;
    world.call("r1", &everybody(&world, options.category).0).await;
    world.run().await;
    world.calls()
}

/// Each of them is spoiled in every way.
async fn every_fault(options: Options, client: Client) {
    let Options { tenancy, delivered, category, .. } = options;
    let calls = calls_without_fault(options).await;
    assert!(calls > 20, "{calls} calls");
    let mut placed = 0;
    for fault in Fault::ALL {
        for call in 0..calls {
            let story =
                format!("{tenancy:?}, {delivered:?}, {category:?}, {client:?}: {fault:?} at call {call}");
            let world = live(stored(), options).await;
            let (recipients, outcomes) = everybody(&world, category);
            world.begin_faults(Some((call, fault)));
            let execution = call_id(world.campaign, "r1");
            if client == Client::Persistent {
                assert_eq!(world.call("r1", &recipients).await, execution);
            } else {
                let body = world.call_body("r1", &recipients);
                let answer = world.request_once(Method::POST, "/im/executions/unitary", &body).await;
                let is_taken = answer.is_some_and(|answer| answer.status == StatusCode::ACCEPTED);
                let is_there = world.store.ledger.head(execution).await.unwrap().is_some();
                assert!(is_there || !is_taken, "{story}: what was answered is written down");
                if !is_there {
                    continue;
                }
                world.wait_for(execution);
            }
            world.run().await;
            world.begin_faults(None);
            let heard = judge(&world, execution, recipients.len(), options.actions, &story).await;
            let due = vec![outcomes; options.actions].concat();
            let mut in_doubt = 0;
            for (index, (reason, due)) in all(&heard).into_iter().zip(due).enumerate() {
                let doubted = matches!(reason, "unknown" | "sent_again" | "unknown_once");
                in_doubt += usize::from(doubted);
                assert!(reason == due || doubted, "{story}: {index} is {reason}");
            }
            assert!(in_doubt <= options.window, "{story}: {in_doubt} in doubt");
            placed += 1;
        }
    }
    let report = format!(
        "calls, {tenancy:?}, {delivered:?}, {category:?}, {client:?}: {} fault points tried over {calls} calls, {placed} placed\n",
        calls * Fault::ALL.len()
    );
    std::io::stderr().write_all(report.as_bytes()).unwrap();
    assert!(placed > calls * 2, "{report}");
}

#[tokio::test]
async fn any_fault_of_a_shared_ledger_leaves_one_message_each() {
    every_fault(options(Category::Transactional), Client::Persistent).await;
}

#[tokio::test]
async fn any_fault_of_the_only_process_leaves_one_message_each() {
    let options = Options { tenancy: Tenancy::Sole, actions: 2, ..options(Category::Marketing) };
    every_fault(options, Client::Persistent).await;
}

#[tokio::test]
async fn any_fault_with_every_message_doubled_leaves_one_message_each() {
    let options = Options { delivered: Delivered::Twice, actions: 2, ..options(Category::Marketing) };
    every_fault(options, Client::Persistent).await;
}

#[tokio::test]
async fn what_was_written_down_is_delivered_though_its_caller_never_heard_of_it() {
    // A crash between the write and the message: the sweep finds the call.
    every_fault(options(Category::Transactional), Client::GivesUp).await;
}

#[tokio::test]
async fn a_provider_that_is_down_or_throttles_for_a_while_loses_nobody() {
    for trouble in [Trouble::DownFor(20), Trouble::ThrottlingFor(20)] {
        let world = live(stored(), options(Category::Transactional)).await;
        world.provider.turn(trouble);
        let (recipients, outcomes) = everybody(&world, Category::Transactional);
        let execution = world.call("r1", &recipients).await;
        world.run().await;
        let heard = judge(&world, execution, recipients.len(), 1, &format!("{trouble:?}")).await;
        assert_eq!(all(&heard), outcomes);
    }
}

#[tokio::test]
async fn a_provider_that_stays_down_fails_a_call_in_the_end_and_its_payload_goes() {
    let world = live(stored(), options(Category::Transactional)).await;
    world.provider.turn(Trouble::DownFor(usize::MAX));
    let execution = world.call("r1", &[aep(&world.people[0]), external("new@example.org", "taken")]).await;
    world.run().await;
    let heard = judge(&world, execution, 2, 1, "down for good").await;
    assert_eq!(all(&heard), ["expired", "expired"]);
    assert_eq!(heard.status["status"], "Failed");
}

#[tokio::test]
async fn doubt_about_a_recipient_is_held_or_resent_as_the_campaign_says() {
    for (category, reason) in [(Category::Marketing, "unknown"), (Category::Transactional, "sent_again")] {
        let world = live(stored(), options(category)).await;
        world.provider.turn(Trouble::SilentFor(1));
        let begun = world.clock().now();
        let recipients = [external("a@example.org", "taken"), external("b@example.org", "taken")];
        let execution = world.call("r1", &recipients).await;
        world.run().await;
        let heard = judge(&world, execution, 2, 1, reason).await;
        assert_eq!(all(&heard), [reason, "sent"]);
        let duplicates = u64::from(category == Category::Transactional);
        assert_eq!(heard.status["counts"]["possible_duplicates"], duplicates, "{}", heard.status);
        let waited = world.clock().now().duration_since(begun).unsigned_abs() >= Duration::from_secs(300);
        assert_eq!(waited, category == Category::Transactional);
    }
}

#[tokio::test]
async fn what_a_call_says_of_somebody_is_in_the_message_and_nowhere_else() {
    let world = live(stored(), options(Category::Transactional)).await;
    let (person, other) = (world.people[0], world.people[3]);
    let before = world.store.profiles.get(person.id).await.unwrap();
    let mut recipient = aep(&person);
    recipient["channelData"] = json!({ "emailAddress": "office@example.com" });
    recipient["profile"] = json!({ "city": "Lyon", "person": { "name": SECRET } });
    recipient["context"] = json!({ "order": { "id": 7, "items": ["a", SECRET] } });
    let execution = world.call("r1", &[recipient.clone(), aep(&other)]).await;
    world.run().await;
    judge(&world, execution, 2, 1, "overlay").await;
    let letters = world.provider.letters(execution);
    let letter = letters.iter().find(|letter| letter.member.index == 0).unwrap();
    assert_eq!((&*letter.address, &letter.context), ("office@example.com", &recipient["context"]));
    assert_eq!((&letter.profile["city"], &letter.profile["fate"]), (&json!("Lyon"), &json!("taken")));
    let letter = letters.iter().find(|letter| letter.member.index == 1).unwrap();
    assert_eq!((&*letter.address, letter.profile.get("city")), ("person-4@example.org", None));
    assert_eq!(world.store.profiles.get(person.id).await.unwrap(), before);
}

#[tokio::test]
async fn somebody_who_is_erased_meanwhile_gets_nothing() {
    let world = live(stored(), options(Category::Transactional)).await;
    let recipients: Vec<_> = [0, 3].map(|index| aep(&world.people[index])).into();
    let execution = world.call("r1", &recipients).await;
    world.store.profiles.delete(world.people[0].id).await.unwrap();
    world.run().await;
    let heard = judge(&world, execution, 2, 1, "erased").await;
    assert_eq!(all(&heard), ["profile_gone", "sent"]);
}

#[tokio::test]
async fn a_stop_reaches_calls_that_wait() {
    // Nobody has looked at it; the provider asks it to wait; it waits for hours.
    for trouble in [None, Some(Trouble::ThrottlingFor(usize::MAX)), Some(Trouble::DownFor(usize::MAX))] {
        let world = live(stored(), Options { actions: 2, ..options(Category::Transactional) }).await;
        let recipients = [aep(&world.people[0]), external("new@example.org", "taken")];
        let execution = world.call("r1", &recipients).await;
        if let Some(trouble) = trouble {
            world.provider.turn(trouble);
            world.run_for(Duration::from_secs(2 * 3600)).await;
        }
        world.stop().await;
        let stopped_at = world.clock().now();
        world.clock().advance(Duration::from_secs(1));
        world.run().await;
        let took = world.clock().now().duration_since(stopped_at).unsigned_abs();
        let longest = if trouble.is_none() { Duration::from_secs(2) } else { Duration::from_secs(400) };
        assert!(took <= longest, "{trouble:?}: {took:?}");
        let heard = judge(&world, execution, 2, 2, &format!("stopped, {trouble:?}")).await;
        assert_eq!(all(&heard), ["stopped"; 4]);
        assert_eq!(heard.status["status"], "Failed");
        assert_eq!(world.provider.total(), 0);
        let body = world.call_body("r2", &recipients);
        let refused = world.request(Method::POST, "/im/executions/unitary", &body).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (StatusCode::CONFLICT, &json!("campaign_not_live"))
        );
    }
}

#[tokio::test]
async fn a_stop_at_any_moment_of_a_call_leaves_it_balanced() {
    let mut outcomes = BTreeMap::new();
    for at in 0..25 {
        let world = Arc::new(live(stored(), options(Category::Transactional)).await);
        let recipients: Vec<_> =
            (0..6).map(|number| external(&format!("p{number}@example.org"), "taken")).collect();
        let (store, campaign) = (world.store.clone(), world.campaign);
        world.interrupt(move |call| {
            let store = store.clone();
            Box::pin(async move {
                if call == at {
                    let by = campaign::model::Actor::envoi();
                    let stop = campaign::Command::Stop;
                    store.campaigns.command(campaign, stop, &by, |_| Ok(())).await.unwrap();
                }
            })
        });
        let body = world.call_body("r1", &recipients);
        let answer = world.request(Method::POST, "/im/executions/unitary", &body).await;
        if answer.status != StatusCode::ACCEPTED {
            assert_eq!(answer.body["code"], "campaign_not_live");
            *outcomes.entry("refused").or_insert(0) += 1;
            continue;
        }
        let execution = call_id(world.campaign, "r1");
        world.wait_for(execution);
        world.run().await;
        let heard = judge(&world, execution, recipients.len(), 1, &format!("stopped at {at}")).await;
        for reason in all(&heard) {
            assert!(matches!(reason, "sent" | "stopped"), "stopped at {at}: {reason}");
            *outcomes.entry(if reason == "sent" { "sent" } else { "stopped" }).or_insert(0) += 1;
        }
    }
    assert_eq!(outcomes.len(), 3, "each kind of moment was tried: {outcomes:?}");
}

#[tokio::test]
async fn a_campaign_that_ends_delivers_what_it_took_before() {
    let hour = Duration::from_secs(3600);
    let world = live(stored(), Options { ends_after: Some(hour), ..options(Category::Transactional) }).await;
    world.provider.turn(Trouble::DownFor(usize::MAX));
    let execution = world.call("r1", &[external("new@example.org", "taken")]).await;
    world.run_for(2 * hour).await;
    assert_eq!(world.store.campaigns.get(world.campaign).await.unwrap().status, Status::Completed);
    let body = world.call_body("r2", &[external("late@example.org", "taken")]);
    let refused = world.request(Method::POST, "/im/executions/unitary", &body).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    world.provider.turn(Trouble::None);
    world.run().await;
    let heard = judge(&world, execution, 1, 1, "ended").await;
    assert_eq!(all(&heard), ["sent"]);
}

#[tokio::test]
async fn many_calls_at_a_rate_are_all_delivered_once() {
    let world =
        live(stored(), Options { rate_per_second: Some(5), ..options(Category::Transactional) }).await;
    let begun = world.clock().now();
    let mut executions = Vec::new();
    for number in 0..40 {
        let recipients = [external(&format!("p{number}@example.org"), "taken")];
        executions.push(world.call(&format!("r{number}"), &recipients).await);
    }
    world.run().await;
    let took = world.clock().now().duration_since(begun).unsigned_abs();
    assert!(took >= Duration::from_secs(7), "{took:?}");
    for execution in executions {
        assert_eq!(all(&judge(&world, execution, 1, 1, "rate").await), ["sent"]);
    }
}

#[tokio::test]
async fn a_call_can_be_looked_at_but_neither_held_nor_sent_again() {
    let world = live(stored(), options(Category::Transactional)).await;
    let execution =
        world.call("r1", &[external("refused@example.org", "refused"), aep(&world.people[0])]).await;
    let get =
        async || world.request(Method::GET, &format!("/executions/{execution}"), &Value::Null).await.body;
    let before = get().await;
    assert_eq!((&before["state"], &before["ended_at"]), (&json!("running"), &Value::Null));
    assert_eq!(all(&world.heard(execution).await), ["pending", "pending"]);
    let command = async |name: &str, body: Value| -> Answer {
        world.request(Method::POST, &format!("/executions/{execution}/{name}"), &body).await
    };
    let resend = json!({ "outcomes": ["failed", "unknown"] });
    for (name, body) in [("pause", Value::Null), ("resend", resend.clone())] {
        let refused = command(name, body).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (StatusCode::CONFLICT, &json!("state_not_allowed"))
        );
        assert!(refused.body["detail"].as_str().unwrap().contains("call"), "{}", refused.body);
    }
    world.run().await;
    assert_eq!(all(&judge(&world, execution, 2, 1, "looked at").await), ["bad_address", "sent"]);
    let after = get().await;
    assert_eq!((&after["state"], &after["total"]["sent"]), (&json!("completed"), &json!(1)));
    assert!(after["ended_at"].is_string(), "{after}");
    for (name, body) in [("pause", Value::Null), ("resume", Value::Null), ("resend", resend)] {
        assert_eq!(command(name, body).await.status, StatusCode::CONFLICT, "{name}");
    }
    let path = format!("/executions/{execution}/recipients?outcome=failed");
    let failed = world.request(Method::GET, &path, &Value::Null).await.body;
    assert_eq!((&failed["items"][0]["index"], &failed["items"][1]), (&json!(0), &Value::Null));
    assert_eq!(failed["items"][0]["detail"], "5.1.1 no such user");
}

fn audience_body(world: &World, segment: &str, execute_at: Option<jiff::Timestamp>) -> Value {
    let mut body = json!({
        "requestId": "r1", "campaignId": world.campaign, "audience": { "id": segment },
        "context": { "code": SECRET },
    });
    if let Some(at) = execute_at {
        body["schedule"] = json!({ "executeAt": at });
    }
    body
}

async fn segment(world: &World) -> String {
    let campaign = world.store.campaigns.get(world.campaign).await.unwrap();
    let version =
        world.store.campaigns.version(world.campaign, campaign.live_version.unwrap()).await.unwrap();
    version.segment.unwrap().to_string()
}

/// Each of the audience, and what becomes of them.
async fn judge_audience(world: &World, execution: ExecutionId, story: &str) {
    let status = world.request(Method::GET, &format!("{AUDIENCE}/{execution}"), &Value::Null).await.body;
    assert_eq!(status["status"], "Succeeded", "{story}: {status}");
    assert_eq!(
        (&status["counts"]["sent"], &status["counts"]["balances"]),
        (&json!(60), &json!(true)),
        "{story}"
    );
    let letters = world.provider.letters(execution);
    assert_eq!(letters.len(), 60, "{story}");
    assert!(letters.iter().all(|letter| letter.context == json!({ "code": SECRET })), "{story}");
    assert!(!world.holds(SECRET).await, "{story}: the context is kept");
    let campaign = world.store.campaigns.get(world.campaign).await.unwrap();
    assert_eq!((campaign.status, campaign.open_executions), (Status::Live, 0), "{story}");
}

fn crowd() -> Vec<Person> {
    (1..=60).map(|number| Person::new(number, Fate::Taken)).collect()
}

#[tokio::test]
async fn an_audience_gets_the_context_of_its_call_and_the_campaign_stays_live() {
    for delivered in [Delivered::Once, Delivered::Twice].into_iter().chain((0..10).map(Delivered::Astray)) {
        let story = format!("{delivered:?}");
        let world = live(crowd(), Options { delivered, ..options(Category::Marketing) }).await;
        let body = audience_body(&world, &segment(&world).await, None);
        let answer = world.request(Method::POST, AUDIENCE, &body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        let execution = answer.body["executionId"].as_str().unwrap().parse().unwrap();
        world.run().await;
        judge_audience(&world, execution, &story).await;
        assert_eq!(world.request(Method::POST, AUDIENCE, &body).await, answer, "{story}");
        let resend = json!({ "outcomes": ["failed"] });
        let path = format!("/executions/{execution}/resend");
        let refused = world.request(Method::POST, &path, &resend).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "its context is gone: {}", refused.body);
        world.run().await;
        judge_audience(&world, execution, &story).await;
    }
}

/// Plans a call for an hour from now.
async fn planned(world: &World) -> CallScheduleId {
    let at = world.clock().now() + Duration::from_secs(3600);
    let body = audience_body(world, &segment(world).await, Some(at));
    let answer = world.request(Method::POST, AUDIENCE, &body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let id = answer.body["scheduleId"].as_str().unwrap().parse().unwrap();
    world.wait_for_schedule(id);
    id
}

#[tokio::test]
async fn a_planned_call_is_made_once_however_its_wake_up_comes() {
    for delivered in [Delivered::Once, Delivered::Twice].into_iter().chain((0..20).map(Delivered::Astray)) {
        let story = format!("{delivered:?}");
        let world = live(crowd(), Options { delivered, ..options(Category::Marketing) }).await;
        let id = planned(&world).await;
        world.run().await;
        let execution = world.store.call_schedule(id).await.unwrap().execution.unwrap();
        assert_eq!(world.execution().await, execution);
        judge_audience(&world, execution, &story).await;
        let late =
            world.request(Method::DELETE, &format!("/im/executions/schedules/{id}"), &Value::Null).await;
        assert_eq!(late.status, StatusCode::CONFLICT);
    }
}

/// A world in which a call for an hour from now was planned and made, with this fault; how many calls there were.
async fn planned_run(plan: Option<(usize, Fault)>, story: &str) -> usize {
    let world = live(crowd()[..6].to_vec(), options(Category::Marketing)).await;
    let segment = segment(&world).await;
    world.begin_faults(plan);
    let at = world.clock().now() + Duration::from_secs(3600);
    let body = audience_body(&world, &segment, Some(at));
    let answer = world.request(Method::POST, AUDIENCE, &body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{story}: {}", answer.body);
    world.wait_for_schedule(answer.body["scheduleId"].as_str().unwrap().parse().unwrap());
    world.run().await;
    let head = world.store.ledger.head(world.execution().await).await.unwrap().unwrap();
    assert_eq!((head.state, &head.call), (State::Completed, &None), "{story}");
    let tally = world.store.ledger.tally(&head).await.unwrap();
    assert!(tally.is_complete() && tally.actions[0].counts.targeted == 6, "{story}: {tally:?}");
    assert!(world.provider.total() <= 6, "{story}");
    world.calls()
}

#[tokio::test]
async fn any_fault_of_a_planned_call_has_it_made_once() {
    let calls = planned_run(None, "no fault").await;
    assert!(calls > 20, "{calls} calls");
    for fault in Fault::ALL {
        for call in 0..calls {
            planned_run(Some((call, fault)), &format!("{fault:?} at call {call}")).await;
        }
    }
}

#[tokio::test]
async fn a_planned_call_that_is_taken_back_when_it_is_made_is_one_or_the_other() {
    let (mut made, mut taken_back) = (0, 0);
    for at in 0..20 {
        let world = live(crowd()[..6].to_vec(), options(Category::Marketing)).await;
        let id = planned(&world).await;
        world.begin_faults(None);
        let (store, was_taken_back) = (world.store.clone(), Arc::new(std::sync::Mutex::new(None)));
        let answer = Arc::clone(&was_taken_back);
        world.interrupt(move |call| {
            let (store, answer) = (store.clone(), Arc::clone(&answer));
            Box::pin(async move {
                if call == at {
                    let taken_back = store.cancel_call(id).await.unwrap();
                    *answer.lock().unwrap() = Some(taken_back);
                }
            })
        });
        world.run().await;
        let (executions, _) = world.store.ledger.executions(world.campaign, None, 10).await.unwrap();
        let answer = was_taken_back.lock().unwrap().expect("it was asked");
        assert_eq!(executions.len(), usize::from(!answer), "at {at}");
        assert_eq!(world.provider.total(), if answer { 0 } else { 6 }, "at {at}");
        made += usize::from(!answer);
        taken_back += usize::from(answer);
    }
    assert!(made > 0 && taken_back > 0, "{made} made, {taken_back} taken back");
}
