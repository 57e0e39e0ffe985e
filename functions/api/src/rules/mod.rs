//! Delivery rules: frequency caps and quiet hours of marketing, whichever campaign it comes from.

mod delete;
mod get;
mod put;

use campaign::DeliveryRules;
use store::StoreError;

use crate::Context;
use crate::error::{Problem, Result};
use crate::extract::{IfMatch, Tagged};
use crate::operations::{Collect, routes};

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(into, get::get_delivery_rules, put::put_delivery_rules, delete::delete_delivery_rules)
}

/// How often a change that names no revision is tried anew when others change the rules at the same time.
const TRIES: usize = 3;

/// Puts rules in the place of those that If-Match names, or of whichever there are.
async fn replace(
    context: &Context,
    if_match: &IfMatch,
    rules: DeliveryRules,
) -> Result<Tagged<DeliveryRules>> {
    let mut tries = 1;
    loop {
        let revision = context.store.rules.get().await?.revision;
        if_match.check(revision)?;
        match context.store.rules.put(&rules, revision).await {
            Ok(()) => return Ok(Tagged::ok(revision + 1, rules)),
            Err(StoreError::Stale { .. }) if !if_match.may_retry() => return Err(IfMatch::failed()),
            Err(StoreError::Stale { .. }) if tries < TRIES => tries += 1,
            Err(error) => return Err(Problem::from(error)),
        }
    }
}
