use std::collections::BTreeMap;
use std::time::Duration;

use campaign::chunk::CHUNK;
use campaign::content::OnMissing;
use campaign::model::Actor;
use campaign::outcome::OnUnknown;
use campaign::plan::{Lane, Plan};
use campaign::report::Counts;
use campaign::status::Command;
use campaign::{Campaign, CampaignId, Category, Channel, Code, ExecutionId, Outcome, ProfileId};
use serde_json::{Value, json};
use store::ledger::{
    Audience, Begins, Claim, CursorClaim, ExecutionSummary, Head, Lesson, NewChunk, Next, Part, State,
    Tenancy, Waits, Worker, execution_id,
};
use store::messages::{ChunkKey, FanOut};
use store::tables;

use crate::app::TestApp;

/// An execution of two actions over two shards, with the codes its members are to have.
pub(crate) struct Run {
    pub(crate) app: TestApp,
    worker: Worker,
    pub(crate) campaign: CampaignId,
    pub(crate) head: Head,
}

const SHARDS: u16 = 2;

impl Run {
    /// Starts one, its audience fanned out to `members` a shard.
    pub(crate) async fn start(members: usize) -> Self {
        let run = Self::begin(None).await;
        for shard in run.head.shards() {
            run.fan_out(shard, members).await;
        }
        run
    }

    /// Starts one whose recipients get it by a plan, its audience not fanned out.
    pub(crate) async fn planned(plan: Plan) -> Self {
        Self::begin(Some(plan)).await
    }

    async fn begin(plan: Option<Plan>) -> Self {
        let app = TestApp::new().await;
        let list = app.create("/segments", &json!({ "name": "l", "kind": "list" })).await;
        let action = json!({ "channel": "email", "content": { "subject": "s", "body": { "html": "x" } } });
        let body =
            json!({ "name": "c", "category": "marketing", "segment_id": list, "actions": [action, action] });
        let id: CampaignId = app.create("/campaigns", &body).await.parse().unwrap();
        let occurrence = app.store.platform.clock.now();
        app.store.campaigns.command(id, Command::Activate, &Actor::envoi(), |_| Ok(())).await.unwrap();
        let mut campaign = app
            .store
            .campaigns
            .command(id, Command::BecomeLive, &Actor::envoi(), |campaign| {
                campaign.next_occurrence = Some(occurrence);
                Ok(())
            })
            .await
            .unwrap();
        campaign.next_occurrence = None;
        campaign.open_executions = 1;
        let head = Head {
            id: execution_id(id, occurrence.as_millisecond()),
            campaign: id,
            version: 1,
            occurrence,
            category: Category::Marketing,
            shards: SHARDS,
            actions: vec![Channel::Email; 2],
            audience: Audience::List { segment: list.parse().unwrap(), generation: 1, partitions: 16 },
            on_unknown: OnUnknown::Hold,
            on_missing: OnMissing::Blank,
            started_at: occurrence,
            plan,
            state: State::Running,
            paused_at: None,
            paused_for_ms: 0,
            ended_at: None,
            request: None,
            call: None,
            revision: 1,
        };
        assert!(app.store.ledger.start(&campaign, &head, Vec::new()).await.unwrap());
        Self { app, worker: Worker::new(Tenancy::Shared), campaign: id, head }
    }

    async fn fan_out(&self, shard: FanOut, members: usize) {
        let ledger = &self.app.store.ledger;
        let claimed = ledger.claim_cursor(shard, &self.worker, Duration::from_secs(60)).await.unwrap();
        let CursorClaim::Claimed(mut cursor) = claimed else { panic!("the cursor is free") };
        let people: Vec<_> = (0..members).map(|n| person(shard.shard, n)).collect();
        let mut chunks = Vec::new();
        let stands = cursor.lanes.entry(Lane::AT_ONCE).or_default();
        for (number, people) in people.chunks(CHUNK).enumerate() {
            let number = u32::try_from(number).unwrap();
            for action in 0..2 {
                let key = self.chunk(shard.shard, action, number);
                chunks.push(NewChunk { key, members: people.to_vec(), begins: Begins::AtOnce });
            }
            stands.written += 1;
            stands.enqueued += 1;
            stands.members += people.len() as u64;
        }
        assert!(ledger.advance(&mut cursor, chunks, Vec::new()).await.unwrap());
        (cursor.read, cursor.done) = (true, true);
        assert!(ledger.release_cursor(&cursor, Vec::new()).await.unwrap());
    }

