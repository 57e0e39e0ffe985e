use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use campaign::call::MAX_CONTEXT_BYTES;
use campaign::content::{Content, EmailBody, Method};
use campaign::lowered::LoweredContent;
use campaign::{CampaignId, Profile, ProfileId, Version};
use content::{
    AnyTemplate, CompileOptions, ContentError, Encoding, Lowered, RenderError, Rendered, RenderedEmail,
    RenderedPush, RenderedSms, RenderedWebhook, Segments, segments,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{aside, content, current};
use crate::error::{FieldError, Kind, Problem, ProblemSchema, Result};
use crate::extract::{Body, Id};
use crate::profiles::{Identity, ProfileIn, ProfileInSchema, problem};
use crate::{Context, schema};

/// For whom an action is to be shown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewIn {
    /// A stored profile.
    #[schema(value_type = Option<schema::Id>)]
    profile_id: Option<ProfileId>,
    /// A profile made up for the preview. Without either, one that has nothing.
    #[schema(value_type = Option<ProfileInSchema>)]
    profile: Option<ProfileIn>,
    /// Which action, by its number.
    #[serde(default)]
    #[schema(maximum = 9)]
    action: usize,
    /// What templates see as `context`: at most 200 KB of JSON, as for a call.
    #[serde(default)]
    context: Map<String, Value>,
}

/// An action as one recipient would get it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewOut {
    #[serde(flatten)]
    pub(super) message: MessageOut,
    /// The variables of the content that have no value for this profile.
    undefined_variables: Vec<UndefinedVariable>,
}

/// A message as one recipient would get it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "channel", rename_all = "snake_case")]
pub(crate) enum MessageOut {
    /// An email.
    Email {
        subject: String,
        /// The sender's display name, where the content has one.
        #[schema(required)]
        from_name: Option<String>,
        /// The address for answers, where the content has one.
        #[schema(required)]
        reply_to: Option<String>,
        html: String,
        text: String,
    },
    /// A text message.
    Sms {
        text: String,
        /// How it is written: in the GSM-7 alphabet, or in UCS-2, where that lacks one of its characters.
        #[schema(value_type = String, example = "gsm7")]
        encoding: Encoding,
        /// How long it is, in septets of GSM-7 or in UTF-16 code units.
        units: usize,
        /// How many characters it has.
        characters: usize,
        /// How many segments it takes.
        segments: usize,
    },
    /// A push notification.
    Push {
        title: String,
        body: String,
        /// The URL of a picture.
        #[schema(required)]
        image: Option<String>,
        /// What is opened when it is tapped.
        #[schema(required)]
        link: Option<String>,
        /// The line below the title on Apple's systems.
        #[schema(required)]
        subtitle: Option<String>,
        /// What the app gets beside it.
        data: BTreeMap<String, String>,
        /// How large it is, in bytes, of which Firebase Cloud Messaging takes 4096.
        payload_bytes: usize,
    },
    /// An HTTP call.
    Webhook {
        #[schema(value_type = String)]
        method: Method,
        url: String,
        headers: BTreeMap<String, String>,
        #[schema(required)]
        body: Option<String>,
    },
}

impl From<Rendered> for MessageOut {
    fn from(rendered: Rendered) -> Self {
        match rendered {
            Rendered::Email(RenderedEmail { subject, from_name, reply_to, html, text }) => {
                Self::Email { subject, from_name, reply_to, html, text }
            }
            Rendered::Sms(RenderedSms { text }) => {
                let Segments { encoding, units, segments } = segments(&text);
                Self::Sms { encoding, units, characters: text.chars().count(), segments, text }
            }
            Rendered::Push(push) => {
                let payload_bytes = push.payload_bytes();
                let RenderedPush { title, body, image, link, subtitle, data } = push;
                Self::Push { title, body, image, link, subtitle, data, payload_bytes }
            }
            Rendered::Webhook(RenderedWebhook { method, url, headers, body }) => {
                Self::Webhook { method, url, headers, body }
            }
        }
    }
}

/// A variable without a value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UndefinedVariable {
    /// Its path.
    #[schema(example = "profile.person.name.firstName")]
    variable: String,
    /// The field of the content it stands in.
    #[schema(example = "body.html")]
    field: String,
}

