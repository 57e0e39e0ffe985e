//! Lowering: what was written becomes what is sent from, once, when an activation is asked for. The activation itself
//! only reads what came of it, and so does without the tools for MJML and CSS.

use campaign::content::Content;
use campaign::lowered::LoweredContent;
use campaign::model::{Actor, Finding};
use campaign::status::Command;
use campaign::{Campaign, CampaignId, Version};
use content::Lowered;
use platform::Write;
use store::{Campaigns, Store, StoreError};

use crate::contents;

/// How often an activation is asked for anew when others change the campaign at the same time.
const TRIES: usize = 10;

/// What the contents of a version become: for each action what is sent from, or what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lowering {
    pub(crate) contents: Vec<Result<Lowered<LoweredContent>, Vec<Finding>>>,
}

impl Lowering {
    /// Lowers contents, in the order of the version's actions.
    pub fn of(contents: &[Content]) -> Self {
        let lower = |(index, content)| contents::lower(content, index);
        let mut contents: Vec<_> = contents.iter().enumerate().map(lower).collect();
        contents::limit(&mut contents);
        Self { contents }
    }

    /// As [`of`](Self::of), on a thread of its own: MJML and CSS can take long enough to keep everybody else waiting.
    ///
    /// # Panics
    /// As [`of`](Self::of) would.
    pub async fn aside(contents: Vec<Content>) -> Self {
        let lowered = tokio::task::spawn_blocking(move || Self::of(&contents)).await;
        lowered.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// What came of it when the version's activation was asked for ([`ask_activation`]). Which variables the contents
    /// mention is not known of it, nor what they were warned of.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn stored(store: &Store, id: CampaignId, version: &Version) -> Result<Self, StoreError> {
        let mut contents = Vec::with_capacity(version.actions.len());
        for (index, action) in (0..u8::MAX).zip(&version.actions) {
            contents.push(match store.campaigns.lowering(id, version.number, index).await {
                Ok(content) => {
                    content.map(|content| Lowered { content, variables: Vec::new(), warnings: Vec::new() })
                }
                // An earlier program asked for the activation.
                Err(StoreError::NotFound { .. }) => Err(vec![Finding::error(
                    "not_lowered",
                    format!("actions[{index}].content"),
                    format!(
                        "the {} is not ready to be sent: activate the campaign again",
                        action.channel.name()
                    ),
                )]),
                Err(error) => return Err(error),
            });
        }
        Ok(Self { contents })
    }
}

/// Asks for a campaign's activation: one transaction writes that, what its draft's contents become, and the message of
/// whoever checks the rest. `check` sees the campaign as it would be, and may refuse. Asking again changes nothing.
///
/// # Errors
/// As [`Campaigns::command`]'s.
pub async fn ask_activation(
    store: &Store,
    id: CampaignId,
    by: &Actor,
    mut check: impl FnMut(&Campaign) -> Result<(), StoreError>,
) -> Result<Campaign, StoreError> {
    for _ in 0..TRIES {
        let seen = store.campaigns.get(id).await?;
        let is_new = seen.activating_since.is_none() && seen.after(Command::Activate).is_ok();
        let writes = match seen.draft_version.filter(|_| is_new) {
            Some(draft) => match writes(store, id, draft).await {
                // The draft was discarded meanwhile.
                Err(StoreError::NotFound { .. }) => continue,
                writes => writes?,
            },
            None => Vec::new(),
        };
        let mut has_changed = false;
        let asked = store.campaigns.command_with(id, Command::Activate, by, writes, |campaign| {
            check(campaign)?;
            has_changed = campaign.revision != seen.revision;
            if has_changed { Err(StoreError::Stale { what: "campaign" }) } else { Ok(()) }
        });
        match asked.await {
            Err(StoreError::Stale { .. }) if has_changed => {}
            asked => return asked,
        }
    }
    Err(StoreError::Contended { what: "campaign" })
}