    fn chunk(&self, shard: u16, action: u8, number: u32) -> ChunkKey {
        ChunkKey { execution: self.head.id, shard, action, number }
    }

    /// Gives every member of every chunk the code that `code` says.
    pub(crate) async fn deliver(&self, code: impl Fn(ProfileId, u8) -> Code) {
        for shard in self.head.shards() {
            let (chunks, next) = self.app.store.ledger.chunks(shard, Part::Whole, None, 1000).await.unwrap();
            assert!(next.is_none());
            for chunk in chunks.iter().filter(|chunk| !chunk.closed) {
                let lease = Duration::from_secs(60);
                let claim = self
                    .app
                    .store
                    .ledger
                    .claim(chunk.key, &self.worker, lease, Waits::Honoured)
                    .await
                    .unwrap();
                let Claim::Claimed(mut claimed) = claim else { panic!("the chunk is free") };
                let mut details = BTreeMap::new();
                for (member, profile) in chunk.members.profiles.iter().enumerate() {
                    if claimed.members.codes[member].is_pending() {
                        let code = code(*profile, chunk.key.action);
                        claimed.members.codes[member] =
                            if code == Code::Sent { claimed.members.codes[member].accepted() } else { code };
                        if code.outcome() == Outcome::Failed {
                            details.insert(member, format!("550 no {}", chunk.key.number));
                        }
                    }
                }
                self.app
                    .store
                    .ledger
                    .settle(&mut claimed, Next::Close, &details, Vec::new())
                    .await
                    .unwrap()
                    .unwrap();
            }
        }
    }

    /// What the sweep does when everybody has an outcome.
    pub(crate) async fn complete(&self) {
        let ledger = &self.app.store.ledger;
        let head = ledger.head(self.head.id).await.unwrap().unwrap();
        let tally = ledger.tally(&head).await.unwrap();
        assert!(tally.is_complete());
        let mut campaign = self.campaign().await;
        campaign.open_executions -= 1;
        campaign.status = campaign::Status::Completed;
        assert!(ledger.end(&head, State::Completed, tally.counts(), Some(&campaign)).await.unwrap());
    }

    pub(crate) async fn campaign(&self) -> Campaign {
        self.app.store.campaigns.get(self.campaign).await.unwrap()
    }

    pub(crate) fn path(&self) -> String {
        format!("/executions/{}", self.head.id)
    }

    pub(crate) async fn get(&self) -> Value {
        self.app.get(&self.path()).send().await.expect(200)
    }

    /// Every recipient of a walk over pages.
    async fn recipients(&self, query: &str) -> Vec<Value> {
        let (mut recipients, mut cursor) = (Vec::new(), String::new());
        loop {
            let page =
                self.app.get(&format!("{}/recipients?{query}{cursor}", self.path())).send().await.expect(200);
            recipients.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return recipients,
            }
        }
    }

    pub(crate) async fn resend(&self, outcomes: Value) -> Value {
        self.app
            .post(&format!("{}/resend", self.path()))
            .json(&json!({ "outcomes": outcomes }))
            .send()
            .await
            .expect(202)
    }
}

fn person(shard: u16, n: usize) -> ProfileId {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&shard.to_be_bytes());
    bytes[8..].copy_from_slice(&(n as u64).to_be_bytes());
    ProfileId::from_bytes(bytes)
}

/// Of a hundred and twenty: a few of each, the rest sent.
fn mixed(profile: ProfileId, _: u8) -> Code {
    match profile.as_bytes()[15] {
        0..=2 => Code::BadAddress,
        3 => Code::Policy,
        4..=6 => Code::NoConsent,
        7 => Code::Suppressed,
        8 => Code::NoAddress,
        9 => Code::Unknown,
        _ => Code::Sent,
    }
}

