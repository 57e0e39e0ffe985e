//! What changes, and back.

use campaign::link::Recipient;
use campaign::profile::Consent;
use campaign::suppression::{AddressHash, SuppressionReason};
use campaign::{Profile, ProfileId};
use links::{Kind, Link};
use serde_json::{Map, Value};
use store::StoreError;
use store::suppression::Entry;

use super::{Scope, Subject, found};
use crate::Context;

/// What stands on the suppression list as the source of an entry of ours.
const SOURCE: &str = "unsubscribe link";
/// For how many days after its own somebody may take it back.
const DAYS: u16 = 1;
/// What is to be as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undo {
    /// Of what.
    pub(super) scope: Scope,
    /// How it was.
    pub(super) was: Was,
    /// What it has become: the profile's revision, or when the entry on the suppression list was made. Once that has moved, it is
    /// another no, and this takes nothing back.
    pub(super) state: i64,
}

/// What has come of taking it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undone {
    /// There is no such no, or none any more.
    Done,
    /// It is not what it was when that was offered.
    Moved,
}

/// What was said before somebody unsubscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Was {
    /// Nothing at all.
    Nothing,
    /// That they agree.
    In,
    /// Nothing yet, though they were asked.
    Pending,
}

impl Was {
    /// Its name in forms, and but for the first in profiles.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::In => "in",
            Self::Pending => "pending",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Nothing, Self::In, Self::Pending].into_iter().find(|was| was.name() == name)
    }
}

impl Undo {
    /// What its token is signed with, beside the link.
    fn target(self) -> String {
        format!("undo {} {} {}", self.scope.name(), self.was.name(), self.state)
    }

    /// What shows later that this was offered to whoever holds this link: who only ever got the message, years ago perhaps,
    /// can't turn a no into a yes by it.
    pub(super) async fn token(self, context: &Context, link: &Link) -> Result<String, StoreError> {
        let mut token = String::new();
        let offered = Link { day: context.today(), ..*link };
        offered.push_token(&*context.store.links.keys().await?, &self.target(), &mut token);
        Ok(token)
    }

    /// Whether this was offered, and lately.
    pub(super) async fn is_offered(
        self,
        context: &Context,
        link: &Link,
        token: &str,
    ) -> Result<bool, StoreError> {
        let (keys, today) = (context.store.links.keys().await?, context.today());
        let offered = Link::read(Kind::Unsubscribe, token, &self.target(), &keys, today);
        Ok(offered.is_ok_and(|offered| {
            (offered.member, offered.about) == (link.member, link.about)
                && today.saturating_sub(offered.day) <= DAYS
        }))
    }
}

/// Writes down that somebody wants no more of it. What can be taken back, where anything has changed.
pub(super) async fn unsubscribe(
    context: &Context,
    subject: &Subject,
    scope: Scope,
) -> Result<Option<Undo>, StoreError> {
    let store = &context.store;
    let (is_new, was, state) = match subject.recipient {
        Recipient::Profile(id) | Recipient::Person { profile: id, .. } => {
            let topic = subject.topic.as_ref().filter(|_| scope == Scope::Topic);
            // Who has no profile any more gets nothing any more.
            let Some(before) = found(store.profiles.get(id).await)? else { return Ok(None) };
            let was = was(&before.value, subject, scope);
            let is_new = found(store.profiles.opt_out(id, subject.channel, topic).await)?;
            // Where another has changed it in between, it can't be taken back.
            (is_new.unwrap_or(false), was, before.revision + 1)
        }
        Recipient::Address(hash) => {
            let (hash, reason) = (AddressHash::from_bytes(hash), SuppressionReason::Unsubscribed);
            let source = Some(SOURCE.to_owned());
            // One that stops more than marketing stays as it is, and is not ours to take away.
            let is_new = store.suppressions.add_hashed(subject.channel, hash, reason, source).await?;
            let entry = if is_new { store.suppressions.find_hashed(hash).await? } else { None };
            let Some(entry) = entry else { return Ok(None) };
            (is_new, Was::Nothing, state_of(&entry))
        }
    };
    Ok(is_new.then_some(Undo { scope, was, state }))
}

fn state_of(entry: &Entry) -> i64 {
    entry.suppression.at.as_millisecond()
}

