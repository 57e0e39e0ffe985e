//! Jobs as they go out.

use std::collections::BTreeMap;

use campaign::{JobId, ProfileId, SegmentId};
use jiff::Timestamp;
use serde::Serialize;
use store::import::ImportCounts;
use store::jobs::{Job, JobState, Task};
use store::people::Erased;
use utoipa::ToSchema;

use super::errors_of;
use super::export::has_exported;
use crate::schema;
use crate::segments::CountOut;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobKind {
    ImportProfiles,
    ImportMembers,
    CountSegment,
    ExportProfile,
    EraseProfile,
    DeleteList,
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
    /// The list that is imported to, the segment that is counted, or the list that was deleted.
    #[schema(value_type = schema::Id, nullable)]
    segment_id: Option<SegmentId>,
    /// Whose profile is exported or erased.
    #[schema(value_type = schema::Id, nullable)]
    profile_id: Option<ProfileId>,
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
    /// Where what is held of a person is, once an export is completed and until the person is erased.
    #[schema(required)]
    export_url: Option<String>,
    /// Why it failed. What was done before stays done.
    #[schema(required)]
    failure: Option<FailureOut>,
}

/// How far a job is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    /// How much is done.
    done: u64,
    /// How much there is to do, where that is known; of profiles and records it is an estimate.
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
    /// Records of what was sent, each of up to 50 messages, that were looked at.
    Records,
}

/// What became of what a job works on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum JobResult {
    Profiles(ProfilesResult),
    Members(MembersResult),
    Count(CountOut),
    Export(ExportResult),
    Erasure(ErasureResult),
    Removal(RemovalResult),
}

/// What was removed of a list that was deleted: from when on nothing reads it any more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemovalResult {
    /// Members. What a process did that died is done, but may not be counted.
    removed: u64,
}

/// What was found of a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportResult {
    /// Messages that were sent to them or kept from them.
    messages: u64,
}

/// What was erased of a person, beside what the list of suppressed addresses said of theirs. What a process did that died is
/// done, but may not be counted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasureResult {
    /// The profile with its identities: 1, or 0 where it was deleted before.
    profiles: u64,
    /// Places on lists.
    lists: u64,
    /// What calls that are not through had brought along.
    calls: u64,
    /// The provider's words about messages.
    error_texts: u64,
    /// Answers kept for repeated calls.
    answers: u64,
    /// Events that webhook endpoints were still to be told, or could not be told.
    events: u64,
    /// Files of exports.
    exports: u64,
}

impl From<Erased> for ErasureResult {
    fn from(Erased { profiles, exports, calls, error_texts, answers, events, lists }: Erased) -> Self {
        Self { profiles, lists, calls, error_texts, answers, events, exports }
    }
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
    /// What it is, for programs: `invalid_csv`, `not_a_list`, `not_found`, `file_replaced`, `invalid_rule`, `profile_gone`, `gave_up`.
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

impl Progress {
    fn of_records(done: u64, about: Option<u64>, job: &Job) -> Self {
        let total =
            if job.state == JobState::Completed { Some(done) } else { about.map(|about| about.max(done)) };
        Self { done, total, unit: Unit::Records }
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
            Task::ExportProfile { export, .. } => Self::of_records(export.scanned, export.about, job),
            Task::EraseProfile { erasure, .. } => Self::of_records(erasure.scanned, erasure.about, job),
            Task::DeleteList { removal, .. } => {
                let about = if is_completed { removal.removed } else { removal.about.max(removal.removed) };
                Self { done: removal.removed, total: Some(about), unit: Unit::Profiles }
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
            Task::ExportProfile { export, .. } => {
                let result = ExportResult { messages: export.messages };
                (JobKind::ExportProfile, None, JobResult::Export(result))
            }
            Task::EraseProfile { erasure, .. } => {
                (JobKind::EraseProfile, None, JobResult::Erasure(erasure.erased.into()))
            }
            Task::DeleteList { list, removal } => {
                let result = RemovalResult { removed: removal.removed };
                (JobKind::DeleteList, Some(*list), JobResult::Removal(result))
            }
        };
        let profile_id = match &job.task {
            Task::ExportProfile { profile, .. } | Task::EraseProfile { profile, .. } => Some(*profile),
            _ => None,
        };
        Self {
            id: job.id,
            kind,
            state: job.state,
            segment_id,
            profile_id,
            created_at: job.created_at,
            started_at: job.started_at,
            ended_at: job.ended_at,
            progress: Progress::from(&job),
            result,
            errors_url: errors_of(&job).map(|_| format!("/jobs/{}/errors", job.id)),
            export_url: has_exported(&job).then(|| format!("/jobs/{}/export", job.id)),
            failure: job.failure.map(|failure| FailureOut { code: failure.code, message: failure.message }),
        }
    }
}
