//! What text messages bring to the delivery loop.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use campaign::configuration::{Sender as SenderSettings, SmsProvider};
use campaign::lowered::LoweredContent;
use campaign::{Channel, Code, Configuration, Profile};
use content::SmsTemplate;
use delivery::{Answer, Cause, Job, Sender};
use outbound::Client;
use platform::Clock;
use store::Secrets;

use crate::gateway::Gateway;
use crate::message::{self, Text};

/// The channel of text messages.
#[derive(Debug)]
pub struct SmsSender {
    gateway: Gateway,
    #[cfg(feature = "aws")]
    aws: Option<crate::aws::EndUserMessaging>,
}

impl SmsSender {
    /// Text messages to providers that take them by HTTP, called by `client`, with the secrets of their configurations.
    pub fn new(secrets: Secrets, clock: Arc<dyn Clock>, client: Client) -> Self {
        Self {
            gateway: Gateway::new(secrets, clock, client),
            #[cfg(feature = "aws")]
            aws: None,
        }
    }

    /// And to AWS End User Messaging, by this account.
    #[cfg(feature = "aws")]
    #[must_use]
    pub fn with_aws(self, aws: crate::aws::EndUserMessaging) -> Self {
        Self { aws: Some(aws), ..self }
    }

    #[cfg(feature = "aws")]
    async fn by_aws(
        &self,
        settings: &campaign::configuration::AwsSms,
        messages: &[Text],
        time: Duration,
    ) -> Vec<Answer> {
        match &self.aws {
            Some(aws) => aws.send(settings, messages, time).await,
            None => misconfigured(messages, "no variable AWS_REGION says where AWS is to send from"),
        }
    }
}

#[async_trait]
impl Sender for SmsSender {
    const CHANNEL: Channel = Channel::Sms;
    type Template = SmsTemplate;
    type Message = Text;

    fn compile(&self, content: &LoweredContent) -> Result<SmsTemplate, String> {
        let LoweredContent::Sms(sms) = content else {
            return Err("the content is not a text message".to_owned());
        };
        SmsTemplate::compile(sms).map_err(|error| error.to_string())
    }

    fn address<'p>(&self, _: &Configuration, profile: &'p Profile) -> Result<Option<&'p str>, Code> {
        message::number_of(profile).map(Some)
    }

    fn prepare(&self, job: &Job<'_, SmsTemplate>, profile: Profile) -> Result<Text, (Code, String)> {
        message::prepare(job, profile)
    }

    async fn send(&self, configuration: &Configuration, messages: Vec<Text>, time: Duration) -> Vec<Answer> {
        let SenderSettings::Sms(sender) = &configuration.sender else {
            return misconfigured(&messages, "the configuration is not for text messages");
        };
        match &sender.provider {
            SmsProvider::Http(http) => self.gateway.send(configuration.id, http, &messages, time).await,
            #[cfg(feature = "aws")]
            SmsProvider::Aws(aws) => self.by_aws(aws, &messages, time).await,
            #[cfg(not(feature = "aws"))]
            SmsProvider::Aws(_) => {
                misconfigured(&messages, "this program can't send by AWS: use the provider http")
            }
        }
    }
}

fn misconfigured(messages: &[Text], detail: &str) -> Vec<Answer> {
    messages.iter().map(|_| not_accepted(Cause::Misconfigured, detail)).collect()
}

/// An [`Answer::NotAccepted`] that names no wait.
pub(crate) fn not_accepted(cause: Cause, detail: impl Into<String>) -> Answer {
    Answer::NotAccepted { cause, retry_after: None, detail: detail.into() }
}
