//! What is read of each provider's events, in each envelope.

use campaign::Channel;
use campaign::feedback::{Cause, Report};
use delivery::MessageId;
use feedback::ProviderEvent;
use feedback::read::{Unread, events};
use proptest::prelude::*;
use serde_json::Value;

use crate::fixtures::{NOW_MS, SENT_MS, all, fixture, member};

fn one(path: &str) -> ProviderEvent {
    let mut found = events(&fixture(path), NOW_MS).unwrap();
    assert_eq!(found.len(), 1, "{path}");
    found.remove(0)
}

#[test]
fn each_event_of_ses_is_what_the_table_says() {
    let (address, message, list) = (Cause::Address, Cause::Message, Cause::List);
    for (name, report, cause, after_ms) in [
        ("send", Report::Sent, address, 0),
        ("delivery", Report::Delivered, address, 4_100),
        ("delivery-delay", Report::Delayed, address, 1_200_000),
        ("bounce-hard", Report::HardBounced, address, 5_250),
        ("bounce-no-email", Report::HardBounced, address, 5_250),
        ("bounce-suppressed", Report::HardBounced, address, 5_250),
        ("bounce-account-list", Report::HardBounced, list, 5_250),
        ("bounce-mailbox-full", Report::SoftBounced, address, 5_250),
        ("bounce-expired", Report::SoftBounced, address, 5_250),
        ("bounce-undetermined", Report::SoftBounced, address, 5_250),
        ("bounce-too-large", Report::SoftBounced, message, 5_250),
        ("bounce-content", Report::SoftBounced, message, 5_250),
        ("bounce-attachment", Report::SoftBounced, message, 5_250),
        ("complaint", Report::Complained, address, 5_400_000),
        ("complaint-untyped", Report::Complained, address, 5_400_000),
        ("complaint-account-list", Report::HardBounced, list, 1_000),
        ("reject", Report::Rejected, message, 0),
        ("rendering-failure", Report::RenderFailed, message, 0),
        ("subscription-out", Report::Unsubscribed, address, 7_200_000),
    ] {
        let event = one(&format!("ses/{name}.json"));
        assert_eq!((event.report, event.cause, event.channel), (report, cause, Channel::Email), "{name}");
        assert_eq!(event.at_ms, SENT_MS + after_ms, "{name}");
        assert_eq!(event.of, Some(member()), "{name}");
        assert_eq!(event.addresses, ["ada@reader.example"], "{name}");
        assert!(event.provider_id.is_some(), "{name}");
    }
}

#[test]
fn what_tells_us_nothing_is_no_event() {
    for name in [
        "ses/open",
        "ses/click",
        "ses/out-of-office",
        "ses/out-of-office-of-nobody",
        "ses/complaint-not-spam",
        "ses/complaint-auth-failure",
        "ses/subscription-topic",
        "identity/subscribed",
    ] {
        assert_eq!(events(&fixture(&format!("{name}.json")), NOW_MS), Ok(Vec::new()), "{name}");
    }
}

#[test]
fn what_an_identity_notifies_of_is_known_by_its_message_id() {
    for (name, report) in
        [("bounce", Report::HardBounced), ("complaint", Report::Complained), ("delivery", Report::Delivered)]
    {
        let event = one(&format!("identity/{name}.json"));
        assert_eq!((event.report, event.of), (report, Some(member())), "{name}");
    }
    // Where an identity's notifications leave the headers out, nobody can say which message it was.
    let event = one("identity/bounce-without-headers.json");
    assert_eq!((event.report, event.of), (Report::HardBounced, None));
}

#[test]
fn events_of_proofs_and_of_others_name_no_member() {
    let proof = MessageId::Proof { proof: "4f9c".to_owned(), index: 0 };
    assert_eq!(one("ses/bounce-of-proof.json").of, Some(proof));
    assert_eq!(one("ses/bounce-of-others.json").of, None);
}

#[test]
fn every_envelope_holds_the_same_event() {
    let bare = one("ses/bounce-hard.json");
    for name in ["sns", "eventbridge", "eventbridge-in-sns", "sns-in-eventbridge"] {
        assert_eq!(one(&format!("envelopes/{name}.json")), bare, "{name}");
    }
    assert_eq!(one("envelopes/sns-of-identity.json"), one("identity/bounce.json"));
    let text = one("sms/delivered.json");
    for name in ["eventbridge-sms", "sns-sms"] {
        assert_eq!(one(&format!("envelopes/{name}.json")), text, "{name}");
    }
}

/// Row H7.
#[test]
fn what_ses_says_when_a_topic_is_given_to_it_is_no_event_and_no_trouble() {
    for name in ["validated.json", "validated.txt"] {
        assert_eq!(events(&fixture(&format!("envelopes/{name}")), NOW_MS), Err(Unread::NotJson), "{name}");
    }
    assert_eq!(events(&fixture("envelopes/confirmation.json"), NOW_MS), Err(Unread::Unknown));
    for other in ["1", "null", "[]", "\"text\"", "{}", "{\"Type\":1}", "{\"eventType\":\"New Kind\"}"] {
        assert_eq!(events(other, NOW_MS), Err(Unread::Unknown), "{other}");
    }
    for malformed in
        ["{\"eventType\":\"Bounce\"}", "{\"eventType\":\"Send\"}", "{\"eventType\":\"Send\",\"mail\":5}"]
    {
        assert_eq!(events(malformed, NOW_MS), Err(Unread::Malformed), "{malformed}");
    }
}

