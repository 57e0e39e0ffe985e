//! Transactions, and what they come down to where there is only one write.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};

use super::expression::{self, Placeholders};
use super::failure::{Busy, DYNAMODB, complete, failure, refusal};
use super::item::{self, is_expired};
use super::table::{Sent, anew};
use super::{ATTEMPTS, Aws};
use crate::rules::change::holds;
use crate::{Change, Condition, Consistency, PlatformError, Table, TransactError, Updated, Write, WriteKind};

/// How an update is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As an update of an item that is not expired.
    Update,
    /// As a put in the place of an expired one.
    Put,
}

/// What a cancelled transaction comes to.
enum Verdict {
    /// These conditions did not hold.
    Refused(Vec<usize>),
    /// Other forms of its updates may pass.
    Again,
    /// Another transaction, or the load, was in the way.
    Busy(String),
}

impl Aws {
    /// One write needs no transaction, which costs twice as much, except for its token: an addition must not be repeated.
    pub(super) async fn write_alone(&self, write: &Write) -> Result<(), TransactError> {
        let condition = write.condition.as_ref();
        let table = self.inner.names.table_name(write.table)?;
        match &write.kind {
            WriteKind::Update(_, changes)
                if changes.iter().any(|change| matches!(change, Change::Add(..))) =>
            {
                return self.write_together(std::slice::from_ref(write)).await;
            }
            WriteKind::Update(key, changes) => {
                let updated = self.update(write.table, key, condition.cloned(), changes.clone()).await?;
                return match updated {
                    Updated::New(_) => Ok(()),
                    Updated::Refused(_) => Err(TransactError::ConditionFailed(vec![0])),
                };
            }
            WriteKind::Check(key) => {
                let item = self.get(write.table, key, Consistency::Strong).await?;
                let held = condition.is_none_or(|condition| holds(condition, item.as_ref()));
                return if held { Ok(()) } else { Err(TransactError::ConditionFailed(vec![0])) };
            }
            WriteKind::Put(_) | WriteKind::Delete(_) => {}
        }
        for attempt in 0..ATTEMPTS {
            let condition = self.condition(condition);
            let sent = match &write.kind {
                WriteKind::Put(item) => self.send_put(table, item.clone(), condition).await?,
                _ => self.send_delete(table, write.key(), condition).await?,
            };
            match sent {
                Sent::Applied(_) => return Ok(()),
                Sent::Refused(_) => return Err(TransactError::ConditionFailed(vec![0])),
                Sent::Conflict => self.pause(attempt).await,
            }
        }
        Err(Busy::error(DYNAMODB, 1, "transactions kept the item").into())
    }

    fn condition(&self, condition: Option<&Condition>) -> Option<(String, Placeholders)> {
        let condition = condition?;
        let mut with = Placeholders::default();
        let text = expression::condition(condition, self.now_seconds(), &mut with);
        Some((text, with))
    }

