//! Webhook endpoints: callers' addresses that are told what became of messages.

mod create;
mod dead_letters;
mod delete;
mod get;
mod list;
mod patch;
mod secret;

use campaign::feedback::EventType;
use http::Uri;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::endpoints::Endpoint;
use utoipa::ToSchema;

use crate::error::{FieldError, Kind, Problem, Result};
use crate::operations::{Collect, routes};
use crate::{Context, schema};

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(
        into,
        create::create_webhook_endpoint,
        list::list_webhook_endpoints,
        get::get_webhook_endpoint,
        patch::patch_webhook_endpoint,
        delete::delete_webhook_endpoint,
        secret::rotate_webhook_secret,
        dead_letters::list_dead_letters,
        dead_letters::replay_dead_letters,
        dead_letters::replay_dead_letter,
    )
}

/// The longest address, in bytes.
const MAX_URL: usize = 2000;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 500;

/// What an endpoint can be told of.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub(crate) enum EventName {
    /// The provider took the message.
    #[serde(rename = "message.sent")]
    Sent,
    /// The provider says that it arrived.
    #[serde(rename = "message.delivered")]
    Delivered,
    /// The provider says that it came back.
    #[serde(rename = "message.bounced")]
    Bounced,
    /// It will not be sent: the provider or we could not.
    #[serde(rename = "message.failed")]
    Failed,
    /// It will not be sent: it must not.
    #[serde(rename = "message.excluded")]
    Excluded,
    /// It may have been sent, and is not tried again.
    #[serde(rename = "message.unknown")]
    Unknown,
}

impl From<EventName> for EventType {
    fn from(name: EventName) -> Self {
        match name {
            EventName::Sent => Self::Sent,
            EventName::Delivered => Self::Delivered,
            EventName::Bounced => Self::Bounced,
            EventName::Failed => Self::Failed,
            EventName::Excluded => Self::Excluded,
            EventName::Unknown => Self::Unknown,
        }
    }
}

impl From<EventType> for EventName {
    fn from(kind: EventType) -> Self {
        match kind {
            EventType::Sent => Self::Sent,
            EventType::Delivered => Self::Delivered,
            EventType::Bounced => Self::Bounced,
            EventType::Failed => Self::Failed,
            EventType::Excluded => Self::Excluded,
            EventType::Unknown => Self::Unknown,
        }
    }
}

/// A webhook endpoint, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointOut {
    #[schema(value_type = schema::Id)]
    id: String,
    url: String,
    description: String,
    /// Of which events it is told; of all where there is none.
    events: Vec<EventName>,
    /// Whether it is told nothing for now.
    disabled: bool,
    /// When it was disabled because it answered 410, that it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Instant>)]
    gone_at: Option<Timestamp>,
    #[schema(value_type = schema::Instant)]
    created_at: Timestamp,
    /// When its secret was made.
    #[schema(value_type = schema::Instant)]
    secret_at: Timestamp,
}

/// A webhook endpoint and the secret that was just made for it.
#[derive(Debug, Serialize, ToSchema)]
// Another has the name in the document already.
#[schema(as = EndpointSecretOut)]
pub(crate) struct SecretOut {
    #[serde(flatten)]
    endpoint: EndpointOut,
    /// What its messages are signed with, as the Standard Webhooks specification writes it. This is the only time it is
    /// shown.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
}

impl From<Endpoint> for EndpointOut {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.url,
            description: endpoint.description,
            events: endpoint.events.into_iter().map(EventName::from).collect(),
            disabled: endpoint.disabled,
            gone_at: endpoint.gone_at,
            created_at: endpoint.created_at,
            secret_at: endpoint.secret_at,
        }
    }
}

/// Checks what the types can't: an address that will surely be refused is better refused now.
fn check(context: &Context, endpoint: &Endpoint) -> Result<()> {
    let mut errors = Vec::new();
    let url = &endpoint.url;
    let refused = match url.parse::<Uri>() {
        _ if url.len() > MAX_URL => Some(format!("has at most {MAX_URL} bytes")),
        Err(error) => Some(error.to_string()),
        Ok(uri) => context.outbound.examine(&uri).err().map(|refusal| refusal.to_string()),
    };
    if let Some(message) = refused {
        errors.push(FieldError::new("url", message));
    }
    if endpoint.description.chars().count() > MAX_DESCRIPTION {
        errors.push(FieldError::new("description", format!("has at most {MAX_DESCRIPTION} characters")));
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(Kind::InvalidField, errors)) }
}

/// The types that are named, each once.
fn types(names: Vec<EventName>) -> Vec<EventType> {
    let mut types: Vec<EventType> = names.into_iter().map(EventType::from).collect();
    types.sort_unstable();
    types.dedup();
    types
}
