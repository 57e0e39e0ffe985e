//! Allowed lists: where a channel's is on, nothing goes out over the channel but to what is on it. For an installation that
//! must not reach real people yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campaign::address::{EmailAddress, PhoneNumber, domain_to_ascii};
use campaign::{Channel, Profile};
use platform::{Consistency, Key, Platform};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::StoreError;
use crate::document::{self, Revised};
use crate::error::refused;
use crate::tables::AUDIENCE;

/// The most entries of a channel's list: they are one item.
pub const MOST_ENTRIES: usize = 1000;
/// The most bytes of a channel's entries together, for the same reason.
const MOST_BYTES: usize = 300 * 1024;
/// How long a list is taken to be as it was read.
const REMEMBER: Duration = Duration::from_secs(1);
/// How often a change is tried anew when others change the same list at the same time.
const TRIES: usize = 5;
const WHAT: &str = "allowed list";

/// The allowed list of one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Whether it is on. Where it is not, everybody may be written to, whatever is on it.
    pub enabled: bool,
    /// What is on it, as [`entry`] makes it.
    pub entries: BTreeSet<String>,
}

/// What may be on a channel's list, in the form in which it is compared: of email an address or a domain, of text messages a
/// phone number, of push notifications a device's token.
///
/// # Errors
/// Says for people why the text is none of these; webhooks have none.
pub fn entry(channel: Channel, text: &str) -> Result<String, String> {
    let text = text.trim();
    match channel {
        Channel::Email if text.contains('@') => {
            let address = EmailAddress::parse(text).map_err(|error| error.to_string())?;
            Ok(address.as_str().to_lowercase())
        }
        Channel::Email => {
            let domain = domain_to_ascii(text).map_err(|error| error.to_string())?;
            Ok(domain.to_lowercase())
        }
        Channel::Sms => {
            let number = PhoneNumber::parse(text).map_err(|error| error.to_string())?;
            Ok(number.as_str().to_owned())
        }
        Channel::Push if text.is_empty() => Err("is empty".to_owned()),
        Channel::Push => Ok(text.to_owned()),
        Channel::Webhook => {
            Err("webhooks have no addresses that could be on it: where it is on, none is called".to_owned())
        }
    }
}

impl Allowed {
    /// Whether messages of the channel may go to this address; `None` stands for a channel that knows no addresses.
    pub fn lets(&self, channel: Channel, address: Option<&str>) -> bool {
        if !self.enabled {
            return true;
        }
        let Some(address) = address else { return false };
        if channel != Channel::Email {
            return self.entries.contains(address);
        }
        let address = address.to_lowercase();
        let of_domain = || address.rsplit_once('@').is_some_and(|(_, domain)| self.entries.contains(domain));
        self.entries.contains(&address) || of_domain()
    }
}

/// The lists as they were read, and until when (on the monotonic clock) they are taken to be so.
type Remembered = BTreeMap<Channel, (Arc<Allowed>, Duration)>;

/// The repository of allowed lists.
#[derive(Debug, Clone)]
pub struct AllowedLists {
    platform: Platform,
    remembered: Arc<Mutex<Remembered>>,
}

impl AllowedLists {
    /// Over this platform.
    pub fn new(platform: Platform) -> Self {
        Self { platform, remembered: Arc::default() }
    }

