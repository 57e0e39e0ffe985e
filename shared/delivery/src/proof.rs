//! Proofs: a content as it stood, sent to a few addresses for somebody to look at. They leave no trace in the ledger.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use campaign::content::OnMissing;
use campaign::{Configuration, Profile, ProfileId};
use platform::Deadline;
use serde_json::Map;
use store::messages::Proof;
use store::{Store, StoreError};
use tracing::{info, warn};

use crate::{Answer, Job, JobLinks, MessageId, Sender};

const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// What is left of a function's time once a proof is sent.
const RESERVE: Duration = Duration::from_secs(5);

/// Sends a proof. One that can't be rendered or is not taken is logged and given up: whoever asked is looking.
///
/// # Errors
/// Where the store can't be read, or the proof is of a later form than is known here: the message is to come back.
pub(crate) async fn send<S: Sender>(
    store: &Store,
    sender: &S,
    proof: &Proof,
    deadline: Deadline,
) -> Result<(), StoreError> {
    if !proof.content.is_known() {
        return Err(StoreError::Corrupt { what: "proof", source: None });
    }
    let template = match sender.compile(&proof.content) {
        Ok(template) => template,
        Err(why) => {
            warn!(proof = %proof.id, why, "proof {} does not compile", proof.id);
            return Ok(());
        }
    };
    let configuration = match store.configurations.get(proof.configuration).await {
        Err(StoreError::NotFound { .. }) => return Ok(()),
        found => found?.value,
    };
    let category = match proof.campaign {
        None => configuration.category,
        Some(id) => match store.campaigns.get(id).await {
            Err(StoreError::NotFound { .. }) => configuration.category,
            campaign => campaign?.category,
        },
    };
    let nobody = || Profile::from_stored(ProfileId::from_bytes([0; 16]), Map::new());
    let profile = match proof.profile {
        None => nobody(),
        Some(id) => match store.profiles.get(id).await {
            Err(StoreError::NotFound { .. }) => nobody(),
            profile => profile?.value,
        },
    };
    let keys = if S::HAS_LINKS { Some(store.links.keys().await?) } else { None };
    let public_url = store.links.public_url();
    let links = keys.as_deref().map(|keys| JobLinks { keys, public_url, recipient: None });
    let now_seconds = store.platform.clock.now().as_second();
    let allowed = store.allowed.lately(S::CHANNEL).await?;
    let mut messages = Vec::new();
    for (index, to) in recipients(proof).into_iter().enumerate() {
        if !allowed.lets(S::CHANNEL, to) {
            warn!(proof = %proof.id, index, "recipient {index} of proof {} is not on the allowed list", proof.id);
            continue;
        }
        let job = Job {
            template: &template,
            configuration: &configuration,
            category,
            context: &proof.context,
            on_missing: OnMissing::Blank,
            id: MessageId::Proof { proof: proof.id.clone(), index },
            to,
            links,
            now_seconds,
        };
        let prepared = catch_unwind(AssertUnwindSafe(|| sender.prepare(&job, profile.clone())));
        match prepared {
            Ok(Ok(message)) => messages.push(message),
            Ok(Err((_, why))) => warn!(proof = %proof.id, why, "proof {} can't be rendered", proof.id),
            Err(_) => warn!(proof = %proof.id, "rendering proof {} panicked", proof.id),
        }
    }
    let (of, campaign) = (messages.len(), proof.campaign.map(tracing::field::display));
    // Whoever is ended in the middle is asked again, and would send it again.
    let time = deadline.remaining(&*store.platform.clock).saturating_sub(RESERVE).min(SEND_TIMEOUT);
    let taken = hand_over(sender, &configuration, messages, &proof.id, time).await;
    info!(proof = %proof.id, campaign, taken, of, "proof {}: {taken} of {of} taken", proof.id);
    Ok(())
}

/// Whom it goes to: the addresses it names, or once to nobody in particular where its channel has no addresses.
fn recipients(proof: &Proof) -> Vec<Option<&str>> {
    if proof.addresses.is_empty() {
        return vec![None];
    }
    proof.addresses.iter().map(|address| Some(address.as_str())).collect()
}

/// How many were taken; why the others were not is logged, as the provider puts it.
async fn hand_over<S: Sender>(
    sender: &S,
    configuration: &Configuration,
    messages: Vec<S::Message>,
    proof: &str,
    time: Duration,
) -> usize {
    if messages.is_empty() {
        return 0;
    }
    let mut taken = 0;
    for answer in sender.send(configuration, messages, time).await {
        match answer {
            Answer::Accepted => taken += 1,
            Answer::Refused { detail: why, .. }
            | Answer::NotAccepted { detail: why, .. }
            | Answer::Ambiguous { detail: why } => {
                warn!(proof, why, "proof {proof} was not taken for sure: {why}");
            }
        }
    }
    taken
}
