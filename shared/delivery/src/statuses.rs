//! Whether a campaign that people call is stopped, remembered for a moment: a stop is seen within two seconds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use campaign::CampaignId;
use store::{Store, StoreError};

/// How long what was read is taken to hold.
const REMEMBER: Duration = Duration::from_secs(1);
/// The most campaigns that are remembered.
const MOST: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct Statuses {
    /// By campaign whether it was stopped or put away, and until when (on the monotonic clock) that is taken to hold.
    kept: Mutex<HashMap<CampaignId, (bool, Duration)>>,
}

impl Statuses {
    /// Whether the campaign was stopped, so that what is not sent yet is not sent any more. One that has completed goes on
    /// with what it was asked for before.
    pub(crate) async fn is_over(&self, store: &Store, id: CampaignId) -> Result<bool, StoreError> {
        let now = store.platform.clock.monotonic();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
        if let Some((is_over, until)) = kept
            && now < until
        {
            return Ok(is_over);
        }
        let is_over = match store.campaigns.get(id).await {
            Ok(campaign) => campaign.status.is_ended(),
            Err(StoreError::NotFound { .. }) => true,
            Err(error) => return Err(error),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(id, (is_over, now + REMEMBER));
        Ok(is_over)
    }
}
