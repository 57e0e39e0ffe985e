//! The suppression list: addresses and domains that nothing is sent to.

mod addresses;
mod domains;

use campaign::Channel;
use campaign::address::{EmailAddress, PhoneNumber};

use crate::error::{Problem, Result};
use crate::operations::{Collect, routes};

/// The longest source, in characters.
const MAX_SOURCE: usize = 200;

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(
        into,
        addresses::add_suppression,
        addresses::list_suppressions,
        addresses::delete_suppression,
        domains::list_domains,
        domains::put_domain,
        domains::delete_domain,
    )
}

/// The address in the form that deliveries have it in.
fn canonical(channel: Channel, address: &str) -> Result<String> {
    let parsed = match channel {
        Channel::Email => EmailAddress::parse(address).map(|address| address.as_str().to_owned()),
        Channel::Sms => PhoneNumber::parse(address).map(|number| number.as_str().to_owned()),
        Channel::Push | Channel::Webhook => {
            return Err(Problem::field(
                "channel",
                "has no addresses that could be suppressed: email and sms have",
            ));
        }
    };
    parsed.map_err(|error| Problem::field("address", error.to_string()))
}

fn check_source(source: Option<&str>) -> Result<()> {
    match source {
        Some(source) if source.chars().count() > MAX_SOURCE => {
            Err(Problem::field("source", format!("has at most {MAX_SOURCE} characters")))
        }
        _ => Ok(()),
    }
}
