//! Who the members are: their profiles, and what a call says of them for this once.

use std::collections::HashMap;

use campaign::call::CallRecipient;
use campaign::profile::Namespace;
use campaign::segment::Match;
use campaign::{Category, Channel, Code, Profile, ProfileId};
use store::StoreError;

use super::Run;
use crate::Sender;

impl<S: Sender> Run<'_, S> {
    /// The profiles that are still to be reached, by member, without those whom the condition or a list keeps out (which get
    /// their outcome here).
    pub(super) async fn profiles(&mut self) -> Result<Vec<Option<Profile>>, StoreError> {
        let store = &self.delivery.store;
        let wanted: Vec<usize> = self.chunk.members.pending().collect();
        let ids: Vec<_> = wanted.iter().map(|index| self.chunk.members.profiles[*index]).collect();
        let mut profiles: Vec<Option<Profile>> = Vec::new();
        profiles.resize_with(self.chunk.members.len(), || None);
        if self.chunk.key.is_call() {
            self.join(&wanted, &mut profiles).await?;
        } else {
            let found = store.profiles.get_many_lately(&ids).await?;
            let mut found: HashMap<_, _> = found.into_iter().map(|profile| (profile.id(), profile)).collect();
            for (index, id) in wanted.iter().zip(&ids) {
                profiles[*index] = found.remove(id);
            }
        }
        for index in wanted {
            let Some(profile) = &profiles[index] else { continue };
            if !self.reaches(profile) {
                self.chunk.members.close(index, Code::ConditionNotMet);
                profiles[index] = None;
            }
        }
        self.bar(&mut profiles).await?;
        if S::HAS_LINKS {
            self.name_addresses(&profiles).await?;
        }
        Ok(profiles)
    }

    /// Finds out under which hash each address would be suppressed: by it, links name those who have no profile, and who
    /// have none any more when they unsubscribe.
    async fn name_addresses(&mut self, profiles: &[Option<Profile>]) -> Result<(), StoreError> {
        self.addresses = vec![None; profiles.len()];
        for (index, profile) in profiles.iter().enumerate() {
            if let Some(profile) = profile
                && let Ok(Some(address)) = self.delivery.sender.address(self.configuration, profile)
            {
                let hash = self.delivery.store.suppressions.hash(S::CHANNEL, address).await?;
                self.addresses[index] = Some(*hash.as_bytes());
            }
        }
        Ok(())
    }

    /// Whether the action is for this profile. What can't be decided is not.
    fn reaches(&self, profile: &Profile) -> bool {
        let at = self.head.started_at;
        self.condition.is_none_or(|condition| condition.matches(profile.document(), at) == Match::Yes)
    }

    /// The profiles of the recipients of a call: the stored ones, with what the call says laid over them.
    async fn join(&self, wanted: &[usize], profiles: &mut [Option<Profile>]) -> Result<(), StoreError> {
        let Some(call) = &self.head.call else { return Ok(()) };
        let recipients: Vec<_> =
            wanted.iter().filter_map(|index| Some((*index, call.recipients.get(*index)?))).collect();
        let ids: Vec<_> = recipients.iter().filter_map(|(_, recipient)| recipient.profile).collect();
        let mut found = HashMap::new();
        if !ids.is_empty() {
            // Strongly read: a profile may have been made a moment before the call.
            let stored = self.delivery.store.profiles.get_many(&ids).await?;
            found.extend(stored.into_iter().map(|profile| (profile.id(), profile)));
        }
        let said = self.said_before(&recipients).await?;
        for (index, recipient) in recipients {
            profiles[index] = match recipient.profile {
                None => Some(with_consent(recipient.join(None), said.get(&index))),
                // Two names may have come to be one person's while the call was taken.
                Some(id) => found.get(&id).cloned().map(|stored| recipient.join(Some(stored))),
            };
        }
        Ok(())
    }

    /// The profiles of those whom a call brings along, where their address has one: to marketing, what they have said once
    /// holds, whoever calls. For nothing else are they read.
    async fn said_before(
        &self,
        recipients: &[(usize, &CallRecipient)],
    ) -> Result<HashMap<usize, Profile>, StoreError> {
        let namespace = match S::CHANNEL {
            Channel::Email => Namespace::Email,
            Channel::Sms => Namespace::Phone,
            Channel::Push | Channel::Webhook => return Ok(HashMap::new()),
        };
        if self.head.category != Category::Marketing {
            return Ok(HashMap::new());
        }
        let brought = recipients.iter().filter(|(_, recipient)| recipient.profile.is_none());
        let identities = |recipient: &CallRecipient| recipient.join(None).identities();
        let named: Vec<_> = brought
            .filter_map(|(index, recipient)| {
                let name = identities(recipient).into_iter().find(|(of, _)| *of == namespace)?;
                Some((*index, name))
            })
            .collect();
        if named.is_empty() {
            return Ok(HashMap::new());
        }
        let (indexes, names): (Vec<_>, Vec<_>) = named.into_iter().unzip();
        let profiles = &self.delivery.store.profiles;
        let ids = profiles.find_many(&names).await?;
        let wanted: Vec<_> = ids.iter().flatten().copied().collect();
        let stored = profiles.get_many(&wanted).await?;
        let stored: HashMap<_, _> = stored.into_iter().map(|profile| (profile.id(), profile)).collect();
        let of = |(index, id): (usize, Option<ProfileId>)| Some((index, stored.get(&id?)?.clone()));
        Ok(indexes.into_iter().zip(ids).filter_map(of).collect())
    }
}

/// The profile with the consent and the topics of another.
fn with_consent(profile: Profile, said: Option<&Profile>) -> Profile {
    let Some(said) = said else { return profile };
    let (id, mut document) = (profile.id(), profile.into_document());
    for field in ["consent", "topics"] {
        if let Some(value) = said.document().get(field) {
            document.insert(field.to_owned(), value.clone());
        }
    }
    Profile::from_stored(id, document)
}
