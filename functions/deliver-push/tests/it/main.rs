//! Push notifications against an endpoint that answers as Firebase Cloud Messaging does, or as networks do.

#![expect(clippy::unwrap_used, reason = "a test is allowed to panic")]

mod access;
mod answers;
mod devices;
mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use campaign::configuration::{PushSender as Settings, Sender as SenderSettings};
use campaign::content::OnMissing;
use campaign::lowered::LoweredContent;
use campaign::{Category, Channel, Code, Configuration, ConfigurationId, ExecutionId, Profile, ProfileId};
use deliver_push::{Fcm, Push, PushSender, Template};
use delivery::{Answer, Cause, Job, MemberId, MessageId, Sender};
use fake::{Asked, Google, PROJECT, Reply};
use jiff::Timestamp;
use outbound::Policy;
use platform::Clock;
use platform::embedded::Embedded;
use serde_json::{Map, Value, json};
use store::messages::ChunkKey;
use store::profiles::{Incoming, RowResult};
use store::{HashKey, Store};

/// Time enough for any machine.
const TIME: Duration = Duration::from_secs(20);
const NOW: i64 = 1_800_000_000;

/// A clock that stands until it is told to go on.
#[derive(Default)]
struct Standing(AtomicU64);

impl Standing {
    fn go_on(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    fn seconds(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW + i64::try_from(self.seconds()).unwrap()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1_000 + self.seconds())
    }

    async fn sleep(&self, _: Duration) {}
}

/// Google's stand-in, and a sender that knows of nothing else.
struct World {
    google: Google,
    clock: Arc<Standing>,
    store: Store,
    sender: PushSender,
    configuration: Configuration,
}

impl World {
    async fn new(replies: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let google = Google::start(replies).await;
        let url = google.url().to_owned();
        let world = Self::with(google, &url);
        let account = world.google.account().to_string();
        world.set_account(&account).await;
        world
    }

    fn with(google: Google, fcm: &str) -> Self {
        let clock = Arc::new(Standing::default());
        let engine = Embedded::in_memory(Arc::clone(&clock) as Arc<dyn Clock>);
        let store = Store::new(engine.platform(), HashKey([7; 32]));
        let policy = Policy::allowing("http://127.0.0.1").unwrap();
        let sender = PushSender::new(store.clone(), Fcm::new(policy, Some(fcm)));
        let settings = Settings { project_id: PROJECT.to_owned(), app_id: Some("app".to_owned()) };
        let configuration = Configuration {
            id: ConfigurationId::from_bytes([1; 16]),
            name: "App".to_owned(),
            category: Category::Marketing,
            rate_per_second: None,
            retry_period_seconds: 3600,
            disabled: false,
            ignores_suppression: false,
            sender: SenderSettings::Push(settings),
        };
        Self { google, clock, store, sender, configuration }
    }

    async fn set_account(&self, secret: &str) {
        let secrets = &self.store.secrets;
        let named = ("service_account", secret);
        secrets.set_of_configuration(Channel::Push, self.configuration.id, named, None).await.unwrap();
    }

    /// A stored profile with these tokens of the app.
    async fn profile(&self, name: &str, tokens: &[&str]) -> Profile {
        let tokens: Vec<_> = tokens.iter().map(|token| device("app", "android", token)).collect();
        let Value::Object(document) = json!({ "external_id": name, "name": name, "push_tokens": tokens })
        else {
            panic!("an object")
        };
        let row = self.store.profiles.upsert(vec![Incoming { document }]).await.unwrap().remove(0);
        let Ok(RowResult::Created(id)) = row else { panic!("created") };
        self.store.profiles.get(id).await.unwrap().value
    }

    /// The tokens that a stored profile has left.
    async fn tokens(&self, id: ProfileId) -> Vec<String> {
        let profile = self.store.profiles.get(id).await.unwrap().value;
        let tokens = profile.document().get("push_tokens").and_then(Value::as_array).cloned();
        tokens.unwrap_or_default().iter().map(|entry| entry["token"].as_str().unwrap().to_owned()).collect()
    }

    fn prepare(&self, content: &Value, profile: Profile) -> Result<Push, (Code, String)> {
        self.prepare_to(content, profile, None)
    }

    fn prepare_to(
        &self,
        content: &Value,
        profile: Profile,
        to: Option<&str>,
    ) -> Result<Push, (Code, String)> {
        let template = self.template(content);
        let chunk = ChunkKey { execution: ExecutionId::from_bytes([7; 16]), shard: 3, action: 1, number: 42 };
        let id = match to {
            None => MessageId::Member(MemberId { chunk, index: 0 }),
            Some(_) => MessageId::Proof { proof: "p".to_owned(), index: 0 },
        };
        let job = Job {
            template: &template,
            configuration: &self.configuration,
            category: self.configuration.category,
            context: &Value::Null,
            on_missing: OnMissing::Skip,
            id,
            to,
            links: None,
            now_seconds: NOW,
        };
        self.sender.prepare(&job, profile)
    }

    fn template(&self, content: &Value) -> Template {
        let content = serde_json::from_value(content.clone()).unwrap();
        self.sender.compile(&LoweredContent::Push(Box::new(content))).unwrap()
    }

    async fn send(&self, messages: Vec<Push>) -> Vec<Answer> {
        self.sender.send(&self.configuration, messages, TIME).await
    }

    /// Sends a word to each of the devices of one new profile; the answer for the profile, and the profile.
    async fn send_to(&self, tokens: &[&str]) -> (Answer, ProfileId) {
        let profile = self.profile(&tokens.join("-"), tokens).await;
        let id = profile.id();
        let message = self.prepare(&hello(), profile).unwrap();
        (self.send(vec![message]).await.remove(0), id)
    }
}

fn hello() -> Value {
    json!({ "title": "Hello {{profile.name}}" })
}

fn device(app: &str, platform: &str, token: &str) -> Value {
    json!({ "app_id": app, "platform": platform, "token": token })
}

/// The cause of what may be tried again.
fn cause(answer: &Answer) -> Option<Cause> {
    match answer {
        Answer::NotAccepted { cause, .. } => Some(*cause),
        _ => None,
    }
}

fn nobody(document: Value) -> Profile {
    let document = match document {
        Value::Object(document) => document,
        _ => Map::new(),
    };
    Profile::from_stored(ProfileId::from_bytes([0; 16]), document)
}
