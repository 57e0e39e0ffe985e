//! Calls: somebody asks that a campaign goes to a few people now, and says what is to be known of them for this once.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Profile, ProfileId};

/// The most recipients of a call.
pub const MAX_RECIPIENTS: usize = 20;
/// The most bytes of JSON that all `context` of a call may have together.
pub const MAX_CONTEXT_BYTES: usize = 200 * 1024;
/// The most bytes of JSON that all recipients of a call may have together, as they are kept.
pub const MAX_CALL_BYTES: usize = 300 * 1024;
/// A key of `context` that callers can't have.
pub const RESERVED_CONTEXT: &str = "system";
/// What a call can't say of a profile: who it is, where it is reached (which has fields of its own), and what the person
/// has agreed to.
pub const NOT_OVERLAID: [&str; 7] =
    ["id", "external_id", "email", "phone", "push_tokens", "consent", "topics"];

/// What a call brings along, kept until everybody is dealt with.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The recipients, in the order of the call; nobody where it names an audience.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<CallRecipient>,
    /// What templates see as `context`, for the recipients of an audience; `null` where nothing was given.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub context: Value,
}

/// One recipient of a call.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecipient {
    /// Whose stored profile is joined; `None`: nothing stored is needed or looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileId>,
    /// Where they are reached this time, in place of what the profile says: `email`, `phone`, `push_tokens`, in the form
    /// they have in a profile.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub addresses: Map<String, Value>,
    /// Attributes laid over the stored ones, for rendering only.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// What templates see as `context`; `null` where nothing was given.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub context: Value,
}

// Neither shows what it holds, so that none of it gets into a log by way of a derived implementation.
impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({} recipients)", self.recipients.len())
    }
}

impl std::fmt::Debug for CallRecipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallRecipient").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl CallRecipient {
    /// The profile that is written to: the stored one, where it is joined, with what the call says laid over it. It is
    /// never stored. A recipient without a stored profile has agreed to and refused nothing.
    ///
    /// ```
    /// use campaign::call::CallRecipient;
    /// use campaign::{Profile, ProfileId};
    /// use serde_json::json;
    ///
    /// let object = |value: serde_json::Value| value.as_object().cloned().unwrap_or_default();
    /// let id = ProfileId::from_bytes([1; 16]);
    /// let stored = Profile::from_stored(id, object(json!({
    ///     "email": "old@x.io", "consent": { "email": "out" }, "person": { "name": { "firstName": "Ada", "lastName": "L" } },
    /// })));
    /// let recipient = CallRecipient {
    ///     profile: Some(id),
    ///     addresses: object(json!({ "email": "new@x.io" })),
    ///     attributes: object(json!({ "person": { "name": { "firstName": "Countess" } } })),
    ///     context: json!({ "orderId": 7 }),
    /// };
    /// let joined = recipient.join(Some(stored));
    /// assert_eq!(joined.text("email"), Some("new@x.io"));
    /// assert_eq!(joined.document()["person"]["name"], json!({ "firstName": "Countess", "lastName": "L" }));
    /// assert_eq!(joined.document()["consent"]["email"], "out");
    /// ```
    pub fn join(&self, stored: Option<Profile>) -> Profile {
        let (id, mut document) = match stored {
            Some(profile) => (profile.id(), profile.into_document()),
            None => (ProfileId::from_bytes([0; 16]), Map::new()),
        };
        for (name, value) in &self.attributes {
            if !NOT_OVERLAID.contains(&name.as_str()) {
                lay_over(document.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        document.extend(self.addresses.clone());
        Profile::from_stored(id, document)
    }
}

/// Lays one value over another: objects field by field, anything else in its place.
fn lay_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                lay_over(under.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("an object") };
        map
    }

    fn recipient(addresses: Value, attributes: Value) -> CallRecipient {
        CallRecipient {
            profile: None,
            addresses: object(addresses),
            attributes: object(attributes),
            context: Value::Null,
        }
    }

    #[test]
    fn without_a_stored_profile_there_is_what_the_call_says() {
        let joined = recipient(json!({ "email": "a@x.io" }), json!({ "city": "Lyon" })).join(None);
        assert_eq!(joined.document(), &object(json!({ "email": "a@x.io", "city": "Lyon" })));
    }

    #[test]
    fn nobody_is_made_another_person_or_to_agree_by_a_call() {
        let stored = object(json!({ "id": "x", "email": "a@x.io", "consent": { "email": "out" } }));
        let stored = Profile::from_stored(ProfileId::from_bytes([1; 16]), stored);
        let over = json!({ "id": "y", "email": "b@x.io", "consent": { "email": "in" }, "external_id": "z" });
        let joined = recipient(json!({}), over).join(Some(stored.clone()));
        assert_eq!(joined, stored);
    }

    #[test]
    fn lists_and_plain_values_are_replaced_and_null_takes_away() {
        let stored = object(json!({ "tags": [1, 2], "a": { "b": 1, "c": 2 } }));
        let stored = Profile::from_stored(ProfileId::from_bytes([1; 16]), stored);
        let joined = recipient(json!({}), json!({ "tags": [3], "a": { "b": null } })).join(Some(stored));
        assert_eq!(joined.document(), &object(json!({ "tags": [3], "a": { "b": null, "c": 2 } })));
    }

    #[test]
    fn what_a_call_says_is_not_shown() {
        let call =
            Call { recipients: vec![recipient(json!({ "email": "a@x.io" }), json!({}))], ..Call::default() };
        let shown = format!("{call:?} {:?}", call.recipients[0]);
        assert!(!shown.contains("a@x.io"), "{shown}");
    }
}
