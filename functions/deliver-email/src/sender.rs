//! What email brings to the delivery loop: templates compiled, messages built, and handed to a provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use campaign::address::EmailAddress;
use campaign::configuration::{EmailSender as From, Sender as SenderSettings};
use campaign::content::{Content, OnMissing};
use campaign::{Channel, Code, Configuration, Profile};
use content::{CompileOptions, EmailTemplate, Mailbox, MessageHeaders, RenderError, build_message};
use delivery::{Cause, Job, Sender};
use serde_json::{Map, Value};

use crate::{Answer, NotAccepted, Refusal};

/// Where messages go.
#[derive(Debug)]
pub enum Provider {
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

/// An email ready to be handed over.
#[derive(Debug)]
pub struct Letter {
    id: String,
    from: Arc<str>,
    to: String,
    message: Vec<u8>,
}

/// What a letter is made from.
pub(crate) struct Draft<'a> {
    pub(crate) template: &'a EmailTemplate,
    pub(crate) from: &'a From,
    pub(crate) to: &'a str,
    /// What templates see as `profile`.
    pub(crate) profile: Map<String, Value>,
    /// What templates see as `context`.
    pub(crate) context: &'a Value,
    pub(crate) on_missing: OnMissing,
    /// Names the logical message: the left part of the Message-ID.
    pub(crate) id: String,
    pub(crate) now_seconds: i64,
    /// Goes before the subject.
    pub(crate) subject_prefix: &'a str,
}

impl Draft<'_> {
    /// Renders and builds the email.
    ///
    /// # Errors
    /// The `failed` or `excluded` code, and why.
    pub(crate) fn letter(self) -> Result<Letter, (Code, String)> {
        let Self { from, to, id, .. } = self;
        let mut rendered = self
            .template
            .render(&Value::Object(self.profile), self.context, self.on_missing)
            .map_err(|error| (code_of(&error), error.to_string()))?;
        rendered.subject.insert_str(0, self.subject_prefix);
        let message_id = format!("{id}@{}", from.from.domain());
        let headers = MessageHeaders {
            from: Mailbox { name: from.from_name.as_deref(), address: from.from.as_str() },
            to: Mailbox { name: None, address: to },
            reply_to: from.reply_to.as_ref().map(|address| Mailbox { name: None, address: address.as_str() }),
            message_id: &message_id,
            date_unix_seconds: self.now_seconds,
            list_unsubscribe: None,
            extra: Vec::new(),
        };
        let message =
            build_message(&headers, &rendered).map_err(|error| (Code::RenderFailed, error.to_string()))?;
        Ok(Letter { id, from: from.from.as_str().into(), to: to.to_owned(), message })
    }
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
    pub(crate) async fn hand_over(&self, letters: &[Letter], time: Duration) -> Vec<Answer> {
        match &self.provider {
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
                    answers.push(outbox.write(&letter.id, &letter.message).await);
                }
                answers
            }
        }
    }
}

#[async_trait]
impl Sender for EmailSender {
    const CHANNEL: Channel = Channel::Email;
    type Template = EmailTemplate;
    type Message = Letter;

    fn compile(&self, content: &Content) -> Result<EmailTemplate, String> {
        let Content::Email(email) = content;
        EmailTemplate::compile(email, &CompileOptions::default())
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    fn address<'p>(&self, profile: &'p Profile) -> Result<&'p str, Code> {
        let address = profile.text("email").ok_or(Code::NoAddress)?;
        EmailAddress::parse(address).map(|_| address).map_err(|_| Code::InvalidAddress)
    }

    fn prepare(&self, job: &Job<'_, EmailTemplate>, profile: Profile) -> Result<Letter, (Code, String)> {
        let SenderSettings::Email(from) = &job.configuration.sender;
        let to = self.address(&profile).map_err(|code| (code, String::new()))?.to_owned();
        let draft = Draft {
            template: job.template,
            from,
            to: &to,
            profile: profile.into_document(),
            context: &Value::Object(Map::new()),
            on_missing: job.on_missing,
            id: job.member.to_string(),
            now_seconds: job.now_seconds,
            subject_prefix: "",
        };
        draft.letter()
    }

    async fn send(&self, _: &Configuration, letters: Vec<Letter>, time: Duration) -> Vec<delivery::Answer> {
        self.hand_over(&letters, time).await.into_iter().map(translate).collect()
    }
}

fn code_of(error: &RenderError) -> Code {
    match error {
        RenderError::MissingValue { .. } => Code::MissingValue,
        _ => Code::RenderFailed,
    }
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
