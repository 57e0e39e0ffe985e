//! Profiles: the people a campaign may reach.
//!
//! A profile is one JSON object, and that object is what rules and templates see as `profile`: the fields Envoi knows
//! (`id`, `external_id`, `email`, `phone`, `push_tokens`, `language`, `time_zone`, `consent`, `topics`) beside the free
//! attributes (`person`, `city`, whatever the user keeps). It is decoded once and read in place.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::address::{EmailAddress, PhoneNumber};
use crate::topic::InvalidTopicId;
use crate::{Channel, ProfileId, TopicId};

/// The largest profile, as JSON.
pub const MAX_PROFILE_BYTES: usize = 64 * 1024;

/// The fields that have a meaning of their own; an attribute can't have these names.
pub const RESERVED: [&str; 9] =
    ["id", "external_id", "email", "phone", "push_tokens", "language", "time_zone", "consent", "topics"];

/// What a profile says of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// Has agreed.
    In,
    /// Has said no.
    Out,
    /// Has been asked to confirm and has not done so yet: not to be sent marketing.
    Pending,
}

/// A name by which the outside world knows a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Namespace {
    /// The email address, whatever its case.
    Email,
    /// The phone number in E.164.
    Phone,
    /// The id the user's own systems know the person by.
    ExternalId,
}

impl Namespace {
    /// Its name in the API and in storage.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::ExternalId => "external_id",
        }
    }
}

/// A profile, whole and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    id: ProfileId,
    document: Map<String, Value>,
}

/// Why an object is no profile.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// A field has a value it can't have.
    #[error("{field}: {message}")]
    Field {
        /// Its path.
        field: String,
        /// What is wrong.
        message: String,
    },
    /// It is larger than [`MAX_PROFILE_BYTES`].
    #[error("a profile has at most {MAX_PROFILE_BYTES} bytes of JSON, this one has {0}")]
    TooLarge(usize),
}

impl ProfileError {
    fn field(field: impl Into<String>, message: impl std::fmt::Display) -> Self {
        Self::Field { field: field.into(), message: message.to_string() }
    }
}

impl Profile {
    /// Checks an object and makes it a profile: addresses become canonical, `null` fields go, `id` is set.
    ///
    /// # Errors
    /// [`ProfileError`] names the field.
    pub fn new(id: ProfileId, mut document: Map<String, Value>) -> Result<Self, ProfileError> {
        document.retain(|name, value| !(RESERVED.contains(&name.as_str()) && value.is_null()));
        document.insert("id".to_owned(), Value::String(id.to_string()));
        canonical(&mut document, "email", |text| {
            EmailAddress::parse(text).map(|address| address.as_str().to_owned())
        })?;
        canonical(&mut document, "phone", |text| {
            PhoneNumber::parse(text).map(|number| number.as_str().to_owned())
        })?;
        check_text(&document, "external_id", 256)?;
        check_text(&document, "language", 35)?;
        check_text(&document, "time_zone", 64)?;
        check_consent(&document)?;
        check_topics(&document)?;
        check_push_tokens(&document)?;
        let size = json_size(&document);
        if size > MAX_PROFILE_BYTES {
            return Err(ProfileError::TooLarge(size));
        }
        Ok(Self { id, document })
    }

    /// A profile as it was stored, which was checked when it was written.
    pub const fn from_stored(id: ProfileId, document: Map<String, Value>) -> Self {
        Self { id, document }
    }

    /// Its id.
    pub const fn id(&self) -> ProfileId {
        self.id
    }

    /// The object that rules and templates see.
    pub const fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// The object itself.
    pub fn into_document(self) -> Map<String, Value> {
        self.document
    }

