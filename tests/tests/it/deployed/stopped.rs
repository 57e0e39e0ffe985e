//! A campaign that is stopped while it runs.

use envoi_tests::deployed::{Sweeps, deployed};

use super::audience::Audience;

/// Six chunks, which are delivered side by side.
const RECIPIENTS: usize = 300;
const WINDOW: usize = 10;
const CHUNKS: usize = 6;

pub(super) async fn a_stop_in_mid_run_excludes_the_rest_and_balances() {
    deployed("stopped", async |envoi| {
        let audience = Audience::import(envoi, "stopped.example", RECIPIENTS).await;
        let campaign = audience.campaign(envoi).await;
        let mut gate = envoi.close_gate("stopped.example");
        envoi.api.activate(&campaign).await.unwrap();
        gate.until_held(WINDOW).await.unwrap();
        envoi.api.act(&format!("/campaigns/{campaign}/stop")).await.unwrap();
        gate.open();
        let execution = envoi.ended(&campaign, Sweeps::OnTop).await.unwrap();
        assert_eq!(execution["state"], "stopped", "{execution}");
        let outcomes = audience.outcomes(envoi, &execution).await;
        assert!(outcomes.unknown.is_empty(), "what was with the provider was answered: {outcomes:?}");
        // Nobody begins a window after the stop; those that were under way are over.
        assert!((WINDOW..=WINDOW * CHUNKS).contains(&outcomes.sent.len()), "{execution}");
        assert!(outcomes.excluded.values().all(|reason| reason == "stopped"), "{outcomes:?}");
        let campaign = envoi.api.get(&format!("/campaigns/{campaign}")).await.unwrap();
        assert_eq!(campaign["status"], "stopped", "{campaign}");
    })
    .await;
}
