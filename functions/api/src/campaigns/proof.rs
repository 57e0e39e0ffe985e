use axum::Json;
use axum::extract::State;
use campaign::address::EmailAddress;
use campaign::lowered::LoweredContent;
use campaign::{CampaignId, Profile, ProfileId};
use http::StatusCode;
use platform::queue::MAX_BODY_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::messages::Proof;
use utoipa::ToSchema;

use super::preview::{lower, render};
use super::{content, current};
use crate::error::{FieldError, Kind, Problem, ProblemSchema, Result};
use crate::extract::{Body, Id};
use crate::{Context, schema};

/// The most addresses of a proof.
const MAX_ADDRESSES: usize = 10;

/// To whom an action is to be shown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProofIn {
    /// The addresses, at most 10.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 10)]
    addresses: Vec<EmailAddress>,
    /// For whose profile it is rendered; without one, for one that has nothing.
    #[schema(value_type = Option<schema::Id>)]
    profile_id: Option<ProfileId>,
    /// Which action, by its number.
    #[serde(default)]
    action: u8,
    /// What templates see as `context`.
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
/// One action of the draft, or else of the live version, to addresses of the caller's choice, with `[Proof]` in front of
/// the subject. It counts in no report. That it can be rendered is checked first, and it is sent as it stands now, whatever
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
    if !(1..=MAX_ADDRESSES).contains(&body.addresses.len()) {
        return Err(Problem::field("addresses", format!("has 1 to {MAX_ADDRESSES}")));
    }
    let campaign = context.store.campaigns.get(id).await?;
    let version = current(&context, &campaign).await?;
    let action = usize::from(body.action);
    let email = content(&context, &campaign, &version, action).await?;
    let Some(configuration) = version.actions[action].configuration else {
        return Err(Problem::field("action", "has no configuration_id yet, so it can't be sent"));
    };
    let profile = match body.profile_id {
        Some(id) => context.store.profiles.get(id).await?.value,
        None => Profile::from_stored(ProfileId::from_bytes([0; 16]), Map::new()),
    };
    let values = Value::Object(body.context);
    let lowered = lower(action, &email)?;
    render(&version, action, &lowered, profile, &values)?;
    let proof = Proof {
        id: CampaignId::random().to_string(),
        campaign: id,
        configuration,
        profile: body.profile_id,
        context: values,
        addresses: body.addresses,
        content: LoweredContent::Email(lowered.email),
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
    context.store.platform.queue.send(vec![message]).await.map_err(store::StoreError::from)?;
    Ok((StatusCode::ACCEPTED, Json(ProofOut { proof_id })))
}
