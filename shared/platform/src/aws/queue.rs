//! The [`Queue`] and [`Source`] ports on SQS.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    Message as SqsMessage, MessageSystemAttributeName, SendMessageBatchRequestEntry,
};

use super::failure::{Busy, SQS, complete, failure, refusal};
use super::{ATTEMPTS, Aws};
use crate::queue::MAX_BODY_BYTES;
use crate::rules::check_messages;
use crate::{Message, PlatformError, Queue, QueueName, Received, Source};

/// The most messages of one call.
const MAX_BATCH: usize = 10;
/// The longest that a message stays hidden, as SQS has it.
const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 3600);
/// How long dead letters stay hidden while they are read, should they not be shown again.
const READING: Duration = Duration::from_secs(30);
/// The most dead letters that are read to find the oldest.
const MAX_DEAD_LETTERS: usize = 1000;

#[async_trait]
impl Queue for Aws {
    async fn send(&self, messages: Vec<Message>) -> Result<(), PlatformError> {
        check_messages(&messages)?;
        let mut queues: Vec<(QueueName, Vec<Message>)> = Vec::new();
        for message in messages {
            match queues.iter_mut().find(|(queue, _)| *queue == message.queue) {
                Some((_, others)) => others.push(message),
                None => queues.push((message.queue, vec![message])),
            }
        }
        // A queue that is not there is found before anything is sent to another.
        let queues: Vec<(&str, Vec<Message>)> = queues
            .into_iter()
            .map(|(queue, messages)| Ok((self.inner.names.queue_url(queue.0)?, messages)))
            .collect::<Result<_, PlatformError>>()?;
        for (url, messages) in queues {
            for batch in batches(messages) {
                self.send_batch(url, batch).await?;
            }
        }
        Ok(())
    }
}

/// Cuts messages of one queue into batches that SQS takes.
fn batches(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut batches: Vec<Vec<Message>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        bytes += message.body.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_BATCH && bytes <= MAX_BODY_BYTES => batch.push(message),
            _ => {
                bytes = message.body.len();
                batches.push(vec![message]);
            }
        }
    }
    batches
}

