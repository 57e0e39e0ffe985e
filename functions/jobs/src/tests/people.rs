//! A person who has been through every door, exported and erased; and every write of it may be the process's last.

use std::collections::BTreeMap;

use campaign::call::{Call, CallRecipient};
use campaign::feedback::EventType;
use campaign::frequency::{ClaimTag, Entry, MessageTag};
use campaign::model::{Actor, CampaignType};
use campaign::suppression::SuppressionReason;
use campaign::{
    Campaign, Category, Channel, Code, EndpointId, EventId, ExecutionId, Fact, Profile, ProfileId, Version,
};
use memchr::memmem;
use platform::{
    Change, Condition, Consistency, Item, Key, Message, Page, Platform, Query, Queue, Scan, Table, TableName,
    TransactError, Updated, Value as Stored, Write,
};
use serde_json::{Map, Value, json};
use store::StoreError;
use store::endpoints::{Endpoint, Parked};
use store::frequency::{Asked, Counted};
use store::idempotency::{Begun, CallKey, KeptAnswer};
use store::ledger::{Audience, CallRequest, Claim, Head, Next, Told, call_id};
use store::people::{Erasing, Exporting};
use store::profiles::Incoming;
use store::suppression::Suppression;

use super::*;

const EMAIL: &str = "Zoraida.Q@example.org";
/// Longer than a function may run, its lease's margin and what clocks differ by.
pub(super) const WAIT: Duration = Duration::from_secs(68);
const PHONE: &str = "+33612345678";
/// What must be nowhere any more; in lower case.
const SECRETS: [&str; 7] = [
    "zoraida",
    "33612345678",
    "crm-4711",
    "device-token-of-hers",
    "order-no-81",
    "wrote-to-us",
    "said the server",
];

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("an object") };
    map
}

fn document() -> Map<String, Value> {
    object(json!({
        "email": EMAIL, "phone": PHONE, "external_id": "crm-4711",
        "person": { "name": { "firstName": "Zoraida" } }, "consent": { "sms": "out", "email": "in" },
        "push_tokens": [{ "app_id": "shop", "platform": "ios", "token": "device-token-of-hers" }],
    }))
}

/// Who is where.
struct Known {
    id: ProfileId,
    /// A call whose first action is through and whose second is not.
    half: ExecutionId,
    /// A call that nobody has looked at.
    new: ExecutionId,
    lists: Vec<SegmentId>,
    endpoint: EndpointId,
}

impl World {
    pub(super) async fn list(&self, name: &str, members: &[ProfileId]) -> SegmentId {
        let kind = SegmentKind::List { generation: 1, partitions: tables::LIST_PARTITIONS, members: 0 };
        let now = self.clock.now();
        let segment = Segment {
            id: SegmentId::random(),
            name: name.to_owned(),
            description: String::new(),
            kind,
            created_at: now,
            modified_at: now,
        };
        let segments = &self.store().segments;
        segments.put(&segment, 0).await.unwrap();
        segments.add_members(segment.id, 1, members).await.unwrap();
        segments.count_members(segment.id, members.len() as i64).await.unwrap();
        segment.id
    }

    /// Puts a call to these people, over email and text message.
    async fn call(&self, campaign: &Campaign, name: &str, people: &[ProfileId]) -> Head {
        let recipients = people
            .iter()
            .map(|id| CallRecipient {
                profile: Some(*id),
                addresses: object(json!({ "email": format!("other-{EMAIL}") })),
                attributes: object(json!({ "nick": "Zoraida the great" })),
                context: json!({ "order": "order-no-81" }),
            })
            .collect();
        let call = Call { recipients, context: Value::Null };
        let request = CallRequest { id: name.to_owned(), by: Actor::envoi(), hash: "0".repeat(64) };
        let audience = Audience::Call { recipients: 2 };
        let mut head = Head::new(
            call_id(campaign.id, name),
            campaign,
            &Version::draft(1),
            audience,
            2,
            self.clock.now(),
        );
        head.actions = vec![Channel::Email, Channel::Sms];
        head.request = Some(request);
        self.store().ledger.place(&head, &call).await.unwrap();
        self.store().ledger.head(head.id).await.unwrap().unwrap()
    }

