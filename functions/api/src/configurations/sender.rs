//! The part of a configuration that differs from channel to channel.

use campaign::address::Country;
use campaign::configuration::{
    EmailSender, HttpSms, MAX_SEGMENTS, PushSender, Sender, SmsProvider, SmsSender, WebhookSender,
};
use campaign::{Channel, hosts};
use content::SmsRequestTemplate;
use outbound::Policy;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema};
use utoipa::openapi::{RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

use super::MAX_NAME;
use crate::error::{FieldError, Problem, Result};
use crate::extract::from_value;

/// The most hosts that a webhook's configuration names.
const MOST_HOSTS: usize = 100;
/// The longest a webhook's call may take, in seconds: several have to fit in one run of a function.
const LONGEST_TIMEOUT: u8 = 15;

/// The longest id of a Firebase project.
const MAX_PROJECT: usize = 64;
/// The longest id of an app, in bytes.
const MAX_APP: usize = 256;

/// The longest wording that opts out, in bytes.
const MAX_WORDING: usize = 100;
/// The longest name, id or ARN of what AWS sends by, in bytes.
const MAX_IDENTITY: usize = 256;
/// For how long AWS may try to deliver a text message, in seconds.
const TIME_TO_LIVE: std::ops::RangeInclusive<u32> = 5..=259_200;
/// The most rules of what a provider's answers mean.
const MAX_ANSWERS: usize = 50;
/// The longest text that a rule looks for, in bytes.
const MAX_CONTAINS: usize = 200;

/// How a channel sends: its `channel`, and the fields of that channel's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SenderBody {
    channel: Channel,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl SenderBody {
    pub(super) fn parse(self) -> Result<Sender> {
        fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T> {
            from_value(Value::Object(fields)).map_err(|problem: Problem| problem.within("sender."))
        }
        Ok(match self.channel {
            Channel::Email => Sender::Email(read(self.fields)?),
            Channel::Sms => Sender::Sms(read(self.fields)?),
            Channel::Push => Sender::Push(read(self.fields)?),
            Channel::Webhook => Sender::Webhook(read(self.fields)?),
        })
    }

    pub(super) fn of(sender: &Sender) -> Self {
        let mut fields = match serde_json::to_value(sender) {
            Ok(Value::Object(fields)) => fields,
            // Every sender is an object.
            _ => Map::new(),
        };
        fields.remove("channel");
        Self { channel: sender.channel(), fields }
    }
}

/// Adds what the types can't say. `outbound` is what may be called of addresses that it names.
pub(super) fn check(sender: &Sender, outbound: &Policy, errors: &mut Vec<FieldError>) {
    match sender {
        Sender::Email(email) => check_email(email, errors),
        Sender::Sms(sms) => check_sms(sms, outbound, errors),
        Sender::Push(push) => check_push(push, errors),
        Sender::Webhook(webhook) => check_webhook(webhook, errors),
    }
}

fn check_email(email: &EmailSender, errors: &mut Vec<FieldError>) {
    let is_wrong = |name: &str| name.chars().any(char::is_control) || name.chars().count() > MAX_NAME;
    if email.from_name.as_deref().is_some_and(is_wrong) {
        let message = format!("has at most {MAX_NAME} characters, none of them a control character");
        errors.push(FieldError::new("sender.from_name", message));
    }
    if email.tracking.domain.as_deref().is_some_and(|domain| !is_domain(domain)) {
        let message = "is the name of a host, such as links.example.org: no scheme, no port, no path, and with letters other \
                       than a to z as xn--...";
        errors.push(FieldError::new("sender.tracking.domain", message));
    }
}

/// Whether something names a host that a certificate may be for: a name in a domain, no address.
fn is_domain(name: &str) -> bool {
    let is_bare = !name.starts_with('*') && !name.ends_with('.') && name.contains('.');
    is_bare && hosts::is_pattern(name) && name.parse::<std::net::Ipv4Addr>().is_err()
}

fn check_webhook(webhook: &WebhookSender, errors: &mut Vec<FieldError>) {
    if webhook.allowed_hosts.len() > MOST_HOSTS {
        errors.push(FieldError::new("sender.allowed_hosts", format!("has at most {MOST_HOSTS} hosts")));
    }
    for (index, host) in webhook.allowed_hosts.iter().enumerate().filter(|(_, host)| !hosts::is_pattern(host))
    {
        let message =
            format!("{host:?} is neither a host nor *. and what it is below: no scheme, no port, no path");
        errors.push(FieldError::new(format!("sender.allowed_hosts[{index}]"), message));
    }
    if !(1..=LONGEST_TIMEOUT).contains(&webhook.timeout_seconds) {
        let message = format!("is a number from 1 to {LONGEST_TIMEOUT}");
        errors.push(FieldError::new("sender.timeout_seconds", message));
    }
}

fn check_sms(sms: &SmsSender, outbound: &Policy, errors: &mut Vec<FieldError>) {
    let mut refuse =
        |field: &str, message: String| errors.push(FieldError::new(format!("sender.{field}"), message));
    if sms.default_country.as_deref().is_some_and(|letters| Country::of_letters(letters).is_none()) {
        refuse("default_country", "is no country's two letters, such as FR".to_owned());
    }
    if !(1..=MAX_SEGMENTS).contains(&sms.max_segments) {
        refuse("max_segments", format!("must be between 1 and {MAX_SEGMENTS}"));
    }
    let is_text = |text: &str, most: usize| {
        !text.trim().is_empty() && text.len() <= most && !text.chars().any(char::is_control)
    };
    if sms.opt_out_wording.as_deref().is_some_and(|wording| !is_text(wording, MAX_WORDING)) {
        refuse("opt_out_wording", format!("has 1 to {MAX_WORDING} bytes, none of them a control character"));
    }
    match &sms.provider {
        SmsProvider::Aws(aws) => {
            let names = [
                ("origination_identity", &aws.origination_identity),
                ("configuration_set", &aws.configuration_set),
                ("protect_configuration", &aws.protect_configuration),
            ];
            for (name, given) in names {
                if given.as_deref().is_some_and(|given| !is_text(given, MAX_IDENTITY)) {
                    let message = format!("has 1 to {MAX_IDENTITY} bytes, none of them a control character");
                    refuse(&format!("provider.aws.{name}"), message);
                }
            }
            if aws.time_to_live_seconds.is_some_and(|seconds| !TIME_TO_LIVE.contains(&seconds)) {
                let (least, most) = TIME_TO_LIVE.into_inner();
                refuse("provider.aws.time_to_live_seconds", format!("must be between {least} and {most}"));
            }
        }
        SmsProvider::Http(http) => check_http(http, outbound, &mut refuse),
    }
}

fn check_http(http: &HttpSms, outbound: &Policy, refuse: &mut impl FnMut(&str, String)) {
    match SmsRequestTemplate::compile(http) {
        Err(wrong) => {
            for error in wrong {
                refuse(&format!("provider.http.{}", error.path()), error.message);
            }
        }
        Ok(template) => match template.example().url.parse() {
            Err(_) => refuse("provider.http.url", "is no URL once it is filled in".to_owned()),
            Ok(url) => {
                if let Err(refusal) = outbound.examine(&url) {
                    refuse("provider.http.url", format!("can't be called: {refusal}"));
                }
            }
        },
    }
    if http.answers.len() > MAX_ANSWERS {
        refuse("provider.http.answers", format!("has at most {MAX_ANSWERS} rules"));
    }
    for (index, rule) in http.answers.iter().enumerate() {
        if !rule.is_well_formed() {
            let message = "is neither a status, such as 422, nor a class of them, such as 4xx";
            refuse(&format!("provider.http.answers[{index}].status"), message.to_owned());
        }
        if rule.contains.as_deref().is_some_and(|text| text.is_empty() || text.len() > MAX_CONTAINS) {
            let message = format!("has 1 to {MAX_CONTAINS} bytes");
            refuse(&format!("provider.http.answers[{index}].contains"), message);
        }
    }
}

fn check_push(push: &PushSender, errors: &mut Vec<FieldError>) {
    // An id, a number, or an id with a domain before it.
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:".contains(&byte);
    let project = push.project_id.as_bytes();
    let ends = [project.first(), project.last()];
    let is_end = |end: &Option<&u8>| end.is_some_and(u8::is_ascii_alphanumeric);
    if !(4..=MAX_PROJECT).contains(&project.len())
        || !project.iter().copied().all(is_inner)
        || !ends.iter().all(is_end)
    {
        let message = format!(
            "has 4 to {MAX_PROJECT} lowercase letters, digits, hyphens, dots and colons, the first and the last of them \
             letters or digits"
        );
        errors.push(FieldError::new("sender.project_id", message));
    }
    let is_wrong = |app: &str| app.is_empty() || app.len() > MAX_APP || app.chars().any(char::is_control);
    if push.app_id.as_deref().is_some_and(is_wrong) {
        let message = format!("has 1 to {MAX_APP} bytes, none of them a control character");
        errors.push(FieldError::new("sender.app_id", message));
    }
}

impl PartialSchema for SenderBody {
    fn schema() -> RefOr<Schema> {
        let one_of = OneOfBuilder::new()
            .description(Some("How a channel sends."))
            .item(of_channel::<EmailSender>(Channel::Email))
            .item(of_channel::<SmsSender>(Channel::Sms))
            .item(of_channel::<PushSender>(Channel::Push))
            .item(of_channel::<WebhookSender>(Channel::Webhook));
        RefOr::T(one_of.into())
    }
}

impl ToSchema for SenderBody {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        EmailSender::schemas(schemas);
        SmsSender::schemas(schemas);
        PushSender::schemas(schemas);
        WebhookSender::schemas(schemas);
    }
}

/// The schema of a channel's fields, with the channel itself among them.
fn of_channel<T: PartialSchema>(channel: Channel) -> RefOr<Schema> {
    let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([channel.name()])).build();
    match T::schema() {
        RefOr::T(Schema::Object(mut object)) => {
            object.properties.insert("channel".to_owned(), RefOr::T(Schema::Object(name)));
            object.required.push("channel".to_owned());
            RefOr::T(Schema::Object(object))
        }
        other => other,
    }
}
