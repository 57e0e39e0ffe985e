//! Schemas of the OpenAPI document that several operations share. They document; what is parsed are the types of the
//! crates below, which know nothing of HTTP.
#![allow(dead_code, reason = "only their schemas are used")]

use campaign::Code;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// An id: 128 bits as 26 characters of Crockford's base32, the last of which is one of `048cgmrw`.
#[derive(ToSchema)]
#[schema(pattern = "^[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", example = "06fc3qgr3m0rzsyf0ar0eg5kqm")]
pub(crate) struct Id(String);

/// A topic's id.
#[derive(ToSchema)]
#[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,39}$", example = "newsletter")]
pub(crate) struct TopicId(String);

/// The keyed hash of an address.
#[derive(ToSchema)]
#[schema(pattern = "^[0-9a-f]{32}$", example = "5f1d7c0a9be84f2c8a63d4e0b7f91c25")]
pub(crate) struct AddressHash(String);

/// An instant in UTC, after RFC 3339.
#[derive(ToSchema)]
#[schema(format = DateTime, example = "2026-11-25T09:00:00Z")]
pub(crate) struct Instant(String);

/// A problem, after RFC 9457.
#[derive(ToSchema)]
pub(crate) struct Problem {
    /// A URI that names the kind of problem; it ends in service, number and status.
    #[schema(example = "https://envoi.dev/problems/ENVOI-1002-400")]
    r#type: String,
    /// The kind of problem, for people.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request, for people.
    detail: String,
    /// The kind of problem, for programs; never changes its meaning.
    #[schema(example = "invalid_field")]
    code: String,
    /// The fields at fault.
    #[schema(required = false)]
    errors: Vec<FieldError>,
}

/// A field and what is wrong with it.
#[derive(ToSchema)]
pub(crate) struct FieldError {
    /// The field's path.
    #[schema(example = "actions[0].content.subject")]
    field: String,
    /// What is wrong, for people.
    message: String,
    /// The line in the field's text, from 1, where that is known.
    #[schema(required = false)]
    line: u32,
    /// The column in characters, from 1, where that is known.
    #[schema(required = false)]
    column: u32,
}

/// Why people get a campaign; `marketing` goes to nobody who has opted out.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Category {
    Marketing,
    Transactional,
}

/// What starts a campaign.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum CampaignType {
    Scheduled,
    ApiTriggered,
}

/// Where a campaign stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Status {
    Draft,
    Activating,
    Scheduled,
    Live,
    Stopped,
    Completed,
    Archived,
}

/// What may be done with a campaign.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum CampaignCommand {
    Edit,
    Rename,
    Activate,
    DiscardDraft,
    Stop,
    Duplicate,
    Archive,
    Delete,
}

/// Who did something: the holder of an API key, or Envoi itself.
#[derive(ToSchema)]
pub(crate) struct Actor {
    /// The first 16 characters of the key's id, or `envoi`.
    #[schema(example = "1f3c8a5577e0b9d2")]
    id: String,
    /// The key's name when it was used.
    name: String,
}

/// A way to reach people.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Channel {
    Email,
    Sms,
    Push,
    Webhook,
}

/// What to do with recipients of whom nobody can say whether they were reached: `hold` (default for marketing) or
/// `resend` (default for transactional).
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum OnUnknown {
    Hold,
    Resend,
}

/// What to do where a value is missing: print nothing, or leave the recipient out.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum OnMissing {
    Blank,
    Skip,
}

/// What a person said of a channel.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum ConsentValue {
    In,
    Out,
    Pending,
}

/// What a person said of topics, by their ids.
pub(crate) struct Topics;

impl PartialSchema for Topics {
    fn schema() -> RefOr<Schema> {
        let id = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[a-z0-9][a-z0-9_-]{0,39}$"));
        let said = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["in", "out"]));
        ObjectBuilder::new()
            .description(Some("A topic that nothing was said of counts as not opted out."))
            .property_names(Some(id.build()))
            .additional_properties(Some(said))
            .examples([serde_json::json!({ "newsletter": "out" })])
            .into()
    }
}

impl ToSchema for Topics {}

/// Where a job stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum JobState {
    AwaitingUpload,
    Queued,
    Running,
    Completed,
    Failed,
}

/// Where an execution stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum State {
    Running,
    Paused,
    Stopping,
    Completed,
    Stopped,
    Missed,
}

/// What became of a recipient.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Pending,
    Sent,
    Failed,
    Excluded,
    Unknown,
}

/// What became known of a message after it was sent. `machine_` is what programs did.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Fact {
    Delayed,
    SoftBounced,
    Delivered,
    HardBounced,
    Opened,
    MachineOpened,
    Clicked,
    MachineClicked,
    Complained,
    Unsubscribed,
}

/// Why it became that of a recipient: every reason there is, with what it means.
pub(crate) struct Reason;

impl PartialSchema for Reason {
    fn schema() -> RefOr<Schema> {
        let mut reasons: Vec<_> = Code::ALL.into_iter().map(Code::reason).collect();
        reasons.sort_unstable();
        reasons.dedup();
        let mut codes = Code::ALL;
        codes.sort_unstable_by_key(|code| code.reason());
        let meanings = codes.map(|code| format!("- `{}`: {}", code.reason(), code.meaning()));
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(reasons))
            .description(Some(format!("Why it became that of a recipient:\n{}", meanings.join("\n"))))
            .into()
    }
}

impl ToSchema for Reason {}

/// Whether a finding stops an activation.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// Something that validation has to say.
#[derive(ToSchema)]
pub(crate) struct Finding {
    /// What it is, for programs.
    #[schema(example = "empty_segment")]
    code: String,
    severity: Severity,
    /// The field it is about.
    #[schema(example = "actions[0].content.subject")]
    field: String,
    /// What is wrong, for people.
    message: String,
}

/// What the holder of a key may do; each role may do what those before it may: `viewer` reads, `manager` edits,
/// `publisher` activates, stops, resends and proofs, `admin` makes and revokes keys.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Role {
    Viewer,
    Manager,
    Publisher,
    Admin,
}
