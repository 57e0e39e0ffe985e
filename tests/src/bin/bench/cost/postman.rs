//! Email that is rendered as ever and accepted without a network, in the time that a provider takes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use campaign::lowered::LoweredContent;
use campaign::{Channel, Code, Configuration, Profile};
use deliver_email::{EmailSender, Letter};
use delivery::{Answer, Job, Sender};
use platform::Clock;

use super::model::Model;
use super::time::ModelClock;

pub(crate) struct Postman {
    pub(crate) email: EmailSender,
    pub(crate) clock: Arc<ModelClock>,
    pub(crate) model: Model,
}

#[async_trait]
impl Sender for Postman {
    const CHANNEL: Channel = Channel::Email;
    type Template = <EmailSender as Sender>::Template;
    type Message = Letter;

    fn compile(&self, content: &LoweredContent) -> Result<Self::Template, String> {
        self.email.compile(content)
    }

    fn address<'p>(
        &self,
        configuration: &Configuration,
        profile: &'p Profile,
    ) -> Result<Option<&'p str>, Code> {
        self.email.address(configuration, profile)
    }

    fn prepare(&self, job: &Job<'_, Self::Template>, profile: Profile) -> Result<Letter, (Code, String)> {
        self.email.prepare(job, profile)
    }

    async fn send(&self, _: &Configuration, letters: Vec<Letter>, _: Duration) -> Vec<Answer> {
        let messages = u32::try_from(letters.len()).unwrap_or(u32::MAX);
        self.clock.sleep(self.model.provider + self.model.message_work() * messages).await;
        letters.iter().map(|_| Answer::Accepted).collect()
    }
}
