//! Channel configurations: how a channel sends.

mod create;
mod delete;
mod get;
mod list;
mod patch;
mod secrets;
mod sender;
mod test;

use campaign::Category;
use campaign::configuration::Configuration;
use outbound::Policy;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::{FieldError, Kind, Problem, Result};
use crate::operations::{Collect, routes};
use crate::schema;

use self::sender::SenderBody;

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(
        into,
        create::create_configuration,
        list::list_configurations,
        get::get_configuration,
        patch::patch_configuration,
        delete::delete_configuration,
        secrets::list_secrets,
        secrets::put_secret,
        secrets::delete_secret,
        secrets::rotate_signing_key,
        test::test_configuration,
    )
}

/// The longest name, in characters.
const MAX_NAME: usize = 200;
/// The highest rate.
const MAX_RATE: u32 = 1_000_000;
/// The longest retry period: a week.
const MAX_RETRY_SECONDS: u32 = 7 * 24 * 3600;

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
    /// Whether nothing is sent by it for now.
    disabled: bool,
    /// Whether transactional messages go even to addresses on the suppression list.
    ignores_suppression: bool,
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
            disabled: configuration.disabled,
            ignores_suppression: configuration.ignores_suppression,
            sender: SenderBody::of(&configuration.sender),
        }
    }
}

/// Whether to do what a campaign under way will notice.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Force {
    /// Do it although a campaign that is activating, scheduled or live uses the configuration.
    #[serde(default)]
    force: bool,
}

/// Checks what the types can't.
fn check(configuration: &Configuration, outbound: &Policy) -> Result<()> {
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
    if configuration.ignores_suppression && configuration.category == Category::Marketing {
        refuse("ignores_suppression", "is for transactional configurations only".to_owned());
    }
    sender::check(&configuration.sender, outbound, &mut errors);
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(Kind::InvalidField, errors)) }
}
