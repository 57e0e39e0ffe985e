//! Unsubscribing: a page that asks, and what its button and a mailbox provider's one-click unsubscription post.
//!
//! GET and HEAD change nothing, for scanners follow every link (row E1). A POST is somebody's wish. The body of one-click
//! unsubscription is `List-Unsubscribe=One-Click` (RFC 8058); it, and whatever else is not one of our own forms, takes the
//! narrowest thing that stops messages such as this one: the message's topic where it has one, else all marketing over its
//! channel. It is answered by 200 itself: without a cookie, a redirect, or a second question. The page's own form says which
//! of the two it is to be.

mod change;
mod form;

use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use campaign::link::{Member, Recipient};
use campaign::topic::TopicId;
use campaign::{Channel, Fact};
use http::{HeaderMap, StatusCode};
use links::{About, Kind, Link, TokenError};
use platform::batch;
use store::StoreError;
use store::ledger::Told;
use store::messages::ChunkKey;
use tracing::warn;

use self::change::{Undo, Undone, undo};
use self::form::Form;
use crate::Context;
use crate::context::Broken;
use crate::language::Language;
use crate::page::{Refusal, escape, page, refuse, refuse_broken, say};
use crate::texts::Texts;

/// How much is not wanted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The message's topic, over whatever channel.
    Topic,
    /// All marketing over the message's channel.
    All,
}

impl Scope {
    /// Its name in forms.
    const fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::All => "all",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Topic, Self::All].into_iter().find(|scope| scope.name() == name)
    }
}

/// Who asks, and about what.
#[derive(Debug)]
struct Subject {
    member: Member,
    recipient: Recipient,
    channel: Channel,
    /// What the message is about, where its campaign says so.
    topic: Option<TopicId>,
    language: Language,
    /// What the topic is called in that language.
    topic_name: String,
}

/// The page that asks.
pub(crate) async fn ask(
    State(context): State<Context>,
    headers: HeaderMap,
    token: Result<Path<String>, PathRejection>,
) -> Response {
    match read(&context, token).await {
        Ok(link) if link.member.is_nobody() => proof(&headers),
        Ok(link) => match Subject::of(&context, &link, &headers).await {
            Ok(subject) => question(&subject),
            Err(error) => trouble(error, &headers),
        },
        Err(broken) => refuse_broken(&broken, &headers),
    }
}

/// Unsubscribes, or takes that back.
pub(crate) async fn post(
    State(context): State<Context>,
    headers: HeaderMap,
    token: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let link = match read(&context, token).await {
        Ok(link) if link.member.is_nobody() => return proof(&headers),
        Ok(link) => link,
        Err(broken) => return refuse_broken(&broken, &headers),
    };
    // One that is too long is none of our forms.
    let form = Form::parse(body.as_deref().unwrap_or_default());
    let answered = match form {
        Form::Unsubscribe(scope) => unsubscribe(&context, &link, scope, &headers).await,
        Form::Undo { token, what } => take_back(&context, &link, &token, what, &headers).await,
    };
    answered.unwrap_or_else(|error| trouble(error, &headers))
}

async fn read(context: &Context, token: Result<Path<String>, PathRejection>) -> Result<Link, Broken> {
    let Path(token) = token.map_err(|_| Broken::Token(TokenError::Invalid))?;
    context.read(Kind::Unsubscribe, &token, "").await
}

/// Does what was asked for. It is as good the second time as the first.
async fn unsubscribe(
    context: &Context,
    link: &Link,
    scope: Option<Scope>,
    headers: &HeaderMap,
) -> Result<Response, StoreError> {
    let subject = Subject::of(context, link, headers).await?;
    let scope = match scope {
        // A person without a profile has nowhere to say no to a topic.
        Some(Scope::Topic) | None if subject.topic.is_some() => Scope::Topic,
        Some(_) | None => Scope::All,
    };
    let undo = change::unsubscribe(context, &subject, scope).await?;
    let told = Told { member: subject.member.index, fact: Fact::Unsubscribed, minute: context.minute() };
    if let Err(error) = context.store.ledger.tell(ChunkKey::of(&subject.member), &[told]).await {
        // What they want holds all the same.
        let execution = subject.member.execution;
        let error = batch::chain(&error);
        warn!(%execution, error, "an unsubscription is not counted in execution {execution}: {error}");
    }
    done(context, link, &subject, scope, undo).await
}

async fn take_back(
    context: &Context,
    link: &Link,
    token: &str,
    what: Undo,
    headers: &HeaderMap,
) -> Result<Response, StoreError> {
    if !what.is_offered(context, link, token).await? {
        return Ok(refuse(Refusal::TooLate, headers));
    }
    let subject = Subject::of(context, link, headers).await?;
    let texts = subject.texts();
    Ok(match undo(context, &subject, what).await? {
        Undone::Done => say(StatusCode::OK, subject.language, texts.undone),
        Undone::Moved => say(StatusCode::GONE, subject.language, texts.moved),
    })
}

