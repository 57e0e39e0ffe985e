//! What recipients and providers tell: links through the gateway's own route, events by the events' queue, each to its own
//! function by its own role, and in the end the report.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use envoi_tests::deployed::{Deployment, Sweeps, deployed};
use envoi_tests::process::GUARD;
use platform::{Clock, Message, SystemClock};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use store::tables::FEEDBACK;

use super::audience::Audience;
use super::roles::{opens, reads};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// The link of this kind in an HTML part: its path.
fn link<'h>(html: &'h str, kind: &str) -> &'h str {
    let at = html.find(kind).unwrap_or_else(|| panic!("no {kind} in {html}"));
    html[at..].split('"').next().unwrap()
}

/// What SES puts on EventBridge, about the message that holds this picture.
fn event(picture: &str, address: &str, detail_type: &str, kind: &str, more: &Value) -> String {
    let token = picture.strip_prefix("/t/o/").unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap();
    let execution = campaign::ExecutionId::from_bytes(bytes[4..20].try_into().unwrap());
    let chunk = u32::from_be_bytes(bytes[23..27].try_into().unwrap());
    let mut detail = json!({
        "eventType": kind,
        "mail": {
            "timestamp": "2026-11-26T12:00:00.000Z",
            "messageId": "0100018c-1",
            "destination": [address],
            "tags": {
                "envoi-execution": [execution.to_string()],
                "envoi-shard": [u16::from_be_bytes([bytes[20], bytes[21]]).to_string()],
                "envoi-action": [bytes[22].to_string()],
                "envoi-chunk": [chunk.to_string()],
                "envoi-member": [bytes[27].to_string()],
            },
        },
    });
    detail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "version": "0", "id": "1", "source": "aws.ses", "account": "123456789012",
        "time": "2026-11-26T12:00:01Z", "region": "eu-west-1", "resources": [],
        "detail-type": detail_type, "detail": detail,
    })
    .to_string()
}

async fn visit(envoi: &Deployment, method: Method, path: &str) -> reqwest::Response {
    let http = Client::builder().redirect(Policy::none()).user_agent(BROWSER).build().unwrap();
    http.request(method, format!("{}{path}", envoi.api.base())).send().await.unwrap()
}

pub(super) async fn what_recipients_and_providers_tell_is_in_the_report() {
    deployed("told", async |envoi| {
        let audience = Audience::import(envoi, "told.example", 4).await;
        let campaign = audience.campaign(envoi).await;
        envoi.api.activate(&campaign).await.unwrap();
        let execution = envoi.ended(&campaign, Sweeps::OnTop).await.unwrap();
        assert_eq!(audience.outcomes(envoi, &execution).await.sent.len(), 4, "{execution}");
        let mails = audience.mails(envoi).await;
        let html = |number| mails[&audience.address(number)].body_html.as_deref().unwrap();

        // The first opens it twice, and wants no more; the next one's provider has no such mailbox, told twice.
        for _ in 0..2 {
            assert_eq!(visit(envoi, Method::GET, link(html(0), "/t/o/")).await.status(), 200);
        }
        let unsubscribe = link(html(0), "/t/u/");
        assert_eq!(visit(envoi, Method::GET, unsubscribe).await.status(), 200);
        let one_click = Client::new()
            .post(format!("{}{unsubscribe}", envoi.api.base()))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body("List-Unsubscribe=One-Click");
        assert_eq!(one_click.send().await.unwrap().status(), 200);
        let gone = audience.address(1);
        let bounce = json!({ "bounce": {
            "bounceType": "Permanent", "bounceSubType": "General", "timestamp": "2026-11-26T12:00:01.000Z",
            "bouncedRecipients": [{ "emailAddress": gone, "status": "5.1.1" }], "feedbackId": "f",
        } });
        let bounce = event(link(html(1), "/t/o/"), &gone, "Email Bounced", "Bounce", &bounce);
        let taken = audience.address(2);
        let delivery = json!({ "delivery": {
            "timestamp": "2026-11-26T12:00:01.000Z", "recipients": [taken], "smtpResponse": "250 ok",
        } });
        let delivery = event(link(html(2), "/t/o/"), &taken, "Email Delivered", "Delivery", &delivery);
        for body in [&bounce, &delivery, &bounce] {
            envoi.send(&Message::new(FEEDBACK, body.clone())).await.unwrap();
        }

        let path = format!("/campaigns/{campaign}/reports/global");
        let until = SystemClock.monotonic() + GUARD;
        let total = loop {
            let total = envoi.api.get(&path).await.unwrap()["total"].clone();
            if total["bounced"]["hard"] == 1 && total["delivered"] == 1 {
                break total;
            }
            assert!(SystemClock.monotonic() < until, "the events are not counted: {total}");
            SystemClock.sleep(std::time::Duration::from_millis(200)).await;
        };
        assert_eq!(total["opens"]["human"], json!({ "total": 2, "unique": 1 }), "{total}");
        assert_eq!((&total["unsubscribed"], &total["balances"]), (&json!(1), &json!(true)), "{total}");

        // What they told holds for the next: no consent, and no such address.
        let next = audience.campaign(envoi).await;
        envoi.api.activate(&next).await.unwrap();
        let next = envoi.ended(&next, Sweeps::OnTop).await.unwrap();
        let reasons = &next["total"]["excluded"];
        assert_eq!(reasons["reasons"]["no_consent"], 1, "{next}");
        assert_eq!(reasons["reasons"]["suppressed"], 1, "{next}");
        assert_eq!(next["total"]["balances"], true, "{next}");

        // All that is held of somebody, and of what was sent to them, by a job that looks through the ledger.
        let path = format!("/executions/{}/recipients", execution["id"].as_str().unwrap());
        let recipients = envoi.api.all(&path).await.unwrap();
        let opened = |recipient: &&Value| recipient["events"].to_string().contains("\"opened\"");
        let person = recipients.iter().find(opened).unwrap()["profile_id"].as_str().unwrap();
        let export = envoi.api.act(&format!("/profiles/{person}/export")).await.unwrap();
        let job = export["id"].as_str().unwrap();
        let done = envoi.api.job(job, std::time::Duration::from_millis(200)).await.unwrap();
        assert_eq!(done["state"], "completed", "{done}");
        let file = envoi.download(&format!("/jobs/{job}/export")).await.unwrap();
        let file: Value = serde_json::from_str(&file).unwrap();
        assert_eq!(file["profile"]["email"], audience.address(0), "{file}");
        assert_eq!(file["messages"].as_array().unwrap().len(), 2, "{file}");

        for (function, partition, may) in [
            ("track", "secret#links", true),
            ("track", "secret#email", false),
            ("track", "keys", false),
            ("feedback", "secret#suppression", true),
            ("feedback", "secret#links", false),
            ("feedback", "keys", false),
        ] {
            assert_eq!(reads(envoi, function, partition).await, may, "{function} reads {partition}");
        }
        assert!(opens(envoi, "track", "links").await && !opens(envoi, "track", "email").await);
        assert!(!opens(envoi, "feedback", "links").await);
    })
    .await;
}
