//! Jobs as they go out.

use std::collections::BTreeMap;

use campaign::{JobId, SegmentId};
use jiff::Timestamp;
use serde::Serialize;
use store::import::ImportCounts;
use store::jobs::{Job, JobState, Task};
use utoipa::ToSchema;

use super::errors_of;
use crate::schema;
use crate::segments::CountOut;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobKind {
    ImportProfiles,
    ImportMembers,
    CountSegment,
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobOut {
    #[schema(value_type = schema::Id)]
    id: JobId,
    kind: JobKind,
    /// `awaiting_upload` until the import is started, then `queued` and `running` until it is `completed` or `failed`.
    #[schema(value_type = schema::JobState)]
    state: JobState,
    /// The list that is imported to, or the segment that is counted.
    #[schema(value_type = schema::Id, nullable)]
    segment_id: Option<SegmentId>,
    #[schema(value_type = schema::Instant)]
    created_at: Timestamp,
    #[schema(value_type = schema::Instant, nullable)]
    started_at: Option<Timestamp>,
    #[schema(value_type = schema::Instant, nullable)]
    ended_at: Option<Timestamp>,
    progress: Progress,
    /// The counts: so far, and once it is completed, of the whole.
    result: JobResult,
    /// Where all rows that were left out are listed, once the job is over and where there are any.
    #[schema(required)]
    errors_url: Option<String>,
    /// Why it failed. What was done before stays done.
    #[schema(required)]
    failure: Option<FailureOut>,
}

/// How far a job is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    /// How much is done.
    done: u64,
    /// How much there is to do, where that is known; of profiles it is an estimate.
    #[schema(required)]
    total: Option<u64>,
    unit: Unit,
}

/// What progress is counted in.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Bytes of the file.
    Bytes,
    /// Profiles or members that were looked at.
    Profiles,
}

/// What became of what a job works on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum JobResult {
    Profiles(ProfilesResult),
    Members(MembersResult),
    Count(CountOut),
}

/// What became of the rows of a file of profiles. `rows = created + updated + duplicates + invalid`. Where a part of the
/// file was imported twice, because the process that did it died, those it had created are counted as updated.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProfilesResult {
    /// Data rows of the file.
    rows: u64,
    /// Profiles made.
    created: u64,
    /// Profiles that were there and were changed, or already said the same.
    updated: u64,
    /// Rows that name somebody an earlier row named; of what both say the later holds.
    duplicates: u64,
    /// Rows left out.
    invalid: u64,
}

/// What became of the rows of a file of members. `rows = added + unchanged + invalid`. Where a part of the file was
/// imported twice, because the process that did it died, those it had added are counted as unchanged.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MembersResult {
    /// Data rows of the file.
    rows: u64,
    /// Members added.
    added: u64,
    /// Rows that name somebody who was on the list already, by an earlier row too.
    unchanged: u64,
    /// Rows left out.
    invalid: u64,
}

/// Why a job failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailureOut {
    /// What it is, for programs: `invalid_csv`, `not_a_list`, `not_found`, `file_replaced`, `invalid_rule`, `gave_up`.
    code: String,
    /// What it is, for people.
    message: String,
}

/// An import that was just made, and where its file goes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewImportOut {
    #[serde(flatten)]
    pub(crate) job: JobOut,
    /// It is told only now.
    pub(crate) upload: UploadOut,
}

/// The request that brings the file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UploadOut {
    /// The HTTP method.
    pub(crate) method: String,
    /// A whole URL, which needs no API key and must be kept as one; or a path of this API, which needs it as ever.
    pub(crate) url: String,
    /// The headers that the request must have.
    pub(crate) headers: BTreeMap<String, String>,
    /// Until when it is taken.
    #[schema(value_type = schema::Instant)]
    pub(crate) expires_at: Timestamp,
}

impl JobResult {
    fn profiles(counts: &ImportCounts) -> Self {
        let ImportCounts { rows, created, updated, duplicates, invalid, .. } = *counts;
        Self::Profiles(ProfilesResult { rows, created, updated, duplicates, invalid })
    }

    fn members(counts: &ImportCounts) -> Self {
        let ImportCounts { rows, added, unchanged, invalid, .. } = *counts;
        Self::Members(MembersResult { rows, added, unchanged, invalid })
    }
}

impl From<&Job> for Progress {
    fn from(job: &Job) -> Self {
        let is_completed = job.state == JobState::Completed;
        match &job.task {
            Task::ImportProfiles { import, .. } | Task::ImportMembers { import, .. } => {
                let total = import.file.as_ref().map(|file| file.size);
                let done = import.position.map_or(0, |position| position.bytes.offset);
                Self { done: total.filter(|_| is_completed).unwrap_or(done), total, unit: Unit::Bytes }
            }
            Task::CountSegment { count, .. } => {
                let total = if is_completed {
                    Some(count.scanned)
                } else {
                    count.about.map(|about| about.max(count.scanned))
                };
                Self { done: count.scanned, total, unit: Unit::Profiles }
            }
        }
    }
}

impl From<Job> for JobOut {
    fn from(job: Job) -> Self {
        let (kind, segment_id, result) = match &job.task {
            Task::ImportProfiles { list, import } => {
                (JobKind::ImportProfiles, *list, JobResult::profiles(&import.counts))
            }
            Task::ImportMembers { list, import } => {
                (JobKind::ImportMembers, Some(*list), JobResult::members(&import.counts))
            }
            Task::CountSegment { segment, count } => {
                (JobKind::CountSegment, Some(*segment), JobResult::Count(count.into()))
            }
        };
        Self {
            id: job.id,
            kind,
            state: job.state,
            segment_id,
            created_at: job.created_at,
            started_at: job.started_at,
            ended_at: job.ended_at,
            progress: Progress::from(&job),
            result,
            errors_url: errors_of(&job).map(|_| format!("/jobs/{}/errors", job.id)),
            failure: job.failure.map(|failure| FailureOut { code: failure.code, message: failure.message }),
        }
    }
}