#[test]
fn each_event_of_text_messages_is_what_the_table_says() {
    let (address, message) = (Cause::Address, Cause::Message);
    for (name, report, cause) in [
        ("queued", Report::Sent, address),
        ("pending", Report::Sent, address),
        ("sent", Report::Sent, address),
        ("unknown", Report::Sent, address),
        ("successful-so-far", Report::Sent, address),
        ("successful", Report::Delivered, address),
        ("delivered", Report::Delivered, address),
        ("invalid", Report::HardBounced, address),
        ("unreachable", Report::SoftBounced, address),
        ("blocked", Report::SoftBounced, address),
        ("carrier-blocked", Report::SoftBounced, address),
        ("ttl-expired", Report::SoftBounced, address),
        ("carrier-unreachable", Report::SoftBounced, message),
        ("spam", Report::SoftBounced, message),
        ("invalid-message", Report::SoftBounced, message),
        ("protect-blocked", Report::Rejected, message),
    ] {
        let event = one(&format!("sms/{name}.json"));
        assert_eq!((event.report, event.cause, event.channel), (report, cause, Channel::Sms), "{name}");
        assert_eq!((event.of, event.at_ms), (Some(member()), SENT_MS + 5_250), "{name}");
        assert_eq!(event.addresses, ["+33612345678"], "{name}");
    }
}

#[test]
fn nothing_came_about_later_than_it_was_received() {
    let event = events(&fixture("ses/delivery.json"), SENT_MS).unwrap().remove(0);
    assert_eq!(event.at_ms, SENT_MS);
}

#[test]
fn envelopes_in_envelopes_end_somewhere() {
    let mut body = fixture("ses/send.json");
    for _ in 0..6 {
        body = serde_json::json!({ "Type": "Notification", "Message": body }).to_string();
    }
    assert_eq!(events(&body, NOW_MS), Err(Unread::Unknown));
    let deep = format!("{}{}", "{\"detail\":".repeat(10_000), "}".repeat(10_000));
    assert!(events(&deep, NOW_MS).is_err());
}

#[test]
fn no_address_is_shown_by_what_may_end_in_a_log() {
    let event = one("ses/bounce-hard.json");
    assert!(!format!("{event:?} {:?}", event.reported()).contains("reader"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "Type",
        "Message",
        "detail",
        "eventType",
        "notificationType",
        "mail",
        "bounce",
        "complaint",
        "delivery",
        "tags",
        "headers",
        "feedback",
        "context",
        "bounceType",
        "bouncedRecipients",
        "timestamp",
        "isFinal",
    ]);
    let texts = prop::sample::select(vec![
        "Notification",
        "Bounce",
        "Send",
        "Complaint",
        "TEXT_DELIVERED",
        "Permanent",
        "{}",
        "é",
        "",
        "2026-11-26T10:00:00Z",
        "envoi-proof",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts.prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..8).prop_map(|fields| {
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Value>()
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_json_comes_is_read_or_not(json in any_json(), now_ms in any::<i64>()) {
        let _ = events(&json.to_string(), now_ms);
    }

    #[test]
    fn whatever_text_comes_is_read_or_not(text in ".{0,200}") {
        let _ = events(&text, NOW_MS);
    }

    /// What a fixture becomes where bytes are changed, lost and doubled.
    #[test]
    fn a_fixture_that_is_broken_is_read_or_not(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let all = all_fixtures();
        let mut bytes = all[which.index(all.len())].clone().into_bytes();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => { bytes.remove(at); }
                _ => bytes.insert(at, byte),
            }
        }
        let _ = events(&String::from_utf8_lossy(&bytes), NOW_MS);
    }

    /// What a fixture becomes where one of its values is another.
    #[test]
    fn a_fixture_with_another_value_somewhere_is_read_or_not(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), value in any_json(),
    ) {
        let all = all_fixtures();
        let Ok(mut json) = serde_json::from_str::<Value>(&all[which.index(all.len())]) else { return Ok(()) };
        let mut places = Vec::new();
        pointers(&json, String::new(), &mut places);
        *json.pointer_mut(&places[at.index(places.len())]).unwrap() = value;
        let _ = events(&json.to_string(), NOW_MS);
    }
}

fn all_fixtures() -> &'static [String] {
    static ALL: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(all);
    &ALL
}

fn pointers(json: &Value, here: String, into: &mut Vec<String>) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(value, format!("{here}/{name}"), into);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                pointers(value, format!("{here}/{index}"), into);
            }
        }
        _ => {}
    }
    into.push(here);
}