/// Corpus J3: whoever was not sent to has a reason, and the numbers add up.
#[tokio::test]
async fn counts_come_by_outcome_and_reason_and_add_up() {
    let run = Run::start(120).await;
    let before = run.get().await;
    assert_eq!(
        (&before["state"], &before["total"]["pending"], &before["total"]["balances"]),
        (&json!("running"), &json!(480), &json!(false))
    );
    run.deliver(mixed).await;
    let counts = json!({
        "targeted": 240,
        "sent": 220,
        "failed": { "total": 8, "reasons": { "bad_address": 6, "policy": 2 } },
        "excluded": { "total": 10, "reasons": { "no_consent": 6, "suppressed": 2, "no_address": 2 } },
        "unknown": 2,
        "pending": 0,
        "possible_duplicates": 0,
        "balances": true,
    });
    let after = run.get().await;
    for (action, got) in after["actions"].as_array().unwrap().iter().enumerate() {
        let mut expected = counts.clone();
        expected["action"] = json!(action);
        expected["channel"] = json!("email");
        assert_eq!(*got, expected);
    }
    assert_eq!((&after["total"]["targeted"], &after["total"]["sent"]), (&json!(480), &json!(440)));
    assert_eq!((&after["audience_read"], &after["ended_at"]), (&json!(true), &Value::Null));
    run.app.clock.advance(Duration::from_secs(60));
    run.complete().await;
    let ended = run.get().await;
    assert_eq!((&ended["state"], &ended["ended_at"]), (&json!("completed"), &json!("2026-11-25T09:01:00Z")));
    let listed = run.app.get(&format!("/campaigns/{}/executions", run.campaign)).send().await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["total"]), (&ended["id"], &ended["total"]));
}

#[tokio::test]
async fn the_list_says_what_was_learnt_after_the_end_as_the_execution_does() {
    let run = Run::start(120).await;
    run.deliver(mixed).await;
    run.complete().await;
    let (ledger, key) = (&run.app.store.ledger, run.chunk(0, 1, 0));
    let codes = ledger.chunk(key).await.unwrap().unwrap().members.codes;
    let sent = codes.iter().position(|code| *code == Code::Sent).unwrap();
    let lesson = (sent, Lesson::NotSent(Code::Refused, 0));
    ledger.learn(key, run.head.books(), &[lesson]).await.unwrap().unwrap();
    let one = run.get().await;
    assert_eq!((&one["state"], &one["total"]["sent"]), (&json!("completed"), &json!(439)));
    let listed = run.app.get(&format!("/campaigns/{}/executions", run.campaign)).send().await.expect(200);
    assert_eq!(listed["items"][0]["total"], one["total"]);
}

