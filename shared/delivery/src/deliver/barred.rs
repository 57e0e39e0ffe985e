//! Whom the lists keep out: the suppression list, and an allowed list that is on.

use std::collections::HashSet;

use campaign::{Category, Channel, Code, Profile};
use serde_json::Value;
use store::StoreError;
use store::allowed::Allowed;

use super::Run;
use crate::Sender;

impl<S: Sender> Run<'_, S> {
    /// Gives those whom a list keeps out their outcome, and takes their profiles away.
    pub(super) async fn bar(&mut self, profiles: &mut [Option<Profile>]) -> Result<(), StoreError> {
        let (mut members, mut addresses, mut unaddressed) = (Vec::new(), Vec::new(), Vec::new());
        for (index, profile) in profiles.iter().enumerate() {
            let Some(profile) = profile else { continue };
            match self.delivery.sender.address(self.configuration, profile) {
                Ok(Some(address)) => {
                    members.push(index);
                    addresses.push(address);
                }
                Ok(None) => unaddressed.push(index),
                // Said when the message is prepared.
                Err(_) => {}
            }
        }
        if members.is_empty() && unaddressed.is_empty() {
            return Ok(());
        }
        let allowed = self.delivery.store.allowed.lately(S::CHANNEL);
        let (allowed, suppressed) = tokio::try_join!(allowed, self.suppressed(&addresses))?;
        let why = |(position, address): (usize, &&str)| {
            if !allowed.lets(S::CHANNEL, Some(address)) {
                return Some((members[position], Code::NotAllowed));
            }
            suppressed.contains(&position).then_some((members[position], Code::Suppressed))
        };
        let mut barred: Vec<_> = addresses.iter().enumerate().filter_map(why).collect();
        for index in unaddressed {
            if allowed.enabled {
                profiles[index] =
                    profiles[index].take().and_then(|profile| self.where_allowed(profile, &allowed));
                if profiles[index].is_none() {
                    barred.push((index, Code::NotAllowed));
                }
            }
        }
        for (index, code) in barred {
            self.chunk.members.close(index, code);
            profiles[index] = None;
        }
        Ok(())
    }

    /// Which of these addresses, by position, must not be written to.
    async fn suppressed(&self, addresses: &[&str]) -> Result<HashSet<usize>, StoreError> {
        let category = self.head.category;
        if self.configuration.ignores_suppression && category == Category::Transactional {
            return Ok(HashSet::new());
        }
        self.delivery.store.suppressions.which(S::CHANNEL, category, addresses).await
    }

    /// The profile with those devices alone that the list allows; `None` where it has none of them, and for a channel that
    /// knows no such thing.
    fn where_allowed(&self, profile: Profile, allowed: &Allowed) -> Option<Profile> {
        if S::CHANNEL != Channel::Push {
            return None;
        }
        let id = profile.id();
        let mut document = profile.into_document();
        if let Some(Value::Array(tokens)) = document.get_mut("push_tokens") {
            tokens.retain(|entry| allowed.lets(S::CHANNEL, entry.get("token").and_then(Value::as_str)));
        }
        let profile = Profile::from_stored(id, document);
        self.delivery.sender.address(self.configuration, &profile).is_ok().then_some(profile)
    }
}
