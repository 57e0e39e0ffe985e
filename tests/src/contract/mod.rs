//! What every engine of the ports must do. Each check is a function over an [`Engine`] whose tables and queues are
//! empty, and panics where the engine breaks the contract; [`for_each_check`](crate::for_each_check) lists them all, so
//! that a test can be made of each.

pub mod aws;
pub mod batches;
pub mod blobs;
pub mod commits;
pub mod concurrency;
pub mod conditions;
pub mod due;
pub mod embedded;
pub mod expiry;
pub mod limits;
pub mod queries;
pub mod queues;
pub mod scans;
pub mod transactions;
pub mod updates;
pub mod wake_ups;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use platform::{
    Blob, Consistency, Item, Key, Message, PlatformError, Queue, QueueName, Scheduler, Source, Table,
    TableName, TransactError, Write,
};

/// A table of the checks.
pub const A: TableName = TableName("contract-a");
/// Another table of the checks.
pub const B: TableName = TableName("contract-b");
/// A queue of the checks.
pub const WORK: QueueName = QueueName("contract-work");
/// Another queue of the checks.
pub const OTHER: QueueName = QueueName("contract-other");
/// The queue on which wake-ups arrive.
pub const WAKE_UPS: QueueName = QueueName("contract-wake-ups");

/// After how many receives a message of the checks' queues becomes a dead letter. On SQS that is the queue's own affair,
/// so that every receive must say the same.
pub const MAX_RECEIVES: u32 = 3;

/// Fresh ports of one engine, and its time.
#[async_trait]
pub trait Engine: Send + Sync {
    /// The table port; [`A`] and [`B`] are empty.
    fn table(&self) -> Arc<dyn Table>;
    /// The queue port; [`WORK`], [`OTHER`] and [`WAKE_UPS`] are empty.
    fn queue(&self) -> Arc<dyn Queue>;
    /// The consuming side of the same queues.
    fn source(&self) -> Arc<dyn Source>;
    /// The scheduler, whose wake-ups arrive on [`WAKE_UPS`].
    fn scheduler(&self) -> Arc<dyn Scheduler>;
    /// The blob port; there are no blobs.
    async fn blob(&self) -> Arc<dyn Blob>;
    /// How far off a wake-up must at least be so that it can still be replaced or deleted. On AWS a nearer one is a message
    /// on its way.
    fn far(&self) -> Duration {
        Duration::from_secs(100)
    }
    /// The engine's time.
    fn now(&self) -> Timestamp;
    /// Lets `by` pass, and a little more where time can't be set. Wake-ups that come due meanwhile arrive.
    async fn advance(&self, by: Duration);
}

