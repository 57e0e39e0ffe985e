//! The secrets of a configuration: written, never read back.

use axum::Json;
use axum::extract::{Path, State};
use campaign::configuration::{Configuration, Sender, SmsProvider};
use campaign::id::random_bytes;
use campaign::{Channel, ConfigurationId};
use data_encoding::BASE64;
use http::StatusCode;
use jiff::Timestamp;
use outbound::service_account::ServiceAccount;
use serde::{Deserialize, Serialize};
use store::secrets::MOST_NAMED;
use utoipa::ToSchema;

use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Body, Id};
use crate::{Context, schema};

/// The longest secret, in bytes: what KMS seals at once.
const MAX_BYTES: usize = 4096;
/// The longest name, in characters.
const MAX_NAME: usize = 32;
const SIGNING_KEY: &str = "signing_key";
const PREVIOUS_SIGNING_KEY: &str = "previous_signing_key";
const SERVICE_ACCOUNT: &str = "service_account";

/// A secret to be stored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretIn {
    #[schema(min_length = 1, max_length = 4096)]
    value: String,
}

impl std::fmt::Debug for SecretIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretIn(..)")
    }
}

/// The secrets of a configuration, without what they say.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretsOut {
    items: Vec<SecretOut>,
}

/// A secret that is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretOut {
    name: String,
    #[schema(value_type = schema::Instant)]
    set_at: Timestamp,
}

/// A signing key, told this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SigningKeyOut {
    /// As the Standard Webhooks specification writes keys.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    signing_key: String,
}

/// List a configuration's secrets
///
/// Their names, and when they were stored; what they say can't be read back.
#[utoipa::path(
    get, path = "/configurations/{id}/secrets", tag = "configurations",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The secrets", body = SecretsOut),
        (status = 404, description = "There is no such configuration", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn list_secrets(
    State(context): State<Context>,
    Id(id): Id<ConfigurationId>,
) -> Result<Json<SecretsOut>> {
    let found = context.store.configurations.get(id).await?.value;
    let names = context.store.secrets.names_of_configuration(found.sender.channel(), id).await?;
    let items = names.into_iter().map(|(name, set_at)| SecretOut { name, set_at }).collect();
    Ok(Json(SecretsOut { items }))
}

/// Store a configuration's secret
///
/// In place of that of the same name. It is sealed for its channel, so that only that channel's delivery can open it. What
/// delivers takes it up within a minute. The names: for push `service_account`, the JSON file of a Firebase service account;
/// for a webhook `signing_key` and `previous_signing_key`; for text messages by HTTP any in snake case, which the request's
/// templates call `secret.<name>`.
#[utoipa::path(
    put, path = "/configurations/{id}/secrets/{name}", tag = "configurations",
    params(("id" = schema::Id, Path), ("name" = String, Path, example = "service_account")),
    request_body = SecretIn,
    responses(
        (status = 204, description = "Stored"),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such configuration, or it has no such secret", body = ProblemSchema),
        (status = 409, description = "It has as many secrets as it may", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn put_secret(
    State(context): State<Context>,
    Path((id, name)): Path<(String, String)>,
    Body(SecretIn { value }): Body<SecretIn>,
) -> Result<StatusCode> {
    let configuration = configuration(&context, &id).await?;
    check_name(&configuration, &name)?;
    if value.is_empty() || value.len() > MAX_BYTES {
        return Err(Problem::field("value", format!("has 1 to {MAX_BYTES} bytes")));
    }
    if matches!(configuration.sender, Sender::Webhook(_)) && !is_signing_key(&value) {
        return Err(Problem::field("value", "a key is whsec_ and the base64 of 24 to 64 bytes"));
    }
    if name == SERVICE_ACCOUNT {
        // The problem says what is missing, and nothing of what was given.
        ServiceAccount::parse(&value).map_err(|error| Problem::field("value", error.to_string()))?;
    }
    let (channel, id) = (configuration.sender.channel(), configuration.id);
    let secrets = &context.store.secrets;
    let names = secrets.names_of_configuration(channel, id).await?;
    if names.len() >= MOST_NAMED && names.iter().all(|(stored, _)| *stored != name) {
        return Err(Problem::new(
            Kind::Conflict,
            format!("a configuration has at most {MOST_NAMED} secrets"),
        ));
    }
    secrets.set_of_configuration(channel, id, (&name, &value), None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forget a configuration's secret
///
/// Where there is none that is no error.
#[utoipa::path(
    delete, path = "/configurations/{id}/secrets/{name}", tag = "configurations",
    params(("id" = schema::Id, Path), ("name" = String, Path, example = "service_account")),
    responses(
        (status = 204, description = "Forgotten"),
        (status = 404, description = "There is no such configuration, or it has no such secret", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn delete_secret(
    State(context): State<Context>,
    Path((id, name)): Path<(String, String)>,
) -> Result<StatusCode> {
    let configuration = configuration(&context, &id).await?;
    check_name(&configuration, &name)?;
    let channel = configuration.sender.channel();
    context.store.secrets.delete_of_configuration(channel, configuration.id, Some(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a new signing key
///
/// Of a webhook's configuration: calls are signed by it and by the one before, so that receivers can change theirs in their own
/// time. Delete the secret `previous_signing_key` when they have. The key is told this once.
#[utoipa::path(
    post, path = "/configurations/{id}/rotate-signing-key", tag = "configurations",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The new key", body = SigningKeyOut),
        (status = 404, description = "There is no such configuration, or it signs nothing", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn rotate_signing_key(
    State(context): State<Context>,
    Id(id): Id<ConfigurationId>,
) -> Result<Json<SigningKeyOut>> {
    let configuration = context.store.configurations.get(id).await?.value;
    check_name(&configuration, SIGNING_KEY)?;
    let key = [random_bytes(), random_bytes()].concat();
    let signing_key = format!("whsec_{}", BASE64.encode(&key));
    let secret = (SIGNING_KEY, signing_key.as_str());
    let secrets = &context.store.secrets;
    secrets.set_of_configuration(Channel::Webhook, id, secret, Some(PREVIOUS_SIGNING_KEY)).await?;
    Ok(Json(SigningKeyOut { signing_key }))
}

async fn configuration(context: &Context, id: &str) -> Result<Configuration> {
    let id: ConfigurationId = id.parse().map_err(|_| Problem::not_found("configuration", id))?;
    Ok(context.store.configurations.get(id).await?.value)
}

fn check_name(configuration: &Configuration, name: &str) -> Result<()> {
    let is_known = match &configuration.sender {
        Sender::Email(_) => false,
        Sender::Sms(sms) => matches!(sms.provider, SmsProvider::Http(_)) && is_snake_case(name),
        Sender::Push(_) => name == SERVICE_ACCOUNT,
        Sender::Webhook(_) => [SIGNING_KEY, PREVIOUS_SIGNING_KEY].contains(&name),
    };
    if is_known { Ok(()) } else { Err(Problem::not_found("secret", name)) }
}

/// As the Standard Webhooks specification has keys.
fn is_signing_key(value: &str) -> bool {
    let bytes = value.strip_prefix("whsec_").and_then(|key| BASE64.decode(key.as_bytes()).ok());
    bytes.is_some_and(|bytes| (24..=64).contains(&bytes.len()))
}

fn is_snake_case(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(is_inner)
}
