//! Queues deliver at least once: so here everything comes four times.

use std::time::Duration;

use campaign::Channel;
use envoi_tests::deployed::{Deployment, LOOK, Sweeps, deployed};
use envoi_tests::process::GUARD;
use platform::{Clock, Message, SystemClock};
use store::messages::{ChunkKey, FanOut, WakeUp};
use store::tables::{DELIVER_EMAIL, FAN_OUT, WAKE_UP};

use super::audience::Audience;

/// Two chunks.
const RECIPIENTS: usize = 70;
/// Near enough for a delayed message.
const AHEAD: Duration = Duration::from_secs(15);

async fn send_thrice(envoi: &Deployment, messages: &[Message]) {
    for _ in 0..3 {
        for message in messages {
            envoi.send(message).await.unwrap();
        }
    }
}

async fn until_all_are_taken(envoi: &Deployment) {
    let until = SystemClock.monotonic() + GUARD;
    for queue in [WAKE_UP, FAN_OUT, DELIVER_EMAIL] {
        loop {
            let waiting = envoi.waiting(queue).await.unwrap();
            if waiting.total() == 0 {
                break;
            }
            assert!(SystemClock.monotonic() < until, "{queue:?} is never empty: {waiting:?}");
            SystemClock.sleep(LOOK * 10).await;
        }
        assert_eq!(envoi.dead(queue).await.unwrap(), 0, "{queue:?}");
    }
}

pub(super) async fn the_same_wake_up_and_the_same_chunk_delivered_again_send_nothing_twice() {
    deployed("doubled", async |envoi| {
        let audience = Audience::import(envoi, "doubled.example", RECIPIENTS).await;
        let at = (SystemClock.now() + AHEAD).round(jiff::Unit::Second).unwrap();
        let campaign = audience.campaign_at(envoi, at).await;
        let mut gate = envoi.close_gate("doubled.example");
        envoi.api.activate(&campaign).await.unwrap();
        let id = campaign.parse().unwrap();
        let wake_ups = [
            WakeUp::Activate { campaign: id }.message(),
            WakeUp::Start { campaign: id, occurrence_ms: at.as_millisecond() }.message(),
        ];
        // Before anything has started: those that are early come back when it is time.
        send_thrice(envoi, &wake_ups).await;

        // While the first window is with the provider.
        gate.until_held(1).await.unwrap();
        let execution = store::ledger::execution_id(id, at.as_millisecond());
        let chunk = |number| ChunkKey { execution, shard: 0, action: 0, number }.message(Channel::Email);
        let again = [wake_ups[1].clone(), FanOut { execution, shard: 0 }.message(), chunk(0), chunk(1)];
        send_thrice(envoi, &again).await;
        gate.open();
        let ended = envoi.ended(&campaign, Sweeps::OnTop).await.unwrap();

        // When all is over.
        send_thrice(envoi, &again).await;
        until_all_are_taken(envoi).await;
        assert_eq!(ended["id"], execution.to_string());
        assert_eq!(ended["state"], "completed", "{ended}");
        let outcomes = audience.outcomes(envoi, &ended).await;
        assert_eq!(outcomes.sent.len(), RECIPIENTS, "{outcomes:?}");
        assert_eq!(envoi.api.execution(&campaign).await.unwrap().unwrap()["total"], ended["total"]);
    })
    .await;
}
