//! Proofs: a content as it stood, sent to a few addresses for somebody to look at. They leave no trace in the ledger.

use std::time::Duration;

use campaign::configuration::Sender as SenderSettings;
use campaign::content::OnMissing;
use campaign::lowered::LoweredContent;
use content::{EmailTemplate, LoweredError};
use serde_json::Map;
use store::messages::Proof;
use store::{Store, StoreError};
use tracing::{info, warn};

use crate::Answer;
use crate::letter::{Draft, LetterId};
use crate::sender::EmailSender;

const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends a proof. One that can't be rendered or is not taken is logged and given up: whoever asked is looking.
///
/// # Errors
/// Where the store can't be read, or the proof is of a later form than is known here: the message is to come back.
pub(crate) async fn send(store: &Store, sender: &EmailSender, proof: &Proof) -> Result<(), StoreError> {
    let LoweredContent::Email(email) = &proof.content;
    let template = match EmailTemplate::from_lowered(email) {
        Ok(template) => template,
        Err(LoweredError::Format(_)) => return Err(StoreError::Corrupt { what: "proof", source: None }),
        Err(why) => {
            warn!(proof = %proof.id, campaign = %proof.campaign, %why, "proof {} does not compile", proof.id);
            return Ok(());
        }
    };
    let configuration = match store.configurations.get(proof.configuration).await {
        Err(StoreError::NotFound { .. }) => return Ok(()),
        found => found?.value,
    };
    let SenderSettings::Email(from) = &configuration.sender;
    let profile = match proof.profile {
        None => Map::new(),
        Some(id) => match store.profiles.get(id).await {
            Err(StoreError::NotFound { .. }) => Map::new(),
            profile => profile?.value.into_document(),
        },
    };
    let now_seconds = store.platform.clock.now().as_second();
    let mut letters = Vec::with_capacity(proof.addresses.len());
    for (index, address) in proof.addresses.iter().enumerate() {
        let id = LetterId::Proof { proof: proof.id.clone(), index };
        let draft = Draft {
            template: &template,
            from,
            to: address.as_str(),
            profile: profile.clone(),
            context: &proof.context,
            on_missing: OnMissing::Blank,
            id,
            now_seconds,
            subject_prefix: "[Proof] ",
        };
        match draft.letter() {
            Ok(letter) => letters.push(letter),
            Err((_, why)) => warn!(proof = %proof.id, why, "proof {} can't be rendered", proof.id),
        }
    }
    let answers = sender.hand_over(&letters, SEND_TIMEOUT).await;
    let taken = answers.iter().filter(|answer| matches!(answer, Answer::Accepted { .. })).count();
    info!(proof = %proof.id, campaign = %proof.campaign, taken, of = proof.addresses.len(), "proof {}: {taken} of {} taken", proof.id, proof.addresses.len());
    Ok(())
}
