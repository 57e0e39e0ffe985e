//! An action as it comes in and goes out: one channel, how it sends, and what.

use campaign::content::{
    Content, EmailContent, MAX_CONTENT_BYTES, MAX_CONTENTS_BYTES, PushContent, SmsContent, WebhookContent,
};
use campaign::segment::Rule;
use campaign::version::Action;
use campaign::{Channel, ConfigurationId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{FieldError, Kind, Problem, Result};
use crate::extract::from_value;
use crate::schema;

/// One channel of a campaign. Its number is its place in the list, from 0.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionBody {
    channel: Channel,
    #[serde(default)]
    configuration_id: Option<ConfigurationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    #[serde(default)]
    content: Map<String, Value>,
}

/// One channel of a campaign. Its number is its place in the list, from 0. `configuration_id` says how to send, a draft may have
/// none yet; `condition` is a rule over `profile`, as those of segments, that says whom of the audience the action reaches:
/// everybody where it is absent, and who is left out is `excluded`, by the reason `condition_not_met`; `content` is what to
/// send, at most 256 KB of JSON.
#[derive(ToSchema)]
#[schema(as = ActionBody)]
#[serde(tag = "channel", rename_all = "snake_case", deny_unknown_fields)]
#[allow(dead_code, clippy::large_enum_variant, reason = "documents what is parsed by channel")]
pub(crate) enum ActionSchema {
    /// An email.
    Email {
        #[schema(value_type = Option<schema::Id>)]
        configuration_id: Option<ConfigurationId>,
        #[schema(example = "profile.plan == 'pro'")]
        condition: Option<String>,
        #[schema(required = false)]
        content: EmailContent,
    },
    /// A text message.
    Sms {
        #[schema(value_type = Option<schema::Id>)]
        configuration_id: Option<ConfigurationId>,
        #[schema(example = "!has(profile.push_tokens)")]
        condition: Option<String>,
        #[schema(required = false)]
        content: SmsContent,
    },
    /// A push notification.
    Push {
        #[schema(value_type = Option<schema::Id>)]
        configuration_id: Option<ConfigurationId>,
        #[schema(example = "has(profile.push_tokens)")]
        condition: Option<String>,
        #[schema(required = false)]
        content: PushContent,
    },
    /// An HTTP call.
    Webhook {
        #[schema(value_type = Option<schema::Id>)]
        configuration_id: Option<ConfigurationId>,
        condition: Option<String>,
        #[schema(required = false)]
        content: WebhookContent,
    },
}

/// The actions and what they say.
pub(super) fn split(actions: Vec<ActionBody>) -> Result<(Vec<Action>, Vec<Content>)> {
    let split = |(index, action): (usize, ActionBody)| {
        action.split().map_err(|problem| problem.within(&format!("actions[{index}].")))
    };
    let both = actions.into_iter().enumerate().map(split).collect::<Result<Vec<_>>>()?;
    let (actions, contents): (_, Vec<_>) = both.into_iter().unzip();
    check_sizes(&contents)?;
    Ok((actions, contents))
}

impl ActionBody {
    fn split(self) -> Result<(Action, Content)> {
        let content = Value::Object(self.content);
        let content = match self.channel {
            Channel::Email => from_value(content).map(Content::Email),
            Channel::Sms => from_value(content).map(Content::Sms),
            Channel::Push => from_value(content).map(|push| Content::Push(Box::new(push))),
            Channel::Webhook => from_value(content).map(Content::Webhook),
        };
        let content = content.map_err(|problem| problem.within("content."))?;
        if let Some(condition) = &self.condition {
            check_condition(condition)?;
        }
        let action =
            Action { channel: self.channel, configuration: self.configuration_id, condition: self.condition };
        Ok((action, content))
    }

    pub(super) fn join(action: &Action, content: &Content) -> Self {
        let content = match content {
            Content::Email(content) => serde_json::to_value(content),
            Content::Sms(content) => serde_json::to_value(content),
            Content::Push(content) => serde_json::to_value(content),
            Content::Webhook(content) => serde_json::to_value(content),
        };
        let content = match content {
            Ok(Value::Object(content)) => content,
            // What was read as JSON is written as JSON, and every content is an object.
            _ => Map::new(),
        };
        Self {
            channel: action.channel,
            configuration_id: action.configuration,
            condition: action.condition.clone(),
            content,
        }
    }
}

fn check_condition(condition: &str) -> Result<()> {
    let place = |number: u32| usize::try_from(number).ok();
    Rule::compile(condition).map(|_| ()).map_err(|error| {
        let error = FieldError {
            line: place(error.line),
            column: place(error.column),
            ..FieldError::new("condition", error.message)
        };
        Problem::fields(Kind::InvalidRule, vec![error])
    })
}

fn check_sizes(contents: &[Content]) -> Result<()> {
    let (mut errors, mut total) = (Vec::new(), 0);
    for (index, content) in contents.iter().enumerate() {
        let size = serde_json::to_vec(content).map_or(MAX_CONTENTS_BYTES, |json| json.len());
        total += size;
        if size > MAX_CONTENT_BYTES {
            let message = format!("has {size} bytes of JSON, the limit is {MAX_CONTENT_BYTES}");
            errors.push(FieldError::new(format!("actions[{index}].content"), message));
        }
    }
    if errors.is_empty() && total > MAX_CONTENTS_BYTES {
        let message =
            format!("their contents have {total} bytes of JSON together, the limit is {MAX_CONTENTS_BYTES}");
        errors.push(FieldError::new("actions", message));
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(Kind::ContentTooLarge, errors)) }
}
