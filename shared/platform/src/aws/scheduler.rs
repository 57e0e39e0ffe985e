//! The [`Scheduler`] port on EventBridge Scheduler: a one-time schedule a wake-up, under the wake-up's own name.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_scheduler::operation::create_schedule::CreateScheduleError;
use aws_sdk_scheduler::operation::delete_schedule::DeleteScheduleError;
use aws_sdk_scheduler::operation::update_schedule::UpdateScheduleError;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, Target,
};
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use super::Aws;
use super::failure::{Busy, SCHEDULER, complete, failure};
use super::names::Schedules;
use crate::queue::MAX_DELAY;
use crate::rules::check_wake_up;
use crate::{Message, PlatformError, QueueName, Scheduler, WakeUp};

/// How often is tried to create or update: each fails only where the schedule came or went in between.
const ROUNDS: u32 = 5;
/// Times are in UTC.
const UTC: &str = "UTC";

#[async_trait]
impl Scheduler for Aws {
    /// What is near comes by a delayed message, since schedules keep to the minute only.
    async fn put(&self, wake_up: WakeUp) -> Result<(), PlatformError> {
        check_wake_up(&wake_up)?;
        let schedules = self.inner.names.wake_ups()?;
        let left = wake_up.at.duration_since(self.inner.clock.now());
        let left = Duration::try_from(left).unwrap_or(Duration::ZERO);
        if left >= schedules.near.min(MAX_DELAY) {
            return self.schedule(schedules, wake_up).await;
        }
        // The message first: a wake-up may come twice, but not be lost.
        let message = Message::new(QueueName("wake-up"), wake_up.body).after(left);
        self.send_batch(&schedules.queue_url, vec![message]).await?;
        self.unschedule(schedules, &wake_up.name).await
    }

    /// A wake-up that came so near that it went as a message still arrives.
    async fn delete(&self, name: &str) -> Result<(), PlatformError> {
        self.unschedule(self.inner.names.wake_ups()?, name).await
    }
}

impl Aws {
    async fn schedule(&self, schedules: &Schedules, wake_up: WakeUp) -> Result<(), PlatformError> {
        let expression = expression(wake_up.at)?;
        let target = Target::builder()
            .arn(&schedules.queue_arn)
            .role_arn(&schedules.role_arn)
            .input(wake_up.body)
            .set_dead_letter_config(
                schedules.dead_letter_arn.as_ref().map(|arn| DeadLetterConfig::builder().arn(arn).build()),
            );
        let target = complete(target.build())?;
        let window = complete(FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build())?;
        for attempt in 0..ROUNDS {
            let created = self
                .inner
                .scheduler
                .create_schedule()
                .group_name(&schedules.group)
                .name(&wake_up.name)
                .schedule_expression(&expression)
                .schedule_expression_timezone(UTC)
                .flexible_time_window(window.clone())
                .action_after_completion(ActionAfterCompletion::Delete)
                .target(target.clone())
                .send()
                .await;
            let Err(error) = created else {
                return Ok(());
            };
            if !error.as_service_error().is_some_and(CreateScheduleError::is_conflict_exception) {
                return Err(failure(SCHEDULER, error));
            }
            // Everything again, since an update resets what it is not given.
            let updated = self
                .inner
                .scheduler
                .update_schedule()
                .group_name(&schedules.group)
                .name(&wake_up.name)
                .schedule_expression(&expression)
                .schedule_expression_timezone(UTC)
                .flexible_time_window(window.clone())
                .action_after_completion(ActionAfterCompletion::Delete)
                .target(target.clone())
                .send()
                .await;
            let Err(error) = updated else {
                return Ok(());
            };
            // It has fired in between, or someone else is at it.
            let came_or_went = |error: &UpdateScheduleError| {
                error.is_resource_not_found_exception() || error.is_conflict_exception()
            };
            if !error.as_service_error().is_some_and(came_or_went) {
                return Err(failure(SCHEDULER, error));
            }
            self.pause(attempt).await;
        }
        Err(Busy::error(SCHEDULER, 1, "the schedule kept coming and going"))
    }

    async fn unschedule(&self, schedules: &Schedules, name: &str) -> Result<(), PlatformError> {
        let deleted =
            self.inner.scheduler.delete_schedule().group_name(&schedules.group).name(name).send().await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteScheduleError::is_resource_not_found_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(failure(SCHEDULER, error)),
        }
    }
}

/// The instant in whole seconds, rounded up, since a wake-up comes late rather than early.
fn expression(at: Timestamp) -> Result<String, PlatformError> {
    let up = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
    let at = at.round(up).map_err(|error| PlatformError::Invalid(error.to_string()))?;
    Ok(at.strftime("at(%Y-%m-%dT%H:%M:%S)").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_in_utc_and_rounded_up() {
        let text = |at: &str| expression(at.parse().unwrap()).unwrap();
        assert_eq!(text("2026-11-30T23:59:59Z"), "at(2026-11-30T23:59:59)");
        assert_eq!(text("2026-11-30T23:59:59.001Z"), "at(2026-12-01T00:00:00)");
        assert_eq!(text("2026-03-29T02:30:00+02:00"), "at(2026-03-29T00:30:00)");
    }
}