impl Aws {
    /// Sends one batch; entries that SQS did not take are sent again.
    pub(super) async fn send_batch(&self, url: &str, batch: Vec<Message>) -> Result<(), PlatformError> {
        let mut left = Vec::with_capacity(batch.len());
        for (n, message) in batch.into_iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(n.to_string())
                .message_body(message.body)
                .delay_seconds(whole_seconds(message.delay))
                .set_message_group_id(message.group);
            left.push(complete(entry.build())?);
        }
        for attempt in 0.. {
            let output = self
                .inner
                .sqs
                .send_message_batch()
                .queue_url(url)
                .set_entries(Some(left.clone()))
                .send()
                .await
                .map_err(|error| failure(SQS, error))?;
            let Some(first) = output.failed.first() else {
                break;
            };
            if let Some(refusal) = output.failed.iter().find_map(entry_refusal) {
                return Err(refusal);
            }
            if attempt == ATTEMPTS {
                return Err(Busy::error(SQS, output.failed.len(), first.code.as_str()));
            }
            left.retain(|entry| output.failed.iter().any(|failed| failed.id == entry.id));
            self.pause(attempt).await;
        }
        Ok(())
    }

    async fn receive_batch(
        &self,
        url: &str,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<SqsMessage>, PlatformError> {
        let output = self
            .inner
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(max.min(MAX_BATCH)).unwrap_or(1))
            .visibility_timeout(whole_seconds(visibility.min(MAX_VISIBILITY)))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| failure(SQS, error))?;
        Ok(output.messages.unwrap_or_default())
    }

    async fn show_after(
        &self,
        url: &str,
        receipts: Vec<String>,
        delay: Duration,
    ) -> Result<(), PlatformError> {
        let delay = whole_seconds(delay.min(MAX_VISIBILITY));
        for receipts in receipts.chunks(MAX_BATCH) {
            let entries = receipts.iter().enumerate().map(|(n, receipt)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder();
                complete(entry.id(n.to_string()).receipt_handle(receipt).visibility_timeout(delay).build())
            });
            let output = self
                .inner
                .sqs
                .change_message_visibility_batch()
                .queue_url(url)
                .set_entries(Some(entries.collect::<Result<_, _>>()?))
                .send()
                .await
                .map_err(|error| failure(SQS, error))?;
            settled(&output.failed)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Source for Aws {
    /// The queue's own redrive policy decides when a message goes to the dead letters; `max_receives` must say the same.
    async fn receive(
        &self,
        queue: QueueName,
        max: usize,
        visibility: Duration,
        _max_receives: u32,
    ) -> Result<Vec<Received>, PlatformError> {
        let url = self.inner.names.queue_url(queue.0)?;
        let mut received = Vec::new();
        while received.len() < max {
            let messages = self.receive_batch(url, max - received.len(), visibility).await?;
            if messages.is_empty() {
                break;
            }
            received.extend(messages.into_iter().map(as_received));
        }
        Ok(received)
    }

    async fn delete(&self, queue: QueueName, receipts: Vec<String>) -> Result<(), PlatformError> {
        let url = self.inner.names.queue_url(queue.0)?;
        for receipts in receipts.chunks(MAX_BATCH) {
            let entries = receipts.iter().enumerate().map(|(n, receipt)| {
                let entry = DeleteMessageBatchRequestEntry::builder();
                complete(entry.id(n.to_string()).receipt_handle(receipt).build())
            });
            let output = self
                .inner
                .sqs
                .delete_message_batch()
                .queue_url(url)
                .set_entries(Some(entries.collect::<Result<_, _>>()?))
                .send()
                .await
                .map_err(|error| failure(SQS, error))?;
            settled(&output.failed)?;
        }
        Ok(())
    }

    async fn release(
        &self,
        queue: QueueName,
        receipts: Vec<String>,
        delay: Duration,
    ) -> Result<(), PlatformError> {
        self.show_after(self.inner.names.queue_url(queue.0)?, receipts, delay).await
    }

    /// SQS has no order and no way to look without receiving: all are received (a thousand at most), sorted by when they
    /// were sent, and shown again.
    async fn dead_letters(&self, queue: QueueName, max: usize) -> Result<Vec<Received>, PlatformError> {
        let url = self.inner.names.dead_letters_url(queue)?;
        let mut letters = Vec::new();
        while letters.len() < MAX_DEAD_LETTERS {
            let found = self.receive_batch(url, MAX_BATCH, READING).await?;
            if found.is_empty() {
                break;
            }
            letters.extend(found);
        }
        let receipts = letters.iter().filter_map(|letter| letter.receipt_handle.clone()).collect();
        self.show_after(url, receipts, Duration::ZERO).await?;
        letters.sort_by_key(|letter| attribute(letter, &MessageSystemAttributeName::SentTimestamp));
        letters.truncate(max);
        Ok(letters.into_iter().map(as_received).collect())
    }
}

fn as_received(message: SqsMessage) -> Received {
    let receives = attribute(&message, &MessageSystemAttributeName::ApproximateReceiveCount);
    Received {
        receives: receives.and_then(|receives| u32::try_from(receives).ok()).unwrap_or(1),
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
    }
}

fn attribute(message: &SqsMessage, name: &MessageSystemAttributeName) -> Option<u64> {
    message.attributes.as_ref()?.get(name)?.parse().ok()
}

/// SQS counts in whole seconds; what is late does no harm.
fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

fn entry_refusal(entry: &BatchResultErrorEntry) -> Option<PlatformError> {
    let refused = refusal(Some(&entry.code), entry.message.as_deref());
    refused.or_else(|| {
        let message = || format!("{}: {}", entry.code, entry.message.as_deref().unwrap_or_default());
        entry.sender_fault.then(|| PlatformError::Invalid(message()))
    })
}

/// A receipt that no longer counts is the caller's fault in SQS's eyes, and is ignored; anything else is a failure.
fn settled(failed: &[BatchResultErrorEntry]) -> Result<(), PlatformError> {
    match failed.iter().find(|entry| !entry.sender_fault) {
        None => Ok(()),
        Some(entry) => Err(Busy::error(SQS, failed.len(), entry.code.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_ten_messages_and_one_mebibyte() {
        let sizes = |lengths: &[usize]| -> Vec<usize> {
            let message = |length: &usize| Message::new(QueueName("q"), "x".repeat(*length));
            batches(lengths.iter().map(message).collect()).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[1; 25]), [10, 10, 5]);
        assert_eq!(sizes(&[MAX_BODY_BYTES, 1, MAX_BODY_BYTES - 1, 1]), [1, 2, 1]);
        assert_eq!(sizes(&[MAX_BODY_BYTES / 2; 3]), [2, 1]);
        assert!(sizes(&[]).is_empty());
    }

    #[test]
    fn parts_of_seconds_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(2000)), 2);
    }

    #[test]
    fn only_the_services_own_faults_are_tried_again() {
        let entry = |code: &str, sender_fault| {
            BatchResultErrorEntry::builder().id("0").code(code).sender_fault(sender_fault).build().unwrap()
        };
        assert!(entry_refusal(&entry("InternalError", false)).is_none());
        assert!(matches!(
            entry_refusal(&entry("InvalidMessageContents", true)),
            Some(PlatformError::Invalid(_))
        ));
        assert!(settled(&[entry("ReceiptHandleIsInvalid", true)]).is_ok());
        assert!(settled(&[entry("InternalError", false)]).is_err());
    }
}
