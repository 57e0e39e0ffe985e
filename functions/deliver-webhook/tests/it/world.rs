//! A store, the sender over it, and what it is given.

use std::sync::Arc;
use std::time::Duration;

use campaign::configuration::{Sender as Settings, WebhookSender as Webhooks};
use campaign::content::{OnMissing, WebhookContent};
use campaign::lowered::LoweredContent;
use campaign::{Category, Code, Configuration, ConfigurationId, ExecutionId, Profile, ProfileId};
use deliver_webhook::WebhookSender;
use delivery::{Answer, Job, MemberId, MessageId, Sender};
use outbound::Policy;
use platform::SystemClock;
use platform::embedded::Embedded;
use serde_json::{Value, json};
use store::messages::ChunkKey;
use store::{HashKey, Store};

/// Time enough for any machine.
pub(crate) const TIME: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) sender: WebhookSender,
    pub(crate) configuration: Configuration,
}

impl World {
    /// One that may call this machine in the clear.
    pub(crate) async fn new() -> Self {
        Self::with("http://127.0.0.1", &[]).await
    }

    /// One that may call what is named, by a configuration with these hosts.
    pub(crate) async fn with(allowed: &str, hosts: &[&str]) -> Self {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        let store = Store::new(engine.platform(), HashKey([7; 32]));
        let configuration = Configuration {
            id: ConfigurationId::from_bytes([5; 16]),
            name: "Hooks".to_owned(),
            category: Category::Transactional,
            rate_per_second: None,
            retry_period_seconds: 3600,
            disabled: false,
            ignores_suppression: false,
            sender: Settings::Webhook(Webhooks {
                allowed_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
                timeout_seconds: 15,
            }),
        };
        store.configurations.put(&configuration, 0).await.unwrap();
        let sender = WebhookSender::new(store.clone(), Policy::allowing(allowed).unwrap());
        Self { store, sender, configuration }
    }

    /// The answer to one call, or why it was not made ready.
    pub(crate) async fn call(
        &self,
        content: &WebhookContent,
        profile: Value,
    ) -> Result<Answer, (Code, String)> {
        self.call_as(content, profile, member(0)).await
    }

    pub(crate) async fn call_as(
        &self,
        content: &WebhookContent,
        profile: Value,
        id: MessageId,
    ) -> Result<Answer, (Code, String)> {
        let template = self.sender.compile(&LoweredContent::Webhook(content.clone())).unwrap();
        let job = Job {
            template: &template,
            configuration: &self.configuration,
            category: self.configuration.category,
            context: &json!({ "order": { "id": 9 } }),
            on_missing: OnMissing::Skip,
            id,
            to: None,
            links: None,
            now_seconds: 0,
        };
        let Value::Object(document) = profile else { panic!("a profile is an object") };
        let profile = Profile::from_stored(ProfileId::from_bytes([1; 16]), document);
        let call = self.sender.prepare(&job, profile)?;
        let shown = format!("{call:?}");
        assert!(!shown.contains("://") && shown.contains("body_bytes"), "{shown}");
        let mut answers = self.sender.send(&self.configuration, vec![call], TIME).await;
        assert_eq!(answers.len(), 1);
        Ok(answers.remove(0))
    }

    /// As [`call`](Self::call), for what was made ready.
    pub(crate) async fn answer(&self, content: &WebhookContent, profile: Value) -> Answer {
        self.call(content, profile).await.unwrap()
    }

    pub(crate) fn settings(&mut self) -> &mut Webhooks {
        match &mut self.configuration.sender {
            Settings::Webhook(webhooks) => webhooks,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn member(index: usize) -> MessageId {
    let execution = ExecutionId::from_bytes([7; 16]);
    MessageId::Member(MemberId { chunk: ChunkKey { execution, shard: 3, action: 1, number: 42 }, index })
}

/// A call to this URL, with a body that says who it is about.
pub(crate) fn to(url: &str) -> WebhookContent {
    WebhookContent {
        url: url.to_owned(),
        body: Some(r#"{"name": "{{profile.name}}", "order": {{context.order.id}}}"#.to_owned()),
        ..WebhookContent::default()
    }
}

pub(crate) fn ada() -> Value {
    json!({ "name": "Ada \"A\" Łódź", "id": "7/8" })
}
