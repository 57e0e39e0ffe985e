//! Channel configurations: how a channel sends.

mod create;
mod delete;
mod get;
mod list;
mod patch;

use campaign::Category;
use campaign::address::EmailAddress;
use campaign::configuration::{Configuration, EmailSender, Sender};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{FieldError, Kind, Problem, Result};
use crate::{Context, schema};

pub(crate) fn routes() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(create::create_configuration, list::list_configurations))
        .routes(routes!(get::get_configuration, patch::patch_configuration, delete::delete_configuration))
}

/// The longest name, in characters.
const MAX_NAME: usize = 200;
/// The highest rate.
const MAX_RATE: u32 = 1_000_000;
/// The longest retry period: a week.
const MAX_RETRY_SECONDS: u32 = 7 * 24 * 3600;

/// Who a channel's messages are from.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SenderBody {
    #[schema(value_type = schema::Channel)]
    channel: EmailChannel,
    /// The sender's address, also that of the envelope.
    #[schema(value_type = String, example = "news@example.org")]
    from: EmailAddress,
    /// The sender's display name, where the content names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from_name: Option<String>,
    /// Where answers go, where the content names no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reply_to: Option<EmailAddress>,
}

/// The channels that can be configured.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EmailChannel {
    Email,
}

impl From<SenderBody> for Sender {
    fn from(body: SenderBody) -> Self {
        Self::Email(EmailSender { from: body.from, from_name: body.from_name, reply_to: body.reply_to })
    }
}

impl From<Sender> for SenderBody {
    fn from(sender: Sender) -> Self {
        let Sender::Email(EmailSender { from, from_name, reply_to }) = sender;
        Self { channel: EmailChannel::Email, from, from_name, reply_to }
    }
}

/// A channel configuration.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConfigurationOut {
    #[schema(value_type = schema::Id)]
    id: String,
    name: String,
    #[schema(value_type = schema::Category)]
    category: Category,
    /// The most messages a second, over all campaigns that use it; no limit where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_per_second: Option<u32>,
    /// How long a message the provider would not take yet is tried again, in seconds.
    retry_period_seconds: u32,
    sender: SenderBody,
}

impl From<Configuration> for ConfigurationOut {
    fn from(configuration: Configuration) -> Self {
        Self {
            id: configuration.id.to_string(),
            name: configuration.name,
            category: configuration.category,
            rate_per_second: configuration.rate_per_second,
            retry_period_seconds: configuration.retry_period_seconds,
            sender: configuration.sender.into(),
        }
    }
}

/// Checks what the types can't.
fn check(configuration: &Configuration) -> Result<()> {
    let mut errors = Vec::new();
    let mut refuse = |field: &str, message: String| errors.push(FieldError::new(field, message));
    if configuration.name.trim().is_empty() || configuration.name.chars().count() > MAX_NAME {
        refuse("name", format!("has 1 to {MAX_NAME} characters"));
    }
    if configuration.rate_per_second.is_some_and(|rate| !(1..=MAX_RATE).contains(&rate)) {
        refuse("rate_per_second", format!("must be between 1 and {MAX_RATE}"));
    }
    if configuration.retry_period_seconds > MAX_RETRY_SECONDS {
        refuse("retry_period_seconds", format!("must be at most {MAX_RETRY_SECONDS}"));
    }
    let Sender::Email(sender) = &configuration.sender;
    if sender
        .from_name
        .as_deref()
        .is_some_and(|name| name.chars().any(char::is_control) || name.chars().count() > MAX_NAME)
    {
        refuse(
            "sender.from_name",
            format!("has at most {MAX_NAME} characters, none of them a control character"),
        );
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(Kind::InvalidField, errors)) }
}
