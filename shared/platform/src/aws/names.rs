//! What tables and queues are called in the account.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{PlatformError, QueueName, TableName};

/// `ENVOI_TABLE_CONTROL` names the table `control`.
const TABLE: &str = "ENVOI_TABLE_";
/// `ENVOI_QUEUE_WAKE_UP` is the URL of the queue `wake-up`.
const QUEUE: &str = "ENVOI_QUEUE_";
/// The schedule group; where it is set, so must be the other variables of schedules. Where it is not, the sweep starts
/// what is due.
const GROUP: &str = "ENVOI_SCHEDULE_GROUP";
/// The role that EventBridge Scheduler sends with.
const ROLE: &str = "ENVOI_SCHEDULE_ROLE_ARN";
/// The wake-up queue's ARN; its URL is that of the queue `wake-up`.
const TARGET: &str = "ENVOI_SCHEDULE_QUEUE_ARN";
/// Where EventBridge Scheduler leaves what it could not send. May be missing.
const DEAD_LETTERS: &str = "ENVOI_SCHEDULE_DEAD_LETTER_ARN";
/// The queue on which wake-ups arrive, by its logical name.
const WAKE_UP: &str = "wake-up";

/// EventBridge Scheduler keeps to the minute, so that what is nearer than this comes by a delayed message.
const NEAR: Duration = Duration::from_secs(90);

/// The tables, queues and schedules of an account, by the logical names that the ports know them by.
#[derive(Debug, Clone, Default)]
pub struct Names {
    tables: BTreeMap<String, String>,
    queues: BTreeMap<String, String>,
    schedules: Option<Schedules>,
}

/// Where wake-ups are kept and where they arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedules {
    /// The schedule group.
    pub group: String,
    /// The role with which EventBridge Scheduler sends to the queue.
    pub role_arn: String,
    /// The wake-up queue.
    pub queue_arn: String,
    /// The same queue, for what is too near for a schedule.
    pub queue_url: String,
    /// The queue for wake-ups that could not be delivered.
    pub dead_letter_arn: Option<String>,
    /// What is nearer than this comes by a delayed message, which can be neither replaced nor deleted. EventBridge
    /// Scheduler keeps to the minute, hence 90 seconds; a queue holds a message back for 15 minutes at most.
    pub near: Duration,
}

impl Names {
    /// Names a table.
    #[must_use]
    pub fn table(mut self, table: TableName, name: impl Into<String>) -> Self {
        self.tables.insert(table.0.to_owned(), name.into());
        self
    }

    /// Gives a queue's URL. Its dead letters' is that of the queue `{name}-dlq`.
    #[must_use]
    pub fn queue(mut self, queue: &str, url: impl Into<String>) -> Self {
        self.queues.insert(queue.to_owned(), url.into());
        self
    }

    /// Says where wake-ups are kept.
    #[must_use]
    pub fn schedules(mut self, schedules: Schedules) -> Self {
        self.schedules = Some(schedules);
        self
    }