    pub(super) async fn write_together(&self, writes: &[Write]) -> Result<(), TransactError> {
        let mut forms = vec![Form::Update; writes.len()];
        let mut reason = "its items kept changing".to_owned();
        for attempt in 0..ATTEMPTS {
            let now = self.now_seconds();
            let mut items = Vec::with_capacity(writes.len());
            for (write, form) in writes.iter().zip(&forms) {
                items.push(self.transact_item(write, *form, now)?);
            }
            let Err(error) = self.send_transaction(items).await? else {
                return Ok(());
            };
            let reasons = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    cancelled.cancellation_reasons()
                }
                _ => return Err(failure(DYNAMODB, error).into()),
            };
            match judge(reasons, writes, &mut forms, now)? {
                Verdict::Refused(positions) => return Err(TransactError::ConditionFailed(positions)),
                Verdict::Again => {}
                Verdict::Busy(code) => reason = code,
            }
            self.pause(attempt).await;
        }
        Err(Busy::error(DYNAMODB, writes.len(), reason).into())
    }

    /// Sends a transaction under a token, so that it is applied once however often the SDK repeats it. The inner error is
    /// for the caller to judge.
    async fn send_transaction(
        &self,
        items: Vec<TransactWriteItem>,
    ) -> Result<Result<(), SdkError<TransactWriteItemsError>>, PlatformError> {
        let request = self
            .inner
            .dynamodb
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(token()?);
        for attempt in 0..ATTEMPTS {
            match request.clone().send().await {
                Ok(_) => return Ok(Ok(())),
                // A first try whose answer was lost is still at work; the token finds out what became of it.
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(TransactWriteItemsError::is_transaction_in_progress_exception) =>
                {
                    self.pause(attempt).await;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Err(Busy::error(DYNAMODB, 1, "the transaction's first try has not ended"))
    }

    fn transact_item(&self, write: &Write, form: Form, now: i64) -> Result<TransactWriteItem, PlatformError> {
        let table = self.inner.names.table_name(write.table)?;
        let mut with = Placeholders::default();
        let mut condition =
            || write.condition.as_ref().map(|condition| expression::condition(condition, now, &mut with));
        let builder = TransactWriteItem::builder();
        let item = match &write.kind {
            WriteKind::Put(item) => {
                let condition = condition();
                let put = Put::builder()
                    .table_name(table)
                    .set_item(Some(item::encode(item.clone())))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(with.names())
                    .set_expression_attribute_values(with.values());
                builder.put(complete(put.build())?)
            }
            WriteKind::Update(key, changes) if form == Form::Put => {
                let nothing = expression::nothing_there(now, &mut with);
                let put = Put::builder()
                    .table_name(table)
                    .set_item(Some(item::encode(anew(key, changes)?)))
                    .condition_expression(nothing)
                    .set_expression_attribute_names(with.names())
                    .set_expression_attribute_values(with.values());
                builder.put(complete(put.build())?)
            }
            WriteKind::Update(key, changes) => {
                let condition = expression::update_condition(write.condition.as_ref(), now, &mut with);
                // An update of nothing still makes the item, but here DynamoDB wants an expression.
                let changes = expression::changes(changes, &mut with)
                    .unwrap_or_else(|| format!("REMOVE {}", with.field(item::NOTHING)));
                let update = Update::builder()
                    .table_name(table)
                    .set_key(Some(item::key(key)))
                    .condition_expression(condition)
                    .update_expression(changes)
                    .set_expression_attribute_names(with.names())
                    .set_expression_attribute_values(with.values())
                    .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
                builder.update(complete(update.build())?)
            }
            WriteKind::Delete(key) => {
                let condition = condition();
                let delete = Delete::builder()
                    .table_name(table)
                    .set_key(Some(item::key(key)))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(with.names())
                    .set_expression_attribute_values(with.values());
                builder.delete(complete(delete.build())?)
            }
            WriteKind::Check(key) => {
                let condition = condition();
                let check = ConditionCheck::builder()
                    .table_name(table)
                    .set_key(Some(item::key(key)))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(with.names())
                    .set_expression_attribute_values(with.values());
                builder.condition_check(complete(check.build())?)
            }
        };
        Ok(item.build())
    }
}

/// Reads why a transaction was cancelled. What is impossible comes first, as it will stay so; then the conditions that
/// truly did not hold.
fn judge(
    reasons: &[CancellationReason],
    writes: &[Write],
    forms: &mut [Form],
    now: i64,
) -> Result<Verdict, PlatformError> {
    let mut failing = Vec::new();
    let mut again = false;
    let mut busy = None;
    for (position, ((reason, write), form)) in reasons.iter().zip(writes).zip(forms).enumerate() {
        match reason.code() {
            None | Some("None") => {}
            Some("ConditionalCheckFailed") => match *form {
                // Someone else has put an item there meanwhile.
                Form::Put => {
                    *form = Form::Update;
                    again = true;
                }
                Form::Update if starts_anew(reason, write, now)? => {
                    *form = Form::Put;
                    again = true;
                }
                Form::Update => failing.push(position),
            },
            code => match refusal(code, reason.message()) {
                Some(refusal) => return Err(refusal),
                None => busy = code.map(str::to_owned),
            },
        }
    }
    if !failing.is_empty() {
        return Ok(Verdict::Refused(failing));
    }
    match busy {
        None if again => Ok(Verdict::Again),
        busy => Ok(Verdict::Busy(busy.unwrap_or_else(|| "no reason was given".to_owned()))),
    }
}

/// Whether an update was refused for no other reason than that the item is expired, and may take its place.
fn starts_anew(reason: &CancellationReason, write: &Write, now: i64) -> Result<bool, PlatformError> {
    let (WriteKind::Update(..), Some(old)) = (&write.kind, &reason.item) else {
        return Ok(false);
    };
    let expired = is_expired(&item::decode(old.clone())?, now);
    Ok(expired && write.condition.as_ref().is_none_or(|condition| holds(condition, None)))
}

/// A token that no other transaction has.
fn token() -> Result<String, PlatformError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| PlatformError::Unavailable {
        what: "the system's randomness",
        source: Box::new(error),
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Item, Key, TableName};

    const TABLE: TableName = TableName("t");

    fn reason(code: &str, item: Option<Item>) -> CancellationReason {
        CancellationReason::builder().code(code).set_item(item.map(item::encode)).build()
    }

    fn update() -> Write {
        Write::update(TABLE, Key::new("p", "s"), vec![Change::set("a", 1)])
    }

    fn expired() -> Item {
        let mut item = Item::new(Key::new("p", "s")).with("old", 1);
        item.expires = Some(10);
        item
    }

    #[test]
    fn an_update_of_an_expired_item_becomes_a_put_and_back() {
        let writes = [update(), Write::check(TABLE, Key::new("q", "s"), Condition::Exists)];
        let mut forms = [Form::Update; 2];
        let reasons = [reason("ConditionalCheckFailed", Some(expired())), reason("None", None)];
        assert!(matches!(judge(&reasons, &writes, &mut forms, 10).unwrap(), Verdict::Again));
        assert!(forms[0] == Form::Put && forms[1] == Form::Update);
        let revived = [reason("ConditionalCheckFailed", None), reason("None", None)];
        assert!(matches!(judge(&revived, &writes, &mut forms, 10).unwrap(), Verdict::Again));
        assert!(forms[0] == Form::Update);
    }

    #[test]
    fn a_condition_that_does_not_hold_of_an_absent_item_is_refused_of_an_expired_one() {
        let writes = [update().when(Condition::equals("old", 1)), update()];
        let reasons = [
            reason("ConditionalCheckFailed", Some(expired())),
            reason("ConditionalCheckFailed", Some(expired())),
        ];
        let verdict = judge(&reasons, &writes, &mut [Form::Update; 2], 10).unwrap();
        assert!(matches!(verdict, Verdict::Refused(positions) if positions == [0]));
    }

    #[test]
    fn conflicts_are_waited_out_and_the_impossible_is_named() {
        let writes = [update(), update()];
        let busy = [reason("TransactionConflict", None), reason("None", None)];
        let verdict = judge(&busy, &writes, &mut [Form::Update; 2], 10).unwrap();
        assert!(matches!(verdict, Verdict::Busy(code) if code == "TransactionConflict"));
        let impossible = [reason("ConditionalCheckFailed", None), reason("ValidationError", None)];
        let error = judge(&impossible, &writes, &mut [Form::Update; 2], 10).err();
        assert!(matches!(error, Some(PlatformError::Invalid(_))), "{error:?}");
    }
}
