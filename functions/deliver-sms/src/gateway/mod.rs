//! Providers that take text messages by HTTP, as their configurations describe them.

mod answers;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use campaign::configuration::HttpSms;
use campaign::{Code, ConfigurationId};
use content::{SmsRequestError, SmsRequestTemplate, SmsValues};
use delivery::{Answer, Cause};
use futures::future::join_all;
use http::header::USER_AGENT;
use http::{HeaderValue, Request};
use outbound::Client;
use platform::{Clock, batch};
use store::Secrets;
use tracing::error;

use crate::message::Text;
use crate::sender::not_accepted;

/// Who we are, to whom reads a server's log.
const AGENT: &str = concat!("Envoi/", env!("CARGO_PKG_VERSION"));
/// How long a configuration's secrets are taken to hold.
const REMEMBER: Duration = Duration::from_secs(30);
/// The most configurations that are remembered; beyond it all are forgotten.
const MOST: usize = 1000;

/// Calls providers.
pub(crate) struct Gateway {
    client: Client,
    secrets: Secrets,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<ConfigurationId, Arc<Known>>>,
}

/// What is known of a configuration.
struct Known {
    /// As what follows was made from it.
    http: HttpSms,
    template: SmsRequestTemplate,
    secrets: BTreeMap<String, String>,
    /// Until when, on the monotonic clock, the secrets are taken to hold.
    until: Duration,
}

impl Gateway {
    pub(crate) fn new(secrets: Secrets, clock: Arc<dyn Clock>, client: Client) -> Self {
        Self { client: client.by(Arc::clone(&clock)), secrets, clock, known: Mutex::default() }
    }

    /// Hands messages over, all at once, and says of each, in the same order, what became of it.
    pub(crate) async fn send(
        &self,
        id: ConfigurationId,
        http: &HttpSms,
        messages: &[Text],
        time: Duration,
    ) -> Vec<Answer> {
        let known = match self.known(id, http).await {
            Ok(known) => known,
            Err(answer) => return vec![answer; messages.len()],
        };
        let calls = messages.iter().map(|message| self.hand_over(&known, message, time));
        let answers = join_all(calls).await;
        let is_refused =
            |answer: &Answer| matches!(answer, Answer::NotAccepted { cause: Cause::Misconfigured, .. });
        if answers.iter().any(is_refused) {
            // It may be the secrets, and they may be others by the next try.
            self.kept().remove(&id);
        }
        answers
    }

    async fn known(&self, id: ConfigurationId, http: &HttpSms) -> Result<Arc<Known>, Answer> {
        let now = self.clock.monotonic();
        let kept = self.kept().get(&id).cloned();
        if let Some(known) = kept.filter(|known| now < known.until && known.http == *http) {
            return Ok(known);
        }
        let template = SmsRequestTemplate::compile(http).map_err(|errors| {
            let first = errors.first().map(ToString::to_string).unwrap_or_default();
            not_accepted(Cause::Misconfigured, format!("the configuration makes no request: {first}"))
        })?;
        let secrets = self.secrets.of_configuration(campaign::Channel::Sms, id).await.map_err(|error| {
            error!(configuration = %id, error = %batch::chain(&error), "the secrets of configuration {id} can't be read");
            not_accepted(Cause::Unreachable, "the configuration's secrets can't be read")
        })?;
        let known = Arc::new(Known { http: http.clone(), template, secrets, until: now + REMEMBER });
        let mut kept = self.kept();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(id, Arc::clone(&known));
        Ok(known)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<ConfigurationId, Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hand_over(&self, known: &Known, message: &Text, time: Duration) -> Answer {
        let request = match request(known, message) {
            Ok(request) => request,
            Err(answer) => return answer,
        };
        let rules = &known.http.answers;
        match self.client.send_within(request, time).await {
            Ok(answer) => {
                let body = String::from_utf8_lossy(answer.body());
                let wait = outbound::retry_after(answer.headers(), self.clock.now());
                answers::meaning(rules, answer.status(), &body, wait)
            }
            Err(error) => answers::broken(rules, &error),
        }
    }
}

impl fmt::Debug for Gateway {
    /// Without secrets: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

fn request(known: &Known, message: &Text) -> Result<Request<Bytes>, Answer> {
    let id = message.id.to_string();
    let values = SmsValues { to: &message.to, text: &message.text, id: &id, secrets: &known.secrets };
    let made = known.template.render(&values).map_err(|error| match error {
        SmsRequestError::ControlCharacter(_) => {
            Answer::Refused { code: Code::RenderFailed, detail: error.to_string() }
        }
        SmsRequestError::NoSecret(_) | SmsRequestError::SecretControlCharacter(_) => {
            not_accepted(Cause::Misconfigured, error.to_string())
        }
    })?;
    let mut request = Request::post(made.url).header(USER_AGENT, HeaderValue::from_static(AGENT));
    for (name, value) in made.headers {
        // Values beyond ASCII go as the UTF-8 that they are.
        request = request.header(name, value.into_bytes());
    }
    request
        .body(Bytes::from(made.body))
        .map_err(|_| not_accepted(Cause::Misconfigured, "the configuration's URL or headers make no request"))
}
