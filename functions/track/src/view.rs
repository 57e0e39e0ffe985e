//! A message as a page, as its recipient got it: the version's own content, filled in from their profile as it is now.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use campaign::ProfileId;
use campaign::configuration::{Sender, Tracking};
use campaign::content::OnMissing;
use campaign::link::Recipient;
use campaign::lowered::LoweredContent;
use content::{EmailTemplate, RenderedEmail};
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use links::{Issuer, Kind, Link};
use platform::batch;
use serde_json::Value;
use store::StoreError;
use store::ledger::Head;
use store::messages::ChunkKey;
use tracing::warn;

use crate::Context;
use crate::context::Broken;
use crate::language::Language;
use crate::page::{Refusal, document, escape, page, refuse, refuse_broken, say};
use crate::templates::Key;
use crate::texts::Texts;
use crate::unsubscribe::found;
use crate::visit::count;
use crate::visitor::Visitor;

/// Whatever the content holds, no script of it runs and no form is sent; pictures, styles and typefaces come from where they
/// do in a mail program. Sandboxed, it has no part in whatever else is at this address. Links may open a page of their own.
const POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation; \
    default-src 'none'; img-src https: http: data:; media-src https: http:; style-src 'unsafe-inline' https: http:; \
    font-src https: http: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// How long somebody waits for us to count.
const WITHIN: Duration = Duration::from_secs(1);

/// The page. Whoever looks at it has opened the message: that is counted where the configuration has opens counted, and the
/// page holds no picture to count them once more. Its links are those of the message.
pub(crate) async fn view(
    State(context): State<Context>,
    method: Method,
    headers: HeaderMap,
    token: Result<Path<String>, PathRejection>,
) -> Response {
    let Ok(Path(token)) = token else { return refuse(Refusal::Invalid, &headers) };
    let link = match context.read(Kind::View, &token, "").await {
        Ok(link) => link,
        Err(broken) => return refuse_broken(&broken, &headers),
    };
    let language = Language::of(None, &headers);
    if link.member.is_nobody() {
        return say(StatusCode::OK, language, Texts::of(language).proof);
    }
    let shown = match Sent::read(&context, &link).await {
        Ok(Some(sent)) => sent.render(&context, &link, &headers).await,
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    match shown {
        Ok(Some((rendered, tracking))) => {
            if tracking.opens {
                let fact = Visitor::of(&method, &headers).opens();
                count(&context, &link.member, fact, None, WITHIN).await;
            }
            show(rendered, language)
        }
        Ok(None) => refuse(Refusal::Gone, &headers),
        Err(error) => refuse_broken(&Broken::Store(error), &headers),
    }
}

/// Where this page is asked for: behind a function's own URL nobody else can say that. Whoever asks with another host's name
/// gets links to that, in a page that they alone see.
fn here(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let base = format!("https://{host}");
    store::links::is_base(&base).then_some(base)
}

fn show(rendered: RenderedEmail, language: Language) -> Response {
    if rendered.html.trim().is_empty() {
        let text = format!("<pre>{}</pre>", escape(&rendered.text));
        return page(StatusCode::OK, language, &escape(&rendered.subject), &text);
    }
    document(StatusCode::OK, rendered.html, HeaderValue::from_static(POLICY))
}

/// What an email is rendered by; `None` where the action is none by email, or its content is gone.
async fn template(context: &Context, key: Key) -> Result<Option<Arc<EmailTemplate>>, StoreError> {
    if let Some(template) = context.templates.get(key) {
        return Ok(Some(template));
    }
    let (campaign, version, action) = key;
    let lowered = context.store.campaigns.lowered(campaign, version, action).await;
    let Some(LoweredContent::Email(email)) = found(lowered)? else { return Ok(None) };
    // It can take long enough to keep everybody else waiting.
    let compiled = tokio::task::spawn_blocking(move || EmailTemplate::from_lowered(&email)).await;
    let Ok(Ok(template)) = compiled else {
        return Err(StoreError::Corrupt { what: "lowered content", source: None });
    };
    let template = Arc::new(template);
    context.templates.keep(key, Arc::clone(&template));
    Ok(Some(template))
}

/// What a message was made of, as far as there still is all of it.
struct Sent {
    head: Head,
    template: Arc<EmailTemplate>,
    recipient: ProfileId,
    profile: Value,
}

impl Sent {
    /// `None` where the ledger has forgotten the message or the profile is gone; where it was none by email; and where a call
    /// asked for it, as what that brought along is not kept.
    async fn read(context: &Context, link: &Link) -> Result<Option<Self>, StoreError> {
        let (store, member) = (&context.store, &link.member);
        let Some(head) = store.ledger.head(member.execution).await?.filter(|head| !head.is_call()) else {
            return Ok(None);
        };
        let Some(chunk) = store.ledger.chunk(ChunkKey::of(member)).await? else { return Ok(None) };
        let Some(recipient) = chunk.members.profiles.get(usize::from(member.index)).copied() else {
            return Ok(None);
        };
        let Some(profile) = found(store.profiles.get(recipient).await)? else { return Ok(None) };
        let key = (head.campaign, head.version, member.action);
        let Some(template) = template(context, key).await? else { return Ok(None) };
        let profile = Value::Object(profile.value.into_document());
        Ok(Some(Self { head, template, recipient, profile }))
    }

    async fn render(
        &self,
        context: &Context,
        link: &Link,
        headers: &HeaderMap,
    ) -> Result<Option<(RenderedEmail, Tracking)>, StoreError> {
        let tracking = self.tracking(context, link).await?;
        let keys = context.store.links.keys().await?;
        let domain = tracking.domain.as_ref().map(|domain| format!("https://{domain}"));
        let given = || context.store.links.given_url().map(str::to_owned);
        // Where nobody has said where links are, they are where this one was.
        let base = domain.or_else(given).or_else(|| here(headers));
        let issuer = Issuer {
            base: base.as_deref().unwrap_or(context.store.links.public_url()),
            keys: &keys,
            member: link.member,
            recipient: Some(Recipient::Profile(self.recipient)),
            // They are as old as the message: nobody has them renewed by looking at the page.
            day: link.day,
            opens: false,
            clicks: tracking.clicks,
        };
        // Who has lost a value since had it when the message was sent.
        match self.template.render(&self.profile, &Value::Null, OnMissing::Blank, Some(&issuer)) {
            Ok(rendered) => Ok(Some((rendered, tracking))),
            Err(error) => {
                let (execution, error) = (self.head.id, batch::chain(&error));
                warn!(%execution, error, "a message of execution {execution} can't be shown as a page");
                Ok(None)
            }
        }
    }

    /// What the configuration has tracked now; nothing where there is none any more.
    async fn tracking(&self, context: &Context, link: &Link) -> Result<Tracking, StoreError> {
        let nothing = Tracking { opens: false, clicks: false, domain: None };
        let store = &context.store;
        let version = found(store.campaigns.version(self.head.campaign, self.head.version).await)?;
        let action =
            version.as_ref().and_then(|version| version.actions.get(usize::from(link.member.action)));
        let Some(id) = action.and_then(|action| action.configuration) else { return Ok(nothing) };
        let configuration = found(store.configurations.get(id).await)?;
        Ok(match configuration.map(|configuration| configuration.value.sender) {
            Some(Sender::Email(sender)) => sender.tracking,
            _ => nothing,
        })
    }
}
