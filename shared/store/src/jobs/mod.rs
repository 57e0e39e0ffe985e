//! Jobs: work on a file, on every profile or on all of the ledger, which takes longer than a call. A job is one item of the control table that
//! says where it stands; it is worked on in slices, each under a lease, and every slice hands on by a message.
//!
//! Whoever works writes what it has done and where to go on in one conditional write. So a slice whose worker dies is
//! taken again from the last such write, and one whose worker lost its lease can write nothing.

mod count;
#[cfg(any(feature = "aws", feature = "embedded"))]
pub mod environment;
mod erasures;
mod repository;

#[cfg(test)]
mod tests;

use campaign::{JobId, ProfileId, SegmentId};
pub use count::Counting;
pub use erasures::{ERASED_SECONDS, Erasure};
use jiff::Timestamp;
use platform::BlobName;
use platform::blob::Stat;
pub use repository::{Claim, Jobs};
use serde::{Deserialize, Serialize};

use crate::import::{ImportCounts, Position};
use crate::people::{Erasing, Exporting};
use crate::segments::Removal;

/// How long a job is kept once it has begun, and how long once it has ended, in seconds: 30 days.
pub const KEEP_SECONDS: i64 = 30 * 24 * 3600;
/// How long a job is kept whose file never came, in seconds: two days.
pub const AWAIT_SECONDS: i64 = 2 * 24 * 3600;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its file is still to come.
    AwaitingUpload,
    /// It waits for its turn.
    Queued,
    /// It has begun.
    Running,
    /// It is done.
    Completed,
    /// It can't be done; what was done before stays.
    Failed,
}

impl JobState {
    /// Its name, as it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwaitingUpload => "awaiting_upload",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::AwaitingUpload, Self::Queued, Self::Running, Self::Completed, Self::Failed]
            .into_iter()
            .find(|state| state.name() == name)
    }

    /// Whether nothing more happens to it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// What a job does, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// A CSV file becomes profiles.
    ImportProfiles {
        /// A list that everybody imported is to be on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        list: Option<SegmentId>,
        /// How far it is.
        import: Import,
    },
    /// A CSV file becomes members of a list.
    ImportMembers {
        /// The list.
        list: SegmentId,
        /// How far it is.
        import: Import,
    },
    /// A segment is counted.
    CountSegment {
        /// The segment.
        segment: SegmentId,
        /// How far it is.
        count: Counting,
    },
    /// What is held of a person becomes a file.
    ExportProfile {
        /// Who.
        profile: ProfileId,
        /// How far it is.
        export: Exporting,
    },
    /// What is held of a person is erased.
    EraseProfile {
        /// Who.
        profile: ProfileId,
        /// How far it is.
        erasure: Erasing,
    },
    /// The members of a list that is deleted are removed.
    DeleteList {
        /// The list.
        list: SegmentId,
        /// How far it is.
        removal: Removal,
    },
}

/// How far an import is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The file as it was when the job was started; none before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Stat>,
    /// Where in it to go on; none at its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// What became of the rows before.
    #[serde(default)]
    pub counts: ImportCounts,
    /// The parts of its list of row errors ([`Job::errors_part`]), in the order of the rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<i64>,
    /// The parts of what it remembers of the rows before ([`Job::seen_part`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<i64>,
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What it is, for programs.
    pub code: String,
    /// What it is, for people. It never holds a row's cell.
    pub message: String,
}

/// A job as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does, and how far it is.
    #[serde(flatten)]
    pub task: Task,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was put in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Where it stands.
    #[serde(skip, default = "awaiting")]
    pub state: JobState,
    #[serde(skip)]
    revision: i64,
    /// How often it was claimed since it last got on.
    #[serde(skip)]
    tries: i64,
}

const fn awaiting() -> JobState {
    JobState::AwaitingUpload
}

impl Job {
    /// A new job, made now: an import awaits its file, anything else its turn.
    pub fn new(task: Task, now: Timestamp) -> Self {
        let (state, started_at) = match task {
            Task::ImportProfiles { .. } | Task::ImportMembers { .. } => (JobState::AwaitingUpload, None),
            Task::CountSegment { .. }
            | Task::ExportProfile { .. }
            | Task::EraseProfile { .. }
            | Task::DeleteList { .. } => (JobState::Queued, Some(now)),
        };
        Self {
            id: JobId::ordered(now.as_millisecond()),
            task,
            created_at: now,
            started_at,
            ended_at: None,
            failure: None,
            state,
            revision: 0,
            tries: 0,
        }
    }

    /// How far the import is, if it is one.
    pub const fn import(&self) -> Option<&Import> {
        match &self.task {
            Task::ImportProfiles { import, .. } | Task::ImportMembers { import, .. } => Some(import),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub const fn import_mut(&mut self) -> Option<&mut Import> {
        match &mut self.task {
            Task::ImportProfiles { import, .. } | Task::ImportMembers { import, .. } => Some(import),
            _ => None,
        }
    }

    /// How often it was claimed since it last got on, this time included.
    pub const fn tries(&self) -> i64 {
        self.tries
    }

    /// A number that no other slice of this job has as long as the lease holds, and none at all after its next write: the
    /// name of parts that are written before the job says that they count.
    pub const fn part(&self) -> i64 {
        self.revision
    }

    /// The file to import.
    pub fn file(&self) -> BlobName {
        self.blob("file.csv")
    }

    /// All its row errors, as CSV; there once the job is over and left out rows.
    pub fn errors_file(&self) -> BlobName {
        self.blob("errors.csv")
    }

    /// Some of its row errors.
    pub fn errors_part(&self, part: i64) -> BlobName {
        self.blob(&format!("errors-{part}"))
    }

    /// Some of what it remembers of the rows before.
    pub fn seen_part(&self, part: i64) -> BlobName {
        self.blob(&format!("seen-{part}"))
    }

    /// What is held of a person, as JSON; there once the job is completed, until the person is erased.
    pub fn export_file(&self) -> BlobName {
        self.named("exports", "profile.json")
    }

    /// Some of the messages to a person.
    pub fn export_part(&self, part: i64) -> BlobName {
        self.named("exports", &format!("messages-{part}"))
    }

    /// Every part of its messages that there can be, those too that were written by whoever died then.
    pub fn export_parts(&self) -> impl Iterator<Item = BlobName> + '_ {
        (1..=self.revision).map(|part| self.export_part(part))
    }

    fn blob(&self, name: &str) -> BlobName {
        self.named("imports", name)
    }

    fn named(&self, folder: &str, name: &str) -> BlobName {
        BlobName::new(format!("{folder}/{}/{name}", self.id)).expect("an id is of letters and digits")
    }
}