    /// Reads the names from environment variables: `ENVOI_TABLE_<NAME>` is a table's name, `ENVOI_QUEUE_<NAME>` a
    /// queue's URL, where `<NAME>` is the logical name in capitals with `_` for `-`. A function needs only those that it
    /// uses. Wake-ups want `ENVOI_SCHEDULE_GROUP`, `ENVOI_SCHEDULE_ROLE_ARN`, `ENVOI_SCHEDULE_QUEUE_ARN` and
    /// `ENVOI_QUEUE_WAKE_UP`, and take `ENVOI_SCHEDULE_DEAD_LETTER_ARN`.
    ///
    /// # Errors
    /// [`PlatformError::Invalid`] names a variable that is missing.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, PlatformError> {
        let mut names = Self::default();
        let mut schedule = BTreeMap::new();
        for (name, value) in vars {
            // A template can't leave a variable out, only empty.
            if value.is_empty() {
                continue;
            }
            if let Some(table) = name.strip_prefix(TABLE) {
                names.tables.insert(logical(table), value);
            } else if let Some(queue) = name.strip_prefix(QUEUE) {
                names.queues.insert(logical(queue), value);
            } else if name.starts_with("ENVOI_SCHEDULE_") {
                schedule.insert(name, value);
            }
        }
        if let Some(group) = schedule.remove(GROUP) {
            let mut required = |name: &str| schedule.remove(name).ok_or_else(|| missing(name));
            names.schedules = Some(Schedules {
                group,
                role_arn: required(ROLE)?,
                queue_arn: required(TARGET)?,
                queue_url: names.queue_url(WAKE_UP)?.to_owned(),
                dead_letter_arn: schedule.remove(DEAD_LETTERS),
                near: NEAR,
            });
        }
        Ok(names)
    }

    /// What the table is called.
    pub(super) fn table_name(&self, table: TableName) -> Result<&str, PlatformError> {
        self.tables.get(table.0).map(String::as_str).ok_or_else(|| missing(&variable(TABLE, table.0)))
    }

    /// Where the queue is.
    pub(super) fn queue_url(&self, queue: &str) -> Result<&str, PlatformError> {
        self.queues.get(queue).map(String::as_str).ok_or_else(|| missing(&variable(QUEUE, queue)))
    }

    /// Where the dead letters of the queue are.
    pub(super) fn dead_letters_url(&self, queue: QueueName) -> Result<&str, PlatformError> {
        self.queue_url(&format!("{}-dlq", queue.0))
    }

    /// Whether wake-ups are kept anywhere.
    pub(super) const fn has_schedules(&self) -> bool {
        self.schedules.is_some()
    }

    /// Where wake-ups are kept.
    #[cfg(any(feature = "schedules", test))]
    pub(super) fn wake_ups(&self) -> Result<&Schedules, PlatformError> {
        self.schedules.as_ref().ok_or_else(|| missing(GROUP))
    }
}

fn logical(variable: &str) -> String {
    variable.to_ascii_lowercase().replace('_', "-")
}

fn variable(prefix: &str, logical: &str) -> String {
    format!("{prefix}{}", logical.to_ascii_uppercase().replace('-', "_"))
}

fn missing(name: &str) -> PlatformError {
    PlatformError::Invalid(format!("the variable {name} is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(vars: &[(&str, &str)]) -> Vec<(String, String)> {
        vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const COMPLETE: [(&str, &str); 6] = [
        ("ENVOI_TABLE_CONTROL", "prod-control"),
        ("ENVOI_QUEUE_WAKE_UP", "https://sqs/1/prod-wake-up"),
        ("ENVOI_SCHEDULE_GROUP", "prod"),
        ("ENVOI_SCHEDULE_ROLE_ARN", "arn:role"),
        ("ENVOI_SCHEDULE_QUEUE_ARN", "arn:queue"),
        ("ENVOI_SCHEDULE_DEAD_LETTER_ARN", ""),
    ];

    #[test]
    fn logical_names_are_variables_in_capitals() {
        let names = Names::from_vars(vars(&COMPLETE)).unwrap();
        assert_eq!(names.table_name(TableName("control")).unwrap(), "prod-control");
        assert_eq!(names.queue_url("wake-up").unwrap(), "https://sqs/1/prod-wake-up");
        let schedules = names.wake_ups().unwrap();
        assert_eq!(schedules.queue_url, "https://sqs/1/prod-wake-up");
        assert_eq!((schedules.dead_letter_arn.as_deref(), schedules.near), (None, Duration::from_secs(90)));
    }

    #[test]
    fn what_is_missing_is_named_by_its_variable() {
        let names = Names::from_vars(vars(&COMPLETE[..2])).unwrap();
        let message = |error: PlatformError| error.to_string();
        assert!(message(names.table_name(TableName("ledger")).unwrap_err()).contains("ENVOI_TABLE_LEDGER"));
        assert!(message(names.queue_url("fan-out").unwrap_err()).contains("ENVOI_QUEUE_FAN_OUT"));
        assert!(message(names.wake_ups().unwrap_err()).contains("ENVOI_SCHEDULE_GROUP"));
        let incomplete = Names::from_vars(vars(&COMPLETE[..4])).unwrap_err();
        assert!(message(incomplete).contains("ENVOI_SCHEDULE_QUEUE_ARN"));
    }
}