/// Show a campaign to one recipient
///
/// The draft, or else the live version. It is rendered as it would be sent.
#[utoipa::path(
    post, path = "/campaigns/{id}/preview", tag = "campaigns",
    params(("id" = schema::Id, Path)),
    request_body = PreviewIn,
    responses(
        (status = 200, description = "The message", body = PreviewOut),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such campaign or profile", body = ProblemSchema),
        (status = 422, description = "The content is not valid, or can't be rendered for this profile", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn preview_campaign(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    Body(body): Body<PreviewIn>,
) -> Result<Json<PreviewOut>> {
    check_context(&body.context)?;
    let campaign = context.store.campaigns.get(id).await?;
    let version = current(&context, &campaign).await?;
    let content = content(&context, &campaign, &version, body.action).await?;
    let profile = match (body.profile_id, body.profile) {
        (Some(_), Some(_)) => return Err(Problem::field("profile", "give either profile_id or profile")),
        (Some(id), None) => context.store.profiles.get(id).await?.value,
        (None, profile) => {
            let id = ProfileId::from_bytes([0; 16]);
            let document = match profile {
                Some(profile) => {
                    profile.into_document(Identity::Made).map_err(|error| error.within("profile."))?
                }
                None => Map::new(),
            };
            Profile::new(id, document).map_err(|error| problem(&error).within("profile."))?
        }
    };
    let blanks = Blanks::of(&content);
    let lowered = lower(body.action, blanks.fill(content)).await?;
    let mut out = render(&version, body.action, &lowered, profile, &Value::Object(body.context))?;
    blanks.clear(&mut out.message);
    Ok(Json(out))
}

/// Checks that a context is none that a call would be refused for.
pub(super) fn check_context(context: &Map<String, Value>) -> Result<()> {
    let bytes = serde_json::to_vec(context).map_or(usize::MAX, |json| json.len());
    if bytes > MAX_CONTEXT_BYTES {
        let message = format!("has {bytes} bytes of JSON; a context has at most {MAX_CONTEXT_BYTES}");
        return Err(Problem::field("context", message));
    }
    Ok(())
}

/// Lowers the content of one action, as an activation does.
pub(super) async fn lower(action: usize, content: Content) -> Result<Lowered<LoweredContent>> {
    let lowered = aside(move || content::lower(&content, &CompileOptions::default())).await;
    lowered.map_err(|errors| invalid_content(action, errors))
}

/// Renders one action for one profile, as a delivery does.
pub(super) fn render(
    version: &Version,
    action: usize,
    lowered: &Lowered<LoweredContent>,
    profile: Profile,
    context: &Value,
) -> Result<PreviewOut> {
    let profile = Value::Object(profile.into_document());
    let template = AnyTemplate::from_lowered(&lowered.content)
        .map_err(|error| Problem::new(Kind::InvalidContent, error.to_string()))?;
    let undefined_variables: Vec<_> = lowered
        .undefined_in(&profile, context)
        .into_iter()
        .map(|variable| UndefinedVariable { variable: variable.path.clone(), field: variable.field_path() })
        .collect();
    let rendered = template.render(&profile, context, version.on_missing).map_err(|error| {
        let kind = Kind::RenderFailed;
        match error {
            RenderError::MissingValue { .. } => {
                let missing = undefined_variables.iter().map(|undefined| {
                    let field = format!("actions[{action}].content.{}", undefined.field);
                    FieldError::new(field, format!("{} has no value", undefined.variable))
                });
                Problem::fields(kind, missing.collect()).with("reason", "missing_value")
            }
            error => Problem::new(kind, error.to_string()).with("reason", "render_failed"),
        }
    })?;
    Ok(PreviewOut { message: rendered.into(), undefined_variables })
}

fn invalid_content(action: usize, errors: Vec<ContentError>) -> Problem {
    let errors = errors
        .into_iter()
        .map(|error| FieldError {
            field: format!("actions[{action}].content.{}", error.path()),
            message: error.message,
            line: error.line,
            column: error.column,
        })
        .collect();
    Problem::fields(Kind::InvalidContent, errors)
}

/// What of an email is blank. An activation refuses it; a preview shows it as it is: blank.
#[derive(Debug, Clone, Copy, Default)]
struct Blanks {
    subject: bool,
    body: bool,
}

impl Blanks {
    fn of(content: &Content) -> Self {
        let Content::Email(email) = content else { return Self::default() };
        let is_blank = |text: &str| text.trim().is_empty();
        let (EmailBody::Html(source) | EmailBody::Mjml(source)) = &email.body;
        Self {
            subject: is_blank(&email.subject),
            body: is_blank(source) && email.text.as_deref().is_none_or(is_blank),
        }
    }

    /// The content with something where nothing is, so that it compiles.
    fn fill(self, mut content: Content) -> Content {
        if let Content::Email(email) = &mut content {
            if self.subject {
                email.subject = "-".to_owned();
            }
            if self.body {
                email.text = Some("-".to_owned());
            }
        }
        content
    }

    /// Takes out again what was filled in.
    fn clear(self, message: &mut MessageOut) {
        let MessageOut::Email { subject, text, .. } = message else { return };
        if self.subject {
            subject.clear();
        }
        if self.body {
            text.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_has_the_size_of_a_calls() {
        let of = |bytes: usize| Map::from_iter([("x".to_owned(), Value::from("a".repeat(bytes)))]);
        let around = r#"{"x":""}"#.len();
        assert!(check_context(&of(MAX_CONTEXT_BYTES - around)).is_ok());
        assert!(check_context(&of(MAX_CONTEXT_BYTES - around + 1)).is_err());
    }
}
