//! The suppression list: addresses and domains that nothing is sent to.

mod addresses;
mod domains;
mod export;
mod import;

use campaign::Channel;
use store::import::{MAX_SOURCE, canonical_address};

use crate::error::{Problem, Result};
use crate::operations::{Collect, routes};

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(
        into,
        addresses::add_suppression,
        addresses::list_suppressions,
        addresses::delete_suppression,
        domains::list_domains,
        domains::put_domain,
        domains::delete_domain,
        import::import_suppressions,
        export::export_suppressions,
    )
}

/// The address in the form that deliveries have it in.
fn canonical(channel: Channel, address: &str) -> Result<String> {
    canonical_address(channel, address).map_err(|(field, message)| Problem::field(field, message))
}

fn check_source(source: Option<&str>) -> Result<()> {
    match source {
        Some(source) if source.chars().count() > MAX_SOURCE => {
            Err(Problem::field("source", format!("has at most {MAX_SOURCE} characters")))
        }
        _ => Ok(()),
    }
}
