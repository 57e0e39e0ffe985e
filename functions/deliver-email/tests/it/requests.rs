//! What SES is asked.

use std::sync::{Arc, Barrier};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use deliver_email::ses::{Outgoing, Ses};
use deliver_email::{Answer, tags};
use delivery::MessageId;
use platform::SystemClock;
use serde_json::json;

use crate::endpoint::{Endpoint, Reply, Request};
use crate::{FROM, MESSAGE, TIME, config, member, send_to, ses};

fn taking() -> Endpoint {
    Endpoint::start(|request| Reply::Taken(format!("id of {}", request.to())))
}

#[tokio::test]
async fn a_message_goes_as_it_was_built_and_says_what_it_is() {
    let endpoint = taking();
    let ses = Ses::new(config(&endpoint.url), Some("bulk".to_owned()), Arc::new(SystemClock));
    let answers = send_to(&ses, &["jane@example.org"]).await;
    assert_eq!(answers, [Answer::Accepted { provider_id: Some("id of jane@example.org".to_owned()) }]);

    let [request] = &endpoint.requests()[..] else { panic!("not one request") };
    assert_eq!(request.line, "POST /v2/email/outbound-emails");
    assert!(request.header("authorization").unwrap().contains("/eu-west-1/ses/aws4_request"));
    let body = &request.body;
    assert_eq!(body["FromEmailAddress"], FROM);
    assert_eq!(body["Destination"], json!({ "ToAddresses": ["jane@example.org"] }));
    assert_eq!(body["ConfigurationSetName"], "bulk");
    let raw = body["Content"]["Raw"]["Data"].as_str().unwrap();
    assert_eq!(BASE64_STANDARD.decode(raw).unwrap(), MESSAGE);
    let MessageId::Member(id) = member(0) else { unreachable!() };
    assert_eq!(
        body["EmailTags"],
        json!([
            { "Name": tags::EXECUTION, "Value": id.chunk.execution.to_string() },
            { "Name": tags::SHARD, "Value": "3" },
            { "Name": tags::ACTION, "Value": "1" },
            { "Name": tags::CHUNK, "Value": "42" },
            { "Name": tags::MEMBER, "Value": "0" },
        ])
    );
}

/// SES refuses a message for a tag of other characters.
#[tokio::test]
async fn tags_are_of_the_characters_that_ses_takes() {
    let endpoint = taking();
    send_to(&ses(&endpoint.url), &["jane@example.org"]).await;
    let requests = endpoint.requests();
    for tag in requests[0].body["EmailTags"].as_array().unwrap() {
        for part in [&tag["Name"], &tag["Value"]] {
            let part = part.as_str().unwrap();
            assert!((1..=256).contains(&part.len()), "{part}");
            assert!(part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{part}");
        }
    }
}

#[tokio::test]
async fn a_proof_carries_its_own_tag_alone() {
    let endpoint = taking();
    let id = MessageId::Proof { proof: "01hz".to_owned(), index: 1 };
    let message = Outgoing { id: &id, from: FROM, to: "jane@example.org", message: MESSAGE };
    ses(&endpoint.url).send(&[message], TIME).await;
    let requests = endpoint.requests();
    assert_eq!(requests[0].body["EmailTags"], json!([{ "Name": tags::PROOF, "Value": "01hz" }]));
    assert_eq!(requests[0].body.get("ConfigurationSetName"), None, "the identity's own applies");
}

/// The endpoint answers nobody before it has all ten.
#[tokio::test]
async fn a_window_goes_at_once_and_each_message_once() {
    let all = Barrier::new(10);
    let endpoint = Endpoint::start(move |request| {
        all.wait();
        Reply::Taken(request.to().to_owned())
    });
    let recipients: Vec<_> = (0..10).map(|n| format!("r{n}@example.org")).collect();
    let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
    let answers = send_to(&ses(&endpoint.url), &recipients).await;
    for (answer, to) in answers.iter().zip(&recipients) {
        assert_eq!(*answer, Answer::Accepted { provider_id: Some((*to).to_owned()) });
    }
    let requests = endpoint.requests();
    let mut asked: Vec<_> = requests.iter().map(Request::to).collect();
    asked.sort_unstable();
    assert_eq!(asked, recipients);
}
