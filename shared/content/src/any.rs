use campaign::content::OnMissing;
use campaign::lowered::LoweredContent;
use serde_json::Value;

use crate::error::RenderError;
use crate::{
    EmailTemplate, LoweredError, PushTemplate, RenderedEmail, RenderedPush, RenderedSms, RenderedWebhook,
    SmsTemplate, WebhookTemplate,
};

/// A content of any channel, compiled: for whoever checks and shows. What delivers has a template of its own channel.
#[derive(Debug)]
pub enum AnyTemplate {
    /// An email.
    Email(EmailTemplate),
    /// A text message.
    Sms(SmsTemplate),
    /// A push notification.
    Push(PushTemplate),
    /// An HTTP call.
    Webhook(WebhookTemplate),
}

/// A message of any channel, as one recipient gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    /// An email.
    Email(RenderedEmail),
    /// A text message.
    Sms(RenderedSms),
    /// A push notification.
    Push(RenderedPush),
    /// An HTTP call.
    Webhook(RenderedWebhook),
}

impl AnyTemplate {
    /// Compiles a lowered content.
    ///
    /// # Errors
    /// [`LoweredError`]; never for what [`lower`](crate::lower()) made.
    pub fn from_lowered(content: &LoweredContent) -> Result<Self, LoweredError> {
        Ok(match content {
            LoweredContent::Email(email) => Self::Email(EmailTemplate::from_lowered(email)?),
            LoweredContent::Sms(sms) => Self::Sms(SmsTemplate::compile(sms)?),
            LoweredContent::Push(push) => Self::Push(PushTemplate::compile(push)?),
            LoweredContent::Webhook(webhook) => Self::Webhook(WebhookTemplate::compile(webhook)?),
        })
    }

    /// Renders for one recipient, as a preview: without links of ours.
    ///
    /// # Errors
    /// As [`EmailTemplate::render`].
    pub fn render(
        &self,
        profile: &Value,
        context: &Value,
        on_missing: OnMissing,
    ) -> Result<Rendered, RenderError> {
        Ok(match self {
            Self::Email(email) => Rendered::Email(email.render(profile, context, on_missing, None)?),
            Self::Sms(sms) => Rendered::Sms(sms.render(profile, context, on_missing)?),
            Self::Push(push) => Rendered::Push(push.render(profile, context, on_missing)?),
            Self::Webhook(webhook) => Rendered::Webhook(webhook.render(profile, context, on_missing)?),
        })
    }
}
