//! Lowered contents: what deliveries read, one item an action of an activated version.

use campaign::CampaignId;
use campaign::lowered::LoweredContent;
use platform::{Consistency, Item, Write};

use super::Campaigns;
use crate::StoreError;
use crate::document::{self, DOCUMENT};
use crate::tables::{self, CONTROL};

const WHAT: &str = "lowered content";

impl Campaigns {
    /// The writes that go with a version becoming the live one ([`Campaigns::command_with`]), and into no other
    /// transaction: so they are there before anything is sent, and an activation that comes too late changes nothing.
    /// `contents` are in the order of the version's actions.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where a content is no JSON, which does not happen.
    pub fn lowered_writes(
        id: CampaignId,
        version: u32,
        contents: &[LoweredContent],
    ) -> Result<Vec<Write>, StoreError> {
        let write = |(action, content)| {
            let key = tables::lowered(id, version, action);
            let item = Item::new(key).with(DOCUMENT, document::encode(WHAT, content)?);
            Ok(Write::put(CONTROL, item))
        };
        (0..u8::MAX).zip(contents).map(write).collect()
    }

    /// The lowered content of one action of an activated version.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] where it can't be read, which may be for being of a later form.
    pub async fn lowered(
        &self,
        id: CampaignId,
        version: u32,
        action: u8,
    ) -> Result<LoweredContent, StoreError> {
        let key = tables::lowered(id, version, action);
        let item = self.platform.table.get(CONTROL, &key, Consistency::Strong).await?;
        let item = item.ok_or_else(|| {
            StoreError::not_found(WHAT, format_args!("{action} of version {version} of campaign {id}"))
        })?;
        let content: LoweredContent = document::decode(WHAT, &item)?;
        // It comes back, to a program that can: while an update is under way, there are both.
        if content.is_known() { Ok(content) } else { Err(StoreError::Corrupt { what: WHAT, source: None }) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use campaign::lowered::{EMAIL_FORMAT, LoweredEmail};
    use campaign::model::Actor;
    use campaign::{Campaign, CampaignType, Category, Command, Version};
    use jiff::Timestamp;
    use platform::SystemClock;
    use platform::embedded::Embedded;

    use super::*;

    fn saying(text: &str) -> LoweredContent {
        let text = text.to_owned();
        LoweredContent::Email(LoweredEmail { format: EMAIL_FORMAT, text, ..LoweredEmail::default() })
    }

    /// A campaign whose activation was asked for.
    async fn activating() -> (Campaigns, CampaignId, Actor) {
        let campaigns = Campaigns::new(Embedded::in_memory(Arc::new(SystemClock)).platform());
        let by = Actor::envoi();
        let (kind, category) = (CampaignType::Scheduled, Category::Marketing);
        let campaign = Campaign::new("n", kind, category, by.clone(), Timestamp::UNIX_EPOCH);
        campaigns.create(&campaign, &Version::draft(1), &[], None).await.unwrap();
        campaigns.command(campaign.id, Command::Activate, &by, |_| Ok(())).await.unwrap();
        (campaigns, campaign.id, by)
    }

    #[tokio::test]
    async fn lowered_contents_are_there_as_soon_as_the_version_is_live_and_not_before() {
        let (campaigns, id, by) = activating().await;
        let before = campaigns.lowered(id, 1, 0).await;
        assert!(matches!(before, Err(StoreError::NotFound { .. })), "{before:?}");
        let writes = Campaigns::lowered_writes(id, 1, &[saying("one"), saying("two")]).unwrap();
        campaigns.command_with(id, Command::BecomeLive, &by, writes, |_| Ok(())).await.unwrap();
        assert_eq!(campaigns.lowered(id, 1, 0).await.unwrap(), saying("one"));
        assert_eq!(campaigns.lowered(id, 1, 1).await.unwrap(), saying("two"));
        assert!(matches!(campaigns.lowered(id, 2, 0).await, Err(StoreError::NotFound { .. })));
    }

    #[tokio::test]
    async fn an_activation_that_comes_too_late_writes_over_nothing() {
        let (campaigns, id, by) = activating().await;
        let seen = campaigns.get(id).await.unwrap().revision;
        let become_live = async |text: &str| {
            let writes = Campaigns::lowered_writes(id, 1, &[saying(text)]).unwrap();
            let unchanged = |campaign: &mut Campaign| match campaign.revision == seen {
                true => Ok(()),
                false => Err(StoreError::Stale { what: "campaign" }),
            };
            campaigns.command_with(id, Command::BecomeLive, &by, writes, unchanged).await
        };
        become_live("in time").await.unwrap();
        become_live("too late").await.unwrap_err();
        assert_eq!(campaigns.lowered(id, 1, 0).await.unwrap(), saying("in time"));
    }

    #[tokio::test]
    async fn what_a_later_program_wrote_is_left_to_it() {
        let (campaigns, id, by) = activating().await;
        let LoweredContent::Email(email) = saying("x");
        let later = LoweredContent::Email(LoweredEmail { format: EMAIL_FORMAT + 1, ..email });
        let writes = Campaigns::lowered_writes(id, 1, &[later]).unwrap();
        campaigns.command_with(id, Command::BecomeLive, &by, writes, |_| Ok(())).await.unwrap();
        let read = campaigns.lowered(id, 1, 0).await;
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
    }
}
