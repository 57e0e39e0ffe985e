//! A recipient as a call names it.

use campaign::ProfileId;
use campaign::address::{Country, EmailAddress, PhoneNumber};
use campaign::call::NOT_OVERLAID;
use campaign::profile::Namespace;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::error::{FieldError, Kind, Problem, Result};

/// Where somebody's profile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RecipientType {
    /// Stored here.
    Aep,
    /// With the caller: nothing stored is needed.
    External,
}

/// Somebody who is to get a message.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecipientIn {
    /// `aep`: a stored profile; `external`: none is needed.
    pub(super) r#type: RecipientType,
    /// Their name in the namespace: an address, or the profile's id.
    #[schema(min_length = 1)]
    pub(super) user_id: String,
    /// `email`, `phone`, `external_id`, or `ecid` for the profile's id; anything for external ones.
    #[schema(example = "email")]
    pub(super) namespace: String,
    /// Where they are reached this time, in place of what the profile says.
    #[serde(default)]
    #[schema(nullable)]
    pub(super) channel_data: Option<ChannelDataIn>,
    /// Attributes laid over the stored ones, for this message only.
    #[serde(default)]
    pub(super) profile: Map<String, Value>,
    /// What templates see as `context`. `system` is a reserved name.
    #[serde(default)]
    pub(super) context: Map<String, Value>,
}

/// Somebody who is to get a message and has no profile here.
#[derive(ToSchema)]
#[schema(as = ExternalRecipientIn, rename_all = "camelCase")]
#[allow(dead_code, reason = "documents what is read as any recipient")]
pub(super) struct ExternalRecipientSchema {
    r#type: ExternalType,
    /// Their name in the namespace, such as their address.
    #[schema(min_length = 1)]
    user_id: String,
    /// `email` or `phone` where the name is an address; anything else otherwise.
    #[schema(example = "email")]
    namespace: String,
    /// Where they are reached, where their name does not say.
    #[schema(nullable, required = false)]
    channel_data: ChannelDataIn,
    /// What templates see as `context`. `system` is a reserved name.
    #[schema(required = false)]
    context: Map<String, Value>,
}

/// The only type of recipients of whom nothing is stored.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) enum ExternalType {
    External,
}

/// Where somebody is reached.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ChannelDataIn {
    email_address: Option<String>,
    /// In E.164, or as it is written within the default country of the campaign's channel configuration for SMS.
    mobile_phone_number: Option<String>,
    #[schema(nullable)]
    push_info: Option<PushInfoIn>,
}

/// A device.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct PushInfoIn {
    #[serde(rename = "appID")]
    app_id: String,
    platform: String,
    token: String,
}

/// By what a stored profile is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    Id(ProfileId),
    Identity(Namespace, String),
}

impl RecipientIn {
    /// What tells it from others of its call: an address in the form in which it is compared, any other name as it is. A
    /// number without a country code is one of `country`.
    pub(super) fn unique(&self, country: Option<Country>) -> (RecipientType, String, String) {
        let namespace = self.namespace.to_lowercase();
        let address = match namespace.as_str() {
            "email" => EmailAddress::parse(&self.user_id).map(|email| email.as_str().to_lowercase()).ok(),
            "phone" => {
                let number = PhoneNumber::parse_in(&self.user_id, country);
                number.map(|number| number.as_str().to_owned()).ok()
            }
            _ => None,
        };
        (self.r#type, namespace, address.unwrap_or_else(|| self.user_id.clone()))
    }

    pub(super) const fn context(&self) -> &Map<String, Value> {
        &self.context
    }

    /// By what its stored profile is found. A number without a country code is one of `country`.
    pub(super) fn named(&self, country: Option<Country>) -> Result<Named> {
        let wrong = |message: String| Problem::field("userId", message);
        match self.namespace.to_lowercase().as_str() {
            "email" => {
                let address = EmailAddress::parse(&self.user_id).map_err(|error| wrong(error.to_string()))?;
                Ok(Named::Identity(Namespace::Email, address.as_str().to_lowercase()))
            }
            "phone" => {
                let number = PhoneNumber::parse_in(&self.user_id, country)
                    .map_err(|error| wrong(error.to_string()))?;
                Ok(Named::Identity(Namespace::Phone, number.as_str().to_owned()))
            }
            "external_id" if self.user_id.is_empty() => Err(wrong("must not be empty".to_owned())),
            "external_id" => Ok(Named::Identity(Namespace::ExternalId, self.user_id.clone())),
            "ecid" => {
                let id = self.user_id.parse().map_err(|_| wrong("is no profile's id".to_owned()))?;
                Ok(Named::Id(id))
            }
            _ => Err(Problem::field("namespace", "must be email, phone, external_id or ecid")),
        }
    }

    /// Where it is reached this time, in the form it has in a profile. A number without a country code is one of `country`.
    pub(super) fn addresses(&self, country: Option<Country>) -> Result<Map<String, Value>> {
        let mut addresses = Map::new();
        let is_external = self.r#type == RecipientType::External;
        let data = self.channel_data.clone().unwrap_or_default();
        let by_name = |namespace: &str| {
            (is_external && self.namespace.eq_ignore_ascii_case(namespace)).then_some(self.user_id.as_str())
        };
        let email = data.email_address.as_deref().map(|email| (email, "channelData.emailAddress"));
        if let Some((email, field)) = email.or_else(|| by_name("email").map(|email| (email, "userId"))) {
            let address =
                EmailAddress::parse(email).map_err(|error| Problem::field(field, error.to_string()))?;
            addresses.insert("email".to_owned(), address.as_str().into());
        }
        let phone = data.mobile_phone_number.as_deref();
        let phone = phone.map(|phone| (phone, "channelData.mobilePhoneNumber"));
        if let Some((phone, field)) = phone.or_else(|| by_name("phone").map(|phone| (phone, "userId"))) {
            let number = PhoneNumber::parse_in(phone, country)
                .map_err(|error| Problem::field(field, error.to_string()))?;
            addresses.insert("phone".to_owned(), number.as_str().into());
        }
        if let Some(push) = data.push_info {
            for (field, text) in
                [("appID", &push.app_id), ("platform", &push.platform), ("token", &push.token)]
            {
                if text.is_empty() {
                    return Err(Problem::field(format!("channelData.pushInfo.{field}"), "must not be empty"));
                }
            }
            let token = json!({ "app_id": push.app_id, "platform": push.platform, "token": push.token });
            addresses.insert("push_tokens".to_owned(), json!([token]));
        }
        if is_external && addresses.is_empty() {
            let message = "says nowhere to reach an external recipient whose userId is no address";
            return Err(Problem::field("channelData", message));
        }
        Ok(addresses)
    }

    /// What is laid over the stored profile.
    pub(super) fn attributes(&self) -> Result<Map<String, Value>> {
        let errors: Vec<_> = NOT_OVERLAID
            .into_iter()
            .filter(|name| self.profile.contains_key(*name))
            .map(|name| {
                let message = match name {
                    "email" | "phone" | "push_tokens" => "belongs into channelData",
                    _ => "can't be changed by a call",
                };
                FieldError::new(format!("profile.{name}"), message)
            })
            .collect();
        if errors.is_empty() {
            Ok(self.profile.clone())
        } else {
            Err(Problem::fields(Kind::InvalidField, errors))
        }
    }
}
