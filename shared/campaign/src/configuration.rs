//! How a channel sends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::EmailAddress;
use crate::{Category, ConfigurationId};

/// A way to reach people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Email.
    Email,
    /// Text messages.
    Sms,
    /// Push notifications.
    Push,
    /// HTTP calls.
    Webhook,
}

impl Channel {
    /// Its name in the API, in consent and in storage.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Push => "push",
            Self::Webhook => "webhook",
        }
    }
}

/// A channel configuration. Edits apply from the next chunk on, also to executions under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Its id.
    pub id: ConfigurationId,
    /// Its name, for people.
    pub name: String,
    /// Which campaigns may use it.
    pub category: Category,
    /// The most messages a second, over all campaigns that use it; no limit where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<u32>,
    /// How long a message the provider would not take yet is tried again, in seconds from the first try.
    #[serde(default = "default_retry_period")]
    pub retry_period_seconds: u32,
    /// Whether nothing is sent by it for now: what was to be waits, until the retry period ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Whether transactional messages go even to addresses on the suppression list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignores_suppression: bool,
    /// What only its channel needs.
    pub sender: Sender,
}

/// The part of a configuration that differs from channel to channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "snake_case")]
pub enum Sender {
    /// Email.
    Email(EmailSender),
    /// Text messages.
    Sms(SmsSender),
    /// Push notifications.
    Push(PushSender),
    /// HTTP calls.
    Webhook(WebhookSender),
}

/// Who an email is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EmailSender {
    /// The sender's address, also that of the envelope.
    #[cfg_attr(feature = "schema", schema(value_type = String, example = "news@example.org"))]
    pub from: EmailAddress,
    /// The sender's display name, where the content names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// Where answers go, where the content names no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub reply_to: Option<EmailAddress>,
    /// Where mail to unsubscribe goes, beside the link: its subject is `unsubscribe` and the link's token. Whoever reads that
    /// mailbox passes it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, example = "unsubscribe@example.org"))]
    pub unsubscribe_mailto: Option<EmailAddress>,
    /// What is noticed of what becomes of messages.
    #[serde(default)]
    pub tracking: Tracking,
}

/// What is noticed of what becomes of messages. Marketing messages can be unsubscribed from whatever this says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Tracking {
    /// Whether messages hold a picture that tells that they are opened.
    #[serde(default = "on")]
    pub opens: bool,
    /// Whether links lead past us, so that clicks are counted.
    #[serde(default = "on")]
    pub clicks: bool,
    /// The host that public links are at, in place of the one of the whole installation: a name of the operator's own that
    /// leads to it by HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(example = "links.example.org"))]
    pub domain: Option<String>,
}

impl Default for Tracking {
    fn default() -> Self {
        Self { opens: on(), clicks: on(), domain: None }
    }
}

const fn on() -> bool {
    true
}

impl Sender {
    /// The channel it sends over.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Email(_) => Channel::Email,
            Self::Sms(_) => Channel::Sms,
            Self::Push(_) => Channel::Push,
            Self::Webhook(_) => Channel::Webhook,
        }
    }
}

/// How text messages are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SmsSender {
    /// By whom.
    pub provider: SmsProvider,
    /// The country of numbers that are given without a country code, by its two letters (ISO 3166-1); without it, such numbers
    /// are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(pattern = "^[A-Z]{2}$", example = "FR"))]
    pub default_country: Option<String>,
    /// The most segments a message may take; a longer one is not sent. Ten where absent.
    #[serde(default = "default_max_segments")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 10))]
    pub max_segments: u8,
    /// What a marketing message has to say of how to opt out, such as `STOP`; case does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opt_out_wording: Option<String>,
}

/// The most segments that may be allowed for one text message: what AWS takes at most.
pub const MAX_SEGMENTS: u8 = 10;

/// Ten.
pub const fn default_max_segments() -> u8 {
    MAX_SEGMENTS
}

/// Who takes text messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SmsProvider {
    /// AWS End User Messaging SMS.
    Aws(AwsSms),
    /// Any provider that takes messages by HTTP.
    Http(Box<HttpSms>),
}

/// How AWS End User Messaging sends a text message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AwsSms {
    /// The phone number, sender id or pool that it comes from, by its name, id or ARN; AWS chooses one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origination_identity: Option<String>,
    /// The configuration set that its events go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_set: Option<String>,
    /// The protect configuration that decides which countries may be written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protect_configuration: Option<String>,
    /// For how long the message is worth delivering to a phone that is off, in seconds; 72 hours where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 5, maximum = 259_200))]
    pub time_to_live_seconds: Option<u32>,
}

/// How a provider takes text messages by HTTP, by POST. URL, header values and body are templates over `{{to}}` (in E.164),
/// `{{to_digits}}` (without its plus), `{{text}}`, `{{from}}`, `{{id}}` (of the message, the same each time it is tried) and
/// `{{secret.<name>}}`, of the configuration's secrets: these and no others. Values are percent-encoded in the URL and in a form,
/// and escaped for the inside of a string in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HttpSms {
    /// The URL that is called; only https, and only public addresses, unless the operator allows others.
    #[cfg_attr(feature = "schema", schema(example = "https://sms.example.org/v1/messages"))]
    pub url: String,
    /// Header values by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How the body is written, which says how values are escaped in it.
    #[serde(default)]
    pub format: BodyFormat,
    /// The body.
    #[cfg_attr(
        feature = "schema",
        schema(example = r#"{"to": "{{to}}", "from": "{{from}}", "text": "{{text}}"}"#)
    )]
    pub body: String,
    /// The sender's number or name, as templates see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What its answers mean, the first that fits. Where none does, 2xx is accepted, 429 throttled, 503 and 408 tried again, 401,
    /// 402, 403, 404, 405, 407 and 3xx misconfigured, any other 4xx refused; of any other 5xx nobody can say whether the message
    /// was taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<AnswerRule>,
}

