//! A store, the function over it, and a clock that stands still until a test moves it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use campaign::call::{Call, CallRecipient};
use campaign::content::OnMissing;
use campaign::feedback::EventType;
use campaign::model::Actor;
use campaign::outcome::OnUnknown;
use campaign::{CampaignId, Category, Channel, Code, EndpointId, ExecutionId, ProfileId};
use jiff::Timestamp;
use notify::Context;
use outbound::standard_webhooks::Secret;
use outbound::{Client, Limits, Policy};
use platform::embedded::Embedded;
use platform::{Clock, Deadline, Source, batch};
use store::endpoints::Endpoint;
use store::ledger::{Audience, CallRequest, Claim, Head, Next, State, Tenancy, Worker};
use store::messages::{ChunkKey, Notify, Settled};
use store::{HashKey, Store, tables};

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
        self.advance(duration);
    }
}

impl TestClock {
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) store: Store,
    engine: Embedded,
    context: Context,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Policy::allowing("http://127.0.0.1").unwrap())
    }

    pub(crate) fn with(policy: Policy) -> Self {
        let clock = Arc::new(TestClock(Mutex::new(Timestamp::from_second(1_800_000_000).unwrap())));
        let engine = Embedded::in_memory(Arc::clone(&clock) as Arc<dyn Clock>);
        let store = Store::new(engine.platform(), HashKey([7; 32]));
        let limits = Limits { call: Duration::from_millis(500), ..Limits::default() };
        let context = Context::new(store.clone(), Client::new(policy, limits), Worker::new(Tenancy::Shared));
        Self { clock, store, engine, context }
    }

    /// Registers an address; what its messages are signed with.
    pub(crate) async fn register(&self, url: &str, events: &[EventType]) -> (EndpointId, Secret) {
        let now = self.clock.now();
        let secret = Secret::generate();
        let endpoint = Endpoint {
            id: EndpointId::ordered(now.as_millisecond()),
            url: url.to_owned(),
            description: String::new(),
            events: events.to_vec(),
            disabled: false,
            gone_at: None,
            created_at: now,
            secret_at: now,
        };
        self.store.endpoints.create(&endpoint, secret.reveal()).await.unwrap();
        (endpoint.id, secret)
    }

    /// A call for these codes that was settled, with the message that tells of it.
    pub(crate) async fn settled(&self, codes: &[Code]) -> Head {
        let (head, chunk) = self.placed(codes.len(), Category::Transactional).await;
        self.settle(&head, chunk, codes).await;
        let named = codes.iter().enumerate().map(|(index, code)| (u8::try_from(index).unwrap(), *code as u8));
        self.announce(chunk, named.collect()).await;
        head
    }

    pub(crate) async fn placed(&self, recipients: usize, category: Category) -> (Head, ChunkKey) {
        let now = self.clock.now();
        let recipient = |index: usize| CallRecipient {
            // The last one has no profile.
            profile: (index + 1 < recipients).then(|| ProfileId::from_bytes([9; 16])),
            addresses: serde_json::Map::new(),
            attributes: serde_json::Map::new(),
            context: serde_json::Value::Null,
        };
        let call = Call { recipients: (0..recipients).map(recipient).collect(), ..Call::default() };
        let by = Actor { id: "k".to_owned(), name: "caller".to_owned() };
        let head = Head {
            id: ExecutionId::random(),
            campaign: CampaignId::from_bytes([3; 16]),
            version: 2,
            occurrence: now,
            category,
            shards: 0,
            actions: vec![Channel::Email],
            audience: Audience::Call { recipients: u32::try_from(recipients).unwrap() },
            on_unknown: OnUnknown::Hold,
            on_missing: OnMissing::Blank,
            started_at: now,
            plan: None,
            request: Some(CallRequest { id: "order-7".to_owned(), by, hash: String::new() }),
            call: Some(Arc::new(call.clone())),
            state: State::Running,
            paused_at: None,
            paused_for_ms: 0,
            ended_at: None,
            revision: 1,
        };
        self.store.ledger.place(&head, &call).await.unwrap();
        let chunk = head.call_chunk(0);
        (head, chunk)
    }

    pub(crate) async fn settle(&self, head: &Head, chunk: ChunkKey, codes: &[Code]) {
        let worker = Worker::new(Tenancy::Shared);
        let lease = Duration::from_secs(60);
        let claim = self.store.ledger.claim_call(head, chunk, &worker, lease).await.unwrap();
        let Claim::Claimed(mut claimed) = claim else { panic!("{claim:?}") };
        claimed.members.codes = codes.to_vec();
        claimed.books = head.books();
        let settled =
            self.store.ledger.settle(&mut claimed, Next::Close, &BTreeMap::new(), Vec::new()).await.unwrap();
        assert!(settled.is_ok());
    }

    pub(crate) async fn announce(&self, chunk: ChunkKey, codes: Vec<(u8, u8)>) {
        let at_ms = self.clock.now().as_millisecond();
        let message = Notify::Settled(Settled { chunk, codes, at_ms }).message();
        self.store.platform.queue.send(vec![message]).await.unwrap();
    }

    /// Hands the function what can be seen on its queue, until there is nothing more.
    pub(crate) async fn work(&self) {
        loop {
            let found = self.engine.receive(tables::NOTIFY, 10, Duration::from_secs(360), 20).await.unwrap();
            if found.is_empty() {
                return;
            }
            let receipts = found.iter().map(|message| message.receipt.clone()).collect();
            let deadline = Deadline::after(&*self.clock, Duration::from_secs(60));
            let response = notify::handle(&self.context, batch::event(found), deadline).await;
            assert!(response.batch_item_failures.is_empty(), "{response:?}");
            self.engine.delete(tables::NOTIFY, receipts).await.unwrap();
        }
    }

    /// Lets time pass, a little at a time, with the sweep each minute.
    pub(crate) async fn pass(&self, time: Duration) {
        let until = self.clock.now() + time;
        while self.clock.now() < until {
            let step = Duration::try_from(until.duration_since(self.clock.now())).unwrap();
            self.clock.advance(step.min(Duration::from_secs(60)));
            for endpoint in self.store.endpoints.due(self.clock.now(), 100).await.unwrap() {
                self.store.endpoints.hand_on(endpoint).await.unwrap();
            }
            self.work().await;
        }
    }
}
