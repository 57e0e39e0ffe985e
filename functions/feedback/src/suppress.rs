//! What events say of addresses, for messages to come.

use campaign::Channel;
use campaign::address::{EmailAddress, PhoneNumber};
use campaign::feedback::{Cause, Report};
use campaign::suppression::SuppressionReason;
use jiff::Timestamp;
use store::StoreError;
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

/// Counts a soft bounce that counts against the event's address. To be called once a message.
pub(crate) async fn soft_bounced(context: &Context, event: &ProviderEvent) -> Result<(), StoreError> {
    if event.cause == Cause::Address {
        for address in addresses(event) {
            context.store.suppressions.soft_bounce(event.channel, &address, at(event)).await?;
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
