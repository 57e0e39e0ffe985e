//! What email brings to the delivery loop: templates compiled, messages built, and handed to a provider.

use std::time::Duration;

use async_trait::async_trait;
use campaign::address::EmailAddress;
use campaign::configuration::Sender as SenderSettings;
use campaign::lowered::LoweredContent;
use campaign::{Channel, Code, Configuration, Profile};
use content::EmailTemplate;
use delivery::{Cause, Job, Sender};

use crate::letter::{Draft, Letter};
use crate::{Answer, NotAccepted, Refusal};

/// Where messages go.
#[derive(Debug)]
pub enum Provider {
    /// To Amazon SES.
    #[cfg(feature = "ses")]
    Ses(crate::ses::Ses),
    /// To an SMTP server.
    #[cfg(feature = "smtp")]
    Smtp(crate::smtp::SmtpPool),
    /// Into a folder.
    #[cfg(feature = "outbox")]
    Outbox(crate::outbox::Outbox),
}

/// The email channel.
#[derive(Debug)]
pub struct EmailSender {
    provider: Provider,
}

impl EmailSender {
    /// Email through this provider.
    pub const fn new(provider: Provider) -> Self {
        Self { provider }
    }

    /// Where messages go.
    pub const fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Hands letters over, within `time`.
    #[cfg_attr(
        not(any(feature = "ses", feature = "smtp")),
        expect(unused_variables, reason = "a folder answers at once")
    )]
    pub(crate) async fn hand_over(&self, letters: &[Letter], time: Duration) -> Vec<Answer> {
        match &self.provider {
            #[cfg(feature = "ses")]
            Provider::Ses(ses) => {
                let window: Vec<_> = letters
                    .iter()
                    .map(|letter| crate::ses::Outgoing {
                        id: &letter.id,
                        from: &letter.from,
                        to: &letter.to,
                        message: &letter.message,
                    })
                    .collect();
                ses.send(&window, time).await
            }
            #[cfg(feature = "smtp")]
            Provider::Smtp(pool) => {
                let window: Vec<_> = letters
                    .iter()
                    .map(|letter| crate::smtp::Outgoing {
                        from: &letter.from,
                        to: &letter.to,
                        message: &letter.message,
                    })
                    .collect();
                pool.send(&window, time).await
            }
            #[cfg(feature = "outbox")]
            Provider::Outbox(outbox) => {
                let mut answers = Vec::with_capacity(letters.len());
                for letter in letters {
                    answers.push(outbox.write(&letter.id.to_string(), &letter.message).await);
                }
                answers
            }
        }
    }
}

#[async_trait]
impl Sender for EmailSender {
    const CHANNEL: Channel = Channel::Email;
    const HAS_LINKS: bool = true;
    type Template = EmailTemplate;
    type Message = Letter;

    fn compile(&self, content: &LoweredContent) -> Result<EmailTemplate, String> {
        let LoweredContent::Email(email) = content else {
            return Err("the content is not an email".to_owned());
        };
        EmailTemplate::from_lowered(email).map_err(|error| error.to_string())
    }

    fn address<'p>(&self, _: &Configuration, profile: &'p Profile) -> Result<Option<&'p str>, Code> {
        address_of(profile).map(Some)
    }

    fn prepare(&self, job: &Job<'_, EmailTemplate>, profile: Profile) -> Result<Letter, (Code, String)> {
        let SenderSettings::Email(from) = &job.configuration.sender else {
            return Err((Code::Misconfigured, "the configuration is not for email".to_owned()));
        };
        let to = match job.to {
            Some(to) => to,
            None => address_of(&profile).map_err(|code| (code, String::new()))?,
        };
        let to = to.to_owned();
        let draft = Draft {
            template: job.template,
            from,
            category: job.category,
            to: &to,
            profile: profile.into_document(),
            context: job.context,
            on_missing: job.on_missing,
            id: job.id.clone(),
            links: job.links,
            now_seconds: job.now_seconds,
        };
        draft.letter()
    }

    async fn send(&self, _: &Configuration, letters: Vec<Letter>, time: Duration) -> Vec<delivery::Answer> {
        self.hand_over(&letters, time).await.into_iter().map(translate).collect()
    }
}

