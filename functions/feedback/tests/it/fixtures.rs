//! What providers tell, written after their documentation, with names that are invented.

use std::fs;
use std::path::PathBuf;

use campaign::ExecutionId;
use delivery::{MemberId, MessageId};
use store::messages::ChunkKey;

/// When the tests take place: a day later than the fixtures. In milliseconds since the Unix epoch.
pub(crate) const NOW_MS: i64 = 1_795_773_600_000;
/// 2026-11-26T10:00:00Z, when the fixtures' message was sent.
pub(crate) const SENT_MS: i64 = 1_795_687_200_000;

/// The chunk and the place of the member that the fixtures are about.
pub(crate) const CHUNK: ChunkKey =
    ChunkKey { execution: ExecutionId::from_bytes([7; 16]), shard: 3, action: 1, number: 17 };
pub(crate) const MEMBER: u8 = 42;

pub(crate) fn member() -> MessageId {
    MessageId::Member(MemberId { chunk: CHUNK, index: usize::from(MEMBER) })
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

pub(crate) fn fixture(path: &str) -> String {
    fs::read_to_string(folder().join(path)).unwrap()
}

/// Every fixture that comes by the queue.
pub(crate) fn all() -> Vec<String> {
    let mut all = Vec::new();
    for kind in ["envelopes", "identity", "ses", "sms", "sns"] {
        for entry in fs::read_dir(folder().join(kind)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "json" || end == "txt") {
                all.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(all.len() > 50);
    all
}
