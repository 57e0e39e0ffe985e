//! A store, the function over it, and a clock that stands still until a test moves it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use campaign::call::{Call, CallRecipient};
use campaign::content::OnMissing;
use campaign::feedback::Report;
use campaign::model::Actor;
use campaign::outcome::OnUnknown;
use campaign::{CampaignId, Category, Channel, Code, ExecutionId, Profile, ProfileId};
use delivery::{MemberId, MessageId};
use feedback::sns::Sns;
use feedback::{Context, ProviderEvent};
use jiff::Timestamp;
use outbound::{Client, Limits, Policy};
use platform::embedded::Embedded;
use platform::{Clock, Deadline, Message, Received, Scan, Source, batch};
use store::ledger::{Audience, CallRequest, Claim, ClaimedChunk, Head, Next, State, Tenancy, Worker};
use store::messages::{ChunkKey, Feedback, Notify};
use store::{HashKey, Store, tables};

use crate::fixtures::NOW_MS;

pub(crate) const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:feedback";
/// How long whoever delivers holds a chunk.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct TestClock(Mutex<Timestamp>);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::try_from(self.now().duration_since(Timestamp::UNIX_EPOCH)).unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        *self.0.lock().unwrap() += duration;
    }
}

pub(crate) struct World {
    clock: Arc<TestClock>,
    pub(crate) store: Store,
    engine: Embedded,
    pub(crate) context: Arc<Context>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_sns_at(None)
    }

    pub(crate) fn with_sns_at(url: Option<&str>) -> Self {
        let clock = Arc::new(TestClock(Mutex::new(Timestamp::from_millisecond(NOW_MS).unwrap())));
        let engine = Embedded::in_memory(Arc::clone(&clock) as Arc<dyn Clock>);
        let store = Store::new(engine.platform(), HashKey([7; 32]));
        let client = Client::new(Policy::allowing("http://127.0.0.1").unwrap(), Limits::default());
        let context = Arc::new(Context::new(store.clone(), Sns::new(client, TOPIC, url)));
        Self { clock, store, engine, context }
    }

    /// A call to so many, that nobody has begun to deliver.
    pub(crate) async fn placed(&self, recipients: usize, category: Category) -> Head {
        self.placed_to(&vec![None; recipients], category).await
    }

    /// A call to these, or to whom it brings along.
    pub(crate) async fn placed_to(&self, people: &[Option<ProfileId>], category: Category) -> Head {
        let recipient = |profile: &Option<ProfileId>| CallRecipient {
            profile: *profile,
            addresses: serde_json::Map::new(),
            attributes: serde_json::Map::new(),
            context: serde_json::Value::Null,
        };
        let call = Call { recipients: people.iter().map(recipient).collect(), ..Call::default() };
        let head = Head {
            id: ExecutionId::random(),
            campaign: CampaignId::from_bytes([3; 16]),
            version: 2,
            occurrence: self.clock.now(),
            category,
            shards: 0,
            actions: vec![Channel::Email],
            audience: Audience::Call { recipients: u32::try_from(people.len()).unwrap() },
            on_unknown: OnUnknown::Hold,
            on_missing: OnMissing::Blank,
            started_at: self.clock.now() - Duration::from_secs(3600),
            plan: None,
            request: Some(CallRequest {
                id: "order-7".to_owned(),
                by: Actor { id: "k".to_owned(), name: "caller".to_owned() },
                hash: String::new(),
            }),
            call: Some(Arc::new(call.clone())),
            state: State::Running,
            paused_at: None,
            paused_for_ms: 0,
            ended_at: None,
            revision: 1,
        };
        self.store.ledger.place(&head, &call).await.unwrap();
        head
    }

    /// Somebody begins to deliver it.
    pub(crate) async fn claimed(&self, head: &Head) -> ClaimedChunk {
        let worker = Worker::new(Tenancy::Shared);
        let claim = self.store.ledger.claim_call(head, head.call_chunk(0), &worker, LEASE).await.unwrap();
        let Claim::Claimed(mut claimed) = claim else { panic!("{claim:?}") };
        claimed.books = head.books();
        *claimed
    }

    pub(crate) async fn settle(&self, claimed: &mut ClaimedChunk, codes: &[Code]) {
        claimed.members.codes = codes.to_vec();
        let settled = self.store.ledger.settle(claimed, Next::Close, &BTreeMap::new(), Vec::new()).await;
        assert!(settled.unwrap().is_ok());
    }

    /// A call whose members have these codes.
    pub(crate) async fn settled(&self, codes: &[Code], category: Category) -> ChunkKey {
        self.settled_to(&vec![None; codes.len()], codes, category).await
    }

    /// Somebody who is at [`address`], as a stored profile.
    pub(crate) async fn profile(&self, index: usize) -> ProfileId {
        let id = ProfileId::random();
        let email = serde_json::Map::from_iter([("email".to_owned(), address(index).into())]);
        self.store.profiles.put(&Profile::new(id, email).unwrap(), None).await.unwrap();
        id
    }

    /// A call to these that have these codes.
    pub(crate) async fn settled_to(
        &self,
        people: &[Option<ProfileId>],
        codes: &[Code],
        category: Category,
    ) -> ChunkKey {
        let head = self.placed_to(people, category).await;
        let mut claimed = self.claimed(&head).await;
        self.settle(&mut claimed, codes).await;
        claimed.key
    }

    /// Makes it another time.
    pub(crate) fn set(&self, now: &str) {
        *self.clock.0.lock().unwrap() = now.parse().unwrap();
    }

    pub(crate) async fn codes(&self, chunk: ChunkKey) -> Vec<Code> {
        self.store.ledger.chunk(chunk).await.unwrap().unwrap().members.codes
    }

    /// Holds what the counters say against a recount.
    pub(crate) async fn balances(&self, chunk: ChunkKey) {
        let head = self.store.ledger.head(chunk.execution).await.unwrap().unwrap();
        let counters = self.counters(chunk).await;
        let mut recount = BTreeMap::new();
        for code in self.codes(chunk).await {
            *recount.entry(format!("c{}", code as u8)).or_insert(0) += 1;
        }
        let facts = self.store.ledger.facts(chunk).await.unwrap();
        for (fact, minute) in facts.iter().flat_map(|(_, facts)| facts.iter()) {
            *recount.entry(format!("f{}m{}", fact as u8, minute.rem_euclid(60))).or_insert(0) += 1;
        }
        assert_eq!(counters, recount);
        assert!(head.is_call());
    }

    /// The counters of a call's campaign that are not zero: codes whenever they were counted, and facts with their minutes.
    pub(crate) async fn counters(&self, chunk: ChunkKey) -> BTreeMap<String, i64> {
        let mut counted = BTreeMap::new();
        let mut after = None;
        loop {
            let scan = Scan { bucket: 0, of: 1, after, limit: 1000 };
            let page = self.store.platform.table.scan(tables::LEDGER, scan).await.unwrap();
            for item in page.items.iter().filter(|item| item.key.pk.starts_with("c#")) {
                for (name, value) in &item.attributes {
                    let platform::Value::N(value) = value else { continue };
                    let name = if name.starts_with('c') { name.split('m').next().unwrap() } else { name };
                    if *value != 0 && name != "closed" && name.starts_with(['c', 'f']) {
                        *counted.entry(name.to_owned()).or_default() += *value;
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        counted.retain(|_, count| *count != 0);
        assert!(chunk.is_call());
        counted
    }

    pub(crate) async fn post(&self, bodies: Vec<String>) {
        let messages = bodies.into_iter().map(|body| Message::new(tables::FEEDBACK, body)).collect();
        self.store.platform.queue.send(messages).await.unwrap();
    }

    /// Puts events on the queue, each in a message of its own, and has them handled.
    pub(crate) async fn tell(&self, events: &[ProviderEvent]) {
        let body = |event: &ProviderEvent| {
            serde_json::to_string(&Feedback { feedback: vec![event.reported()] }).unwrap()
        };
        self.post(events.iter().map(body).collect()).await;
        self.work(10).await;
    }

    /// Hands the function what can be seen on its queue, so many at a time, until there is nothing more.
    pub(crate) async fn work(&self, at_once: usize) {
        loop {
            let found = self.receive(tables::FEEDBACK, at_once).await;
            if found.is_empty() {
                return;
            }
            let receipts = found.iter().map(|message| message.receipt.clone()).collect();
            let response = self.handle(found).await;
            assert!(response.is_empty(), "{response:?}");
            self.engine.delete(tables::FEEDBACK, receipts).await.unwrap();
        }
    }

    /// The ids of the messages that failed.
    pub(crate) async fn handle(&self, messages: Vec<Received>) -> Vec<String> {
        let deadline = Deadline::after(&*self.clock, Duration::from_secs(60));
        let response = feedback::handle(&self.context, batch::event(messages), deadline).await;
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    pub(crate) async fn receive(&self, queue: platform::QueueName, most: usize) -> Vec<Received> {
        self.engine.receive(queue, most, Duration::from_secs(360), 20).await.unwrap()
    }

    /// What callers are to be told, all that there is.
    pub(crate) async fn announced(&self) -> Vec<Notify> {
        let found = self.receive(tables::NOTIFY, 1000).await;
        found.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect()
    }

    /// Lets time pass, a little at a time.
    pub(crate) async fn pass(&self, time: Duration) {
        let until = self.clock.now() + time;
        while self.clock.now() < until {
            self.clock.sleep(Duration::from_secs(1)).await;
            self.work(10).await;
        }
    }
}

/// An event of a member of a chunk.
pub(crate) fn event(chunk: ChunkKey, index: usize, report: Report) -> ProviderEvent {
    ProviderEvent {
        of: Some(MessageId::Member(MemberId { chunk, index })),
        addresses: vec![address(index)],
        ..ProviderEvent::new(Channel::Email, report, NOW_MS - 60_000)
    }
}

pub(crate) fn address(index: usize) -> String {
    format!("reader-{index}@reader.example")
}
