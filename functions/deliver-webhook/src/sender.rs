//! What webhooks bring to the delivery loop: templates compiled, calls made ready, signed and made.

use std::time::Duration;

use async_trait::async_trait;
use campaign::configuration::{Sender as SenderSettings, WebhookSender as WebhookSettings};
use campaign::lowered::LoweredContent;
use campaign::{Channel, Code, Configuration, ConfigurationId, Profile};
use content::{Destination, WebhookTemplate};
use delivery::{Answer, Cause, Job, MessageId, Sender};
use futures::future::join_all;
use http::{HeaderName, HeaderValue};
use outbound::standard_webhooks::{self, Secret};
use outbound::{Client, Limits, Policy, retry_after};
use platform::batch;
use store::{Store, StoreError};
use tracing::warn;

use crate::answer::{self, Audience};
use crate::call::Call;
use crate::keys::Keys;

/// The longest answer that is read, in bytes: only its status is of interest, and the connection can be used again.
const LONGEST_ANSWER: usize = 16 << 10;

/// The webhook channel.
#[derive(Debug)]
pub struct WebhookSender {
    store: Store,
    client: Client,
    /// For hosts that data chooses, of which there may be thousands: no connection of theirs is kept.
    passing: Client,
    keys: Keys,
}

/// What became of a call.
struct Made {
    answer: Answer,
    /// Whether the endpoint of everybody says that it is gone.
    is_gone: bool,
}

impl WebhookSender {
    /// Calls to whatever `policy` allows, signed by the keys in this store.
    pub fn new(store: Store, policy: Policy) -> Self {
        let limits = Limits { answer: LONGEST_ANSWER, ..Limits::default() };
        let passing = Client::new(policy.clone(), Limits { rest: Duration::ZERO, ..limits });
        Self { store, client: Client::new(policy, limits), passing, keys: Keys::default() }
    }

    async fn make(&self, within: Duration, keys: &[Secret], settings: &WebhookSettings, call: Call) -> Made {
        let client = if call.destination == Destination::AnyHost { &self.passing } else { &self.client };
        let audience = if pins_one_host(settings) { Audience::Everybody } else { Audience::Chunk };
        let destination = match (call.destination, audience) {
            // Others may be told elsewhere by the same configuration, which one content's URL says nothing about.
            (Destination::OneUrl, Audience::Chunk) => Destination::OneHost,
            (destination, _) => destination,
        };
        // A proof shows what an endpoint does; that stops nothing.
        let is_member = matches!(call.id, MessageId::Member(_));
        let clock = &*self.store.platform.clock;
        let mut signed =
            standard_webhooks::headers(&call.id.to_string(), clock.now(), &call.body, keys).to_vec();
        // The id says what is the same call, signed or not.
        signed.retain(|(name, _): &(HeaderName, HeaderValue)| {
            *name != standard_webhooks::SIGNATURE || !keys.is_empty()
        });
        match client.send_within(call.request(signed), within).await {
            Ok(response) => {
                let asked = retry_after(response.headers(), clock.now());
                let status = response.status();
                let is_gone = is_member && answer::is_gone(status, destination);
                Made { answer: audience.hears(answer::of_status(status, asked, destination)), is_gone }
            }
            Err(error) => {
                let is_gone = error.status().is_some_and(|status| answer::is_gone(status, destination));
                let answer = audience.hears(answer::of_error(&error, destination));
                Made { answer, is_gone: is_member && is_gone }
            }
        }
    }

    /// Disables a configuration whose endpoint is gone. Where that can't be written, its next answer says so again.
    async fn disable(&self, id: ConfigurationId) {
        let configurations = &self.store.configurations;
        let disabled = async {
            let found = configurations.get(id).await?;
            if !found.value.disabled {
                configurations.put(&Configuration { disabled: true, ..found.value }, found.revision).await?;
                warn!(configuration = %id, "the endpoint of configuration {id} says that it is gone (410): the configuration is disabled");
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = disabled.await {
            warn!(configuration = %id, error = %batch::chain(&error), "configuration {id} can't be disabled");
        }
    }
}

#[async_trait]
impl Sender for WebhookSender {
    const CHANNEL: Channel = Channel::Webhook;
    type Template = WebhookTemplate;
    type Message = Call;

    fn compile(&self, content: &LoweredContent) -> Result<WebhookTemplate, String> {
        let LoweredContent::Webhook(webhook) = content else {
            return Err("the content is not a webhook".to_owned());
        };
        WebhookTemplate::compile(webhook).map_err(|error| error.to_string())
    }

    fn address<'p>(&self, _: &Configuration, _: &'p Profile) -> Result<Option<&'p str>, Code> {
        Ok(None)
    }

    fn is_one_provider(&self, configuration: &Configuration) -> bool {
        matches!(&configuration.sender, SenderSettings::Webhook(settings) if pins_one_host(settings))
    }

    fn prepare(&self, job: &Job<'_, WebhookTemplate>, profile: Profile) -> Result<Call, (Code, String)> {
        Call::of(job, profile)
    }

    async fn send(&self, configuration: &Configuration, calls: Vec<Call>, time: Duration) -> Vec<Answer> {
        let clock = &*self.store.platform.clock;
        let began = clock.monotonic();
        let SenderSettings::Webhook(settings) = &configuration.sender else {
            return same(&calls, Cause::Misconfigured, "the configuration is not for webhooks");
        };
        let keys = match self.keys.of(&self.store, configuration.id).await {
            Ok(keys) => keys,
            Err(error) => {
                let cause = if error.is_lasting() { Cause::Misconfigured } else { Cause::Transient };
                warn!(configuration = %configuration.id, error = %batch::chain(&error), "the signing keys of configuration {} can't be used", configuration.id);
                return same(&calls, cause, &error.to_string());
            }
        };
        let left = time.saturating_sub(clock.monotonic().saturating_sub(began));
        let within = left.min(Duration::from_secs(settings.timeout_seconds.into()));
        if within.is_zero() {
            return same(&calls, Cause::Transient, "there was no time left for a call");
        }
        let made = join_all(calls.into_iter().map(|call| self.make(within, &keys, settings, call))).await;
        if made.iter().any(|made| made.is_gone) {
            self.disable(configuration.id).await;
        }
        made.into_iter().map(|made| made.answer).collect()
    }
}

/// Whether everybody is told at one host.
fn pins_one_host(settings: &WebhookSettings) -> bool {
    matches!(settings.allowed_hosts.as_slice(), [only] if !only.starts_with('*'))
}

/// The same answer to each: none of them was tried.
fn same(calls: &[Call], cause: Cause, detail: &str) -> Vec<Answer> {
    let answer = Answer::NotAccepted { cause, retry_after: None, detail: detail.to_owned() };
    vec![answer; calls.len()]
}
