use axum::Json;
use axum::extract::State;
use campaign::address::{AddressError, Country, EmailAddress, PhoneNumber};
use campaign::configuration::Sender;
use campaign::{CampaignId, Channel, Profile, ProfileId};
use http::StatusCode;
use platform::queue::MAX_BODY_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::StoreError;
use store::messages::Proof;
use utoipa::ToSchema;

use super::preview::{check_context, lower, render};
use super::{content, current};
use crate::error::{FieldError, Kind, Problem, ProblemSchema, Result};
use crate::extract::{Body, Id};
use crate::{Context, allowed, schema};

/// The most addresses of a proof.
const MAX_ADDRESSES: usize = 10;

/// To whom an action is to be shown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProofIn {
    /// Where it goes, at most 10: email addresses, phone numbers or push tokens, as the action's channel has them; none for a
    /// webhook, whose content says where it goes.
    #[serde(default)]
    #[schema(max_items = 10, example = json!(["ann@example.org"]))]
    addresses: Vec<String>,
    /// For whose profile it is rendered; without one, for one that has nothing.
    #[schema(value_type = Option<schema::Id>)]
    profile_id: Option<ProfileId>,
    /// Which action, by its number.
    #[serde(default)]
    #[schema(maximum = 9)]
    action: u8,
    /// What templates see as `context`: at most 200 KB of JSON, as for a call.
    #[serde(default)]
    context: Map<String, Value>,
}

/// A proof that will be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProofOut {
    /// Its id, by which the log names it.
    #[schema(value_type = schema::Id)]
    proof_id: String,
}

/// Send a proof
///
/// One action of the draft, or else of the live version, to addresses of the caller's choice; an email with `[Proof]` in front
/// of the subject. It counts in no report. That it can be rendered is checked first, and it is sent as it stands now, whatever
/// becomes of the draft meanwhile.
#[utoipa::path(
    post, path = "/campaigns/{id}/proof", tag = "campaigns",
    params(("id" = schema::Id, Path)),
    request_body = ProofIn,
    responses(
        (status = 202, description = "It will be sent", body = ProofOut),
        (status = 400, description = "A field is not valid, or the content is too large for a proof", body = ProblemSchema),
        (status = 404, description = "There is no such campaign or profile", body = ProblemSchema),
        (status = 422, description = "The content is not valid, or can't be rendered for this profile", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn proof_campaign(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    Body(body): Body<ProofIn>,
) -> Result<(StatusCode, Json<ProofOut>)> {
    check_context(&body.context)?;
    let campaign = context.store.campaigns.get(id).await?;
    let version = current(&context, &campaign).await?;
    let action = usize::from(body.action);
    let content = content(&context, &campaign, &version, action).await?;
    let Some(configuration) = version.actions[action].configuration else {
        return Err(Problem::field("action", "has no configuration_id yet, so it can't be sent"));
    };
    let found = match context.store.configurations.get(configuration).await {
        Err(StoreError::NotFound { .. }) => {
            return Err(Problem::field("action", "has a configuration_id that is gone"));
        }
        found => found?.value,
    };
    if found.sender.channel() != content.channel() {
        return Err(Problem::field("action", "has a configuration_id of another channel"));
    }
    let addresses = addresses(&found.sender, &body.addresses)?;
    allowed::check(&context, found.sender.channel(), &addresses).await?;
    let profile = match body.profile_id {
        Some(id) => context.store.profiles.get(id).await?.value,
        None => Profile::from_stored(ProfileId::from_bytes([0; 16]), Map::new()),
    };
    let values = Value::Object(body.context);
    let lowered = lower(action, content).await?;
    render(&version, action, &lowered, profile, &values)?;
    let proof = Proof {
        id: CampaignId::random().to_string(),
        campaign: Some(id),
        configuration,
        profile: body.profile_id,
        context: values,
        addresses,
        content: lowered.content,
    };
    let message = proof.message();
    if message.body.len() > MAX_BODY_BYTES {
        let what = format!(
            "with MJML and CSS worked in, and with the context, it has {} bytes; a proof has at most {MAX_BODY_BYTES}",
            message.body.len()
        );
        let field = format!("actions[{action}].content");
        return Err(Problem::fields(Kind::ContentTooLarge, vec![FieldError::new(field, what)]));
    }
    let proof_id = proof.id;
    context.store.platform.queue.send(vec![message]).await.map_err(StoreError::from)?;
    Ok((StatusCode::ACCEPTED, Json(ProofOut { proof_id })))
}

/// The addresses in the form that the channel's delivery takes.
pub(crate) fn addresses(sender: &Sender, given: &[String]) -> Result<Vec<String>> {
    let channel = sender.channel();
    if channel == Channel::Webhook {
        return match given {
            [] => Ok(Vec::new()),
            _ => Err(Problem::field("addresses", "must be empty: a webhook's content says where it goes")),
        };
    }
    if !(1..=MAX_ADDRESSES).contains(&given.len()) {
        return Err(Problem::field("addresses", format!("has 1 to {MAX_ADDRESSES}")));
    }
    let country = match sender {
        Sender::Sms(sms) => sms.default_country.as_deref().and_then(Country::of_letters),
        _ => None,
    };
    let parse = |(index, text): (usize, &String)| {
        let parsed = match channel {
            Channel::Email => EmailAddress::parse(text).map(|address| address.as_str().to_owned()),
            Channel::Sms => PhoneNumber::parse_in(text, country).map(|number| number.as_str().to_owned()),
            Channel::Push | Channel::Webhook if text.trim().is_empty() => Err(AddressError::Empty),
            Channel::Push | Channel::Webhook => Ok(text.clone()),
        };
        parsed.map_err(|error| Problem::field(format!("addresses[{index}]"), error.to_string()))
    };
    given.iter().enumerate().map(parse).collect()
}