    /// A person who has been through every door.
    async fn somebody(&self) -> Known {
        let store = self.store();
        let now = self.clock.now();
        let (id, other) = (ProfileId::random(), ProfileId::random());
        let profile = Profile::new(id, document()).unwrap();
        store.profiles.put(&profile, None).await.unwrap();
        let suppression = Suppression {
            channel: Channel::Email,
            address: Some(EMAIL.to_owned()),
            reason: SuppressionReason::Complaint,
            source: Some("Zoraida wrote-to-us".to_owned()),
            at: now,
        };
        store.suppressions.add(&suppression).await.unwrap();
        let entries =
            [(Channel::Email, EMAIL.to_lowercase()), (Channel::Push, "device-token-of-hers".to_owned())];
        for (channel, entry) in entries {
            let all = ["example.org".to_owned(), entry];
            let add = |list: &mut store::allowed::Allowed| list.entries.extend(all.clone());
            store.allowed.change(channel, add).await.unwrap();
        }
        let mut lists = Vec::new();
        for (name, members) in [("Both", &[id, other][..]), ("Hers", &[id]), ("Others", &[other])] {
            lists.push(self.list(name, members).await);
        }

        let campaign =
            Campaign::new("Orders", CampaignType::ApiTriggered, Category::Transactional, Actor::envoi(), now);
        store.campaigns.create(&campaign, &Version::draft(1), &[], None).await.unwrap();
        let half = self.call(&campaign, "half", &[other, id]).await;
        let worker = Worker::new(Tenancy::Shared);
        let lease = Duration::from_secs(600);
        let claim = store.ledger.claim_call(&half, half.call_chunk(0), &worker, lease).await.unwrap();
        let Claim::Claimed(mut chunk) = claim else { panic!("{claim:?}") };
        chunk.books = half.books();
        chunk.members.codes = vec![Code::Sent, Code::BadAddress];
        let details =
            BTreeMap::from([(0, "fine".to_owned()), (1, "no such user, said the server".to_owned())]);
        store.ledger.settle(&mut chunk, Next::Close, &details, Vec::new()).await.unwrap().unwrap();
        let minute = now.as_second() / 60;
        let told = |fact| Told { member: 1, fact, minute };
        store.ledger.tell(half.call_chunk(0), &[told(Fact::HardBounced), told(Fact::Opened)]).await.unwrap();
        let new = self.call(&campaign, "new", &[id, other]).await;

        let key = CallKey::new("caller", "POST", "/profiles", "key");
        let Begun::First(call) = store.idempotency.begin(key, b"{}").await.unwrap() else {
            panic!("the first")
        };
        let body = serde_json::to_vec(profile.document()).unwrap();
        let headers = vec![("location".to_owned(), format!("/profiles/{id}"))];
        store.idempotency.keep(&call, &KeptAnswer { status: 201, headers, body }).await.unwrap();

        let entry = Entry {
            message: MessageTag(7),
            claim: ClaimTag(1),
            channel: Channel::Email,
            at_ms: now.as_millisecond(),
        };
        let asked = Asked { profile: id, counted: Counted::default(), entry, limits: Vec::new() };
        assert_eq!(store.frequency.reserve(vec![asked]).await.unwrap(), [true]);
        assert!(self.places(&id.to_string()).await.contains("ledger/cap"));

        let endpoint = Endpoint {
            id: EndpointId::random(),
            url: "https://example.com/hook".to_owned(),
            description: String::new(),
            events: vec![EventType::Failed],
            disabled: false,
            gone_at: None,
            created_at: now,
            secret_at: now,
        };
        store.endpoints.create(&endpoint, "whsec_c2VjcmV0").await.unwrap();
        let event = |about: ProfileId| Parked {
            event: EventId::random(),
            body: json!({ "data": { "recipient": { "profileId": about } } }).to_string(),
            since_ms: now.as_millisecond(),
            tries: 1,
            error: None,
            due_ms: now.as_millisecond() + 3_600_000,
        };
        store.endpoints.park(endpoint.id, &[event(id), event(other)]).await.unwrap();
        store.endpoints.bury(endpoint.id, vec![event(id)]).await.unwrap();
        Known { id, half: half.id, new: new.id, lists, endpoint: endpoint.id }
    }

