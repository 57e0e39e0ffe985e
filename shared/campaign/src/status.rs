//! The life of a campaign: which command is allowed in which status, and where it leads.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where a campaign stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Being edited; never activated.
    Draft,
    /// Activation was asked for and is being checked.
    Activating,
    /// Activated; its start lies ahead.
    Scheduled,
    /// Started: an execution runs, or further ones may.
    Live,
    /// Ended by hand. It can't be used again, only duplicated.
    Stopped,
    /// Ended by itself.
    Completed,
    /// Put away. What it still sends goes on, unless it was stopped.
    Archived,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Draft,
        Self::Activating,
        Self::Scheduled,
        Self::Live,
        Self::Stopped,
        Self::Completed,
        Self::Archived,
    ];

    /// Its name in the API and in storage.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Activating => "activating",
            Self::Scheduled => "scheduled",
            Self::Live => "live",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Archived => "archived",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What may be asked of a campaign, by a user or by Envoi itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Change audience, actions or schedule of the draft version, which begins as a copy of the live one where there is
    /// one.
    Edit,
    /// Change name, description or tags.
    Rename,
    /// Ask for the activation of the draft. Asking again while it is under way changes nothing.
    Activate,
    /// The checks passed and the start lies ahead.
    BecomeScheduled,
    /// The checks passed and it starts now, or its scheduled start has come.
    BecomeLive,
    /// The checks of a draft beside the live version passed: it takes that one's place.
    Replace,
    /// The checks failed.
    FailActivation,
    /// Drop the draft beside the live version.
    Discard,
    /// End it by hand; an activation that is still being checked is called off.
    Stop,
    /// No occurrence is left and every execution has ended.
    Complete,
    /// Put it away.
    Archive,
    /// Remove it for good.
    Delete,
    /// Make a draft with the same audience, actions and schedule.
    Duplicate,
    /// Take an execution up again, for those it did not reach.
    Resend,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 14] = [
        Self::Edit,
        Self::Rename,
        Self::Activate,
        Self::BecomeScheduled,
        Self::BecomeLive,
        Self::Replace,
        Self::FailActivation,
        Self::Discard,
        Self::Stop,
        Self::Complete,
        Self::Archive,
        Self::Delete,
        Self::Duplicate,
        Self::Resend,
    ];

    /// What users may ask for, in the order in which it is offered.
    pub const OF_USERS: [Self; 8] = [
        Self::Edit,
        Self::Rename,
        Self::Activate,
        Self::Discard,
        Self::Stop,
        Self::Duplicate,
        Self::Archive,
        Self::Delete,
    ];

    /// Its name in messages and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Rename => "rename",
            Self::Activate => "activate",
            Self::BecomeScheduled => "become_scheduled",
            Self::BecomeLive => "become_live",
            Self::Replace => "replace",
            Self::FailActivation => "fail_activation",
            Self::Discard => "discard_draft",
            Self::Stop => "stop",
            Self::Complete => "complete",
            Self::Archive => "archive",
            Self::Delete => "delete",
            Self::Duplicate => "duplicate",
            Self::Resend => "resend",
        }
    }

    /// The statuses in which it is allowed.
    pub const fn allowed_in(self) -> &'static [Status] {
        match self {
            Self::Edit => &[Status::Draft, Status::Scheduled, Status::Live],
            Self::Delete => &[Status::Draft],
            Self::Rename | Self::Duplicate => &Status::ALL,
            Self::Activate => &[Status::Draft, Status::Activating, Status::Scheduled, Status::Live],
            Self::BecomeScheduled => &[Status::Activating],
            Self::BecomeLive => &[Status::Activating, Status::Scheduled, Status::Live],
            Self::Replace => &[Status::Scheduled, Status::Live],
            Self::FailActivation => &[Status::Activating, Status::Scheduled, Status::Live],
            Self::Discard => {
                &[Status::Scheduled, Status::Live, Status::Stopped, Status::Completed, Status::Archived]
            }
            Self::Stop => &[Status::Activating, Status::Scheduled, Status::Live, Status::Stopped],
            Self::Complete => &[Status::Scheduled, Status::Live],
            Self::Resend => &[Status::Scheduled, Status::Live, Status::Completed],
            Self::Archive => &[Status::Stopped, Status::Completed, Status::Archived],
        }
    }
}

