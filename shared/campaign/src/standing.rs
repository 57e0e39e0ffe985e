//! What decides what a campaign allows as it stands.

use crate::status::{self, Command, NotAllowed, Why};
use crate::{Campaign, CampaignRow, CampaignType, Status};

/// All of a campaign that decides which commands it allows: a campaign and its row in the list have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its status.
    pub status: Status,
    /// Whether there is a version that runs or will run.
    pub has_live: bool,
    /// Whether there is a version being edited.
    pub has_draft: bool,
    /// Whether the activation of its draft was asked for and is being checked.
    pub is_under_check: bool,
    /// Whether a start lies ahead, or calls start it.
    pub has_next: bool,
}

impl From<&Campaign> for Standing {
    fn from(campaign: &Campaign) -> Self {
        Self {
            status: campaign.status,
            has_live: campaign.live_version.is_some(),
            has_draft: campaign.draft_version.is_some(),
            is_under_check: campaign.activating_since.is_some(),
            has_next: campaign.kind == CampaignType::ApiTriggered || campaign.next_occurrence.is_some(),
        }
    }
}

impl From<&CampaignRow> for Standing {
    fn from(row: &CampaignRow) -> Self {
        Self {
            status: row.status,
            has_live: row.live_version.is_some(),
            has_draft: row.draft_version.is_some(),
            is_under_check: row.activating_since.is_some(),
            has_next: row.kind == CampaignType::ApiTriggered || row.next_occurrence.is_some(),
        }
    }
}

impl Standing {
    /// The status after a command, where it is allowed.
    ///
    /// # Errors
    /// [`NotAllowed`], with the reason.
    pub fn after(self, command: Command) -> Result<Status, NotAllowed> {
        let next = status::after(self.status, command)?;
        let refuse = |why| Err(NotAllowed { status: self.status, command, why });
        match command {
            Command::Edit | Command::Activate | Command::Discard | Command::Replace if self.has_live => {
                if self.is_under_check && matches!(command, Command::Edit | Command::Discard) {
                    return refuse(Why::BeingActivated);
                }
                if !self.has_draft && command != Command::Edit {
                    return refuse(Why::NoDraft);
                }
                if !self.has_next && command != Command::Discard {
                    return refuse(Why::HasRun);
                }
            }
            _ => {}
        }
        Ok(next)
    }

    /// What a user may do now.
    pub fn actions(self) -> Vec<Command> {
        let offered = |command: &Command| {
            let repeats = match command {
                Command::Activate => self.is_under_check,
                Command::Stop => self.status == Status::Stopped,
                Command::Archive => self.status == Status::Archived,
                _ => false,
            };
            !repeats && self.after(*command).is_ok()
        };
        Command::OF_USERS.into_iter().filter(offered).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{Actor, CampaignType, Category};

    #[test]
    fn a_row_offers_what_its_campaign_allows() {
        let now = Timestamp::UNIX_EPOCH;
        let by = Actor::envoi();
        let mut campaign = Campaign::new("n", CampaignType::Scheduled, Category::Marketing, by, now);
        let mut offered = std::collections::HashSet::new();
        for status in Status::ALL {
            for bits in 0..16_u8 {
                let has = |bit: u8| bits & (1 << bit) != 0;
                campaign.status = status;
                campaign.live_version = has(0).then_some(1);
                campaign.draft_version = has(1).then_some(2);
                campaign.activating_since = has(2).then_some(now);
                campaign.next_occurrence = has(3).then_some(now);
                let row = campaign.row();
                assert_eq!(Standing::from(&row), Standing::from(&campaign));
                assert_eq!(row.actions(), campaign.actions());
                offered.insert(row.actions());
            }
        }
        assert!(offered.len() > Status::ALL.len(), "{offered:?}");
    }
}
