//! Both providers against endpoints that answer as they do, or as networks do.

#![expect(clippy::unwrap_used, reason = "a test is allowed to panic")]

mod aws;
mod connections;
mod endpoint;
mod gateway;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_pinpointsmsvoicev2::config::{BehaviorVersion, Builder, Credentials, Region};
use campaign::configuration::{AnswerRule, AwsSms, BodyFormat, HttpSms, Sender as Settings, SmsProvider};
use campaign::content::{OnMissing, SmsContent};
use campaign::lowered::LoweredContent;
use campaign::{Category, Channel, Configuration, ConfigurationId, ExecutionId, Profile, ProfileId};
use deliver_sms::aws::EndUserMessaging;
use deliver_sms::{SmsSender, Text};
use delivery::{Answer, Job, MemberId, MessageId, Sender};
use outbound::{Client, Limits, Policy};
use platform::embedded::Embedded;
use platform::{Clock, KeyVault, SystemClock};
use serde_json::{Value, json};
use store::Secrets;
use store::messages::ChunkKey;

/// Time enough for any machine.
const TIME: Duration = Duration::from_secs(20);
const TO: &str = "+33612345678";
const TEXT: &str = "Say \"hi\" – 3 € & more";

/// The channel, and the secrets that its configurations have.
struct Sms {
    sender: SmsSender,
    secrets: Secrets,
}

impl Sms {
    fn with(policy: Policy, aws: Option<Builder>) -> Self {
        Self::at(Arc::new(SystemClock), policy, aws)
    }

    fn at(clock: Arc<dyn Clock>, policy: Policy, aws: Option<Builder>) -> Self {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        let secrets = Secrets::new(engine.platform(), Arc::new(KeyVault::new(&[7; 32])));
        let client = Client::new(policy, Limits::default());
        let sender = SmsSender::new(secrets.clone(), Arc::clone(&clock), client);
        let sender = match aws {
            Some(config) => sender.with_aws(EndUserMessaging::new(config, clock)),
            None => sender,
        };
        Self { sender, secrets }
    }

    /// May call this machine.
    fn new() -> Self {
        Self::with(Policy::allowing("http://127.0.0.1").unwrap(), None)
    }

    fn by_aws(url: &str) -> Self {
        let config =
            anonymous(url).credentials_provider(Credentials::new("key", "secret", None, None, "test"));
        Self::with(Policy::public_only(), Some(config))
    }

    async fn keep(&self, name: &str, secret: &str) {
        self.secrets.set_of_configuration(Channel::Sms, id(), (name, secret), None).await.unwrap();
    }

    fn text(&self, configuration: &Configuration, text: &str, name: MessageId) -> Text {
        let content = SmsContent { text: text.to_owned(), ..SmsContent::default() };
        let job = Job {
            template: &self.sender.compile(&LoweredContent::Sms(content)).unwrap(),
            configuration,
            category: configuration.category,
            context: &Value::Null,
            on_missing: OnMissing::Blank,
            id: name,
            to: None,
            links: None,
            now_seconds: 0,
        };
        let document = json!({ "phone": TO }).as_object().unwrap().clone();
        self.sender.prepare(&job, Profile::from_stored(ProfileId::from_bytes([2; 16]), document)).unwrap()
    }

    /// Sends so many messages of the same text.
    async fn send_many(&self, configuration: &Configuration, text: &str, count: usize) -> Vec<Answer> {
        let messages = (0..count).map(|index| self.text(configuration, text, member(index))).collect();
        self.sender.send(configuration, messages, TIME).await
    }

    async fn send(&self, configuration: &Configuration) -> Answer {
        let mut answers = self.send_many(configuration, TEXT, 1).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }
}

fn id() -> ConfigurationId {
    ConfigurationId::from_bytes([1; 16])
}

fn member(index: usize) -> MessageId {
    let execution = ExecutionId::from_bytes([7; 16]);
    MessageId::Member(MemberId { chunk: ChunkKey { execution, shard: 3, action: 1, number: 42 }, index })
}

/// A configuration without credentials.
fn anonymous(url: &str) -> Builder {
    aws_sdk_pinpointsmsvoicev2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(url)
}

fn configuration(category: Category, provider: SmsProvider) -> Configuration {
    let sender = campaign::configuration::SmsSender {
        provider,
        default_country: None,
        max_segments: 10,
        opt_out_wording: None,
    };
    Configuration {
        id: id(),
        name: "SMS".to_owned(),
        category,
        rate_per_second: None,
        retry_period_seconds: 60,
        disabled: false,
        ignores_suppression: false,
        sender: Settings::Sms(sender),
    }
}

fn by_aws(category: Category, settings: AwsSms) -> Configuration {
    configuration(category, SmsProvider::Aws(settings))
}

/// A provider of our own invention.
fn by_http(url: &str, answers: Vec<AnswerRule>) -> Configuration {
    let http = HttpSms {
        url: format!("{url}/v1/send?ref={{{{id}}}}"),
        headers: BTreeMap::from([("Authorization".to_owned(), "Bearer {{secret.token}}".to_owned())]),
        format: BodyFormat::Json,
        body: r#"{"to": "{{to}}", "from": "{{from}}", "text": "{{text}}"}"#.to_owned(),
        from: Some("Shop".to_owned()),
        answers,
    };
    configuration(Category::Marketing, SmsProvider::Http(Box::new(http)))
}
