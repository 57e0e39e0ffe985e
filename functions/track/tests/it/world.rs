//! A campaign that was sent, and whoever asks for its links.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use campaign::configuration::{EmailSender, Sender, Tracking};
use campaign::content::{EmailBody, EmailContent, OnMissing};
use campaign::link::{Member, Recipient};
use campaign::lowered::LoweredContent;
use campaign::model::Actor;
use campaign::outcome::OnUnknown;
use campaign::plan::Lane;
use campaign::version::Action;
use campaign::{
    Campaign, CampaignType, Category, Channel, Command, Configuration, ConfigurationId, ExecutionId, Profile,
    ProfileId, SegmentId, TopicId, Version,
};
use http::{HeaderMap, Request, Response, StatusCode};
use links::{Issuer, LinkKeys, day_of};
use platform::embedded::Embedded;
use platform::{Clock, SystemClock};
use serde_json::{Value, json};
use store::ledger::{Audience, Begins, CursorClaim, Head, NewChunk, State, Tenancy, Worker, execution_id};
use store::messages::{ChunkKey, FanOut};
use store::{HashKey, Store};
use tower::ServiceExt;

/// A person's program.
pub(crate) const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
/// Where links are.
pub(crate) const BASE: &str = "https://links.example.org";
/// The members of the one chunk.
pub(crate) const ANN: u8 = 0;
pub(crate) const BOB: u8 = 1;
/// Whose profile is gone.
pub(crate) const GONE: u8 = 2;

const HTML: &str = "<html><body><h1>Dear {{profile.name}}</h1>\
    <p><a href=\"https://shop.example.com/?a=1&amp;b={{profile.name}}#top\">Shop</a></p>\
    <p><a href=\"{{links.view}}\">View</a> <a href=\"{{links.unsubscribe}}\">Unsubscribe</a></p>\
    <script>alert(1)</script></body></html>";

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) keys: Arc<LinkKeys>,
    pub(crate) people: [ProfileId; 3],
    pub(crate) configuration: ConfigurationId,
    pub(crate) execution: ExecutionId,
    router: Router,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl World {
    /// An email about this topic was sent to Ann, who reads French, to Bob, and to somebody whose profile is gone since.
    pub(crate) async fn new(topic: Option<&str>) -> Self {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        let store = Store::new(engine.platform(), HashKey([7; 32])).with_public_url(BASE);
        let people = [0, 1, 2].map(|_| ProfileId::random());
        for (index, document) in [
            json!({ "name": "Ann", "language": "fr-CA", "consent": { "email": "in", "sms": "in" } }),
            json!({ "name": "Bob" }),
        ]
        .into_iter()
        .enumerate()
        {
            let Value::Object(document) = document else { panic!("an object") };
            store.profiles.put(&Profile::new(people[index], document).unwrap(), None).await.unwrap();
        }
        let configuration = ConfigurationId::random();
        store.configurations.put(&configured(configuration, Tracking::default()), 0).await.unwrap();
        let topic: Option<TopicId> = topic.map(|topic| topic.parse().unwrap());
        let action = Action { channel: Channel::Email, configuration: Some(configuration), condition: None };
        let actions = vec![action];
        let execution = sent(&store, &Version { topic, actions, ..Version::draft(1) }, &people).await;
        let keys = store.links.keys().await.unwrap();
        let router = track::router(track::Context::new(store.clone()));
        Self { store, keys, people, configuration, execution, router }
    }

    /// Has links answered over another store.
    pub(crate) fn serve(&mut self, store: Store) {
        self.router = track::router(track::Context::new(store));
    }

    pub(crate) const fn chunk(&self) -> ChunkKey {
        ChunkKey { execution: self.execution, shard: 0, action: 0, number: 0 }
    }

    pub(crate) const fn member(&self, index: u8) -> Member {
        self.chunk().member(index)
    }

    /// What makes the links of a member's message.
    pub(crate) fn issuer(&self, index: u8) -> Issuer<'_> {
        self.issuer_of(self.member(index), Some(Recipient::Profile(self.people[usize::from(index)])))
    }

    pub(crate) fn issuer_of(&self, member: Member, recipient: Option<Recipient>) -> Issuer<'_> {
        let day = day_of(SystemClock.now().as_second());
        Issuer { base: "", keys: &self.keys, member, recipient, day, opens: true, clicks: true }
    }

    /// The paths of a member's links.
    pub(crate) fn open(&self, index: u8) -> String {
        path(|out| self.issuer(index).push_open(out))
    }

    pub(crate) fn click(&self, index: u8, link: u16, target: &str) -> String {
        path(|out| self.issuer(index).push_click(link, target, out))
    }

    pub(crate) fn unsubscribe(&self, index: u8) -> String {
        path(|out| self.issuer(index).push_unsubscribe(out))
    }

    pub(crate) fn view(&self, index: u8) -> String {
        path(|out| self.issuer(index).push_view(out))
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    /// A person asks by a browser.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[("user-agent", BROWSER)], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let headers = [("user-agent", BROWSER), ("content-type", "application/x-www-form-urlencoded")];
        self.ask("POST", path, &headers, body).await
    }

    /// What is known of a member, by name.
    pub(crate) async fn facts(&self, index: u8) -> Vec<&'static str> {
        let facts = self.store.ledger.facts(self.chunk()).await.unwrap();
        facts.of(index.into()).iter().map(|(fact, _)| fact.name()).collect()
    }

    /// What a member's profile says.
    pub(crate) async fn profile(&self, index: u8) -> Value {
        let profile = self.store.profiles.get(self.people[usize::from(index)]).await.unwrap();
        Value::Object(profile.value.into_document())
    }
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// That it is a page that loads nothing, runs nothing, is kept nowhere and leads nowhere.
    pub(crate) fn assert_is_plain_page(&self) {
        assert_eq!(self.header("content-type"), "text/html; charset=utf-8");
        assert!(self.header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
        assert_eq!(self.header("cache-control"), "no-store, private");
        assert_eq!(self.header("referrer-policy"), "no-referrer");
        assert_eq!(self.header("x-robots-tag"), "noindex, nofollow");
        for nothing in ["location", "set-cookie"] {
            assert!(!self.headers.contains_key(nothing));
        }
        let text = self.text();
        for nothing in ["<script", "<img", "<link", "src=", "href=", "http", "{by}", "{topic}"] {
            assert!(!text.contains(nothing), "{nothing}: {text}");
        }
        for accessible in ["<html lang=\"", "name=\"viewport\"", "<title>", "<main><h1>"] {
            assert!(text.contains(accessible), "{accessible}: {text}");
        }
    }
}

