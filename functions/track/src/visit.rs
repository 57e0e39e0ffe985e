//! Counting visits.

use std::time::Duration;

use campaign::Fact;
use campaign::link::Member;
use platform::batch;
use store::ledger::Visit;
use store::messages::ChunkKey;
use tracing::warn;

use crate::Context;

/// Counts that somebody has opened a message, or followed the link of this number. It takes no longer than `within`, and
/// where it can't be done that is logged: whoever visits gets what they came for. What is a proof's counts nowhere.
pub(crate) async fn count(
    context: &Context,
    member: &Member,
    fact: Fact,
    link: Option<u16>,
    within: Duration,
) {
    if member.is_nobody() {
        return;
    }
    let visit = Visit { member: member.index, fact, link, minute: context.minute() };
    let execution = member.execution;
    tokio::select! {
        biased;
        counted = context.store.ledger.visit(ChunkKey::of(member), visit) => if let Err(error) = counted {
            let (fact, error) = (fact.name(), batch::chain(&error));
            warn!(%execution, fact, error, "a visit to execution {execution} is not counted: {error}");
        },
        () = context.clock().sleep(within) => {
            let fact = fact.name();
            warn!(%execution, fact, "a visit to execution {execution} is not counted: it takes too long");
        }
    }
}
