//! What the calls take.

use campaign::call::{MAX_CONTEXT_BYTES, MAX_RECIPIENTS, RESERVED_CONTEXT};
use campaign::{CampaignId, SegmentId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::recipient::{ExternalRecipientSchema, RecipientIn};
use crate::error::{Problem, Result};
use crate::schema;

/// The longest request id, in bytes.
const MAX_REQUEST_ID: usize = 256;

/// A call to a few recipients.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UnitaryIn {
    /// What the caller calls this request: under one name a campaign is triggered once. At most 256 bytes.
    #[schema(example = "order-4711-confirmation", min_length = 1, max_length = 256, pattern = r"\S")]
    pub(super) request_id: String,
    #[schema(value_type = schema::Id)]
    pub(super) campaign_id: CampaignId,
    /// 1 to 20 recipients, each once.
    #[schema(min_items = 1, max_items = 20)]
    pub(super) recipients: Vec<RecipientIn>,
}

/// A call to a few recipients of whom nothing is stored.
#[derive(ToSchema)]
#[schema(as = HighThroughputIn, rename_all = "camelCase")]
#[allow(dead_code, reason = "documents what is read as a unitary call")]
pub(crate) struct HighThroughputSchema {
    /// What the caller calls this request: under one name a campaign is triggered once. At most 256 bytes.
    #[schema(example = "order-4711-confirmation", min_length = 1, max_length = 256, pattern = r"\S")]
    request_id: String,
    campaign_id: schema::Id,
    /// 1 to 20 recipients, each once.
    #[schema(min_items = 1, max_items = 20)]
    recipients: Vec<ExternalRecipientSchema>,
}

/// A call to an audience.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AudienceIn {
    /// What the caller calls this request; where absent, each request is another. At most 256 bytes.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256, pattern = r"\S")]
    pub(super) request_id: Option<String>,
    #[schema(value_type = schema::Id)]
    pub(super) campaign_id: CampaignId,
    /// Who gets it; the campaign's own segment where absent.
    #[serde(default)]
    #[schema(nullable)]
    pub(super) audience: Option<AudienceRef>,
    /// What templates see as `context`, for everybody.
    #[serde(default)]
    pub(super) context: Map<String, Value>,
    /// When; at once where absent.
    #[serde(default)]
    #[schema(nullable)]
    pub(super) schedule: Option<ScheduleRef>,
}

/// A segment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct AudienceRef {
    /// The segment's id.
    #[schema(value_type = schema::Id)]
    pub(super) id: SegmentId,
}

/// A time.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScheduleRef {
    /// The instant, with its offset from UTC.
    #[schema(value_type = schema::Instant)]
    pub(super) execute_at: Timestamp,
}

/// Checks what a caller calls a request.
pub(super) fn check_request_id(id: &str) -> Result<()> {
    if id.trim().is_empty() || id.len() > MAX_REQUEST_ID {
        return Err(Problem::field("requestId", format!("has 1 to {MAX_REQUEST_ID} bytes")));
    }
    Ok(())
}

/// Checks what the recipients are as a whole: how many, and how much context.
pub(super) fn check_recipients(recipients: &[RecipientIn]) -> Result<()> {
    if !(1..=MAX_RECIPIENTS).contains(&recipients.len()) {
        return Err(Problem::field("recipients", format!("has 1 to {MAX_RECIPIENTS}")));
    }
    let contexts = recipients.iter().enumerate();
    let contexts = contexts.map(|(index, recipient)| (format!("recipients[{index}]."), recipient.context()));
    check_contexts(contexts.collect())
}

/// Checks contexts, each behind the path of what it belongs to.
pub(super) fn check_contexts(contexts: Vec<(String, &Map<String, Value>)>) -> Result<()> {
    let mut bytes = 0;
    for (path, context) in contexts {
        if context.contains_key(RESERVED_CONTEXT) {
            return Err(Problem::field(format!("{path}context.{RESERVED_CONTEXT}"), "is a reserved name"));
        }
        bytes += serde_json::to_vec(context).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_CONTEXT_BYTES {
            let message = format!("all context together has at most {MAX_CONTEXT_BYTES} bytes of JSON");
            return Err(Problem::field(format!("{path}context"), message));
        }
    }
    Ok(())
}

/// What is asked for, whatever the order of its fields: two bodies of one hash are the same request.
pub(super) fn hash(bytes: &[u8]) -> String {
    // A map of serde_json is ordered by its keys, so this is one text for all orders and spacings.
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    data_encoding::HEXLOWER.encode(&Sha256::digest(value.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_has_the_same_hash_however_it_is_written() {
        let one = hash(br#"{"requestId":"r","recipients":[{"a":1,"b":2}]}"#);
        assert_eq!(one, hash(br#"{ "recipients": [ { "b": 2, "a": 1 } ], "requestId": "r" }"#));
        assert_ne!(one, hash(br#"{"requestId":"r","recipients":[{"a":1,"b":3}]}"#));
    }
}