    /// A field's text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.document.get(field).and_then(Value::as_str)
    }

    /// What it says of this channel; `None` where nothing was ever said, which counts as not opted out.
    pub fn consent(&self, channel: Channel) -> Option<Consent> {
        consent_of(&self.document, channel)
    }

    /// Whether it says no to this topic. Where nothing was ever said of it, it does not.
    pub fn is_out_of(&self, topic: &TopicId) -> bool {
        let said = self.document.get("topics").and_then(|topics| topics.get(topic.as_str()));
        said.and_then(Value::as_str) == Some("out")
    }

    /// The document with a no to this topic, or to the whole channel where there is none; `None` where it says so already.
    pub fn opted_out(&self, channel: Channel, topic: Option<&TopicId>) -> Option<Map<String, Value>> {
        let (field, of) = match topic {
            Some(topic) => ("topics", topic.as_str()),
            None => ("consent", channel.name()),
        };
        let said = self.document.get(field).and_then(|said| said.get(of));
        if said.and_then(Value::as_str) == Some("out") {
            return None;
        }
        let mut document = self.document.clone();
        let all = document.entry(field).or_insert_with(|| Value::Object(Map::new()));
        if !all.is_object() {
            *all = Value::Object(Map::new());
        }
        all[of] = Value::from("out");
        Some(document)
    }

    /// The names by which it is found, in their canonical form.
    pub fn identities(&self) -> Vec<(Namespace, String)> {
        let mut identities = Vec::new();
        if let Some(email) = self.text("email") {
            identities.push((Namespace::Email, email.to_lowercase()));
        }
        if let Some(phone) = self.text("phone") {
            identities.push((Namespace::Phone, phone.to_owned()));
        }
        if let Some(external) = self.text("external_id") {
            identities.push((Namespace::ExternalId, external.to_owned()));
        }
        identities
    }
}

/// What a stored profile says of this channel.
pub fn consent_of(document: &Map<String, Value>, channel: Channel) -> Option<Consent> {
    match document.get("consent")?.get(channel.name())?.as_str()? {
        "in" => Some(Consent::In),
        "out" => Some(Consent::Out),
        "pending" => Some(Consent::Pending),
        _ => None,
    }
}

fn canonical<E: std::fmt::Display>(
    document: &mut Map<String, Value>,
    field: &str,
    parse: impl Fn(&str) -> Result<String, E>,
) -> Result<(), ProfileError> {
    let Some(value) = document.get_mut(field) else { return Ok(()) };
    let Some(text) = value.as_str() else {
        return Err(ProfileError::field(field, "must be a string"));
    };
    let parsed = parse(text).map_err(|error| ProfileError::field(field, error))?;
    *value = Value::String(parsed);
    Ok(())
}

fn check_text(document: &Map<String, Value>, field: &str, longest: usize) -> Result<(), ProfileError> {
    match document.get(field) {
        None => Ok(()),
        Some(Value::String(text)) if text.is_empty() => Err(ProfileError::field(field, "must not be empty")),
        Some(Value::String(text)) if text.len() <= longest => Ok(()),
        Some(Value::String(_)) => {
            Err(ProfileError::field(field, format_args!("has at most {longest} bytes")))
        }
        Some(_) => Err(ProfileError::field(field, "must be a string")),
    }
}

fn check_consent(document: &Map<String, Value>) -> Result<(), ProfileError> {
    let Some(consent) = document.get("consent") else { return Ok(()) };
    let Some(channels) = consent.as_object() else {
        return Err(ProfileError::field("consent", "must be an object of channels"));
    };
    for (channel, value) in channels {
        let field = format!("consent.{channel}");
        if !["email", "sms", "push", "webhook"].contains(&channel.as_str()) {
            return Err(ProfileError::field(field, "is no channel: email, sms, push, webhook"));
        }
        if !matches!(value.as_str(), Some("in" | "out" | "pending")) {
            return Err(ProfileError::field(field, "must be \"in\", \"out\" or \"pending\""));
        }
    }
    Ok(())
}

fn check_topics(document: &Map<String, Value>) -> Result<(), ProfileError> {
    let Some(topics) = document.get("topics") else { return Ok(()) };
    let Some(topics) = topics.as_object() else {
        return Err(ProfileError::field("topics", "must be an object of topics"));
    };
    for (topic, value) in topics {
        if !TopicId::is_one(topic) {
            return Err(ProfileError::field("topics", InvalidTopicId));
        }
        if !matches!(value.as_str(), Some("in" | "out")) {
            return Err(ProfileError::field(format!("topics.{topic}"), "must be \"in\" or \"out\""));
        }
    }
    Ok(())
}

