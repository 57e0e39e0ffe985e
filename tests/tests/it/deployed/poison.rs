//! Messages that nothing can be done with.

use envoi_tests::deployed::{LOOK, Sweeps, deployed};
use envoi_tests::process::GUARD;
use platform::{Clock, Message, SystemClock};
use store::tables::{DELIVER_EMAIL, FAN_OUT, WAKE_UP};

use super::audience::Audience;

const RECIPIENTS: usize = 70;
/// How soon a message comes back that was not dealt with, in seconds.
const BACK: u32 = 2;

pub(super) async fn a_poison_message_ends_among_the_dead_letters_and_the_rest_go_on() {
    deployed("poison", async |envoi| {
        let audience = Audience::import(envoi, "poison.example", RECIPIENTS).await;
        let campaign = audience.campaign(envoi).await;
        let queues = [WAKE_UP, FAN_OUT, DELIVER_EMAIL];
        for queue in queues {
            envoi.hide_for(queue, BACK).await.unwrap();
            envoi.send(&Message::new(queue, format!("poison of {}", queue.0))).await.unwrap();
        }
        envoi.api.activate(&campaign).await.unwrap();
        let execution = envoi.ended(&campaign, Sweeps::OnTop).await.unwrap();
        assert_eq!(execution["state"], "completed", "{execution}");
        let outcomes = audience.outcomes(envoi, &execution).await;
        assert_eq!(outcomes.sent.len(), RECIPIENTS, "{outcomes:?}");

        let until = SystemClock.monotonic() + GUARD;
        for queue in queues {
            while envoi.dead(queue).await.unwrap() == 0 {
                let waiting = envoi.waiting(queue).await.unwrap();
                assert!(SystemClock.monotonic() < until, "{queue:?} keeps it: {waiting:?}");
                SystemClock.sleep(LOOK * 5).await;
            }
            assert_eq!(envoi.take_dead(queue).await.unwrap(), [format!("poison of {}", queue.0)]);
        }
    })
    .await;
}
