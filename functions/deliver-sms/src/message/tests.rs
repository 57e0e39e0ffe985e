use campaign::configuration::{HttpSms, SmsProvider, SmsSender};
use campaign::content::{OnMissing, SmsContent};
use campaign::{Configuration, ConfigurationId, ExecutionId, ProfileId};
use delivery::MemberId;
use serde_json::json;
use store::messages::ChunkKey;

use super::*;

fn configuration(category: Category) -> Configuration {
    let http = HttpSms {
        url: "https://sms.example.org".to_owned(),
        headers: std::collections::BTreeMap::new(),
        format: campaign::configuration::BodyFormat::Json,
        body: "{}".to_owned(),
        from: None,
        answers: Vec::new(),
    };
    Configuration {
        id: ConfigurationId::from_bytes([1; 16]),
        name: "SMS".to_owned(),
        category,
        rate_per_second: None,
        retry_period_seconds: 60,
        disabled: false,
        ignores_suppression: false,
        sender: Sender::Sms(SmsSender {
            provider: SmsProvider::Http(Box::new(http)),
            default_country: None,
            max_segments: 2,
            opt_out_wording: Some("STOP".to_owned()),
        }),
    }
}

fn member() -> MessageId {
    let execution = ExecutionId::from_bytes([7; 16]);
    MessageId::Member(MemberId { chunk: ChunkKey { execution, shard: 3, action: 1, number: 42 }, index: 9 })
}

struct Case {
    category: Category,
    content: SmsContent,
    id: MessageId,
    to: Option<&'static str>,
}

fn case(text: &str) -> Case {
    let content = SmsContent { text: text.to_owned(), ..SmsContent::default() };
    Case { category: Category::Transactional, content, id: member(), to: None }
}

fn prepared(case: &Case, profile: Value) -> Result<Text, (Code, String)> {
    let Value::Object(document) = profile else { panic!("a profile is an object") };
    let job = Job {
        template: &SmsTemplate::compile(&case.content).unwrap(),
        configuration: &configuration(case.category),
        category: case.category,
        context: &json!({ "code": 4711 }),
        on_missing: OnMissing::Skip,
        id: case.id.clone(),
        to: case.to,
        links: None,
        now_seconds: 0,
    };
    prepare(&job, Profile::from_stored(ProfileId::from_bytes([2; 16]), document))
}

fn code(case: &Case, profile: Value) -> (Code, String) {
    prepared(case, profile).expect_err("is not sent")
}

#[test]
fn a_message_goes_to_the_profile_s_number_with_its_values_filled_in() {
    let text = prepared(
        &case("{{profile.name}}: {{context.code}}"),
        json!({ "name": "Zoë", "phone": "+33612345678" }),
    );
    let text = text.unwrap();
    assert_eq!((text.to.as_str(), text.text.as_str()), ("+33612345678", "Zoë: 4711"));
    let shown = format!("{text:?}");
    assert!(!shown.contains("+33") && !shown.contains("4711"), "{shown}");
    let proof = Case { to: Some("+49170123456"), ..case("Hello") };
    assert_eq!(prepared(&proof, json!({})).unwrap().to, "+49170123456");
}

#[test]
fn who_has_no_number_or_lacks_a_value_is_left_out() {
    assert_eq!(code(&case("x"), json!({})).0, Code::NoAddress);
    assert_eq!(code(&case("x"), json!({ "phone": "0612345678" })).0, Code::InvalidAddress);
    assert_eq!(code(&case("{{profile.name}}"), json!({ "phone": "+33612345678" })).0, Code::MissingValue);
    let blank = case("{{#if profile.name}}x{{/if}} ");
    assert_eq!(code(&blank, json!({ "phone": "+33612345678" })).0, Code::RenderFailed);
}

#[test]
fn a_message_of_more_segments_than_are_allowed_is_not_sent() {
    let phone = || json!({ "phone": "+33612345678" });
    assert!(prepared(&case(&"a".repeat(306)), phone()).is_ok());
    let (reason, detail) = code(&case(&"a".repeat(307)), phone());
    assert_eq!(reason, Code::TooLarge);
    assert_eq!(detail, "it takes 3 segments of GSM-7, at most 2 are allowed");
    // The content's own limit goes before the configuration's.
    let mut own = case(&"a".repeat(307));
    own.content.max_segments = Some(3);
    assert!(prepared(&own, phone()).is_ok());
    own.content.max_segments = Some(1);
    own.content.text = "ł".repeat(71);
    assert_eq!(code(&own, phone()).1, "it takes 2 segments of UCS-2, at most 1 are allowed");
    own.content.transliterate = true;
    assert_eq!(prepared(&own, phone()).unwrap().text, "l".repeat(71));
}

#[test]
fn marketing_says_how_to_opt_out_where_the_configuration_asks_for_it() {
    let phone = || json!({ "phone": "+33612345678" });
    let silent = Case { category: Category::Marketing, ..case("Sale!") };
    assert_eq!(code(&silent, phone()).0, Code::Policy);
    assert!(prepared(&Case { category: Category::Marketing, ..case("Sale! Stop: 36111") }, phone()).is_ok());
    assert!(prepared(&case("Sale!"), phone()).is_ok(), "transactional");
    let id = MessageId::Proof { proof: "p".to_owned(), index: 0 };
    assert!(prepared(&Case { id, ..silent }, phone()).is_ok(), "a proof");
}