/// Names every check to the macro `$each`, as `module: [check, check...], ...`.
#[macro_export]
macro_rules! for_each_check {
    ($each:ident) => {
        $each! {
            conditions: [
                exists_and_not_exists, equals_compares_value_and_kind, differs_holds_of_what_is_absent,
                below_and_above_want_a_number, has_and_lacks, all_and_any_nest, they_see_one_item_only,
            ],
            updates: [
                an_absent_item_is_created, the_new_item_is_returned, a_refused_update_returns_the_old_item,
                a_refused_update_of_an_absent_item_returns_none, set_remove_and_add, add_counts_absent_as_zero,
                adding_to_text_is_invalid, one_attribute_can_not_change_twice, due_and_expiry_are_set_and_removed,
                an_update_without_changes_makes_the_item,
            ],
            transactions: [
                all_writes_are_applied_over_tables, nothing_is_applied_where_one_condition_fails,
                every_failing_condition_is_named, a_check_writes_nothing, a_check_without_condition_is_invalid,
                two_writes_of_one_item_are_invalid, the_same_key_in_two_tables_is_two_items, a_hundred_writes_pass,
                a_hundred_and_one_are_too_many, an_impossible_update_fails_the_whole, nothing_is_a_transaction_too,
                put_replaces_the_item_whole, deleting_what_is_absent_is_fine,
                one_write_alone_keeps_its_condition,
            ],
            queries: [
                ascending_pages_give_all_in_order, descending_pages_give_all_in_order, a_prefix_selects,
                a_prefix_selects_descending_over_pages, between_includes_both_ends, between_goes_on_after_a_cursor,
                ranges_without_keys_are_empty, a_cursor_outside_the_range_is_its_beginning_or_its_end,
                partitions_are_apart, the_order_is_that_of_utf8_bytes, a_page_that_ends_at_the_last_item_has_no_next,
                editing_the_rows_neither_skips_nor_repeats, removing_the_row_of_the_cursor_does_no_harm,
                a_limit_of_zero_is_invalid, large_items_come_in_several_pages,
            ],
            scans: [
                one_bucket_is_everything, three_buckets_are_everything_once, sixteen_buckets_are_everything_once,
                edits_during_a_walk_neither_skip_nor_repeat, a_partition_stays_in_one_bucket,
                a_bucket_that_is_not_there_is_invalid, a_foreign_cursor_is_invalid,
                a_cursor_of_another_bucket_is_invalid, an_empty_table_has_no_pages,
                large_partitions_are_walked_in_pages,
            ],
            limits: [
                an_item_of_400_kib_fits, a_larger_item_is_named_too_large, growing_beyond_the_limit_is_refused,
                empty_keys_are_invalid, long_keys_are_too_large, unicode_keys_and_names_come_back,
                binary_and_extreme_values_come_back, keys_differ_by_where_they_are_split,
                attributes_may_be_called_like_fields,
            ],
            expiry: [
                an_expired_item_is_absent_from_every_read, an_expired_item_is_absent_in_conditions,
                an_update_starts_an_expired_item_anew, a_transaction_starts_an_expired_item_anew,
                a_moved_expiry_keeps_the_item,
            ],
            due: [
                the_earliest_comes_first, only_what_is_due_comes, buckets_are_apart, an_update_moves_it,
                removing_due_or_the_item_removes_it, a_put_without_due_removes_it, the_limit_holds,
                a_bucket_out_of_range_is_invalid,
            ],
            batches: [
                batch_get_reads_what_is_there, batch_get_reads_doubled_keys_once, batch_get_takes_a_hundred_keys,
                batch_put_takes_any_number, batch_put_replaces,
                batch_put_puts_the_last_of_a_key, a_batch_with_an_impossible_item_is_refused,
                the_estimate_is_near,
            ],
            commits: [
                writes_and_messages_arrive_together, a_failing_condition_sends_nothing, a_large_message_writes_nothing,
                messages_alone_are_sent, writes_alone_are_written, delays_hold,
            ],
            queues: [
                what_is_sent_is_received, receive_takes_no_more_than_asked, queues_are_apart,
                a_delayed_message_comes_later, a_received_message_is_hidden_for_its_visibility,
                receives_are_counted_and_the_id_stays, a_deleted_message_is_gone, a_stale_receipt_is_ignored,
                a_receipt_outlives_its_visibility, exhausted_messages_become_dead_letters,
                dead_letters_come_oldest_first, a_released_message_comes_back_at_once,
                a_released_message_comes_back_after_its_delay, a_release_can_prolong,
                a_batch_may_be_deleted_in_part, a_body_of_one_mebibyte_fits, a_larger_body_sends_nothing,
                a_longer_delay_sends_nothing, bodies_come_back_as_sent, messages_of_groups_are_received, nothing_to_send_is_fine,
            ],
            wake_ups: [
                it_arrives_once_its_instant_has_come, it_fires_once, another_of_the_name_replaces_it, a_nearer_one_replaces_it,
                a_deleted_one_never_fires, deleting_what_is_absent_is_fine, one_in_the_past_fires_at_once,
                bad_names_are_invalid,
            ],
            blobs: [
                a_client_brings_one, a_signed_url_is_for_its_own_blob_and_kind, a_client_fetches_one, ranges_are_read,
                an_empty_one_is_there, another_in_its_place_is_told_apart, a_large_one_is_written_bit_by_bit,
                one_that_is_not_finished_was_never_there, a_deleted_one_is_gone_and_others_stay,
            ],
            concurrency: [
                a_hundred_conditional_increments_lose_none, a_hundred_additions_lose_none,
                one_of_fifty_conditional_puts_wins, transactions_over_two_items_never_tear,
                messages_are_received_by_one_consumer_each,
            ],
        }
    };
}

