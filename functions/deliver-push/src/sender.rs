//! What push notifications bring to the delivery loop: templates compiled, messages built, and each device's handed over.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use campaign::configuration::Sender as SenderSettings;
use campaign::content::PushContent;
use campaign::lowered::LoweredContent;
use campaign::{Channel, Code, Configuration, ConfigurationId, Profile, ProfileId};
use content::{MAX_PUSH_BYTES, PushTemplate, RenderError};
use delivery::{Answer, Cause, Job, MessageId, Sender};
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use http::{HeaderValue, Uri};
use platform::{Clock, Deadline, batch};
use serde_json::Value;
use store::Store;
use tokio::time::timeout;
use tracing::warn;

use crate::access::Access;
use crate::answer::together;
use crate::device::{self, Device, Platform};
use crate::fcm::Fcm;
use crate::message::{Draft, Parcel, Push};
use crate::verdict::{self, Verdict};

/// How many requests of one window are under way at once.
const AT_ONCE: usize = 32;
/// A request that would have less time than this is not begun.
const LEAST: Duration = Duration::from_secs(1);
/// The part of a hand-over's time that is kept for removing tokens.
const KEPT_BACK: u32 = 10;

/// The push channel.
pub struct PushSender {
    store: Store,
    fcm: Fcm,
    access: Access,
    /// The configurations by which this process has sent something: their project is the right one for some.
    proven: Mutex<HashSet<ConfigurationId>>,
}

/// A push notification's content, compiled.
#[derive(Debug)]
pub struct Template {
    texts: PushTemplate,
    content: PushContent,
}

/// What became of one device's message.
struct Told<'a> {
    /// To which of the messages it belongs.
    message: usize,
    token: &'a str,
    answer: Answer,
    /// The token, where it is not to be sent to any more.
    gone: Option<Gone>,
}

/// Why a token is not to be sent to any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// FCM does not know it.
    Unknown,
    /// It is of another project.
    Mismatch,
}

/// What the requests of a window have in common.
struct Window<'a> {
    configuration: ConfigurationId,
    address: Uri,
    bearer: HeaderValue,
    deadline: Deadline,
    clock: &'a dyn Clock,
}

/// The answer to what was not sent for want of time.
fn too_late() -> Answer {
    let detail = "time was up before it was sent".to_owned();
    Answer::NotAccepted { cause: Cause::Transient, retry_after: None, detail }
}

impl PushSender {
    /// Push notifications through `fcm`, for the configurations and profiles of `store`.
    pub fn new(store: Store, fcm: Fcm) -> Self {
        let access = Access::new(store.clone(), fcm.client().clone());
        Self { store, fcm, access, proven: Mutex::default() }
    }

    /// Hands one device's message over; with a new access token, where the one there was is not let in.
    async fn hand_over<'p>(&self, window: &Window<'_>, message: usize, parcel: &'p Parcel) -> Told<'p> {
        let time = window.deadline.remaining(window.clock);
        let told = |answer, gone| Told { message, token: &parcel.token, answer, gone };
        if time < LEAST {
            return told(too_late(), None);
        }
        let verdict = self.try_twice(window, parcel).await;
        let bad = |detail| Answer::Refused { code: Code::BadAddress, detail };
        let mut told = match verdict {
            Verdict::Told(answer) => told(answer, None),
            Verdict::Gone(detail) => told(bad(detail), Some(Gone::Unknown)),
            Verdict::Mismatch(detail) => told(bad(detail), Some(Gone::Mismatch)),
            Verdict::Barred(detail) => {
                told(Answer::NotAccepted { cause: Cause::Misconfigured, retry_after: None, detail }, None)
            }
        };
        without(&parcel.token, &mut told.answer);
        told
    }

    async fn try_twice(&self, window: &Window<'_>, parcel: &Parcel) -> Verdict {
        let verdict = self.try_once(window, &window.bearer, parcel).await;
        if !matches!(verdict, Verdict::Barred(_)) {
            return verdict;
        }
        // It was not let in, so trying again can't send it twice.
        let time = window.deadline.remaining(window.clock);
        match timeout(time, self.access.in_place_of(&window.bearer, window.configuration)).await {
            Ok(Ok(bearer)) => self.try_once(window, &bearer, parcel).await,
            Ok(Err(trouble)) => Verdict::Told(trouble.answer()),
            Err(_) => Verdict::Told(too_late()),
        }
    }

    async fn try_once(&self, window: &Window<'_>, bearer: &HeaderValue, parcel: &Parcel) -> Verdict {
        let time = window.deadline.remaining(window.clock);
        match self.fcm.send(&window.address, bearer, &parcel.body, time).await {
            Ok(response) => {
                let wait = outbound::retry_after(response.headers(), window.clock.now());
                verdict::of_answer(response.status(), response.body(), wait)
            }
            Err(error) => Verdict::Told(verdict::of_error(&error)),
        }
    }

    /// Removes tokens from profiles. That it can't be done fails no message: the next notification finds them gone, too.
    async fn remove(&self, gone: Vec<(ProfileId, &str)>, time: Duration) {
        let removals = gone.into_iter().map(|(id, token)| self.store.profiles.remove_push_token(id, token));
        let Ok(removed) = timeout(time, join_all(removals)).await else {
            return warn!("there was no time to remove all push tokens that are gone");
        };
        for error in removed.into_iter().filter_map(Result::err) {
            warn!(error = %batch::chain(&error), "a push token that is gone can't be removed");
        }
    }

