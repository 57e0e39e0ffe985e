//! What the calls answer, in the contract's words.

use campaign::{CallScheduleId, CampaignId, Code, ExecutionId, Outcome, SegmentId};
use jiff::Timestamp;
use serde::Serialize;
use store::calls::{CallSchedule, CallState};
use store::ledger::{Audience, Head, State, Tally};
use utoipa::ToSchema;

use super::body::AudienceRef;
use crate::executions::out::{CountsOut, total};
use crate::schema;

/// An execution that was asked for. The same request gets the same answer, however often it is made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
// Another has the name in the document already.
#[schema(as = CallOut)]
pub(crate) struct ExecutionOut {
    #[schema(value_type = schema::Id)]
    execution_id: ExecutionId,
    /// What the caller calls the request.
    request_id: String,
    #[schema(value_type = schema::Instant)]
    created_at: Timestamp,
    /// The name of the API key.
    created_by: String,
    #[schema(value_type = schema::Instant)]
    modified_at: Timestamp,
    modified_by: String,
}

impl ExecutionOut {
    pub(super) fn of(head: &Head) -> Self {
        let (request_id, by) = head
            .request
            .as_ref()
            .map(|request| (request.id.clone(), request.by.name.clone()))
            .unwrap_or_default();
        Self {
            execution_id: head.id,
            request_id,
            created_at: head.started_at,
            created_by: by.clone(),
            modified_at: head.started_at,
            modified_by: by,
        }
    }
}

/// What became of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) enum ExecutionStatus {
    /// Everybody is dealt with.
    Succeeded,
    /// Somebody is not dealt with yet.
    InProgress,
    /// It was stopped, never ran, or surely reached nobody of those it was for because of failures.
    Failed,
}

impl ExecutionStatus {
    fn of(state: State, tally: &Tally) -> Self {
        let count = |outcome| tally.actions.iter().map(|action| action.counts.outcome(outcome)).sum::<u64>();
        // A call ends of itself, even where the campaign's stop has kept it from everybody.
        let stopped: u64 = tally.actions.iter().map(|action| action.counts.code(Code::Stopped)).sum();
        match state {
            State::Running | State::Paused | State::Stopping => Self::InProgress,
            State::Stopped | State::Missed => Self::Failed,
            // Who is in doubt may have got it.
            State::Completed if count(Outcome::Sent) + count(Outcome::Unknown) > 0 => Self::Succeeded,
            State::Completed if count(Outcome::Failed) + stopped > 0 => Self::Failed,
            State::Completed => Self::Succeeded,
        }
    }
}

/// How an execution stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusOut {
    /// `null` where a planned one never ran.
    #[schema(value_type = schema::Id, nullable)]
    execution_id: Option<ExecutionId>,
    status: ExecutionStatus,
    #[schema(value_type = schema::Instant)]
    created_at: Timestamp,
    #[schema(value_type = schema::Id)]
    campaign_id: CampaignId,
    /// The segment it went to; `null` where it named its recipients.
    #[schema(value_type = schema::Id, nullable)]
    audience_id: Option<SegmentId>,
    targeted_profile_count: u64,
    /// What became of them, all actions together; `null` where it never ran.
    #[schema(required)]
    counts: Option<CountsOut>,
    /// Why it failed as a whole; `null` where it did not.
    #[schema(required)]
    reason: Option<String>,
}

impl StatusOut {
    pub(super) fn of(head: &Head, tally: &Tally) -> Self {
        let counts = total(&tally.counts());
        let audience_id = match &head.audience {
            Audience::Rule { segment, .. } | Audience::List { segment, .. } => Some(*segment),
            Audience::Call { .. } => None,
        };
        // Each action has the same recipients.
        let targeted = tally.actions.first().map_or(0, |action| action.counts.targeted);
        Self {
            execution_id: Some(head.id),
            status: ExecutionStatus::of(head.state, tally),
            created_at: head.started_at,
            campaign_id: head.campaign,
            audience_id,
            targeted_profile_count: targeted,
            counts: Some(counts),
            reason: None,
        }
    }

    /// That of a planned one which never ran.
    fn never(schedule: &CallSchedule) -> Self {
        Self {
            execution_id: None,
            status: ExecutionStatus::Failed,
            created_at: schedule.execute_at,
            campaign_id: schedule.call.campaign,
            audience_id: schedule.call.segment,
            targeted_profile_count: 0,
            counts: None,
            reason: schedule.why.clone(),
        }
    }
}

/// Whether a planned execution has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) enum ScheduleStatus {
    /// Its time is to come.
    Scheduled,
    /// Its time has come.
    Triggered,
}

/// A planned execution.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScheduleOut {
    #[schema(value_type = schema::Id)]
    schedule_id: CallScheduleId,
    /// What the caller calls the request.
    request_id: String,
    schedule_status: ScheduleStatus,
    #[schema(nullable)]
    audience: Option<AudienceRef>,
    #[schema(value_type = schema::Id)]
    campaign_id: CampaignId,
    #[schema(value_type = schema::Instant)]
    execute_at: Timestamp,
    /// How its execution stands, once its time has come.
    #[schema(nullable)]
    execution_details: Option<StatusOut>,
}

impl ScheduleOut {
    /// The schedule; `run` is its execution, where it has one.
    pub(super) fn of(schedule: &CallSchedule, run: Option<StatusOut>) -> Self {
        let (status, details) = match schedule.state {
            CallState::Scheduled => (ScheduleStatus::Scheduled, None),
            CallState::Triggered => {
                (ScheduleStatus::Triggered, Some(run.unwrap_or_else(|| StatusOut::never(schedule))))
            }
        };
        Self {
            schedule_id: schedule.id,
            request_id: schedule.call.request.id.clone(),
            schedule_status: status,
            audience: schedule.call.segment.map(|id| AudienceRef { id }),
            campaign_id: schedule.call.campaign,
            execute_at: schedule.execute_at,
            execution_details: details,
        }
    }
}

#[cfg(test)]
mod tests {
    use campaign::report::Counts;
    use store::ledger::ActionCounts;

    use super::*;

    #[test]
    fn an_execution_has_failed_where_it_surely_reached_nobody() {
        let status = |codes: &[(Code, u64)]| {
            let targeted = codes.iter().map(|(_, count)| count).sum();
            let counts = Counts::new(targeted, codes.iter().copied());
            let tally =
                Tally { actions: vec![ActionCounts { counts, written: 1, closed: 1 }], ..Tally::default() };
            ExecutionStatus::of(State::Completed, &tally)
        };
        let (failed, doubt) = ((Code::BadAddress, 1), (Code::Unknown, 19));
        assert_eq!(status(&[failed]), ExecutionStatus::Failed);
        assert_eq!(status(&[(Code::Stopped, 3)]), ExecutionStatus::Failed);
        assert_eq!(status(&[failed, (Code::Sent, 1)]), ExecutionStatus::Succeeded);
        // Most of them may have got it.
        assert_eq!(status(&[failed, doubt]), ExecutionStatus::Succeeded);
        assert_eq!(status(&[(Code::NoConsent, 1)]), ExecutionStatus::Succeeded);
    }
}
