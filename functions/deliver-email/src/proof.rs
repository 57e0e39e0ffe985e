//! Proofs: a version as it stands, sent to a few addresses for somebody to look at. They leave no trace in the ledger.

use std::time::Duration;

use campaign::Channel;
use campaign::configuration::Sender as SenderSettings;
use campaign::content::{Content, OnMissing};
use content::{CompileOptions, EmailTemplate};
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
/// Where the store can't be read: the message is to come back.
pub(crate) async fn send(store: &Store, sender: &EmailSender, proof: &Proof) -> Result<(), StoreError> {
    let version = match store.campaigns.version(proof.campaign, proof.version).await {
        Err(StoreError::NotFound { .. }) => return Ok(()),
        version => version?,
    };
    let Some(action) = version.actions.get(usize::from(proof.action)) else { return Ok(()) };
    let (Channel::Email, Some(configuration)) = (action.channel, action.configuration) else { return Ok(()) };
    let configuration = match store.configurations.get(configuration).await {
        Err(StoreError::NotFound { .. }) => return Ok(()),
        found => found?.value,
    };
    let SenderSettings::Email(from) = &configuration.sender;
    let Content::Email(email) = store.campaigns.content(proof.campaign, proof.version, proof.action).await?;
    let Ok(template) = EmailTemplate::compile(&email, &CompileOptions::default()) else {
        warn!(proof = %proof.id, campaign = %proof.campaign, "proof {} does not compile", proof.id);
        return Ok(());
    };
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