    /// Does what there is to be done, and after the wait for whoever may be at work still, the rest.
    pub(super) async fn run_through(&self, context: &Context) -> (usize, usize) {
        let (handled, failed) = self.run(context).await;
        self.clock.advance(WAIT);
        let (more, failed_then) = self.run(context).await;
        (handled + more, failed + failed_then)
    }

    pub(super) async fn begin_erasure(&self, person: ProfileId) -> JobId {
        let task = Task::EraseProfile { profile: person, erasure: Erasing::default() };
        let job = Job::new(task, self.clock.now());
        self.store().jobs.begin_erasure(person, &job, None).await.unwrap();
        job.id
    }

    async fn begin_export(&self, person: ProfileId) -> JobId {
        let task = Task::ExportProfile { profile: person, export: Exporting::default() };
        let job = Job::new(task, self.clock.now());
        self.store().jobs.create(&job).await.unwrap();
        job.id
    }

    /// Where this stands: the items, and the files.
    async fn places(&self, text: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for table in [tables::CONTROL, tables::PROFILES, tables::AUDIENCE, tables::LEDGER] {
            let mut after = None;
            loop {
                let page =
                    self.engine.scan(table, Scan { bucket: 0, of: 1, after, limit: 1000 }).await.unwrap();
                for item in &page.items {
                    let mut held = format!("{} {}", item.key.pk, item.key.sk).into_bytes();
                    for (name, value) in &item.attributes {
                        held.extend(name.bytes());
                        match value {
                            Stored::S(text) => held.extend(text.bytes()),
                            Stored::B(bytes) => held.extend(bytes),
                            Stored::N(_) => {}
                        }
                    }
                    if memmem::find(&held.to_ascii_lowercase(), text.as_bytes()).is_some() {
                        let begin = item.key.pk.split('#').next().unwrap();
                        found.insert(format!("{}/{begin}", table.0));
                    }
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        for (name, bytes) in self.files() {
            if memmem::find(&bytes.to_ascii_lowercase(), text.as_bytes()).is_some() {
                found.insert(format!("files/{name}"));
            }
        }
        for queue in
            [tables::JOBS, tables::NOTIFY, tables::DELIVER_EMAIL_PRIORITY, tables::DELIVER_SMS_PRIORITY]
        {
            let messages = self.engine.receive(queue, 10, Duration::ZERO, 1000).await.unwrap();
            if messages.iter().any(|message| message.body.to_lowercase().contains(text)) {
                found.insert(format!("queue/{}", queue.0));
            }
        }
        found
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        fn walk(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push((
                        path.file_name().unwrap().to_str().unwrap().to_owned(),
                        fs::read(&path).unwrap(),
                    ));
                }
            }
        }
        let mut found = Vec::new();
        walk(self.folder.path(), &mut found);
        found
    }

    /// What must hold once somebody is erased.
    async fn assert_erased(&self, person: &Known, story: &str) {
        for secret in SECRETS {
            assert_eq!(self.places(secret).await, BTreeSet::new(), "{story}: {secret}");
        }
        // The id says nothing any more: it stays where it was counted, and where it says who was erased.
        let id = person.id.to_string();
        let mut known = self.places(&id).await;
        known.remove("control/jobs");
        assert_eq!(known, BTreeSet::from(["control/erasures".to_owned(), "ledger/x".to_owned()]), "{story}");
        let store = self.store();
        for (list, members) in person.lists.iter().zip([1, 0, 1]) {
            let kind = store.segments.get(*list).await.unwrap().value.kind;
            assert!(
                matches!(kind, SegmentKind::List { members: count, .. } if count == members),
                "{story}: {kind:?}"
            );
        }
        let waiting = store.endpoints.waiting(person.endpoint, None, 10).await.unwrap();
        assert_eq!(waiting.len(), 1, "{story}: the other's event waits on");
        for call in [person.half, person.new] {
            let head = store.ledger.head(call).await.unwrap().unwrap();
            let recipients = &head.call.as_ref().unwrap().recipients;
            assert!(
                recipients.iter().any(|who| who.context == Value::Null && who.addresses.is_empty()),
                "{story}"
            );
            assert!(
                recipients
                    .iter()
                    .any(|who| who.profile != Some(person.id) && who.context["order"].is_string()),
                "{story}: what came along for the other stays"
            );
        }
        let key = CallKey::new("caller", "POST", "/profiles", "key");
        assert!(matches!(store.idempotency.begin(key, b"{}").await.unwrap(), Begun::Erased), "{story}");

        let allowed = store.allowed.get(Channel::Email).await.unwrap().entries;
        assert_eq!(allowed, BTreeSet::from(["example.org".to_owned()]), "{story}");
        // What remains is that nobody writes to these addresses.
        let suppressions = &store.suppressions;
        let which = async |channel, category, address| {
            !suppressions.which(channel, category, &[address]).await.unwrap().is_empty()
        };
        assert!(which(Channel::Email, Category::Marketing, EMAIL).await, "{story}");
        assert!(
            which(Channel::Sms, Category::Marketing, PHONE).await,
            "{story}: had said no to text messages"
        );
        assert!(!which(Channel::Sms, Category::Transactional, PHONE).await, "{story}");
        let entry = suppressions.find(Channel::Email, EMAIL).await.unwrap().unwrap().suppression;
        assert_eq!(
            (entry.address, entry.source, entry.reason),
            (None, None, SuppressionReason::Complaint),
            "{story}"
        );
    }
}

/// What the other person's part of the calls holds is the same words, so they go first.
async fn forget_the_other(world: &World, person: &Known) {
    for call in [person.half, person.new] {
        let head = world.store().ledger.head(call).await.unwrap().unwrap();
        let mut call_of = (*head.call.clone().unwrap()).clone();
        for recipient in call_of.recipients.iter_mut().filter(|who| who.profile != Some(person.id)) {
            recipient.addresses.clear();
            recipient.attributes.clear();
            recipient.context = json!({ "order": "another" });
        }
        let bytes = serde_json::to_vec(&call_of).unwrap();
        let key = Key::new(format!("x#{call}"), "HEAD");
        let change = vec![Change::set("call", bytes)];
        world.engine.update(tables::LEDGER, &key, None, change).await.unwrap();
    }
}

async fn furnished() -> (World, Known) {
    let world = World::new();
    let person = world.somebody().await;
    forget_the_other(&world, &person).await;
    (world, person)
}

#[tokio::test]
async fn an_export_holds_everything_that_is_held_of_a_person() {
    let (world, person) = furnished().await;
    let id = world.begin_export(person.id).await;
    assert_eq!(world.run_through(&world.context).await.1, 0);
    let job = world.job(id).await;
    assert_eq!((job.state, &job.failure), (JobState::Completed, &None));
    // Two messages of either call.
    let Task::ExportProfile { export, .. } = &job.task else { panic!("it is an export") };
    assert_eq!((export.messages, export.is_complete()), (4, true));
    let files = world.files();
    assert_eq!(files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["profile.json"]);
    let held: Value = serde_json::from_slice(&files[0].1).unwrap();
    assert_eq!(held["profile"]["person"]["name"]["firstName"], "Zoraida");
    let mut names: Vec<_> = held["identities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|identity| identity["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, [PHONE, "crm-4711", &EMAIL.to_lowercase()]);
    assert_eq!(held["consent"], json!({ "sms": "out", "email": "in" }));
    let lists: BTreeSet<_> =
        held["lists"].as_array().unwrap().iter().map(|list| list["name"].as_str().unwrap()).collect();
    assert_eq!(lists, BTreeSet::from(["Both", "Hers"]));
    let suppressed = &held["suppressions"][0];
    assert_eq!((&suppressed["address"], &suppressed["reason"]), (&json!(EMAIL), &json!("complaint")));
    assert_eq!(suppressed["source"], "Zoraida wrote-to-us");

    let messages = held["messages"].as_array().unwrap();
    let of = |call: ExecutionId, action: u64| {
        let is_it =
            |message: &&Value| message["execution_id"] == call.to_string() && message["action"] == action;
        let found: Vec<_> = messages.iter().filter(is_it).collect();
        assert_eq!(found.len(), 1, "{messages:?}");
        found[0]
    };
    let bounced = of(person.half, 0);
    assert_eq!(
        (&bounced["campaign"], &bounced["channel"], &bounced["version"], &bounced["request_id"]),
        (&json!("Orders"), &json!("email"), &json!(1), &json!("half"))
    );
    assert_eq!((&bounced["outcome"], &bounced["reason"]), (&json!("failed"), &json!("bad_address")));
    assert_eq!(bounced["detail"], "no such user, said the server");
    let events: Vec<_> =
        bounced["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["hard_bounced", "opened"]);
    assert!(bounced["decided_at"].is_string() && bounced["events"][0]["at"].is_string(), "{bounced}");
    let waits = of(person.half, 1);
    assert_eq!((&waits["outcome"], &waits["channel"]), (&json!("pending"), &json!("sms")));
    for message in [of(person.new, 0), of(person.new, 1), waits] {
        assert_eq!(message["call"]["context"]["order"], "order-no-81");
        assert_eq!(message["call"]["attributes"]["nick"], "Zoraida the great");
        assert_eq!((&message["decided_at"], &message["detail"]), (&Value::Null, &Value::Null));
    }
}

#[tokio::test]
async fn somebody_is_erased_from_everywhere_and_only_what_is_told_stays() {
    let (world, person) = furnished().await;
    let export = world.begin_export(person.id).await;
    assert_eq!(world.run_through(&world.context).await.1, 0);
    for secret in SECRETS {
        assert!(!world.places(secret).await.is_empty(), "{secret} is somewhere");
    }
    assert!(world.places("zoraida").await.contains("files/profile.json"));
    let id = world.begin_erasure(person.id).await;
    let (slices, failed) = world.run_through(&world.context).await;
    assert!(slices > 1 && failed == 0, "it took {slices} slices, of which {failed} failed");
    let job = world.job(id).await;
    assert_eq!((job.state, &job.failure), (JobState::Completed, &None));
    let Task::EraseProfile { erasure, .. } = &job.task else { panic!("it is an erasure") };
    let erased = erasure.erased;
    assert_eq!((erased.profiles, erased.lists, erased.calls), (1, 2, 2));
    assert_eq!((erased.error_texts, erased.answers, erased.events, erased.exports), (1, 1, 2, 1));
    world.assert_erased(&person, "once").await;
    let details = world.store().ledger.details(world.half_chunk(&person).await).await.unwrap();
    assert_eq!(details, BTreeMap::from([(0, "fine".to_owned())]), "the other's stays");
    assert_eq!(world.job(export).await.state, JobState::Completed);

    // Once more, whatever for.
    let task = Task::EraseProfile { profile: person.id, erasure: Erasing::default() };
    let again = Job::new(task, world.clock.now());
    let before = world.store().jobs.erasure(person.id).await.unwrap().unwrap();
    assert_eq!(before.id, id);
    let stale = world.store().jobs.begin_erasure(person.id, &again, None).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    world.store().jobs.begin_erasure(person.id, &again, Some(&before)).await.unwrap();
    assert_eq!(world.run_through(&world.context).await.1, 0);
    let Task::EraseProfile { erasure, .. } = world.job(again.id).await.task else {
        panic!("it is an erasure")
    };
    assert_eq!(erasure.erased, store::people::Erased::default());
    world.assert_erased(&person, "twice").await;

    // Who comes again is somebody else, and still wants no text messages for marketing.
    let row = Incoming { document: document() };
    world.store().profiles.upsert(vec![row]).await.unwrap().remove(0).unwrap();
    let entry = Suppression {
        channel: Channel::Email,
        address: Some(EMAIL.to_owned()),
        reason: SuppressionReason::Complaint,
        source: None,
        at: world.clock.now(),
    };
    let (kept, is_new) = world.store().suppressions.add(&entry).await.unwrap();
    assert_eq!(
        (kept.suppression.address, is_new),
        (None, false),
        "an address is not written down again by the way"
    );
    // Nor by a late event about an address that was not on the list.
    let entry = Suppression { channel: Channel::Sms, address: Some(PHONE.to_owned()), ..entry };
    world.store().suppressions.remove(Channel::Sms, PHONE).await.unwrap();
    let (kept, is_new) = world.store().suppressions.add(&entry).await.unwrap();
    assert_eq!((kept.suppression.address, is_new), (None, true));
}

impl World {
    async fn half_chunk(&self, person: &Known) -> store::messages::ChunkKey {
        self.store().ledger.head(person.half).await.unwrap().unwrap().call_chunk(0)
    }

    /// A process that dies before or after one of its writes.
    pub(super) fn mortal(&self, writes_left: usize, dies: Dies) -> (Context, Arc<Mortal>) {
        let mortal = Arc::new(Mortal {
            engine: self.engine.clone(),
            writes_left: AtomicUsize::new(writes_left),
            dies,
            dead: tokio::sync::Notify::new(),
        });
        let platform = Platform { table: mortal.clone(), ..self.engine.platform() };
        let store = Store::new(platform, HashKey([1; 32]));
        (Context { store, worker: Worker::new(Tenancy::Shared), ..self.context.clone() }, mortal)
    }
}

/// When a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dies {
    Before,
    After,
    /// It lives on, and that write has gone wrong.
    Never,
}

/// A table under a process that dies at one of its writes.
pub(super) struct Mortal {
    engine: Embedded,
    writes_left: AtomicUsize,
    dies: Dies,
    dead: tokio::sync::Notify,
}

impl Mortal {
    async fn write<T>(&self, work: impl Future<Output = T>) -> T {
        if self.dies == Dies::Never || !self.is_it() {
            return work.await;
        }
        if self.dies == Dies::After {
            drop(work.await);
        }
        self.dead.notify_one();
        std::future::pending().await
    }