/// Lowers a draft's contents; what writes them.
async fn writes(store: &Store, id: CampaignId, draft: u32) -> Result<Vec<Write>, StoreError> {
    let version = store.campaigns.version(id, draft).await?;
    let lowering = Lowering::aside(store.campaigns.contents(id, &version).await?).await;
    let contents = lowering.contents.iter();
    let contents = contents.map(|content| content.as_ref().map(|lowered| &lowered.content));
    Campaigns::lowered_writes(id, draft, contents)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use campaign::content::{EmailBody, EmailContent};
    use campaign::version::Action;
    use campaign::{CampaignType, Category, Channel, Status};
    use jiff::Timestamp;
    use platform::SystemClock;
    use platform::embedded::Embedded;
    use store::HashKey;

    use super::*;

    fn email(subject: &str) -> Content {
        let body = EmailBody::Html("<style>p{color:red}</style><p>Hi {{profile.email}}</p><a href=\"{{links.unsubscribe}}\">no more</a>".to_owned());
        Content::Email(EmailContent { subject: subject.to_owned(), body, ..EmailContent::default() })
    }

    /// A campaign whose draft has these contents.
    async fn draft(contents: &[Content]) -> (Store, Campaign, Version) {
        let store = Store::new(Embedded::in_memory(Arc::new(SystemClock)).platform(), HashKey([7; 32]));
        let (kind, category) = (CampaignType::Scheduled, Category::Marketing);
        let campaign = Campaign::new("n", kind, category, Actor::envoi(), Timestamp::UNIX_EPOCH);
        let action = Action { channel: Channel::Email, configuration: None, condition: None };
        let version = Version { actions: vec![action; contents.len()], ..Version::draft(1) };
        store.campaigns.create(&campaign, &version, contents, None).await.unwrap();
        (store, campaign, version)
    }

    #[tokio::test]
    async fn an_activation_finds_what_the_contents_became_when_it_was_asked_for() {
        let contents = [email("Hello"), email(" ")];
        let (store, campaign, version) = draft(&contents).await;
        let asked = ask_activation(&store, campaign.id, &Actor::envoi(), |_| Ok(())).await.unwrap();
        assert_eq!(asked.status, Status::Activating);
        let stored = Lowering::stored(&store, campaign.id, &version).await.unwrap();
        let lowered = Lowering::of(&contents);
        let content = |lowering: &Lowering| lowering.contents[0].clone().map(|lowered| lowered.content);
        assert_eq!((content(&stored), &stored.contents[1]), (content(&lowered), &lowered.contents[1]));
        let findings =
            async |lowering| crate::validate(&store, &asked, &version, lowering).await.unwrap().findings;
        let found = findings(&stored).await;
        assert_eq!(found, findings(&lowered).await);
        assert!(found.iter().any(|finding| finding.code == "empty_subject"), "{found:?}");
    }

    #[tokio::test]
    async fn what_was_never_lowered_is_not_activated() {
        let (store, campaign, version) = draft(&[email("Hello")]).await;
        store.campaigns.command(campaign.id, Command::Activate, &Actor::envoi(), |_| Ok(())).await.unwrap();
        let stored = Lowering::stored(&store, campaign.id, &version).await.unwrap();
        let errors = stored.contents[0].as_ref().unwrap_err();
        assert_eq!(
            (errors[0].code.as_str(), errors[0].field.as_str()),
            ("not_lowered", "actions[0].content")
        );
    }

    #[tokio::test]
    async fn who_must_not_ask_writes_nothing() {
        let (store, campaign, _) = draft(&[email("Hello")]).await;
        let refuse = |_: &Campaign| Err(StoreError::Stale { what: "campaign" });
        let refused = ask_activation(&store, campaign.id, &Actor::envoi(), refuse).await;
        assert!(matches!(refused, Err(StoreError::Stale { .. })), "{refused:?}");
        let lowering = store.campaigns.lowering(campaign.id, 1, 0).await;
        assert!(matches!(lowering, Err(StoreError::NotFound { .. })), "{lowering:?}");
    }
}