/// A check on its way.
pub type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A check by its name.
pub struct Check {
    /// `module::function`.
    pub name: &'static str,
    /// Runs it on a fresh engine; it panics where the contract is broken.
    pub run: for<'a> fn(&'a dyn Engine) -> Running<'a>,
}

macro_rules! list {
    ($($module:ident: [$($check:ident),* $(,)?]),* $(,)?) => {
        /// Every check.
        pub const CHECKS: &[Check] = &[$($(Check {
            name: concat!(stringify!($module), "::", stringify!($check)),
            run: |engine| Box::pin($module::$check(engine)),
        }),*),*];
    };
}
for_each_check!(list);

/// Runs every check, each on an engine of its own, and says which it is at.
pub async fn run_all<E: Engine, F: Future<Output = E>>(fresh: impl Fn() -> F) {
    for check in CHECKS {
        println!("{}", check.name);
        (check.run)(&fresh().await).await;
    }
}

/// Puts an item without a condition.
async fn put(engine: &dyn Engine, table: TableName, item: Item) {
    engine.table().transact(vec![Write::put(table, item)]).await.expect("an unconditional put");
}

/// Reads an item, strongly consistent.
async fn get(engine: &dyn Engine, table: TableName, key: &Key) -> Option<Item> {
    engine.table().get(table, key, Consistency::Strong).await.expect("a get")
}

/// An item with the number `n` as its attribute `n`.
fn numbered(pk: &str, sk: &str, n: i64) -> Item {
    Item::new(Key::new(pk, sk)).with("n", n)
}

/// Receives up to ten messages of a queue for half a minute.
async fn receive(engine: &dyn Engine, queue: QueueName) -> Vec<platform::Received> {
    engine.source().receive(queue, 10, Duration::from_secs(30), MAX_RECEIVES).await.expect("a receive")
}

/// Sends one message.
async fn send(engine: &dyn Engine, queue: QueueName, body: &str) {
    engine.queue().send(vec![Message::new(queue, body.to_owned())]).await.expect("a send");
}

/// The bodies, sorted.
fn bodies(received: &[platform::Received]) -> Vec<&str> {
    let mut bodies: Vec<&str> = received.iter().map(|message| message.body.as_str()).collect();
    bodies.sort_unstable();
    bodies
}

/// The positions of the conditions that failed.
#[track_caller]
fn failing(outcome: Result<(), TransactError>) -> Vec<usize> {
    match outcome {
        Err(TransactError::ConditionFailed(positions)) => positions,
        other => panic!("expected failing conditions, got {other:?}"),
    }
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "it takes a call's outcome as the call returns it")]
fn assert_invalid<T: std::fmt::Debug>(outcome: Result<T, PlatformError>) {
    assert!(matches!(outcome, Err(PlatformError::Invalid(_))), "expected Invalid, got {outcome:?}");
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "it takes a call's outcome as the call returns it")]
fn assert_too_large<T: std::fmt::Debug>(outcome: Result<T, PlatformError>) {
    assert!(matches!(outcome, Err(PlatformError::TooLarge { .. })), "expected TooLarge, got {outcome:?}");
}

/// The engine's error of a transaction.
#[track_caller]
fn engine_error(outcome: Result<(), TransactError>) -> Result<(), PlatformError> {
    match outcome {
        Err(TransactError::Engine(error)) => Err(error),
        Ok(()) => Ok(()),
        Err(other) => panic!("expected an engine's error, got {other:?}"),
    }
}
