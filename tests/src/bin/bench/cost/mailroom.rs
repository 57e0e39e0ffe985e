//! What the engines have sent to queues, to be handed out when its time comes on the model's clock: the emulator's queues
//! live by another time, and hold the same messages unread.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// Messages by when they become visible, and then by their order.
type Waiting = BTreeMap<(Duration, u64), String>;

/// Every queue.
#[derive(Debug, Default)]
pub(crate) struct Mailroom {
    queues: Mutex<(HashMap<String, Waiting>, u64)>,
}

impl Mailroom {
    /// Takes in a request `SendMessageBatch` that was sent at `now`.
    pub(crate) fn take(&self, now: Duration, asked: &Value) {
        let url = asked["QueueUrl"].as_str().unwrap_or_default();
        let queue = url.rsplit('/').next().unwrap_or_default();
        for entry in asked["Entries"].as_array().into_iter().flatten() {
            let delay = Duration::from_secs(entry["DelaySeconds"].as_u64().unwrap_or(0));
            self.put(queue, now + delay, entry["MessageBody"].as_str().unwrap_or_default());
        }
    }

    /// Puts a message into a queue, visible from `at` on.
    pub(crate) fn put(&self, queue: &str, at: Duration, body: &str) {
        let (queues, count) = &mut *self.lock();
        *count += 1;
        queues.entry(queue.to_owned()).or_default().insert((at, *count), body.to_owned());
    }

    /// The message of a queue that has been visible for longest at `now`.
    pub(crate) fn next(&self, queue: &str, now: Duration) -> Option<String> {
        let (queues, _) = &mut *self.lock();
        let waiting = queues.get_mut(queue)?;
        let first = waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    fn lock(&self) -> MutexGuard<'_, (HashMap<String, Waiting>, u64)> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_come_when_their_delay_is_over() {
        let mailroom = Mailroom::default();
        let entries = [json!({"MessageBody": "late", "DelaySeconds": 5}), json!({"MessageBody": "soon"})];
        let asked = json!({"QueueUrl": "http://sqs/1/queue", "Entries": entries});
        mailroom.take(Duration::from_secs(1), &asked);
        let next = |seconds| mailroom.next("queue", Duration::from_secs(seconds));
        assert_eq!([next(1).as_deref(), next(1).as_deref()], [Some("soon"), None]);
        assert_eq!([next(5).as_deref(), next(6).as_deref()], [None, Some("late")]);
    }
}
