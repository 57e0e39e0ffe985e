//! What an action says: its templates, as the user wrote them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Channel;

/// The largest content of one action, as JSON: it is one item of the control table.
pub const MAX_CONTENT_BYTES: usize = 256 * 1024;
/// The largest contents of one version together, as JSON: an answer shows those of the live version and of a draft, and a
/// Lambda answers with at most 6 MB, in which text is escaped once more.
pub const MAX_CONTENTS_BYTES: usize = 1536 * 1024;

/// The content of one action; each channel has its own kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "snake_case")]
pub enum Content {
    /// An email.
    Email(EmailContent),
    /// A text message.
    Sms(SmsContent),
    /// A push notification.
    Push(Box<PushContent>),
    /// An HTTP call.
    Webhook(WebhookContent),
}

impl Content {
    /// The channel it is for.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Email(_) => Channel::Email,
            Self::Sms(_) => Channel::Sms,
            Self::Push(_) => Channel::Push,
            Self::Webhook(_) => Channel::Webhook,
        }
    }
}

/// An email. Every field is a Handlebars template over `profile` and `context`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EmailContent {
    /// The subject line.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(example = "Hello {{profile.person.name.firstName}}"))]
    pub subject: String,
    /// The line that mail readers show behind the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preheader: Option<String>,
    /// The sender's display name; the configuration's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// The address that answers go to; the configuration's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The body.
    #[serde(default)]
    pub body: EmailBody,
    /// The plain text part; derived from the body where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The body of an email, in the language it was written in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EmailBody {
    /// HTML.
    Html(String),
    /// MJML, turned into HTML when the version is compiled.
    Mjml(String),
}

impl Default for EmailBody {
    fn default() -> Self {
        Self::Html(String::new())
    }
}

/// A text message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SmsContent {
    /// The text, a Handlebars template over `profile` and `context`.
    #[serde(default)]
    #[cfg_attr(
        feature = "schema",
        schema(example = "{{profile.person.name.firstName}}, your parcel is on its way.")
    )]
    pub text: String,
    /// Whether characters that the GSM-7 alphabet lacks are replaced by the nearest it has: one of them alone makes a
    /// message UCS-2, of which less than half as much goes into a segment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transliterate: bool,
    /// The most segments a message may take once it is rendered, 1 to 10; the configuration's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(maximum = 255))]
    pub max_segments: Option<u8>,
}

/// A push notification. Title, body, image, link, data and subtitle are Handlebars templates over `profile` and `context`; the rest
/// is the same for everybody. Names and values of what is shown and of `data` have at most 4096 bytes once they are rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PushContent {
    /// The title.
    #[serde(default)]
    pub title: String,
    /// The text below it.
    #[serde(default)]
    pub body: String,
    /// The https URL of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What is opened when it is tapped: on the web an https URL, and on phones what the app makes of `data.link`, which may be
    /// of a scheme of its own, such as `shop://orders/7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// What the app gets beside it, by name; at most 50 entries. Reserved are `from`, `message_type`, `aps`, names that begin with
    /// `google` or `gcm`, and `link` where there is one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
    /// For how long the provider keeps it for a device that is off, in seconds, at most four weeks; the provider's own where
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub ttl_seconds: Option<u32>,
    /// Notifications of the same key replace each other on a device. It has 1 to 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<String>,
    /// What only Android knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub android: Option<AndroidPush>,
    /// What only Apple's systems know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ios: Option<IosPush>,
    /// What only browsers know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<WebPush>,
}

/// What of a push notification only Android knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AndroidPush {
    /// The notification channel of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// Whether it wakes a sleeping device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<PushPriority>,
    /// The name of a picture in the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// The icon's colour, as `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(example = "#1a73e8"))]
    pub color: Option<String>,
    /// The name of a sound in the app, or `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
}

/// How urgent a push notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PushPriority {
    /// When the device is awake.
    Normal,
    /// At once.
    High,
}

/// What of a push notification only Apple's systems know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct IosPush {
    /// The line below the title, a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// The number on the app's icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(maximum = 65_535))]
    pub badge: Option<u16>,
    /// The name of a sound in the app, or `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
    /// Notifications of the same thread are shown together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// Which of the app's sets of buttons it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How much it may disturb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interruption_level: Option<InterruptionLevel>,
}

/// How much a notification may disturb, in Apple's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum InterruptionLevel {
    /// It is only put into the list.
    Passive,
    /// It lights the screen.
    Active,
    /// As `active`, in a focus too.
    TimeSensitive,
}

/// What of a push notification only browsers know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WebPush {
    /// The https URL of its icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// The https URL of the small picture that stands for it where there is no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge: Option<String>,
}

/// An HTTP call. URL, header values and body are Handlebars templates over `profile` and `context`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookContent {
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// The URL. What is printed into it by `{{...}}` is percent-encoded, what is printed by `{{{...}}}` is not.
    #[serde(default)]
    #[cfg_attr(
        feature = "schema",
        schema(example = "https://hooks.example.org/orders/{{profile.external_id}}")
    )]
    pub url: String,
    /// Header values by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body, JSON once it is rendered; without one, none is sent. What is printed by `{{...}}` is escaped for the inside of
    /// a JSON string; the helper `json` prints a value as JSON: `{"name": "{{profile.name}}", "tags": {{json profile.tags}}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET, without a body.
    Get,
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

/// What to do where a template asks for a value that is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// Write nothing in its place; the `default` helper still applies.
    #[default]
    Blank,
    /// Leave the recipient out, with the reason `missing_value`.
    Skip,
}
