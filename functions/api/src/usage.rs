//! Whether a campaign under way uses something.

use campaign::{Status, Version};
use store::StoreError;

use crate::Context;
use crate::error::{Kind, Problem, Result};

/// How many campaigns are read at once.
const PAGE: usize = 200;

/// Refuses where a campaign that is activating, scheduled or live has a version that `uses` it. One that is activated in
/// this very moment is not seen; its start or its next chunk finds the thing gone and says so.
pub(crate) async fn refuse_in_use(context: &Context, uses: impl Fn(&Version) -> bool) -> Result<()> {
    let campaigns = &context.store.campaigns;
    let mut after = None;
    loop {
        let page = campaigns.list(after, PAGE).await?;
        for campaign in &page.campaigns {
            let number = match campaign.status {
                Status::Activating => campaign.draft_version,
                Status::Scheduled | Status::Live => campaign.live_version,
                _ => None,
            };
            let Some(number) = number else { continue };
            let version = match campaigns.version(campaign.id, number).await {
                Err(StoreError::NotFound { .. }) => continue,
                version => version?,
            };
            if uses(&version) {
                let detail = format!("campaign {} uses it and is {}", campaign.id, campaign.status);
                return Err(Problem::new(Kind::InUse, detail).with("campaign_id", campaign.id.to_string()));
            }
        }
        if page.next.is_none() {
            return Ok(());
        }
        after = page.next;
    }
}