    /// A channel's list.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn get(&self, channel: Channel) -> Result<Allowed, StoreError> {
        Ok(self.read(channel).await?.value)
    }

    /// A channel's list as it was within the last second or so, for deliveries.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn lately(&self, channel: Channel) -> Result<Arc<Allowed>, StoreError> {
        let now = self.platform.clock.monotonic();
        let kept = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&channel).cloned();
        if let Some((allowed, until)) = kept
            && now < until
        {
            return Ok(allowed);
        }
        let found = self.platform.table.batch_get(AUDIENCE, &[key(channel)], Consistency::Eventual).await?;
        let allowed = found.first().map(|item| document::decode(WHAT, item)).transpose()?.unwrap_or_default();
        let allowed = Arc::new(allowed);
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.insert(channel, (Arc::clone(&allowed), now + REMEMBER));
        Ok(allowed)
    }

    /// Changes a channel's list: `change` gets it as it is. Gives it as it was and as it is then.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where it has more than [`MOST_ENTRIES`]; as the engine's; [`StoreError::Contended`].
    pub async fn change(
        &self,
        channel: Channel,
        change: impl Fn(&mut Allowed),
    ) -> Result<(Allowed, Allowed), StoreError> {
        for _ in 0..TRIES {
            let Revised { value: before, revision } = self.read(channel).await?;
            let mut after = before.clone();
            change(&mut after);
            if after == before {
                return Ok((before, after));
            }
            let bytes: usize = after.entries.iter().map(String::len).sum();
            if after.entries.len() > before.entries.len()
                && (after.entries.len() > MOST_ENTRIES || bytes > MOST_BYTES)
            {
                let message = format!("a list has at most {MOST_ENTRIES}, of {MOST_BYTES} bytes together");
                return Err(StoreError::invalid("entries", message));
            }
            let write = document::put(AUDIENCE, WHAT, key(channel), &after, revision)?;
            if refused(self.platform.table.transact(vec![write]).await)?.is_none() {
                self.remembered.lock().unwrap_or_else(PoisonError::into_inner).remove(&channel);
                return Ok((before, after));
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Takes a person's own addresses, numbers and tokens off the lists; domains stay.
    ///
    /// # Errors
    /// As [`Self::change`]'s.
    pub async fn forget(&self, person: &Profile) -> Result<(), StoreError> {
        let tokens = person.document().get("push_tokens").and_then(Value::as_array);
        let tokens = tokens.into_iter().flatten().filter_map(|entry| entry.get("token")?.as_str());
        let own: [(Channel, Vec<&str>); 3] = [
            (Channel::Email, person.text("email").into_iter().collect()),
            (Channel::Sms, person.text("phone").into_iter().collect()),
            (Channel::Push, tokens.collect()),
        ];
        for (channel, own) in own {
            let own: Vec<_> = own.into_iter().filter_map(|text| entry(channel, text).ok()).collect();
            if !own.is_empty() {
                self.change(channel, |list| list.entries.retain(|entry| !own.contains(entry))).await?;
            }
        }
        Ok(())
    }

    async fn read(&self, channel: Channel) -> Result<Revised<Allowed>, StoreError> {
        let item = self.platform.table.get(AUDIENCE, &key(channel), Consistency::Strong).await?;
        let found = item.map(|item| document::revised(WHAT, &item)).transpose()?;
        Ok(found.unwrap_or(Revised { value: Allowed::default(), revision: 0 }))
    }
}

/// Beside the suppressed domains, which whoever delivers reads as often.
fn key(channel: Channel) -> Key {
    Key::new(format!("sup#allowed#{}", channel.name()), "S")
}

#[cfg(test)]
mod tests {
    use platform::SystemClock;
    use platform::embedded::Embedded;

    use super::*;

    fn lists() -> AllowedLists {
        AllowedLists::new(Embedded::in_memory(Arc::new(SystemClock)).platform())
    }

    fn list(enabled: bool, entries: &[&str]) -> Allowed {
        Allowed { enabled, entries: entries.iter().map(|entry| (*entry).to_owned()).collect() }
    }

    #[test]
    fn an_entry_is_of_its_channel_and_is_compared_in_one_form() {
        for (channel, text, form) in [
            (Channel::Email, " Ann@Example.ORG ", "ann@example.org"),
            (Channel::Email, "K\u{e4}se.de", "xn--kse-qla.de"),
            (Channel::Email, "EXAMPLE.org", "example.org"),
            (Channel::Sms, "+44 20 7946 0000", "+442079460000"),
            (Channel::Push, " Token:1 ", "Token:1"),
        ] {
            assert_eq!(entry(channel, text).as_deref(), Ok(form));
        }
        for (channel, text) in [
            (Channel::Email, "ann"),
            (Channel::Email, "@example.org"),
            (Channel::Sms, "ann@example.org"),
            (Channel::Push, " "),
            (Channel::Webhook, "example.org"),
        ] {
            assert!(entry(channel, text).is_err(), "{text}");
        }
    }

    #[test]
    fn where_it_is_on_only_what_is_on_it_is_let_through() {
        let email = list(true, &["ann@example.org", "example.com"]);
        for (address, is_let) in [
            ("Ann@Example.org", true),
            ("bob@example.org", false),
            ("anybody@EXAMPLE.com", true),
            ("anybody@mail.example.com", false),
            ("\"a@example.com\"@example.net", false),
        ] {
            assert_eq!(email.lets(Channel::Email, Some(address)), is_let, "{address}");
        }
        assert!(list(false, &[]).lets(Channel::Email, Some("bob@example.org")));
        assert!(list(false, &[]).lets(Channel::Webhook, None));
        assert!(!list(true, &[]).lets(Channel::Email, Some("bob@example.org")));
        assert!(!list(true, &[]).lets(Channel::Webhook, None));
        let push = list(true, &["Token"]);
        assert!(push.lets(Channel::Push, Some("Token")) && !push.lets(Channel::Push, Some("token")));
    }

    #[tokio::test]
    async fn each_channel_has_its_own_and_it_is_off_at_first() {
        let lists = lists();
        assert_eq!(*lists.lately(Channel::Email).await.unwrap(), Allowed::default());
        let (before, after) = lists
            .change(Channel::Email, |list| {
                list.enabled = true;
                list.entries.insert("ann@example.org".to_owned());
            })
            .await
            .unwrap();
        assert_eq!((before, &after), (Allowed::default(), &list(true, &["ann@example.org"])));
        assert_eq!(lists.get(Channel::Email).await.unwrap(), after);
        // Whoever changed it does not go by what was remembered.
        assert_eq!(*lists.lately(Channel::Email).await.unwrap(), after);
        assert_eq!(lists.get(Channel::Sms).await.unwrap(), Allowed::default());
    }

    #[tokio::test]
    async fn of_somebody_who_is_forgotten_no_list_keeps_anything() {
        let lists = lists();
        let document = serde_json::json!({
            "email": "Ann@Example.org", "phone": "+442079460000",
            "push_tokens": [{ "app_id": "a", "platform": "ios", "token": "T" }],
        });
        let Value::Object(document) = document else { panic!("an object") };
        let ann = Profile::new(campaign::ProfileId::random(), document).unwrap();
        for (channel, own, other) in [
            (Channel::Email, "ann@example.org", "example.org"),
            (Channel::Sms, "+442079460000", "+442079460001"),
            (Channel::Push, "T", "t"),
        ] {
            let both = |list: &mut Allowed| list.entries.extend([own, other].map(str::to_owned));
            lists.change(channel, both).await.unwrap();
            lists.forget(&ann).await.unwrap();
            assert_eq!(lists.get(channel).await.unwrap(), list(false, &[other]));
        }
    }

    #[tokio::test]
    async fn a_list_has_a_most() {
        let lists = lists();
        let fill = |list: &mut Allowed| {
            list.entries.extend((0..=MOST_ENTRIES).map(|number| format!("a{number}@example.org")));
        };
        let refused = lists.change(Channel::Email, fill).await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
        let long = |list: &mut Allowed| {
            list.entries.extend((0..100).map(|number| format!("{number}{}", "x".repeat(4000))));
        };
        let refused = lists.change(Channel::Push, long).await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    }
}