    /// Whether tokens that FCM says are another project's may be removed: only where the configuration says of which app they
    /// are, and its project has taken something. Else it may be the configuration that is wrong, and not every token.
    fn may_remove_mismatches(&self, configuration: &Configuration, has_sent: bool) -> bool {
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if has_sent && !proven.contains(&configuration.id) {
            proven.insert(configuration.id);
        }
        app_of(configuration).is_some() && proven.contains(&configuration.id)
    }
}

#[async_trait]
impl Sender for PushSender {
    const CHANNEL: Channel = Channel::Push;
    type Template = Template;
    type Message = Push;

    fn compile(&self, content: &LoweredContent) -> Result<Template, String> {
        let LoweredContent::Push(push) = content else {
            return Err("the content is not a push notification".to_owned());
        };
        let texts = PushTemplate::compile(push).map_err(|error| error.to_string())?;
        Ok(Template { texts, content: (**push).clone() })
    }

    /// None: a suppression names no device.
    fn address<'p>(
        &self,
        configuration: &Configuration,
        profile: &'p Profile,
    ) -> Result<Option<&'p str>, Code> {
        let is_somewhere = device::has_any(profile.document(), app_of(configuration));
        if is_somewhere { Ok(None) } else { Err(Code::NoAddress) }
    }

    fn prepare(&self, job: &Job<'_, Template>, profile: Profile) -> Result<Push, (Code, String)> {
        if !matches!(job.configuration.sender, SenderSettings::Push(_)) {
            return Err((Code::Misconfigured, "the configuration is not for push notifications".to_owned()));
        }
        let id = profile.id();
        let document = Value::Object(profile.into_document());
        let rendered = job
            .template
            .texts
            .render(&document, job.context, job.on_missing)
            .map_err(|error| (code_of(&error), error.to_string()))?;
        if rendered.is_too_large() {
            let bytes = rendered.payload_bytes();
            return Err((Code::TooLarge, format!("it has {bytes} bytes, the limit is {MAX_PUSH_BYTES}")));
        }
        let draft =
            Draft { content: &job.template.content, rendered: &rendered, now_seconds: job.now_seconds };
        if let Some(token) = job.to {
            let parcel = draft.parcel(Device { platform: Platform::Unknown, token });
            return Ok(Push { profile: None, parcels: vec![parcel] });
        }
        let document = document.as_object().expect("it was made of an object");
        let parcels: Vec<_> =
            device::of(document, app_of(job.configuration)).map(|device| draft.parcel(device)).collect();
        if parcels.is_empty() {
            return Err((Code::NoAddress, String::new()));
        }
        let is_proof = matches!(job.id, MessageId::Proof { .. });
        Ok(Push { profile: (!is_proof).then_some(id), parcels })
    }

    async fn send(&self, configuration: &Configuration, messages: Vec<Push>, time: Duration) -> Vec<Answer> {
        let clock = &*self.store.platform.clock;
        let end = Deadline::after(clock, time);
        let deadline = Deadline::after(clock, time - time / KEPT_BACK);
        let all = |answer: Answer| vec![answer; messages.len()];
        let misconfigured = |detail: &str| Answer::NotAccepted {
            cause: Cause::Misconfigured,
            retry_after: None,
            detail: detail.to_owned(),
        };
        let SenderSettings::Push(settings) = &configuration.sender else {
            return all(misconfigured("the configuration is not for push notifications"));
        };
        let Ok(address) = self.fcm.messages_of(&settings.project_id) else {
            return all(misconfigured("the project's id makes no address"));
        };
        let bearer = match timeout(deadline.remaining(clock), self.access.token(configuration.id)).await {
            Ok(Ok(bearer)) => bearer,
            Ok(Err(trouble)) => return all(trouble.answer()),
            Err(_) => {
                let detail = "there was no access token in time".to_owned();
                return all(Answer::NotAccepted { cause: Cause::Unreachable, retry_after: None, detail });
            }
        };
        let window = Window { configuration: configuration.id, address, bearer, deadline, clock };
        let mut hand_overs = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            for parcel in &message.parcels {
                hand_overs.push(self.hand_over(&window, index, parcel));
            }
        }
        let told: Vec<Told<'_>> = stream::iter(hand_overs).buffer_unordered(AT_ONCE).collect().await;

        let has_sent = told.iter().any(|told| told.answer == Answer::Accepted);
        let may_remove_mismatches = self.may_remove_mismatches(configuration, has_sent);
        let mut answers: Vec<Vec<Answer>> = messages.iter().map(|_| Vec::new()).collect();
        let mut gone = Vec::new();
        for told in told {
            let is_over = told.gone.is_some_and(|why| why == Gone::Unknown || may_remove_mismatches);
            if let Some(profile) = messages[told.message].profile.filter(|_| is_over) {
                gone.push((profile, told.token));
            }
            answers[told.message].push(told.answer);
        }
        if !gone.is_empty() {
            self.remove(gone, end.remaining(clock)).await;
        }
        answers.into_iter().map(together).collect()
    }
}

/// The app whose tokens the configuration selects; all where it is `None`.
fn app_of(configuration: &Configuration) -> Option<&str> {
    match &configuration.sender {
        SenderSettings::Push(settings) => settings.app_id.as_deref(),
        _ => None,
    }
}

/// Takes the token out of what a provider said of it: this goes into the ledger.
fn without(token: &str, answer: &mut Answer) {
    let (Answer::Refused { detail, .. } | Answer::NotAccepted { detail, .. } | Answer::Ambiguous { detail }) =
        answer
    else {
        return;
    };
    if detail.contains(token) {
        *detail = detail.replace(token, "...");
    }
}

fn code_of(error: &RenderError) -> Code {
    match error {
        RenderError::MissingValue { .. } => Code::MissingValue,
        _ => Code::RenderFailed,
    }
}
