//! A profile as it comes in.

use campaign::ProfileId;
use campaign::profile::RESERVED;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{FieldError, Kind, Problem};

/// The fields of a profile that have a meaning of their own.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents what the profile itself checks")]
pub(crate) struct ReservedFields {
    /// The id the caller's own systems know the person by; at most 256 bytes.
    #[schema(required = false)]
    external_id: String,
    /// The email address.
    #[schema(required = false, example = "ann@example.org")]
    email: String,
    /// The phone number in E.164.
    #[schema(required = false, example = "+442079460000")]
    phone: String,
    /// Where push notifications go.
    #[schema(required = false)]
    push_tokens: Vec<PushToken>,
    /// The language, such as `en` or `pt-BR`.
    #[schema(required = false)]
    language: String,
    /// An IANA time zone.
    #[schema(required = false, example = "Europe/Paris")]
    time_zone: String,
    /// What the person said of each channel. A channel that nothing was said of counts as not opted out.
    #[schema(required = false)]
    consent: Consent,
    /// What the person said of topics, by their ids. A topic that nothing was said of counts as not opted out.
    #[schema(required = false)]
    topics: crate::schema::Topics,
}

/// A profile. `null` stands for an absent field; in a batch it removes the field.
#[derive(ToSchema)]
#[schema(as = ProfileIn)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents what the profile itself checks")]
pub(crate) struct ProfileInSchema {
    /// Its id; may be given where the path has it too, and is the same then.
    #[schema(nullable, required = false, read_only)]
    id: crate::schema::Id,
    /// The id the caller's own systems know the person by; at most 256 bytes.
    #[schema(nullable, required = false)]
    external_id: String,
    /// The email address.
    #[schema(nullable, required = false, example = "ann@example.org")]
    email: String,
    /// The phone number in E.164.
    #[schema(nullable, required = false, example = "+442079460000")]
    phone: String,
    /// Where push notifications go.
    #[schema(nullable, required = false)]
    push_tokens: Vec<PushToken>,
    /// The language, such as `en` or `pt-BR`.
    #[schema(nullable, required = false)]
    language: String,
    /// An IANA time zone.
    #[schema(nullable, required = false, example = "Europe/Paris")]
    time_zone: String,
    /// What the person said of each channel. A channel that nothing was said of counts as not opted out.
    #[schema(nullable, required = false)]
    consent: Consent,
    /// What the person said of topics, by their ids. A topic that nothing was said of counts as not opted out.
    #[schema(nullable, required = false)]
    topics: crate::schema::Topics,
    /// Anything else, nested as it may be; none of the names of the fields beside it.
    #[schema(nullable, required = false)]
    attributes: Map<String, Value>,
}

/// What a person said of each channel.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents what the profile itself checks")]
pub(crate) struct Consent {
    #[schema(required = false)]
    email: crate::schema::ConsentValue,
    #[schema(required = false)]
    sms: crate::schema::ConsentValue,
    #[schema(required = false)]
    push: crate::schema::ConsentValue,
    #[schema(required = false)]
    webhook: crate::schema::ConsentValue,
}

/// An app on a device.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents what the profile itself checks")]
pub(crate) struct PushToken {
    /// The app, as channel configurations name it.
    app_id: String,
    /// `android`, `ios` or `web`; to any other, a notification goes with what there is for all of them.
    #[schema(example = "ios")]
    platform: String,
    /// The token by which Firebase Cloud Messaging knows the app on the device.
    token: String,
}

/// A profile as it came in; [`ProfileInSchema`] is how it looks.
#[derive(Debug, Clone)]
pub(crate) struct ProfileIn {
    id: Option<String>,
    reserved: Map<String, Value>,
    attributes: Map<String, Value>,
}

impl<'de> Deserialize<'de> for ProfileIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut reserved = Map::deserialize(deserializer)?;
        let id = match reserved.remove("id") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => Some(id),
            Some(_) => return Err(serde::de::Error::custom("id: must be a string")),
        };
        let attributes = match reserved.remove("attributes") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(attributes)) => attributes,
            Some(_) => return Err(serde::de::Error::custom("attributes: must be an object")),
        };
        Ok(Self { id, reserved, attributes })
    }
}

/// Whether a profile in a body may name its id.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Identity {
    /// It may not.
    Made,
    /// It may, if it is this.
    Known(ProfileId),
}

impl ProfileIn {
    /// The profile's document: the attributes beside the reserved fields.
    pub(crate) fn into_document(self, identity: Identity) -> Result<Map<String, Value>, Problem> {
        let mut errors = Vec::new();
        match (identity, &self.id) {
            (_, None) => {}
            (Identity::Known(id), Some(given)) if given.parse() == Ok(id) => {}
            (Identity::Known(_), Some(_)) => errors.push(FieldError::new("id", "is another than the path's")),
            (Identity::Made, Some(_)) => errors.push(FieldError::new("id", "is made by Envoi")),
        }
        for name in self.reserved.keys().filter(|name| !RESERVED.contains(&name.as_str())) {
            errors.push(FieldError::new(
                name.clone(),
                "is no field of a profile: did you mean it as an attribute?",
            ));
        }
        for name in self.attributes.keys() {
            if RESERVED.contains(&name.as_str()) {
                errors
                    .push(FieldError::new(format!("attributes.{name}"), "is a field of the profile itself"));
            }
            if name.is_empty() {
                errors.push(FieldError::new("attributes", "a name is empty"));
            }
        }
        if !errors.is_empty() {
            return Err(Problem::fields(Kind::InvalidField, errors));
        }
        let mut document = self.reserved;
        document.extend(self.attributes);
        Ok(document)
    }
}
