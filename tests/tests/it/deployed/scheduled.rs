//! The whole way: from the HTTP API over the Scheduler to the mailbox.

use std::time::Duration;

use envoi_tests::deployed::{LOOK, Sweeps, deployed};
use envoi_tests::process::GUARD;
use platform::{Clock, SystemClock};
use serde_json::json;

use super::audience::Audience;

/// What is nearer than 90 seconds does not go through the Scheduler; the rest is for the activation, on a busy machine.
const AHEAD: Duration = Duration::from_secs(150);

pub(super) async fn a_scheduled_campaign_is_fired_by_the_scheduler_and_balances() {
    deployed("scheduled", async |envoi| {
        let audience = Audience::import(envoi, "scheduled.example", 120).await;
        let opted_out = json!({ "profiles": [{ "external_id": "E7", "consent": { "email": "out" } }] });
        envoi.api.post("/profiles/batch", &opted_out).await.unwrap();
        // Without it, only the Scheduler can start anything.
        envoi.disable_the_rule().await.unwrap();
        let at = (SystemClock.now() + AHEAD).round(jiff::Unit::Second).unwrap();
        let campaign = audience.campaign_at(envoi, at).await;
        let proof = json!({ "addresses": ["boss@proof.example"] });
        envoi.api.post(&format!("/campaigns/{campaign}/proof"), &proof).await.unwrap();
        envoi.api.activate(&campaign).await.unwrap();

        let until = SystemClock.monotonic() + GUARD;
        let schedule = format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S"));
        while envoi.schedules().await.unwrap() != [schedule.clone()] {
            let campaign = envoi.api.get(&format!("/campaigns/{campaign}")).await.unwrap();
            assert!(SystemClock.monotonic() < until, "no schedule for {at}: {campaign}");
            SystemClock.sleep(LOOK).await;
        }
        let until = SystemClock.monotonic() + GUARD;
        while envoi.api.execution(&campaign).await.unwrap().is_none() {
            assert!(SystemClock.monotonic() < until, "it never fires");
            SystemClock.sleep(LOOK * 10).await;
        }
        assert!(envoi.schedules().await.unwrap().is_empty(), "a schedule is deleted when it has fired");

        envoi.enable_the_rule().await.unwrap();
        let execution = envoi.ended(&campaign, Sweeps::ByRule).await.unwrap();
        assert_eq!(execution["state"], "completed", "{execution}");
        let started: jiff::Timestamp = execution["started_at"].as_str().unwrap().parse().unwrap();
        assert!(started >= at, "never early: {execution}");
        let outcomes = audience.outcomes(envoi, &execution).await;
        assert_eq!((outcomes.sent.len(), outcomes.unknown.len()), (119, 0), "{execution}");
        assert_eq!(outcomes.excluded[&audience.address(7)], "no_consent");
        let mails = audience.mails(envoi).await;
        for number in [0, 6, 8, 119] {
            let mail = &mails[&audience.address(number)];
            assert_eq!(mail.subject, format!("Ann{number}, here is your number"));
            assert!(mail.source.contains("news@envoi.example.com"), "{mail:?}");
            let html = mail.body_html.as_ref().unwrap();
            assert!(html.contains(&format!("your number is {number}.")), "{mail:?}");
            assert!(mail.body_text.contains(&format!("Dear Ann{number}")), "{mail:?}");
        }
        assert_eq!(
            envoi.mails("proof.example").await.unwrap().len(),
            1,
            "a proof is no part of the campaign"
        );
        let campaign = envoi.api.get(&format!("/campaigns/{campaign}")).await.unwrap();
        assert_eq!(campaign["status"], "completed", "{campaign}");
    })
    .await;
}
