//! What events say of addresses, for messages to come.

use std::collections::{BTreeSet, HashMap};

use campaign::Channel;
use campaign::address::{EmailAddress, PhoneNumber};
use campaign::feedback::{Cause, Report};
use campaign::frequency::MessageTag;
use campaign::suppression::SuppressionReason;
use jiff::Timestamp;
use platform::table::MAX_BATCH_GET;
use store::StoreError;
use store::messages::ChunkKey;
use store::suppression::Suppression;

use crate::Context;
use crate::event::ProviderEvent;

/// Puts the event's addresses on the suppression list where it alone is reason enough. Repeated, it changes nothing more.
///
/// Of a message that is none of ours, nothing matters but that an address does not exist: whoever wrote to it, we need not.
pub(crate) async fn at_once(context: &Context, event: &ProviderEvent) -> Result<(), StoreError> {
    let (reason, source) = match event.report {
        Report::HardBounced if event.cause == Cause::Address => {
            (SuppressionReason::HardBounce, "hard bounce")
        }
        Report::Complained if event.of.is_some() => (SuppressionReason::Complaint, "complaint"),
        Report::Unsubscribed if event.of.is_some() => (SuppressionReason::Unsubscribed, "unsubscribed"),
        _ => return Ok(()),
    };
    for address in addresses(event) {
        let (channel, source) = (event.channel, Some(source.to_owned()));
        let entry = Suppression { channel, address: Some(address), reason, source, at: at(event) };
        context.store.suppressions.add(&entry).await?;
    }
    Ok(())
}

/// Takes the addresses off what was mailed, save for those that the members have in their profiles: whoever was sent one
/// message knows its name, and could write a report of it that names anybody.
pub(crate) async fn hold_against_profiles(
    context: &Context,
    chunk: ChunkKey,
    events: &mut [(u8, ProviderEvent)],
) -> Result<(), StoreError> {
    if !events.iter().any(|(_, event)| event.mailed) {
        return Ok(());
    }
    let members = context.store.ledger.chunk(chunk).await?.map(|stored| stored.members.profiles);
    // The ids of those whom a call has brought along are no profiles'.
    let person = |member: u8| members.as_ref()?.get(usize::from(member)).copied();
    let mailed = events.iter().filter(|(_, event)| event.mailed);
    let people: BTreeSet<_> = mailed.filter_map(|(member, _)| person(*member)).collect();
    let people: Vec<_> = people.into_iter().collect();
    let mut profiles = HashMap::new();
    for some in people.chunks(MAX_BATCH_GET) {
        let found = context.store.profiles.get_many(some).await?;
        profiles.extend(found.into_iter().map(|profile| (profile.id(), profile)));
    }
    for (member, event) in events.iter_mut().filter(|(_, event)| event.mailed) {
        let email = person(*member).and_then(|id| profiles.get(&id)?.text("email"));
        let is_theirs = |address: &String| email.is_some_and(|email| email.eq_ignore_ascii_case(address));
        event.addresses = addresses(event).filter(is_theirs).collect();
    }
    Ok(())
}

/// Counts a soft bounce of a message that counts against the event's address. Repeated, it changes nothing more.
pub(crate) async fn soft_bounced(
    context: &Context,
    message: MessageTag,
    event: &ProviderEvent,
) -> Result<(), StoreError> {
    if event.cause == Cause::Address {
        for address in addresses(event) {
            context.store.suppressions.soft_bounce(event.channel, &address, message, at(event)).await?;
        }
    }
    Ok(())
}

/// Says that the event's address was reached.
pub(crate) async fn delivered(context: &Context, event: &ProviderEvent) -> Result<(), StoreError> {
    for address in addresses(event) {
        context.store.suppressions.delivered(event.channel, &address).await?;
    }
    Ok(())
}

fn at(event: &ProviderEvent) -> Timestamp {
    Timestamp::from_millisecond(event.at_ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The event's addresses as profiles have theirs. What is no address is left out.
fn addresses(event: &ProviderEvent) -> impl Iterator<Item = String> {
    event.addresses.iter().filter_map(|given| {
        // Some name the person, too.
        let bare =
            given.rsplit_once('<').map_or(given.as_str(), |(_, rest)| rest.trim_end().trim_end_matches('>'));
        match event.channel {
            Channel::Email => EmailAddress::parse(bare).ok().map(|address| address.as_str().to_owned()),
            Channel::Sms => PhoneNumber::parse(bare).ok().map(|number| number.as_str().to_owned()),
            Channel::Push | Channel::Webhook => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_as_profiles_have_them() {
        let mut event = ProviderEvent::new(Channel::Email, Report::HardBounced, 0);
        event.addresses =
            ["Ada <Ada@K\u{e4}se.example>", "b@x.example", "nobody", ""].map(str::to_owned).to_vec();
        let found: Vec<_> = addresses(&event).collect();
        assert_eq!(found, ["Ada@xn--kse-qla.example", "b@x.example"]);
        let mut event = ProviderEvent::new(Channel::Sms, Report::HardBounced, 0);
        event.addresses = ["+33 6 12 34 56 78", "12"].map(str::to_owned).to_vec();
        assert_eq!(addresses(&event).collect::<Vec<_>>(), ["+33612345678"]);
        let mut event = ProviderEvent::new(Channel::Push, Report::HardBounced, 0);
        event.addresses = vec!["token".to_owned()];
        assert_eq!(addresses(&event).count(), 0);
    }
}