fn address_of(profile: &Profile) -> Result<&str, Code> {
    let address = profile.text("email").ok_or(Code::NoAddress)?;
    EmailAddress::parse(address).map(|_| address).map_err(|_| Code::InvalidAddress)
}

/// A provider's answer in the words of the loop.
fn translate(answer: Answer) -> delivery::Answer {
    match answer {
        Answer::Accepted { .. } => delivery::Answer::Accepted,
        Answer::Refused { reason, detail } => {
            let code = match reason {
                Refusal::BadAddress => Code::BadAddress,
                Refusal::TooLarge => Code::TooLarge,
                Refusal::Policy => Code::Policy,
                Refusal::MailboxFull | Refusal::Other => Code::Refused,
            };
            delivery::Answer::Refused { code, detail }
        }
        Answer::NotAccepted { cause, retry_after, detail } => {
            let cause = match cause {
                NotAccepted::Transient => Cause::Transient,
                NotAccepted::Throttled => Cause::Throttled,
                NotAccepted::QuotaExceeded => Cause::Quota,
                NotAccepted::Unreachable => Cause::Unreachable,
                NotAccepted::Misconfigured => Cause::Misconfigured,
            };
            delivery::Answer::NotAccepted { cause, retry_after, detail }
        }
        Answer::Ambiguous { detail } => delivery::Answer::Ambiguous { detail },
    }
}

#[cfg(all(test, feature = "outbox"))]
mod tests {
    use campaign::configuration::{EmailSender as Settings, Tracking};
    use campaign::content::{EmailBody, EmailContent, OnMissing};
    use campaign::{Category, ConfigurationId, ProfileId};
    use content::CompileOptions;
    use delivery::{JobLinks, MessageId};
    use links::{LinkKey, LinkKeys};
    use serde_json::{Map, Value};

    use super::*;
    use crate::outbox::Outbox;

    /// What a configuration is for can change while a campaign that was activated with it goes on.
    #[test]
    fn whether_it_says_how_to_unsubscribe_is_the_campaign_s() {
        let folder = tempfile::tempdir().unwrap();
        let sender = EmailSender::new(Provider::Outbox(Outbox::new(folder.path()).unwrap()));
        let body = EmailBody::Html("<p>Hello</p>".to_owned());
        let content = EmailContent { subject: "s".to_owned(), body, ..EmailContent::default() };
        let template = EmailTemplate::compile(&content, &CompileOptions::default()).unwrap();
        let keys = LinkKeys::new(&[LinkKey { id: 1, secret: [3; 32] }]).unwrap();
        for (campaigns, configurations) in
            [(Category::Marketing, Category::Transactional), (Category::Transactional, Category::Marketing)]
        {
            let settings = Settings {
                from: "news@shop.example".parse().unwrap(),
                from_name: None,
                reply_to: None,
                unsubscribe_mailto: None,
                tracking: Tracking::default(),
            };
            let configuration = Configuration {
                id: ConfigurationId::from_bytes([2; 16]),
                name: "News".to_owned(),
                category: configurations,
                rate_per_second: None,
                retry_period_seconds: 3600,
                disabled: false,
                ignores_suppression: false,
                sender: SenderSettings::Email(settings),
            };
            let job = Job {
                template: &template,
                configuration: &configuration,
                category: campaigns,
                context: &Value::Null,
                on_missing: OnMissing::Skip,
                id: MessageId::Proof { proof: "p".to_owned(), index: 0 },
                to: Some("jane@example.org"),
                links: Some(JobLinks {
                    keys: &keys,
                    public_url: "https://envoi.example.org",
                    recipient: None,
                }),
                now_seconds: 1_772_323_200,
            };
            let nobody = Profile::from_stored(ProfileId::from_bytes([0; 16]), Map::new());
            let message = String::from_utf8(sender.prepare(&job, nobody).unwrap().message).unwrap();
            let is_marketing = campaigns == Category::Marketing;
            assert_eq!(message.contains("List-Unsubscribe:"), is_marketing, "{message}");
        }
    }
}
