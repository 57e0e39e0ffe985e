//! Lowered contents: what deliveries read, one item an action of a version.

use campaign::CampaignId;
use campaign::lowered::LoweredContent;
use campaign::model::Finding;
use platform::{Consistency, Item, Write};

use super::Campaigns;
use crate::StoreError;
use crate::document::{self, DOCUMENT};
use crate::tables::{self, CONTROL};

const WHAT: &str = "lowered content";
/// In place of a content: why it can't be lowered.
const ERRORS: &str = "errors";

/// What the content of an action became: what is sent from, or what is wrong with it.
pub type Lowering = Result<LoweredContent, Vec<Finding>>;

impl Campaigns {
    /// The writes that go with asking for a version's activation ([`Campaigns::command_with`]), and into no other
    /// transaction: so they are there before anything is checked or sent, and nothing changes them once the version is
    /// live. `contents` are in the order of the version's actions.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where a content is no JSON, which does not happen.
    pub fn lowered_writes<'l>(
        id: CampaignId,
        version: u32,
        contents: impl IntoIterator<Item = Result<&'l LoweredContent, &'l Vec<Finding>>>,
    ) -> Result<Vec<Write>, StoreError> {
        let write = |(action, content)| {
            let item = Item::new(tables::lowered(id, version, action));
            let item = match content {
                Ok(content) => item.with(DOCUMENT, document::encode(WHAT, content)?),
                Err(errors) => item.with(ERRORS, document::encode(WHAT, errors)?),
            };
            Ok(Write::put(CONTROL, item))
        };
        (0..u8::MAX).zip(contents).map(write).collect()
    }

    /// What the content of one action of a version became when its activation was last asked for.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] where it can't be read, which may be for being of a later form.
    pub async fn lowering(&self, id: CampaignId, version: u32, action: u8) -> Result<Lowering, StoreError> {
        let key = tables::lowered(id, version, action);
        let item = self.platform.table.get(CONTROL, &key, Consistency::Strong).await?;
        let item = item.ok_or_else(|| {
            StoreError::not_found(WHAT, format_args!("{action} of version {version} of campaign {id}"))
        })?;
        if let Some(errors) = item.bytes(ERRORS) {
            let errors = serde_json::from_slice(errors);
            return errors
                .map(Err)
                .map_err(|source| StoreError::Corrupt { what: WHAT, source: Some(source) });
        }
        let content: LoweredContent = document::decode(WHAT, &item)?;
        // It comes back, to a program that can: while an update is under way, there are both.
        if content.is_known() {
            Ok(Ok(content))
        } else {
            Err(StoreError::Corrupt { what: WHAT, source: None })
        }
    }

    /// The lowered content of one action of an activated version.
    ///
    /// # Errors
    /// As [`Campaigns::lowering`]'s; what can't be lowered never becomes live, and is not found.
    pub async fn lowered(
        &self,
        id: CampaignId,
        version: u32,
        action: u8,
    ) -> Result<LoweredContent, StoreError> {
        self.lowering(id, version, action).await?.map_err(|_| {
            StoreError::not_found(WHAT, format_args!("{action} of version {version} of campaign {id}"))
        })
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

    /// A campaign with a draft.
    async fn draft() -> (Campaigns, CampaignId, Actor) {
        let campaigns = Campaigns::new(Embedded::in_memory(Arc::new(SystemClock)).platform());
        let by = Actor::envoi();
        let (kind, category) = (CampaignType::Scheduled, Category::Marketing);
        let campaign = Campaign::new("n", kind, category, by.clone(), Timestamp::UNIX_EPOCH);
        campaigns.create(&campaign, &Version::draft(1), &[], None).await.unwrap();
        (campaigns, campaign.id, by)
    }

    async fn ask(
        (campaigns, id, by): &(Campaigns, CampaignId, Actor),
        contents: &[Lowering],
    ) -> Result<(), StoreError> {
        let writes = Campaigns::lowered_writes(*id, 1, contents.iter().map(Result::as_ref))?;
        campaigns.command_with(*id, Command::Activate, by, writes, |_| Ok(())).await.map(|_| ())
    }

    #[tokio::test]
    async fn what_contents_became_is_there_as_soon_as_activation_was_asked_for_and_not_before() {
        let world = draft().await;
        let (campaigns, id, _) = &world;
        let before = campaigns.lowering(*id, 1, 0).await;
        assert!(matches!(before, Err(StoreError::NotFound { .. })), "{before:?}");
        let wrong =
            vec![Finding::error("empty_subject", "actions[1].content.subject", "the subject is empty")];
        ask(&world, &[Ok(saying("one")), Err(wrong.clone())]).await.unwrap();
        assert_eq!(campaigns.lowering(*id, 1, 0).await.unwrap(), Ok(saying("one")));
        assert_eq!(campaigns.lowered(*id, 1, 0).await.unwrap(), saying("one"));
        assert_eq!(campaigns.lowering(*id, 1, 1).await.unwrap(), Err(wrong));
        let refused = campaigns.lowered(*id, 1, 1).await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
        assert!(matches!(campaigns.lowered(*id, 2, 0).await, Err(StoreError::NotFound { .. })));
    }

    #[tokio::test]
    async fn asking_again_writes_over_what_failed_and_never_over_what_is_checked_or_live() {
        let world = draft().await;
        let (campaigns, id, by) = &world;
        ask(&world, &[Ok(saying("first"))]).await.unwrap();
        ask(&world, &[Ok(saying("while it is checked"))]).await.unwrap();
        assert_eq!(campaigns.lowered(*id, 1, 0).await.unwrap(), saying("first"));
        campaigns.command(*id, Command::FailActivation, by, |_| Ok(())).await.unwrap();
        ask(&world, &[Ok(saying("second"))]).await.unwrap();
        assert_eq!(campaigns.lowered(*id, 1, 0).await.unwrap(), saying("second"));
        campaigns.command(*id, Command::BecomeLive, by, |_| Ok(())).await.unwrap();
        ask(&world, &[Ok(saying("too late"))]).await.unwrap_err();
        assert_eq!(campaigns.lowered(*id, 1, 0).await.unwrap(), saying("second"));
    }

    #[tokio::test]
    async fn what_a_later_program_wrote_is_left_to_it() {
        let world = draft().await;
        let LoweredContent::Email(email) = saying("x") else { unreachable!("it is an email") };
        let later = LoweredContent::Email(LoweredEmail { format: EMAIL_FORMAT + 1, ..email });
        ask(&world, &[Ok(later)]).await.unwrap();
        let read = world.0.lowered(world.1, 1, 0).await;
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
    }
}
