use axum::Json;
use axum::extract::State;
use campaign::configuration::Sender;
use campaign::content::{PushContent, SmsContent, WebhookContent};
use campaign::lowered::{EMAIL_FORMAT, LoweredContent, LoweredEmail};
use campaign::{CampaignId, ConfigurationId, hosts};
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::messages::Proof;
use utoipa::ToSchema;

use crate::campaigns::addresses;
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Body, Id};
use crate::{Context, allowed, schema};

const TITLE: &str = "A test";
const TEXT: &str =
    "This is a test of a channel configuration in Envoi. Whoever gets it can see that it works.";

/// Where a test goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestIn {
    /// At most 10 email addresses, phone numbers or push tokens, as the configuration's channel has them; none for a webhook.
    #[serde(default)]
    #[schema(max_items = 10, example = json!(["ann@example.org"]))]
    addresses: Vec<String>,
    /// For a webhook, the URL that is called.
    url: Option<String>,
}

/// A test that will be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestOut {
    /// Its id, by which the log names it.
    #[schema(value_type = schema::Id)]
    test_id: String,
}

/// Send a test
///
/// A fixed text, by this configuration, to addresses of the caller's choice. It counts in no report; what became of it is in the
/// log.
#[utoipa::path(
    post, path = "/configurations/{id}/test", tag = "configurations",
    params(("id" = schema::Id, Path)),
    request_body = TestIn,
    responses(
        (status = 202, description = "It will be sent", body = TestOut),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such configuration", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn test_configuration(
    State(context): State<Context>,
    Id(id): Id<ConfigurationId>,
    Body(body): Body<TestIn>,
) -> Result<(StatusCode, Json<TestOut>)> {
    let configuration = context.store.configurations.get(id).await?.value;
    let addresses = addresses(&configuration.sender, &body.addresses)?;
    allowed::check(&context, configuration.sender.channel(), &addresses).await?;
    if let (Sender::Webhook(webhook), Some(url)) = (&configuration.sender, &body.url) {
        check_url(&context, &webhook.allowed_hosts, url)?;
    }
    let proof = Proof {
        id: CampaignId::random().to_string(),
        campaign: None,
        configuration: id,
        profile: None,
        context: Value::Null,
        addresses,
        content: content(&configuration.sender, body.url)?,
    };
    let test_id = proof.id.clone();
    context.store.platform.queue.send(vec![proof.message()]).await.map_err(store::StoreError::from)?;
    Ok((StatusCode::ACCEPTED, Json(TestOut { test_id })))
}

/// What would surely be refused is refused at once, where somebody looks.
fn check_url(context: &Context, allowed_hosts: &[String], url: &str) -> Result<()> {
    let uri: Uri = url.parse().map_err(|_| Problem::field("url", "is not a URL"))?;
    context.outbound.examine(&uri).map_err(|refusal| Problem::field("url", refusal.to_string()))?;
    let is_allowed = uri.host().is_some_and(|host| hosts::is_allowed(allowed_hosts, host));
    if !allowed_hosts.is_empty() && !is_allowed {
        return Err(Problem::field("url", "its host is not among the configuration's allowed_hosts"));
    }
    Ok(())
}

fn content(sender: &Sender, url: Option<String>) -> Result<LoweredContent> {
    let url = match (sender, url) {
        (Sender::Webhook(_), Some(url)) => url,
        (Sender::Webhook(_), None) => {
            return Err(Problem::field("url", "is missing: a webhook's test calls it"));
        }
        (_, None) => String::new(),
        (_, Some(_)) => return Err(Problem::field("url", "is for webhooks only")),
    };
    Ok(match sender {
        Sender::Email(_) => LoweredContent::Email(LoweredEmail {
            format: EMAIL_FORMAT,
            subject: TITLE.to_owned(),
            text: TEXT.to_owned(),
            ..LoweredEmail::default()
        }),
        Sender::Sms(_) => LoweredContent::Sms(SmsContent { text: TEXT.to_owned(), ..SmsContent::default() }),
        Sender::Push(_) => LoweredContent::Push(Box::new(PushContent {
            title: TITLE.to_owned(),
            body: TEXT.to_owned(),
            ..PushContent::default()
        })),
        Sender::Webhook(_) => LoweredContent::Webhook(WebhookContent {
            // What stands in braces would be a template's.
            url: url.replace("{{", "%7B%7B"),
            body: Some(format!(r#"{{"type": "test", "text": "{TEXT}"}}"#)),
            ..WebhookContent::default()
        }),
    })
}
