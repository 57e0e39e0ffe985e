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
    /// Put away.
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
    /// Change audience, actions or schedule of the draft version.
    Edit,
    /// Change name, description or tags.
    Rename,
    /// Ask for activation. Asking again while it is under way changes nothing.
    Activate,
    /// The checks passed and the start lies ahead.
    BecomeScheduled,
    /// The checks passed and it starts now, or its scheduled start has come.
    BecomeLive,
    /// The checks failed.
    FailActivation,
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
    pub const ALL: [Self; 12] = [
        Self::Edit,
        Self::Rename,
        Self::Activate,
        Self::BecomeScheduled,
        Self::BecomeLive,
        Self::FailActivation,
        Self::Stop,
        Self::Complete,
        Self::Archive,
        Self::Delete,
        Self::Duplicate,
        Self::Resend,
    ];

    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Rename => "rename",
            Self::Activate => "activate",
            Self::BecomeScheduled => "become scheduled",
            Self::BecomeLive => "become live",
            Self::FailActivation => "fail activation",
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
            Self::Edit | Self::Delete => &[Status::Draft],
            Self::Rename | Self::Duplicate => &Status::ALL,
            Self::Activate => &[Status::Draft, Status::Activating],
            Self::BecomeScheduled | Self::FailActivation => &[Status::Activating],
            Self::BecomeLive => &[Status::Activating, Status::Scheduled, Status::Live],
            Self::Stop => &[Status::Activating, Status::Scheduled, Status::Live, Status::Stopped],
            Self::Complete => &[Status::Scheduled, Status::Live],
            Self::Resend => &[Status::Scheduled, Status::Live, Status::Completed],
            Self::Archive => &[Status::Stopped, Status::Completed, Status::Archived],
        }
    }
}

/// A command that the campaign's status does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a campaign that is {status} can't {}: allowed in {}", command.name(), names(command.allowed_in()))]
pub struct NotAllowed {
    /// The status it is in.
    pub status: Status,
    /// What was asked.
    pub command: Command,
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
        return Err(NotAllowed { status, command });
    }
    Ok(match (command, status) {
        // It was never live: its activation is called off.
        (Command::Stop, Status::Activating) => Status::Draft,
        (Command::Resend, Status::Completed) => Status::Live,
        (command, _) => match command {
            Command::Edit | Command::Rename | Command::Delete | Command::Duplicate | Command::Resend => {
                status
            }
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
            (Status::Draft, "DDA......DD."),
            (Status::Activating, ".AASLDD...A."),
            (Status::Scheduled, ".S..L.XC..SS"),
            (Status::Live, ".L..L.XC..LL"),
            (Status::Stopped, ".X....X.R.X."),
            (Status::Completed, ".C......R.CL"),
            (Status::Archived, ".R......R.R."),
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
        assert_eq!(refusal.to_string(), "a campaign that is completed can't delete: allowed in draft");
    }

    #[test]
    fn names_round_trip() {
        for status in Status::ALL {
            assert_eq!(Status::from_name(status.name()), Some(status));
        }
    }
}