    /// Whether this is the write.
    fn is_it(&self) -> bool {
        self.writes_left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

#[async_trait]
impl Table for Mortal {
    async fn get(
        &self,
        table: TableName,
        key: &Key,
        how: Consistency,
    ) -> Result<Option<Item>, PlatformError> {
        self.engine.get(table, key, how).await
    }
    async fn batch_get(
        &self,
        table: TableName,
        keys: &[Key],
        how: Consistency,
    ) -> Result<Vec<Item>, PlatformError> {
        self.engine.batch_get(table, keys, how).await
    }
    async fn query(&self, table: TableName, query: Query) -> Result<Page, PlatformError> {
        self.engine.query(table, query).await
    }
    async fn scan(&self, table: TableName, scan: Scan) -> Result<Page, PlatformError> {
        self.engine.scan(table, scan).await
    }
    async fn estimate(&self, table: TableName) -> Result<u64, PlatformError> {
        self.engine.estimate(table).await
    }
    async fn query_due(
        &self,
        table: TableName,
        bucket: u8,
        until_ms: i64,
        limit: usize,
    ) -> Result<Vec<Item>, PlatformError> {
        self.engine.query_due(table, bucket, until_ms, limit).await
    }
    async fn update(
        &self,
        table: TableName,
        key: &Key,
        condition: Option<Condition>,
        changes: Vec<Change>,
    ) -> Result<Updated, PlatformError> {
        self.write(self.engine.update(table, key, condition, changes)).await
    }
    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        if self.dies == Dies::Never && self.is_it() {
            self.dead.notify_one();
            let error = PlatformError::Unavailable { what: "the table", source: "unplugged".into() };
            return Err(TransactError::Engine(error));
        }
        self.write(self.engine.transact(writes)).await
    }
    async fn batch_put(&self, table: TableName, items: Vec<Item>) -> Result<(), PlatformError> {
        self.write(self.engine.batch_put(table, items)).await
    }
    async fn commit(
        &self,
        _: &dyn Queue,
        writes: Vec<Write>,
        messages: Vec<Message>,
    ) -> Result<(), TransactError> {
        self.write(self.engine.commit(&self.engine, writes, messages)).await
    }
}

/// Goes on with a job in a process that dies at its n-th write, and then in another; false where it did not come to that.
pub(super) async fn dies_at(world: &World, job: JobId, write: usize, dies: Dies) -> bool {
    let (context, mortal) = world.mortal(write, dies);
    tokio::select! {
        _ = world.run_through(&context) => return false,
        () = mortal.dead.notified() => {}
    }
    // The sweep finds it once its lease is over.
    world.clock.advance(Duration::from_secs(600));
    world.store().jobs.enqueue_again(job).await.unwrap();
    assert_eq!(world.run_through(&world.context).await.1, 0);
    true
}

#[tokio::test]
async fn an_erasure_that_dies_at_any_of_its_writes_is_done_by_another() {
    for dies in [Dies::Before, Dies::After] {
        let mut write = 1;
        loop {
            let (world, person) = furnished().await;
            world.begin_export(person.id).await;
            assert_eq!(world.run_through(&world.context).await.1, 0);
            let id = world.begin_erasure(person.id).await;
            let has_died = dies_at(&world, id, write, dies).await;
            let story = format!("dies {dies:?} write {write}");
            assert_eq!(world.job(id).await.state, JobState::Completed, "{story}");
            world.assert_erased(&person, &story).await;
            if !has_died {
                break;
            }
            write += 1;
        }
        assert!(write > 12, "there are as many writes: {write}");
    }
}

#[tokio::test]
async fn an_export_that_dies_at_any_of_its_writes_comes_to_the_same() {
    let mut write = 1;
    loop {
        let (world, person) = furnished().await;
        let id = world.begin_export(person.id).await;
        let has_died = dies_at(&world, id, write, Dies::Before).await;
        assert_eq!(world.job(id).await.state, JobState::Completed);
        let files = world.files();
        assert_eq!(
            files.len(),
            1,
            "no part is left: {:?}",
            files.iter().map(|file| &file.0).collect::<Vec<_>>()
        );
        let held: Value = serde_json::from_slice(&files[0].1).unwrap();
        assert_eq!(held["messages"].as_array().unwrap().len(), 4, "dies before write {write}");
        if !has_died {
            break;
        }
        write += 1;
    }
    assert!(write > 2, "there are as many writes: {write}");
}

#[tokio::test]
async fn an_export_of_somebody_who_is_erased_meanwhile_leaves_nothing() {
    let (world, person) = furnished().await;
    let export = world.begin_export(person.id).await;
    let erasure = world.begin_erasure(person.id).await;
    // One step of the export, then all of the erasure, then the rest of the export.
    let (context, mortal) = world.mortal(2, Dies::After);
    tokio::select! {
        _ = go_on(&context, export, world.deadline()) => panic!("it was to die"),
        () = mortal.dead.notified() => {}
    }
    assert!(!world.files().is_empty(), "a part was written");
    for _ in 0..2 {
        let deadline = Deadline::after(&*world.clock, Duration::from_secs(300));
        go_on(&world.context, erasure, deadline).await.unwrap();
        world.clock.advance(WAIT);
    }
    assert_eq!(world.job(erasure).await.state, JobState::Completed);
    world.assert_erased(&person, "in between").await;
    world.clock.advance(Duration::from_secs(600));
    world.run_through(&world.context).await;
    go_on(&world.context, export, world.deadline()).await.unwrap();
    let job = world.job(export).await;
    assert_eq!(job.failure.map(|failure| failure.code).as_deref(), Some("profile_gone"));
    world.assert_erased(&person, "afterwards").await;
}

#[tokio::test]
async fn a_change_in_the_last_moment_is_neither_lost_nor_does_it_bring_the_person_back() {
    let (world, person) = furnished().await;
    let store = world.store();
    // As an import has read it before.
    let before = store.profiles.get(person.id).await.unwrap();
    let mut changed = document();
    changed.insert("consent".to_owned(), json!({ "email": "out" }));
    changed.insert("phone".to_owned(), json!("+33698765432"));
    let changed = Profile::new(person.id, changed).unwrap();
    let id = world.begin_erasure(person.id).await;
    assert_eq!(world.run_through(&world.context).await.1, 0);
    let late = store.profiles.put(&changed, Some(&before)).await;
    assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
    assert!(!store.profiles.remove_push_token(person.id, "device-token-of-hers").await.unwrap());
    assert_eq!(world.job(id).await.state, JobState::Completed);
    world.assert_erased(&person, "a late change").await;
}

#[tokio::test]
async fn what_is_written_by_whoever_had_the_person_in_hand_goes_too() {
    let (world, person) = furnished().await;
    let store = world.store();
    // A delivery and a call of the API, which have read the profile.
    let head = store.ledger.head(person.new).await.unwrap().unwrap();
    let (worker, lease) = (Worker::new(Tenancy::Shared), world.context.longest);
    let claim = store.ledger.claim_call(&head, head.call_chunk(0), &worker, lease).await.unwrap();
    let Claim::Claimed(mut chunk) = claim else { panic!("{claim:?}") };
    let key = CallKey::new("caller", "POST", "/profiles", "late");
    let Begun::First(call) = store.idempotency.begin(key, b"{}").await.unwrap() else { panic!("the first") };

    let id = world.begin_erasure(person.id).await;
    assert_eq!(world.run(&world.context).await.1, 0);
    let job = world.job(id).await;
    let Task::EraseProfile { erasure, .. } = &job.task else { panic!("it is an erasure") };
    assert_eq!((job.state, erasure.erased.profiles, erasure.scanned), (JobState::Running, 1, 0));

    chunk.books = head.books();
    chunk.members.codes = vec![Code::BadAddress, Code::Sent];
    let details = BTreeMap::from([(0, format!("no {EMAIL}, said the server"))]);
    store.ledger.settle(&mut chunk, Next::Close, &details, Vec::new()).await.unwrap().unwrap();
    let body = json!({ "id": person.id, "email": EMAIL }).to_string().into_bytes();
    store.idempotency.keep(&call, &KeptAnswer { status: 201, headers: Vec::new(), body }).await.unwrap();

    // Asked too soon, it waits on.
    store.jobs.enqueue_again(id).await.unwrap();
    assert_eq!(world.run(&world.context).await, (1, 0));
    assert_eq!(world.job(id).await.state, JobState::Running);
    world.clock.advance(WAIT);
    assert_eq!(world.run(&world.context).await.1, 0);
    assert_eq!(world.job(id).await.state, JobState::Completed);
    world.assert_erased(&person, "in hand").await;
    let key = CallKey::new("caller", "POST", "/profiles", "late");
    assert!(matches!(store.idempotency.begin(key, b"{}").await.unwrap(), Begun::Erased));
}