/// How the body of a request is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// JSON.
    #[default]
    Json,
    /// As a form: `to={{to}}&text={{text}}`.
    Form,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AnswerRule {
    /// Of which statuses: one, such as `422`, or a class, such as `4xx`; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(pattern = "^[1-5]([0-9]{2}|xx)$"))]
    pub status: Option<String>,
    /// With which text in the body; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// What it means.
    pub means: AnswerMeaning,
}

impl AnswerRule {
    /// Whether its status is one, or a class.
    pub fn is_well_formed(&self) -> bool {
        self.status.as_deref().is_none_or(|status| match status.as_bytes() {
            [b'1'..=b'5', rest @ ..] if rest.len() == 2 => {
                rest == b"xx" || rest.iter().all(u8::is_ascii_digit)
            }
            _ => false,
        })
    }

    /// Whether an answer of this status, with this body, is one that it speaks of.
    pub fn fits(&self, status: u16, body: &str) -> bool {
        let of_status = self.status.as_deref().is_none_or(|of| match of.strip_suffix("xx") {
            Some(class) => class.parse() == Ok(status / 100),
            None => of.parse() == Ok(status),
        });
        of_status && self.contains.as_deref().is_none_or(|text| body.contains(text))
    }
}

/// What a provider's answer can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AnswerMeaning {
    /// The provider has taken the message.
    Accepted,
    /// It does not take it, and won't.
    Refused,
    /// The number is none, or can't be reached.
    BadAddress,
    /// Its holder wants no more messages.
    OptedOut,
    /// It has not taken it, and may later.
    Retry,
    /// We are too fast for it.
    Throttled,
    /// It refuses us: credentials, balance.
    Misconfigured,
}

/// How push notifications are sent: by Firebase Cloud Messaging. Its secret `service_account` is the JSON file of a service account.
///
/// A notification goes to each of a profile's tokens that the configuration selects, the first 20 of them, and has one outcome:
/// sent as soon as one device's was taken. Tokens that Firebase Cloud Messaging no longer knows are removed from the profile;
/// those that it says are another project's, only where `app_id` is given and the project has taken notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PushSender {
    /// The Firebase project, by its id or its number.
    #[cfg_attr(
        feature = "schema",
        schema(pattern = "^[a-z0-9][a-z0-9.:-]{2,62}[a-z0-9]$", example = "my-app-1a2b3")
    )]
    pub project_id: String,
    /// Which of a profile's tokens are sent to: those of this app; those of all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 256))]
    pub app_id: Option<String>,
}

/// How HTTP calls are made. Where there is a secret `signing_key` (`whsec_...`), they are signed after the Standard Webhooks
/// specification; where there is a `previous_signing_key`, by that too, so that keys can be changed without a gap. Signed or
/// not, `webhook-id` names the message: a receiver that gets one twice has it already.
///
/// Where `allowed_hosts` is one host, without `*`, what that says of itself concerns everybody: while it can't be reached or
/// asks us to wait, all wait, and if it answers `410 Gone` at a URL that is the same for everybody, the configuration is
/// disabled, and what was to be sent waits until the retry period ends. Else an answer concerns those it was given to: a
/// `410 Gone` refuses them, and a host that is down keeps nobody else waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookSender {
    /// The hosts that may be called, `*.example.org` for all below one; any public one where empty, but then none that data
    /// chooses. What is not public is called only where the operator allows it (`ENVOI_OUTBOUND_ALLOW`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_hosts: Vec<String>,
    /// How long a call may take, in seconds.
    #[serde(default = "default_timeout")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 15))]
    pub timeout_seconds: u8,
}

/// Ten seconds.
pub const fn default_timeout() -> u8 {
    10
}

/// Twelve hours.
pub const fn default_retry_period() -> u32 {
    12 * 3600
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(status: Option<&str>, contains: Option<&str>) -> AnswerRule {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        AnswerRule { status: owned(status), contains: owned(contains), means: AnswerMeaning::Refused }
    }

    #[test]
    fn a_rule_is_of_a_status_or_a_class_and_of_what_the_body_says() {
        assert!(rule(None, None).fits(200, ""));
        assert!(rule(Some("422"), None).fits(422, "x") && !rule(Some("422"), None).fits(421, "x"));
        assert!(rule(Some("4xx"), None).fits(499, "") && !rule(Some("4xx"), None).fits(500, ""));
        assert!(rule(Some("2xx"), Some("ERR 7")).fits(200, "-- ERR 7 --"));
        assert!(!rule(Some("2xx"), Some("ERR 7")).fits(200, "err 7"));
        for right in ["200", "5xx", "101"] {
            assert!(rule(Some(right), None).is_well_formed(), "{right}");
        }
        for wrong in ["", "20", "2000", "6xx", "xxx", "2x0", "+20", "20 ", "éx"] {
            assert!(!rule(Some(wrong), None).is_well_formed(), "{wrong}");
        }
    }
}