/// A command that the campaign does not allow as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a campaign that is {status} can't {}: {why}", verb(*command), why = reason(*command, *why))]
pub struct NotAllowed {
    /// The status it is in.
    pub status: Status,
    /// What was asked.
    pub command: Command,
    /// Why it is refused.
    pub why: Why,
}

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its status never allows it.
    Status,
    /// No start is left: its only run, or its last one, has begun.
    HasRun,
    /// There is no draft beside the live version.
    NoDraft,
    /// Its draft is being activated.
    BeingActivated,
}

impl Why {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::HasRun => "has_run",
            Self::NoDraft => "no_draft",
            Self::BeingActivated => "being_activated",
        }
    }
}

fn verb(command: Command) -> String {
    let passive = match command {
        Command::Edit => "be edited",
        Command::Rename => "be renamed",
        Command::Activate => "be activated",
        Command::Discard => "have its draft discarded",
        Command::Stop => "be stopped",
        Command::Archive => "be archived",
        Command::Delete => "be deleted",
        Command::Duplicate => "be duplicated",
        Command::Resend => "be sent again",
        Command::BecomeScheduled
        | Command::BecomeLive
        | Command::Replace
        | Command::FailActivation
        | Command::Complete => return command.name().replace('_', " "),
    };
    passive.to_owned()
}

fn reason(command: Command, why: Why) -> String {
    match why {
        Why::Status => format!("allowed in {}", names(command.allowed_in())),
        Why::HasRun => "its last run has begun, so duplicate it".to_owned(),
        Why::NoDraft => "it has no draft beside the live version".to_owned(),
        Why::BeingActivated => "its draft is being activated".to_owned(),
    }
}

fn names(statuses: &[Status]) -> String {
    statuses.iter().map(|status| status.name()).collect::<Vec<_>>().join(", ")
}

/// The status after `command`, where `status` allows it. Repeating a command that has already led to the status
/// (activate while activating, stop when stopped) leaves it as it is, so that a retried call is no error.
///
/// # Errors
/// [`NotAllowed`] names the statuses that would allow it.
pub fn after(status: Status, command: Command) -> Result<Status, NotAllowed> {
    if !command.allowed_in().contains(&status) {
        return Err(NotAllowed { status, command, why: Why::Status });
    }
    Ok(match (command, status) {
        // It was never live: its activation is called off.
        (Command::Stop, Status::Activating) => Status::Draft,
        (Command::Resend, Status::Completed) => Status::Live,
        // Its live version goes on meanwhile, and afterwards if the checks fail.
        (Command::Activate | Command::FailActivation, Status::Scheduled | Status::Live) => status,
        (command, _) => match command {
            Command::Edit
            | Command::Rename
            | Command::Replace
            | Command::Discard
            | Command::Delete
            | Command::Duplicate
            | Command::Resend => status,
            Command::Activate => Status::Activating,
            Command::BecomeScheduled => Status::Scheduled,
            Command::BecomeLive => Status::Live,
            Command::FailActivation => Status::Draft,
            Command::Stop => Status::Stopped,
            Command::Complete => Status::Completed,
            Command::Archive => Status::Archived,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair, written out: rows are statuses, columns commands in the order of `Command::ALL`; `.` is a refusal,
    /// a letter the status it leads to.
    #[test]
    fn every_pair_of_status_and_command_is_decided() {
        let table = [
            (Status::Draft, "DDA........DD."),
            (Status::Activating, ".AASL.D.D...A."),
            (Status::Scheduled, "SSS.LSSSXC..SS"),
            (Status::Live, "LLL.LLLLXC..LL"),
            (Status::Stopped, ".X.....XX.R.X."),
            (Status::Completed, ".C.....C..R.CL"),
            (Status::Archived, ".R.....R..R.R."),
        ];
        let letter = |status| match status {
            Status::Draft => 'D',
            Status::Activating => 'A',
            Status::Scheduled => 'S',
            Status::Live => 'L',
            Status::Stopped => 'X',
            Status::Completed => 'C',
            Status::Archived => 'R',
        };
        for (status, row) in table {
            for (command, expected) in Command::ALL.into_iter().zip(row.chars()) {
                let got = after(status, command).map_or('.', letter);
                assert_eq!(got, expected, "{status} then {}", command.name());
            }
        }
    }

    #[test]
    fn a_refusal_says_where_it_would_be_allowed() {
        let refusal = after(Status::Completed, Command::Delete).unwrap_err();
        assert_eq!(refusal.to_string(), "a campaign that is completed can't be deleted: allowed in draft");
    }

    #[test]
    fn names_round_trip() {
        for status in Status::ALL {
            assert_eq!(Status::from_name(status.name()), Some(status));
        }
    }
}
