use axum::extract::State;
use campaign::configuration::{Sender, SmsProvider, SmsSender, default_retry_period};
use campaign::{Category, ConfigurationId};
use serde::Deserialize;
use store::StoreError;
use utoipa::ToSchema;

use super::{ConfigurationOut, Force, SenderBody, check};
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Body, Id, IfMatch, Params, Tagged, given};
use crate::{Context, schema, usage};

/// How often a patch that names no revision is tried anew when others change the configuration at the same time.
const TRIES: usize = 3;

/// What is to change of a channel configuration; what is absent stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigurationPatch {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: Option<String>,
    #[schema(value_type = Option<schema::Category>)]
    category: Option<Category>,
    /// `null`: no limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    rate_per_second: Option<Option<u32>>,
    /// `null`: twelve hours.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, maximum = 604_800)]
    retry_period_seconds: Option<Option<u32>>,
    /// Whether nothing is sent by it for now: what was to be sent waits, until the retry period ends.
    disabled: Option<bool>,
    /// Whether transactional messages go even to addresses on the suppression list.
    ignores_suppression: Option<bool>,
    sender: Option<SenderBody>,
}

/// Change a channel configuration
///
/// A change applies from the next 50 recipients on, also to executions under way. The channel can't change. Where text messages go
/// to another host from now on, the configuration's secrets are forgotten: they were meant for the one before. To disable one that a campaign under way uses
/// needs `force`.
#[utoipa::path(
    patch, path = "/configurations/{id}", tag = "configurations",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read"), Force),
    request_body = ConfigurationPatch,
    responses(
        (status = 200, description = "Changed", body = ConfigurationOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such configuration", body = ProblemSchema),
        (status = 409, description = "It kept changing, or it is to be disabled and a campaign uses it", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn patch_configuration(
    State(context): State<Context>,
    Id(id): Id<ConfigurationId>,
    Params(Force { force }): Params<Force>,
    if_match: IfMatch,
    Body(patch): Body<ConfigurationPatch>,
) -> Result<Tagged<ConfigurationOut>> {
    if patch.disabled == Some(true) && !force {
        usage::refuse_configuration_in_use(&context, id).await?;
    }
    let mut tries = TRIES;
    loop {
        let found = context.store.configurations.get(id).await?;
        if_match.check(found.revision)?;
        let (mut configuration, patch) = (found.value, patch.clone());
        configuration.name = patch.name.unwrap_or(configuration.name);
        configuration.category = patch.category.unwrap_or(configuration.category);
        configuration.rate_per_second = patch.rate_per_second.unwrap_or(configuration.rate_per_second);
        if let Some(period) = patch.retry_period_seconds {
            configuration.retry_period_seconds = period.unwrap_or_else(default_retry_period);
        }
        configuration.disabled = patch.disabled.unwrap_or(configuration.disabled);
        configuration.ignores_suppression =
            patch.ignores_suppression.unwrap_or(configuration.ignores_suppression);
        let before = configuration.sender.clone();
        if let Some(sender) = patch.sender {
            configuration.sender = sender.parse()?;
        }
        if configuration.sender.channel() != before.channel() {
            let message = format!("can't change: campaigns use it for {}", before.channel().name());
            return Err(Problem::field("sender.channel", message));
        }
        check(&configuration, &context.outbound)?;
        if goes_elsewhere(&before, &configuration.sender) {
            // Whoever may change where requests go is not to see by it what an admin has stored for another's eyes.
            context.store.secrets.delete_of_configuration(before.channel(), id, None).await?;
        }
        tries -= 1;
        match context.store.configurations.put(&configuration, found.revision).await {
            Ok(()) => return Ok(Tagged::ok(found.revision + 1, configuration.into())),
            Err(StoreError::Stale { .. }) if !if_match.may_retry() => return Err(IfMatch::failed()),
            Err(StoreError::Stale { .. }) if tries > 0 => {}
            Err(error) => return Err(Problem::from(error)),
        }
    }
}

/// Whether requests with a configuration's secrets go to another host than before.
fn goes_elsewhere(before: &Sender, after: &Sender) -> bool {
    let host = |sender: &Sender| match sender {
        Sender::Sms(SmsSender { provider: SmsProvider::Http(http), .. }) => Some(host_of(&http.url)),
        _ => None,
    };
    let (before, after) = (host(before), host(after));
    after.is_some() && before != after
}

/// The scheme and the host of a URL, its port with it.
fn host_of(url: &str) -> String {
    let end = url.find("://").map_or(0, |at| at + 3);
    let host = url[end..].find(['/', '?', '#']).map_or(url.len(), |at| end + at);
    url[..host].to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_ends_where_its_path_begins() {
        for (url, host) in [
            ("https://SMS.example.org/a/b?c", "https://sms.example.org"),
            ("https://sms.example.org?to=x", "https://sms.example.org"),
            ("https://sms.example.org:8443", "https://sms.example.org:8443"),
            ("https://sms.example.org#@evil.example.net", "https://sms.example.org"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }
}
