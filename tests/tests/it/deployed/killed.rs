//! A function that dies while messages are with the provider.

use envoi_tests::deployed::{Sweeps, deployed};
use store::tables::DELIVER_EMAIL;

use super::audience::Audience;

/// One chunk.
const RECIPIENTS: usize = 50;
/// How many of a chunk's members are handed over at a time.
const WINDOW: usize = 10;
/// How soon the message comes back that the dead function did not delete, in seconds.
const BACK: u32 = 5;

pub(super) async fn a_function_killed_in_mid_chunk_leaves_one_window_in_doubt_and_loses_and_doubles_nobody() {
    deployed("killed", async |envoi| {
        let audience = Audience::import(envoi, "killed.example", RECIPIENTS).await;
        let campaign = audience.campaign(envoi).await;
        envoi.hide_for(DELIVER_EMAIL, BACK).await.unwrap();
        let mut gate = envoi.close_gate("killed.example");
        envoi.api.activate(&campaign).await.unwrap();
        // The provider has taken them all, and the function will never know.
        gate.until_held(WINDOW).await.unwrap();
        assert!(envoi.kill("deliver-email").unwrap() > 0, "it was running");
        gate.open();
        let execution = envoi.ended(&campaign, Sweeps::OnTop).await.unwrap();
        assert_eq!(execution["state"], "completed", "{execution}");
        let outcomes = audience.outcomes(envoi, &execution).await;
        assert_eq!(outcomes.unknown.len(), WINDOW, "one window is in doubt: {outcomes:?}");
        assert_eq!(outcomes.sent.len(), RECIPIENTS - WINDOW, "{outcomes:?}");
        assert_eq!(audience.mails(envoi).await.len(), RECIPIENTS, "they have all got theirs");
    })
    .await;
}