#[tokio::test]
async fn recipients_are_paged_with_nobody_skipped_or_repeated() {
    let run = Run::start(120).await;
    run.deliver(mixed).await;
    for limit in [1, 7, 50, 100] {
        let all = run.recipients(&format!("limit={limit}")).await;
        let names: std::collections::HashSet<_> = all
            .iter()
            .map(|recipient| (recipient["profile_id"].to_string(), recipient["action"].to_string()))
            .collect();
        assert_eq!((all.len(), names.len()), (480, 480), "limit {limit}");
    }
    let failed = run.recipients("outcome=failed&limit=3").await;
    assert_eq!(failed.len(), 16);
    assert!(failed.iter().all(|recipient| recipient["outcome"] == "failed"
        && recipient["detail"].as_str().unwrap().starts_with("550")));
    let policy = run.recipients("reason=policy&action=1").await;
    assert_eq!(policy.len(), 2);
    assert!(policy.iter().all(|recipient| recipient["action"] == 1 && recipient["reason"] == "policy"));
    let sent = run.recipients("outcome=sent&limit=100").await;
    assert_eq!((sent.len(), &sent[0]["detail"]), (440, &Value::Null));
    assert!(run.recipients("outcome=pending").await.is_empty());
    assert_eq!(run.recipients("outcome=failed&reason=no_consent").await.len(), 0);

    let path = format!("{}/recipients", run.path());
    for query in ["outcome=lost", "reason=lost", "action=x", "limit=0"] {
        run.app.get(&format!("{path}?{query}")).send().await.problem(400, "invalid_parameter");
    }
    let page = run.app.get(&format!("{path}?limit=1")).send().await.expect(200);
    let other = format!("/executions/{}/recipients", ExecutionId::random());
    let foreign = format!("{other}?cursor={}", page["next_cursor"].as_str().unwrap());
    run.app.get(&foreign).send().await.problem(400, "invalid_cursor");
    run.app.get(&other).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn resending_reopens_the_failed_and_the_books_go_on_adding_up() {
    let run = Run::start(120).await;
    run.deliver(mixed).await;
    run.complete().await;
    assert_eq!(run.campaign().await.open_executions, 0);
    assert_eq!(
        run.resend(json!(["failed"])).await,
        json!({ "reopened": 16, "left": 0, "next_cursor": null })
    );
    let open = run.get().await;
    assert_eq!(
        (&open["state"], &open["total"]["pending"], &open["total"]["failed"]["total"]),
        (&json!("running"), &json!(16), &json!(0))
    );
    assert_eq!(run.campaign().await.open_executions, 1);
    let messages = run.app.take(tables::DELIVER_EMAIL).await;
    assert_eq!(messages.len(), 4, "the first chunk of each action of each shard has failures");
    // Asked again there is nobody left, and it is not taken up twice.
    assert_eq!(run.resend(json!(["failed"])).await["reopened"], 0);
    run.deliver(|_, _| Code::Sent).await;
    run.complete().await;
    let done = run.get().await;
    assert_eq!((&done["total"]["sent"], &done["total"]["possible_duplicates"]), (&json!(456), &json!(0)));
    assert_eq!(run.campaign().await.open_executions, 0);

    // Whoever is unknown may get it twice, and the report says so.
    assert_eq!(run.resend(json!(["failed", "unknown"])).await["reopened"], 4);
    run.deliver(|_, _| Code::Sent).await;
    let done = run.get().await;
    assert_eq!((&done["total"]["sent"], &done["total"]["possible_duplicates"]), (&json!(460), &json!(4)));
    assert_eq!(done["total"]["balances"], true);
    // Nobody failed: nothing is taken up.
    run.complete().await;
    assert_eq!(run.resend(json!(["failed", "unknown"])).await["reopened"], 0);
    assert_eq!(run.get().await["state"], "completed");

    let path = format!("{}/resend", run.path());
    for outcomes in [json!([]), json!(["sent"]), json!(["excluded"])] {
        run.app.post(&path).json(&json!({ "outcomes": outcomes })).send().await.problem(400, "invalid_field");
    }
    let other = format!("/executions/{}/resend", ExecutionId::random());
    run.app.post(&other).json(&json!({ "outcomes": ["failed"] })).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn a_provider_that_tells_twice_of_the_first_message_says_nothing_of_the_second() {
    let run = Run::start(60).await;
    run.deliver(mixed).await;
    run.complete().await;
    let (ledger, key) = (&run.app.store.ledger, run.chunk(0, 0, 0));
    let codes = async || ledger.chunk(key).await.unwrap().unwrap().members.codes;
    let first = codes().await;
    let failed = first.iter().position(|code| code.outcome() == Outcome::Failed).unwrap();
    let sent = first.iter().position(|code| *code == Code::Sent).unwrap();
    let before_ms = run.app.store.platform.clock.now().as_millisecond();
    run.app.clock.advance(Duration::from_secs(60));
    run.resend(json!(["failed"])).await;
    run.deliver(|_, _| Code::Sent).await;
    let learn = async |member, at_ms| {
        let lesson = (member, Lesson::NotSent(Code::Refused, at_ms));
        ledger.learn(key, run.head.books(), &[lesson]).await.unwrap().unwrap().codes[member]
    };
    assert_eq!(learn(failed, before_ms).await, Code::Sent);
    assert_eq!(learn(sent, before_ms).await, Code::Refused, "of whom there is one message only");
    let now_ms = run.app.store.platform.clock.now().as_millisecond();
    assert_eq!(learn(failed, now_ms).await, Code::Refused, "it is the second that was refused");
}

/// A chunk that is being delivered keeps its failed members, and the answer says that not all were reopened.
#[tokio::test]
async fn what_somebody_holds_is_not_reopened_and_that_is_said() {
    let run = Run::start(60).await;
    run.deliver(|profile, _| if profile.as_bytes()[15] == 55 { Code::Policy } else { Code::Sent }).await;
    assert_eq!(run.resend(json!(["failed"])).await, json!({ "reopened": 4, "left": 0, "next_cursor": null }));
    let lease = Duration::from_secs(60);
    let held = run.chunk(0, 0, 1);
    run.deliver(|_, _| Code::Policy).await;
    let ledger = &run.app.store.ledger;
    let head = ledger.head(run.head.id).await.unwrap().unwrap();
    let stored = ledger.chunk(run.chunk(1, 0, 1)).await.unwrap().unwrap();
    assert_eq!(ledger.reopen(&stored, &[Outcome::Failed], &head).await.unwrap(), Some(1));
    let stored = ledger.chunk(held).await.unwrap().unwrap();
    assert_eq!(ledger.reopen(&stored, &[Outcome::Failed], &head).await.unwrap(), Some(1));
    let Claim::Claimed(mut claimed) = ledger.claim(held, &run.worker, lease, Waits::Honoured).await.unwrap()
    else {
        panic!("the chunk is free")
    };
    claimed.members.codes[5] = Code::Expired;
    assert!(ledger.open_window(&mut claimed, 0..10).await.unwrap().is_ok());
    assert_eq!(run.resend(json!(["failed"])).await, json!({ "reopened": 2, "left": 1, "next_cursor": null }));
}

#[tokio::test]
async fn stopping_a_campaign_stops_its_executions() {
    let run = Run::start(60).await;
    let stop = format!("/campaigns/{}/stop", run.campaign);
    run.app.post(&stop).send().await.expect(200);
    assert_eq!(run.get().await["state"], "stopping");
    let resend = format!("{}/resend", run.path());
    let body = json!({ "outcomes": ["failed"] });
    run.app.post(&resend).json(&body).send().await.problem(409, "state_not_allowed");
    run.deliver(|_, _| Code::Stopped).await;
    let stopped = run.get().await;
    assert_eq!(stopped["total"]["excluded"], json!({ "total": 240, "reasons": { "stopped": 240 } }));
}

/// A stop that died between its two writes is completed by the next one.
#[tokio::test]
async fn a_repeated_stop_turns_what_the_first_left() {
    let run = Run::start(60).await;
    run.app.store.campaigns.command(run.campaign, Command::Stop, &Actor::envoi(), |_| Ok(())).await.unwrap();
    assert_eq!(run.get().await["state"], "running");
    run.app.post(&format!("/campaigns/{}/stop", run.campaign)).send().await.expect(200);
    assert_eq!(run.get().await["state"], "stopping");
}

#[tokio::test]
async fn an_execution_whose_campaign_was_stopped_later_is_not_resent() {
    let run = Run::start(60).await;
    run.deliver(mixed).await;
    let ledger = &run.app.store.ledger;
    let head = ledger.head(run.head.id).await.unwrap().unwrap();
    let counts = ledger.tally(&head).await.unwrap().counts();
    assert!(ledger.end(&head, State::Completed, counts, None).await.unwrap());
    run.app.post(&format!("/campaigns/{}/stop", run.campaign)).send().await.expect(200);
    let resend = format!("{}/resend", run.path());
    run.app
        .post(&resend)
        .json(&json!({ "outcomes": ["failed"] }))
        .send()
        .await
        .problem(409, "state_not_allowed");
}

/// Nothing prolongs a ledger: what is sent again must be over before it goes.
#[tokio::test]
async fn an_execution_whose_ledger_soon_ends_is_not_resent() {
    let run = Run::start(60).await;
    run.deliver(mixed).await;
    let (day, resend) = (Duration::from_secs(24 * 3600), format!("{}/resend", run.path()));
    let body = json!({ "outcomes": ["failed"] });
    run.app.clock.advance(day * 90);
    run.app.post(&resend).json(&body).send().await.expect(202);
    run.app.clock.advance(Duration::from_secs(1));
    let problem = run.app.post(&resend).json(&body).send().await.problem(409, "ledger_expires");
    assert_eq!(problem["expires_at"], "2027-03-25T09:00:00Z");
}

#[tokio::test]
async fn a_missed_occurrence_is_listed() {
    let run = Run::start(1).await;
    let occurrence = "2026-11-25T10:00:00Z".parse().unwrap();
    let summary = ExecutionSummary {
        id: ExecutionId::random(),
        campaign: run.campaign,
        version: 1,
        occurrence,
        state: State::Missed,
        started_at: None,
        paused_at: None,
        ended_at: Some(occurrence),
        counts: vec![Counts::default()],
        shards: 0,
    };
    let campaign = run.campaign().await;
    assert!(run.app.store.ledger.miss(&campaign, &summary).await.unwrap());
    let path = format!("/campaigns/{}/executions", run.campaign);
    let first = run.app.get(&format!("{path}?limit=1")).send().await.expect(200);
    assert_eq!((&first["items"][0]["state"], &first["items"][0]["total"]), (&json!("missed"), &Value::Null));
    let next = first["next_cursor"].as_str().unwrap();
    let second = run.app.get(&format!("{path}?limit=1&cursor={next}")).send().await.expect(200);
    assert_eq!((&second["items"][0]["state"], &second["next_cursor"]), (&json!("running"), &Value::Null));
    run.app.get("/campaigns/00000000000000000000000000/executions").send().await.problem(404, "not_found");
}