fn check_push_tokens(document: &Map<String, Value>) -> Result<(), ProfileError> {
    let Some(tokens) = document.get("push_tokens") else { return Ok(()) };
    let Some(tokens) = tokens.as_array() else {
        return Err(ProfileError::field("push_tokens", "must be a list"));
    };
    for (index, token) in tokens.iter().enumerate() {
        for name in ["app_id", "platform", "token"] {
            if token.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(ProfileError::field(format!("push_tokens[{index}].{name}"), "must be a string"));
            }
        }
    }
    Ok(())
}

fn json_size(document: &Map<String, Value>) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, document).expect("JSON values always serialize into a counter");
    counter.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(value: Value) -> Result<Profile, ProfileError> {
        let Value::Object(document) = value else { panic!("an object") };
        Profile::new(ProfileId::from_bytes([1; 16]), document)
    }

    #[test]
    fn addresses_become_canonical_and_identities_ignore_case() {
        let ada = profile(json!({ "email": " Ada@Example.ORG ", "phone": "+44 20 7946 0000" })).unwrap();
        assert_eq!(ada.text("email"), Some("Ada@example.org"));
        assert_eq!(
            ada.identities(),
            [
                (Namespace::Email, "ada@example.org".to_owned()),
                (Namespace::Phone, "+442079460000".to_owned())
            ]
        );
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (value, field) in [
            (json!({ "email": "ada" }), "email"),
            (json!({ "email": 3 }), "email"),
            (json!({ "external_id": "" }), "external_id"),
            (json!({ "consent": { "fax": "in" } }), "consent.fax"),
            (json!({ "consent": { "email": true } }), "consent.email"),
            (json!({ "topics": ["news"] }), "topics"),
            (json!({ "topics": { "The News": "in" } }), "topics"),
            (json!({ "topics": { "news": "pending" } }), "topics.news"),
            (json!({ "push_tokens": [{ "app_id": "a", "platform": "ios" }] }), "push_tokens[0].token"),
        ] {
            let Err(ProfileError::Field { field: got, .. }) = profile(value) else {
                panic!("{field} is refused")
            };
            assert_eq!(got, field);
        }
    }

    #[test]
    fn a_profile_has_a_largest_size() {
        assert!(matches!(
            profile(json!({ "notes": "x".repeat(MAX_PROFILE_BYTES) })),
            Err(ProfileError::TooLarge(_))
        ));
    }

    #[test]
    fn consent_unsaid_is_not_consent_refused() {
        let nobody = profile(json!({})).unwrap();
        assert_eq!(nobody.consent(Channel::Email), None);
        let out = profile(json!({ "consent": { "email": "out" } })).unwrap();
        assert_eq!(out.consent(Channel::Email), Some(Consent::Out));
        let (news, offers) = ("news".parse().unwrap(), "offers".parse().unwrap());
        let chosen = profile(json!({ "topics": { "news": "out", "offers": "in" } })).unwrap();
        assert_eq!((chosen.is_out_of(&news), chosen.is_out_of(&offers)), (true, false));
        assert!(!nobody.is_out_of(&news));
    }

    #[test]
    fn a_no_is_added_to_what_was_said_of_others() {
        let news = "news".parse().unwrap();
        let ann = profile(json!({ "consent": { "sms": "in" }, "topics": { "offers": "in" } })).unwrap();
        let whole = ann.opted_out(Channel::Email, None).unwrap();
        assert_eq!(whole["consent"], json!({ "sms": "in", "email": "out" }));
        assert_eq!(whole["topics"], json!({ "offers": "in" }));
        let topic = ann.opted_out(Channel::Email, Some(&news)).unwrap();
        assert_eq!(topic["topics"], json!({ "offers": "in", "news": "out" }));
        assert_eq!(topic["consent"], json!({ "sms": "in" }));
        let again = Profile::from_stored(ann.id(), whole);
        assert_eq!(again.opted_out(Channel::Email, None), None);
        assert!(again.opted_out(Channel::Sms, None).is_some());
        // A field that was kept before it had a meaning.
        let Value::Object(old) = json!({ "topics": ["x"] }) else { panic!("an object") };
        let old = Profile::from_stored(ann.id(), old);
        assert!(!old.is_out_of(&news));
        assert_eq!(old.opted_out(Channel::Email, Some(&news)).unwrap()["topics"], json!({ "news": "out" }));
    }
}
