//! Where everything is kept: the tables, the queues and the keys, in one place.

use campaign::{CallScheduleId, CampaignId, EndpointId, ExecutionId, ProfileId, SegmentId, Status};
use platform::{Key, QueueName, TableName};

use crate::messages::CALL_SHARD;

/// Campaigns, versions, contents, configurations, segments, keys.
pub const CONTROL: TableName = TableName("control");
/// Profiles, one item each, keyed by their random id and scanned by rule segments.
pub const PROFILES: TableName = TableName("profiles");
/// List members, identities, suppressions.
pub const AUDIENCE: TableName = TableName("audience");
/// Executions, chunks, counters.
pub const LEDGER: TableName = TableName("ledger");

/// Wake-ups: activations, starts, sweeps.
pub const WAKE_UP: QueueName = QueueName("wake-up");
/// Shards to fan out.
pub const FAN_OUT: QueueName = QueueName("fan-out");
/// Chunks of email.
pub const DELIVER_EMAIL: QueueName = QueueName("deliver-email");
/// Email that a call or somebody who looks at a proof waits for: never behind a bulk of others.
pub const DELIVER_EMAIL_PRIORITY: QueueName = QueueName("deliver-email-priority");
/// Chunks of text messages.
pub const DELIVER_SMS: QueueName = QueueName("deliver-sms");
/// Text messages that a call asked for.
pub const DELIVER_SMS_PRIORITY: QueueName = QueueName("deliver-sms-priority");
/// Chunks of push notifications.
pub const DELIVER_PUSH: QueueName = QueueName("deliver-push");
/// Push notifications that a call asked for.
pub const DELIVER_PUSH_PRIORITY: QueueName = QueueName("deliver-push-priority");
/// Chunks of HTTP calls.
pub const DELIVER_WEBHOOK: QueueName = QueueName("deliver-webhook");
/// HTTP calls that a call asked for.
pub const DELIVER_WEBHOOK_PRIORITY: QueueName = QueueName("deliver-webhook-priority");
/// Jobs to go on with: imports of files, counts.
pub const JOBS: QueueName = QueueName("jobs");
/// Callers' own addresses to be told what became of messages.
pub const NOTIFY: QueueName = QueueName("notify");

/// What providers tell of messages they were handed.
pub const FEEDBACK: QueueName = QueueName("feedback");

/// How many partitions a list's members are hashed into.
pub const LIST_PARTITIONS: u32 = 16;

/// How long the ledger keeps what it holds, in seconds: 90 days past the longest retry period, and some.
pub const LEDGER_TTL_SECONDS: i64 = 120 * 24 * 3600;

pub(crate) const CAMPAIGNS: &str = "campaigns";
/// The partition of calls that are made at an instant.
pub(crate) const CALL_SCHEDULES: &str = "calls";
pub(crate) const SEGMENTS: &str = "segments";
/// The partition of the lists that are deleted and have members left.
pub(crate) const DELETED_LISTS: &str = "lists#deleted";
pub(crate) const CONFIGURATIONS: &str = "configurations";
pub(crate) const KEYS: &str = "keys";
/// The partition of what is decided about marketing as a whole.
pub(crate) const RULES: &str = "rules";
/// The partition of the topics.
pub(crate) const TOPICS: &str = "topics";
/// The partition of all jobs.
pub(crate) const JOB: &str = "jobs";
/// The partition of the people who were erased, by their ids: which job did it.
pub(crate) const ERASURES: &str = "erasures";
/// The partition of the addresses that are told what became of messages.
pub(crate) const ENDPOINTS: &str = "endpoints";
/// Begins the partition of a secret; its purpose follows.
pub(crate) const SECRET: &str = "secret#";

/// The partition of what an address is still to be told, and was not.
pub(crate) fn endpoint(id: EndpointId) -> String {
    format!("{ENDPOINT}{id}")
}

/// Begins the partition of one address; its id follows.
pub(crate) const ENDPOINT: &str = "endpoint#";

pub(crate) fn campaign(id: CampaignId) -> Key {
    Key::new(CAMPAIGNS, id.to_string())
}

/// The partition of the rows of the list of campaigns that have this status, in this order.
pub(crate) fn rows(status: Status, order: &str) -> String {
    format!("rows#{status}#{order}")
}

pub(crate) fn call_schedule(id: CallScheduleId) -> Key {
    Key::new(CALL_SCHEDULES, id.to_string())
}

pub(crate) fn campaign_partition(id: CampaignId) -> String {
    format!("campaign#{id}")
}

pub(crate) fn version(id: CampaignId, number: u32) -> Key {
    Key::new(campaign_partition(id), format!("V#{number:08}"))
}

pub(crate) fn content(id: CampaignId, number: u32, action: u8) -> Key {
    Key::new(campaign_partition(id), format!("V#{number:08}#A#{action:02}"))
}

/// Behind the content that it was made from.
pub(crate) fn lowered(id: CampaignId, number: u32, action: u8) -> Key {
    Key::new(campaign_partition(id), format!("V#{number:08}#A#{action:02}#L"))
}

pub(crate) fn summary(id: CampaignId, occurrence_ms: i64, execution: ExecutionId) -> Key {
    Key::new(campaign_partition(id), format!("X#{occurrence_ms:015}#{execution}"))
}

/// Begins the sort key of an entry in a campaign's history.
pub(crate) const HISTORY: &str = "H#";

pub(crate) fn history(id: CampaignId, at_ms: i64, revision: i64, unique: u32) -> Key {
    Key::new(campaign_partition(id), format!("{HISTORY}{at_ms:015}#{revision:010}#{unique:08x}"))
}

pub(crate) fn profile(id: ProfileId) -> Key {
    Key::new(id.to_string(), "P")
}

pub(crate) fn identity(namespace: campaign::profile::Namespace, name: &str) -> Key {
    Key::new(format!("id#{}#{name}", namespace.name()), "I")
}

pub(crate) fn members(segment: SegmentId, generation: u32, partition: u32) -> String {
    format!("m#{segment}#{generation}#{partition:02}")
}

pub(crate) fn head(execution: ExecutionId) -> Key {
    Key::new(format!("x#{execution}"), "HEAD")
}

/// The partition of a shard. What belongs to a call lies with its execution: it is little, and written together.
pub(crate) fn shard(execution: ExecutionId, shard: u16) -> String {
    if shard == CALL_SHARD { format!("x#{execution}") } else { format!("x#{execution}#{shard:02}") }
}

/// The partition of what a person was sent lately, for frequency caps.
pub(crate) fn frequency(profile: ProfileId) -> String {
    format!("cap#{profile}")
}

pub(crate) fn counters(execution: ExecutionId, shard: u16) -> String {
    format!("s#{execution}#{shard:02}")
}

pub(crate) fn call_counters(campaign: CampaignId, version: u32, period: i64, part: u8) -> String {
    format!("c#{campaign}#{version:08}#{period:06}#{part:02}")
}

/// The due bucket of something with this id: spread by its random last byte.
pub(crate) const fn bucket(id: &[u8; 16]) -> u8 {
    id[15] % platform::table::DUE_BUCKETS
}
