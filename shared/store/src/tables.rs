//! Where everything is kept: the tables, the queues and the keys, in one place.

use campaign::{CampaignId, ExecutionId, ProfileId, SegmentId};
use platform::{Key, QueueName, TableName};

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
/// Proofs to send.
pub const PROOFS: QueueName = QueueName("proofs");
/// Jobs to go on with: imports of files, counts.
pub const JOBS: QueueName = QueueName("jobs");

/// How many partitions a list's members are hashed into.
pub const LIST_PARTITIONS: u32 = 16;

/// How long the ledger keeps what it holds, in seconds: 90 days past the longest retry period, and some.
pub const LEDGER_TTL_SECONDS: i64 = 120 * 24 * 3600;

pub(crate) const CAMPAIGNS: &str = "campaigns";
pub(crate) const SEGMENTS: &str = "segments";
pub(crate) const CONFIGURATIONS: &str = "configurations";
pub(crate) const KEYS: &str = "keys";
/// The partition of all jobs.
pub(crate) const JOB: &str = "jobs";
/// Begins the partition of a secret; its purpose follows.
pub(crate) const SECRET: &str = "secret#";

pub(crate) fn campaign(id: CampaignId) -> Key {
    Key::new(CAMPAIGNS, id.to_string())
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

pub(crate) fn summary(id: CampaignId, occurrence_ms: i64, execution: ExecutionId) -> Key {
    Key::new(campaign_partition(id), format!("X#{occurrence_ms:015}#{execution}"))
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

pub(crate) fn shard(execution: ExecutionId, shard: u16) -> String {
    format!("x#{execution}#{shard:02}")
}

pub(crate) fn counters(execution: ExecutionId, shard: u16) -> String {
    format!("s#{execution}#{shard:02}")
}

/// The due bucket of something with this id: spread by its random last byte.
pub(crate) const fn bucket(id: &[u8; 16]) -> u8 {
    id[15] % platform::table::DUE_BUCKETS
}