/// What a profile says before it says no.
fn was(profile: &Profile, subject: &Subject, scope: Scope) -> Was {
    match scope {
        Scope::All => match profile.consent(subject.channel) {
            Some(Consent::In) => Was::In,
            Some(Consent::Pending) => Was::Pending,
            Some(Consent::Out) | None => Was::Nothing,
        },
        Scope::Topic => {
            let topics = profile.document().get("topics");
            let said = subject.topic.as_ref().and_then(|topic| topics?.get(topic.as_str()));
            if said.and_then(Value::as_str) == Some("in") { Was::In } else { Was::Nothing }
        }
    }
}

/// Makes it as it was, where it still says the no that this was offered for.
pub(super) async fn undo(context: &Context, subject: &Subject, what: Undo) -> Result<Undone, StoreError> {
    match subject.recipient {
        Recipient::Profile(id) | Recipient::Person { profile: id, .. } => {
            restore(context, id, subject, what).await
        }
        Recipient::Address(hash) => {
            let (hash, suppressions) = (AddressHash::from_bytes(hash), &context.store.suppressions);
            let Some(entry) = suppressions.find_hashed(hash).await? else { return Ok(Undone::Done) };
            // What somebody else has put there since is not ours to take away.
            let is_ours = entry.suppression.reason == SuppressionReason::Unsubscribed;
            if !is_ours || state_of(&entry) != what.state {
                return Ok(Undone::Moved);
            }
            suppressions.remove_hashed(hash).await?;
            Ok(Undone::Done)
        }
    }
}

async fn restore(
    context: &Context,
    id: ProfileId,
    subject: &Subject,
    what: Undo,
) -> Result<Undone, StoreError> {
    let profiles = &context.store.profiles;
    let of = match (what.scope, &subject.topic) {
        (Scope::All, _) => ("consent", subject.channel.name()),
        (Scope::Topic, Some(topic)) => ("topics", topic.as_str()),
        (Scope::Topic, None) => return Ok(Undone::Done),
    };
    let Some(before) = found(profiles.get(id).await)? else { return Ok(Undone::Done) };
    let Some(document) = restored(before.value.document(), of, what.was) else { return Ok(Undone::Done) };
    if before.revision != what.state {
        return Ok(Undone::Moved);
    }
    match profiles.put(&Profile::from_stored(id, document), Some(&before)).await {
        Err(StoreError::Stale { .. }) => Ok(Undone::Moved),
        put => put.map(|()| Undone::Done),
    }
}

/// The document as it was before; `None` where it does not say no.
fn restored(
    document: &Map<String, Value>,
    (field, of): (&str, &str),
    was: Was,
) -> Option<Map<String, Value>> {
    if document.get(field)?.get(of)?.as_str()? != "out" {
        return None;
    }
    let mut document = document.clone();
    let all = document.get_mut(field)?.as_object_mut()?;
    match was {
        Was::Nothing => drop(all.remove(of)),
        Was::In | Was::Pending => drop(all.insert(of.to_owned(), Value::from(was.name()))),
    }
    if all.is_empty() {
        document.remove(field);
    }
    Some(document)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn restored_from(document: Value, of: (&str, &str), was: Was) -> Option<Value> {
        let Value::Object(document) = document else { panic!("an object") };
        restored(&document, of, was).map(Value::Object)
    }

    #[test]
    fn it_becomes_what_it_was_and_nothing_else_changes() {
        let email = ("consent", "email");
        let out = json!({ "consent": { "email": "out", "sms": "out" }, "city": "Lyon" });
        assert_eq!(
            restored_from(out.clone(), email, Was::In),
            Some(json!({ "consent": { "email": "in", "sms": "out" }, "city": "Lyon" }))
        );
        assert_eq!(
            restored_from(out, email, Was::Nothing),
            Some(json!({ "consent": { "sms": "out" }, "city": "Lyon" }))
        );
        let alone = json!({ "topics": { "news": "out" } });
        assert_eq!(restored_from(alone, ("topics", "news"), Was::Nothing), Some(json!({})));
        for other in [json!({}), json!({ "consent": { "email": "in" } }), json!({ "consent": 3 })] {
            assert_eq!(restored_from(other, email, Was::In), None);
        }
    }
}