impl Subject {
    /// What is known of the message and of whoever got it. The link outlives what the ledger keeps: where it knows nothing of
    /// the message any more, that was an email, about no topic.
    async fn of(context: &Context, link: &Link, headers: &HeaderMap) -> Result<Self, StoreError> {
        let store = &context.store;
        let About::Unsubscribe(recipient) = link.about else {
            return Err(StoreError::Corrupt { what: "link", source: None });
        };
        let head = store.ledger.head(link.member.execution).await?;
        let profile = match recipient {
            Recipient::Profile(id) | Recipient::Person { profile: id, .. } => {
                found(store.profiles.get(id).await)?.map(|profile| profile.value)
            }
            Recipient::Address(_) => None,
        };
        let recipient = match (recipient, &profile) {
            (Recipient::Person { profile, .. }, Some(_)) => Recipient::Profile(profile),
            // The address may have come back with another profile, or may yet.
            (Recipient::Person { address, .. }, None) => Recipient::Address(address),
            (recipient, _) => recipient,
        };
        let channel = head.as_ref().and_then(|head| head.actions.get(usize::from(link.member.action)));
        let version = match &head {
            Some(head) => found(store.campaigns.version(head.campaign, head.version).await)?,
            None => None,
        };
        // Who has no profile has nowhere to say no to a topic: they are on the suppression list or not.
        let topic = match profile {
            Some(_) => version.and_then(|version| version.topic),
            None => None,
        };
        let told = profile.as_ref().and_then(|profile| profile.text("language"));
        let language = Language::of(told, headers);
        let topic_name = match &topic {
            Some(id) => match store.topics.find(id).await? {
                Some(topic) => topic.name_in(told.unwrap_or(language.tag())).to_owned(),
                None => id.to_string(),
            },
            None => String::new(),
        };
        let channel = channel.copied().unwrap_or(Channel::Email);
        Ok(Self { member: link.member, recipient, channel, topic, language, topic_name })
    }

    fn texts(&self) -> &'static Texts {
        Texts::of(self.language)
    }

    /// A text with what it names filled in, as HTML.
    fn fill(&self, text: &str) -> String {
        text.replace("{by}", self.texts().by(self.channel)).replace("{topic}", &escape(&self.topic_name))
    }
}

pub(crate) fn found<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::NotFound { .. }) => Ok(None),
        read => read.map(Some),
    }
}

/// The page that asks, with the choice where there is one.
fn question(subject: &Subject) -> Response {
    let texts = subject.texts();
    let button = format!("<button type=\"submit\">{}</button>", texts.unsubscribe);
    let body = match subject.topic {
        Some(_) => format!(
            "<form method=\"post\"><fieldset><legend>{choose}</legend>\
            <label><input type=\"radio\" name=\"scope\" value=\"topic\" checked> {only}</label>\
            <label><input type=\"radio\" name=\"scope\" value=\"all\"> {all}</label>\
            </fieldset>{button}</form>",
            choose = texts.choose,
            only = subject.fill(texts.only),
            all = subject.fill(texts.all),
        ),
        None => format!(
            "<p>{ask}</p><form method=\"post\"><input type=\"hidden\" name=\"scope\" value=\"all\">{button}</form>",
            ask = subject.fill(texts.ask),
        ),
    };
    page(StatusCode::OK, subject.language, texts.unsubscribe, &body)
}

/// The page that says that it is done, with a button to take it back where it has changed something.
async fn done(
    context: &Context,
    link: &Link,
    subject: &Subject,
    scope: Scope,
    undo: Option<Undo>,
) -> Result<Response, StoreError> {
    let texts = subject.texts();
    let what = match scope {
        Scope::Topic => subject.fill(texts.done_topic),
        Scope::All => subject.fill(texts.done_all),
    };
    let mut body = format!("<p>{what}</p><p>{}</p>", texts.still);
    if let Some(undo) = undo {
        let token = undo.token(context, link).await?;
        body.push_str(&format!(
            "<form method=\"post\"><p>{mistake}</p>\
            <input type=\"hidden\" name=\"undo\" value=\"{token}\">\
            <input type=\"hidden\" name=\"scope\" value=\"{scope}\">\
            <input type=\"hidden\" name=\"was\" value=\"{was}\">\
            <input type=\"hidden\" name=\"state\" value=\"{state}\">\
            <button type=\"submit\">{button}</button></form>",
            mistake = texts.mistake,
            scope = undo.scope.name(),
            was = undo.was.name(),
            state = undo.state,
            button = texts.undo,
        ));
    }
    Ok(page(StatusCode::OK, subject.language, texts.done, &body))
}

fn proof(headers: &HeaderMap) -> Response {
    let language = Language::of(None, headers);
    say(StatusCode::OK, language, Texts::of(language).proof)
}

fn trouble(error: StoreError, headers: &HeaderMap) -> Response {
    refuse_broken(&Broken::Store(error), headers)
}