pub(crate) fn path(push: impl FnOnce(&mut String)) -> String {
    let mut path = String::new();
    push(&mut path);
    path
}

pub(crate) fn configured(id: ConfigurationId, tracking: Tracking) -> Configuration {
    let from = "news@example.org".parse().unwrap();
    Configuration {
        id,
        name: "News".to_owned(),
        category: Category::Marketing,
        rate_per_second: None,
        retry_period_seconds: 3600,
        disabled: false,
        ignores_suppression: false,
        sender: Sender::Email(EmailSender {
            from,
            from_name: None,
            reply_to: None,
            unsubscribe_mailto: None,
            tracking,
        }),
    }
}

/// Runs a version without sending anything: what links need of it is there.
async fn sent(store: &Store, version: &Version, people: &[ProfileId]) -> ExecutionId {
    let (now, by) = (SystemClock.now(), Actor::envoi());
    let campaign = Campaign::new("News", CampaignType::Scheduled, Category::Marketing, by.clone(), now);
    store.campaigns.create(&campaign, version, &[], None).await.unwrap();
    let content = EmailContent {
        subject: "News".to_owned(),
        body: EmailBody::Html(HTML.to_owned()),
        ..EmailContent::default()
    };
    let lowered = content::lower_email(&content, &content::CompileOptions::default()).unwrap().content;
    let lowered = LoweredContent::Email(lowered);
    let writes = store::Campaigns::lowered_writes(campaign.id, 1, [Ok(&lowered)]).unwrap();
    store.campaigns.command_with(campaign.id, Command::Activate, &by, writes, |_| Ok(())).await.unwrap();
    let campaign = store.campaigns.get(campaign.id).await.unwrap();
    let head = Head {
        id: execution_id(campaign.id, now.as_millisecond()),
        campaign: campaign.id,
        version: 1,
        occurrence: now,
        category: Category::Marketing,
        shards: 1,
        actions: vec![Channel::Email],
        audience: Audience::List { segment: SegmentId::random(), generation: 1, partitions: 16 },
        on_unknown: OnUnknown::Hold,
        on_missing: OnMissing::Blank,
        started_at: now,
        plan: None,
        state: State::Running,
        paused_at: None,
        paused_for_ms: 0,
        ended_at: None,
        request: None,
        call: None,
        revision: 1,
    };
    assert!(store.ledger.start(&campaign, &head, Vec::new()).await.unwrap());
    let shard = FanOut { execution: head.id, shard: 0 };
    let worker = Worker::new(Tenancy::Sole);
    let claimed = store.ledger.claim_cursor(shard, &worker, Duration::from_secs(60)).await.unwrap();
    let CursorClaim::Claimed(mut cursor) = claimed else { panic!("the cursor is free") };
    let key = ChunkKey { execution: head.id, shard: 0, action: 0, number: 0 };
    let chunk = NewChunk { key, members: people.to_vec(), begins: Begins::AtOnce };
    cursor.lanes.entry(Lane::AT_ONCE).or_default().written += 1;
    assert!(store.ledger.advance(&mut cursor, vec![chunk], Vec::new()).await.unwrap());
    head.id
}
