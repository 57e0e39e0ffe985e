//! What is posted: by SNS, by whoever has a key, and by who has not.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use campaign::feedback::Report;
use campaign::suppression::SuppressionReason;
use campaign::{Category, Channel, Code, ExecutionId, Fact};
use feedback::sns::{SnsMessage, string_to_sign};
use http::{Method, Request, StatusCode, Uri};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use store::keys::Role;
use store::messages::Feedback;
use store::tables;
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::fixtures::fixture;
use crate::world::{TOPIC, World, address, event};

const CERTIFICATE: &str = "/certificate.pem";

/// What stands in place of SNS: its certificate, and who asked for what.
#[derive(Clone)]
struct Place {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    /// What is answered at other paths.
    status: Arc<Mutex<StatusCode>>,
}

impl Place {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let place = Self { address, asked: Arc::default(), status: Arc::new(Mutex::new(StatusCode::OK)) };
        let router = Router::new().fallback(answer).with_state(place.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        place
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(place): State<Place>, uri: Uri) -> axum::response::Response {
    place.asked.lock().unwrap().push(uri.to_string());
    match uri.path() {
        CERTIFICATE => fixture("sns/certificate.pem").into_response(),
        "/moved.pem" => (StatusCode::FOUND, [("location", place.url(CERTIFICATE))], "moved").into_response(),
        _ => place.status.lock().unwrap().into_response(),
    }
}

struct Service {
    world: World,
    place: Place,
    router: Router,
}

impl Service {
    async fn new() -> Self {
        let place = Place::start().await;
        let world = World::with_sns_at(Some(&place.url("")));
        let router = feedback::router(Arc::clone(&world.context));
        Self { world, place, router }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> (StatusCode, Value) {
        let mut request = Request::builder().method(Method::POST).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn sns(&self, body: &Value) -> StatusCode {
        self.post("/feedback/sns", &[("content-type", "text/plain")], body.to_string()).await.0
    }

    /// How many messages are on the queue.
    async fn queued(&self) -> usize {
        self.world.receive(tables::FEEDBACK, 100).await.len()
    }

    /// A fixture that SNS has signed, as if its certificate lay here.
    fn signed(&self, name: &str) -> Value {
        let mut message: Value = serde_json::from_str(&fixture(&format!("sns/{name}.json"))).unwrap();
        message["SigningCertURL"] = json!(self.place.url(CERTIFICATE));
        message
    }

    async fn key(&self, role: Role) -> String {
        self.world.store.keys.create("test", role).await.unwrap().0
    }
}

/// Signs a message as SNS does.
fn sign(message: &mut Value) {
    let text = message.to_string();
    let read: SnsMessage<'_> = serde_json::from_str(&text).unwrap();
    let pem = fixture("sns/key.pem");
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), string_to_sign(&read).as_bytes(), &mut signature)
        .unwrap();
    message["Signature"] = json!(STANDARD.encode(signature));
}

/// Row H5.
#[tokio::test]
async fn what_sns_has_signed_by_either_version_is_taken() {
    let service = Service::new().await;
    service.world.set("2026-11-26T10:59:00Z");
    for name in ["version-1", "version-2"] {
        assert_eq!(service.sns(&service.signed(name)).await, StatusCode::NO_CONTENT, "{name}");
    }
    assert_eq!(service.place.asked(), [CERTIFICATE], "the certificate is fetched once");
    service.world.work(10).await;
    let found = service.world.store.suppressions.find(Channel::Email, "ada@reader.example").await.unwrap();
    assert_eq!(found.unwrap().suppression.reason, SuppressionReason::HardBounce);
}

#[tokio::test]
async fn what_is_not_as_it_was_signed_is_refused() {
    let service = Service::new().await;
    service.world.set("2026-11-26T10:00:07Z");
    let changes: [fn(&mut Value); 10] = [
        |message| message["Message"] = json!("{}"),
        |message| message["MessageId"] = json!("other"),
        |message| message["Timestamp"] = json!("2026-11-26T10:00:07.000Z"),
        |message| message["Type"] = json!("SubscriptionConfirmation"),
        |message| message["Subject"] = json!("another"),
        |message| message["Signature"] = json!("AAAA"),
        |message| message["Signature"] = json!("no base64"),
        |message| message["SignatureVersion"] = json!("3"),
        |message| message["SignatureVersion"] = json!("1"),
        |message| message["TopicArn"] = json!("arn:aws:sns:eu-west-1:999999999999:feedback"),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut message = service.signed("version-2");
        change(&mut message);
        assert_eq!(service.sns(&message).await, StatusCode::FORBIDDEN, "{index}");
    }
    for body in ["", "{}", "[]", "{\"Type\":\"Notification\"}"] {
        let (status, _) = service.post("/feedback/sns", &[], body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(service.queued().await, 0);
}

#[tokio::test]
async fn what_is_signed_and_not_of_now_is_refused() {
    let service = Service::new().await;
    let message = service.signed("version-2");
    for (now, status) in [
        ("2026-11-26T11:00:07Z", StatusCode::FORBIDDEN),
        ("2026-11-26T11:00:06Z", StatusCode::NO_CONTENT),
        ("2026-11-26T09:45:06Z", StatusCode::NO_CONTENT),
        ("2026-11-26T09:45:05Z", StatusCode::FORBIDDEN),
    ] {
        service.world.set(now);
        assert_eq!(service.sns(&message).await, status, "{now}");
    }
}

/// Whoever sees a genuine message could post it with more in it.
#[tokio::test]
async fn what_is_not_signed_beside_what_is_comes_no_further() {
    let service = Service::new().await;
    service.world.set("2026-11-26T10:00:07Z");
    let forged = json!([{ "channel": "email", "report": "hard_bounced", "at_ms": 1, "address": "victim@reader.example" }]);
    let mut message = service.signed("version-2");
    message["feedback"] = forged.clone();
    message["detail"] = json!({ "feedback": forged });
    assert_eq!(service.sns(&message).await, StatusCode::NO_CONTENT);
    // Signed it may be, and still is nothing that SNS has to say.
    let mut message = service.signed("version-2");
    message["Message"] = json!(json!({ "feedback": forged }).to_string());
    sign(&mut message);
    assert_eq!(service.sns(&message).await, StatusCode::NO_CONTENT);
    service.world.work(10).await;
    let list = &service.world.store.suppressions;
    assert!(list.find(Channel::Email, "victim@reader.example").await.unwrap().is_none());
    assert!(list.find(Channel::Email, "ada@reader.example").await.unwrap().is_some());
}

#[tokio::test]
async fn a_certificate_that_lies_elsewhere_is_not_fetched() {
    let (service, elsewhere) = (Service::new().await, Place::start().await);
    for url in
        [elsewhere.url(CERTIFICATE), "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem".to_owned()]
    {
        let mut message = service.signed("version-2");
        message["SigningCertURL"] = json!(url);
        assert_eq!(service.sns(&message).await, StatusCode::FORBIDDEN, "{url}");
    }
    assert!(elsewhere.asked().is_empty());
    // A redirect is not followed, whither it leads.
    let mut message = service.signed("version-2");
    message["SigningCertURL"] = json!(service.place.url("/moved.pem"));
    assert_eq!(service.sns(&message).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(service.place.asked(), ["/moved.pem"]);
    assert_eq!(service.queued().await, 0);
}

#[tokio::test]
async fn a_subscription_is_confirmed_where_sns_is_and_nowhere_else() {
    let service = Service::new().await;
    let confirmation = |url: String| {
        let mut message = json!({
            "Type": "SubscriptionConfirmation", "MessageId": "1", "Token": "t0k3n", "TopicArn": TOPIC,
            "Message": "You have chosen to subscribe", "SubscribeURL": url,
            "Timestamp": "2026-11-27T10:00:00.000Z", "SignatureVersion": "2", "Signature": "",
            "SigningCertURL": service.place.url(CERTIFICATE),
        });
        sign(&mut message);
        message
    };
    let good = confirmation(service.place.url("/?Action=ConfirmSubscription&Token=t0k3n"));
    assert_eq!(service.sns(&good).await, StatusCode::NO_CONTENT);
    assert_eq!(service.place.asked(), [CERTIFICATE, "/?Action=ConfirmSubscription&Token=t0k3n"]);
    let elsewhere = Place::start().await;
    assert_eq!(service.sns(&confirmation(elsewhere.url("/"))).await, StatusCode::FORBIDDEN);
    assert!(elsewhere.asked().is_empty());
    // SNS tries again later.
    *service.place.status.lock().unwrap() = StatusCode::INTERNAL_SERVER_ERROR;
    assert_eq!(service.sns(&good).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(service.queued().await, 0);
}

#[tokio::test]
async fn events_in_our_own_words_are_taken_from_whoever_has_a_key() {
    let service = Service::new().await;
    let world = &service.world;
    let chunk = world.settled(&[Code::Sent, Code::Unknown], Category::Marketing).await;
    let ids = [0, 1].map(|index| event(chunk, index, Report::Sent).of.unwrap().to_string());
    let key = service.key(Role::Manager).await;
    let events = json!({ "events": [
        { "message_id": format!("<{}@news.example>", ids[0]), "type": "delivered", "at": "2026-11-26T10:00:00Z" },
        { "message_id": ids[1], "type": "sent" },
        { "type": "hard_bounced", "address": "gone@reader.example" },
        { "message_id": ids[1], "type": "hard_bounced", "channel": "sms", "address": "+33612345678" },
    ] });
    for path in ["/feedback/events", "/feedback/bounces"] {
        let headers = [("content-type", "application/json"), ("x-api-key", &*key)];
        let (status, answer) = service.post(path, &headers, events.to_string()).await;
        assert_eq!((status, &answer["accepted"]), (StatusCode::ACCEPTED, &json!(4)), "{answer}");
    }
    world.work(10).await;
    assert_eq!(world.codes(chunk).await, [Code::Sent, Code::Sent]);
    assert_eq!(world.store.ledger.facts(chunk).await.unwrap().of(0).fate(), Some(Fact::Delivered));
    for (channel, address) in [(Channel::Email, "gone@reader.example"), (Channel::Sms, "+33612345678")] {
        assert!(world.store.suppressions.find(channel, address).await.unwrap().is_some(), "{channel:?}");
    }
}

#[tokio::test]
async fn mail_that_came_back_is_taken_and_any_other_tells_nothing() {
    let service = Service::new().await;
    let bearer = format!("Bearer {}", service.key(Role::Publisher).await);
    for (name, accepted) in [("failed", 1), ("complaint", 1), ("auto-reply", 0), ("answer", 0)] {
        let headers = [("content-type", "message/rfc822"), ("authorization", &*bearer)];
        let mail = fixture(&format!("mail/{name}.eml"));
        let (status, answer) = service.post("/feedback/bounces", &headers, mail).await;
        assert_eq!((status, &answer["accepted"]), (StatusCode::ACCEPTED, &json!(accepted)), "{name}");
    }
    let found = service.world.receive(tables::FEEDBACK, 10).await;
    let queued: HashMap<_, _> = found
        .iter()
        .flat_map(|message| serde_json::from_str::<Feedback>(&message.body).unwrap().feedback)
        .map(|told| (told.report, told.address.unwrap()))
        .collect();
    let ada = "ada@reader.example".to_owned();
    assert_eq!(queued, [(Report::HardBounced, ada.clone()), (Report::Complained, ada)].into());
}

#[tokio::test]
async fn an_address_that_can_be_none_is_dropped_and_its_event_counts() {
    let service = Service::new().await;
    let world = &service.world;
    let addresses =
        ["a\u{1}@reader.example", "a\u{ffff}@reader.example", &"a".repeat(321), "a\u{fdd0}@x.example"];
    let chunk = world.settled(&[Code::Sent; 5], Category::Marketing).await;
    let told = |(index, address): (usize, &&str)| {
        let id = event(chunk, index, Report::HardBounced).of.unwrap().to_string();
        json!({ "message_id": id, "type": "hard_bounced", "address": address })
    };
    let events: Vec<_> = addresses.iter().chain(&["a@reader.example"]).enumerate().map(told).collect();
    let key = service.key(Role::Manager).await;
    let headers = [("content-type", "application/json"), ("x-api-key", &*key)];
    let body = json!({ "events": events }).to_string();
    let (status, _) = service.post("/feedback/events", &headers, body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    world.work(10).await;
    let facts = world.store.ledger.facts(chunk).await.unwrap();
    assert!((0..5).all(|index| facts.of(index).has(Fact::HardBounced)));
    let (rows, _) = world.store.suppressions.list(Channel::Email, None, 10).await.unwrap();
    let suppressed: Vec<_> = rows.into_iter().filter_map(|entry| entry.suppression.address).collect();
    assert_eq!(suppressed, ["a@reader.example"]);
}

#[tokio::test]
async fn what_the_queue_can_never_take_is_the_caller_s_to_mend() {
    let service = Service::new().await;
    let key = service.key(Role::Manager).await;
    let headers = [("content-type", "application/json"), ("x-api-key", &*key)];
    let id = format!("proof-{}-0", "x".repeat(2 << 20));
    let body = json!({ "events": [{ "message_id": id, "type": "sent" }] }).to_string();
    let (status, problem) = service.post("/feedback/events", &headers, body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large")), "{problem}");
}

/// Row H4: a stranger's mail names whom it likes.
#[tokio::test]
async fn a_mail_suppresses_nobody_but_whom_its_message_went_to() {
    let service = Service::new().await;
    let world = &service.world;
    let people = [Some(world.profile(0).await), Some(world.profile(1).await), None];
    let chunk = world.settled_to(&people, &[Code::Sent; 3], Category::Marketing).await;
    let key = service.key(Role::Manager).await;
    let headers = [("content-type", "message/rfc822"), ("x-api-key", &*key)];
    let fixture = fixture("mail/failed.eml");
    let mail = |id: &str, address: &str| {
        fixture.replace("0w3ge1r70w3ge1r70w3ge1r70w-03-1-17-42", id).replace("ada@reader.example", address)
    };
    let id = |index| event(chunk, index, Report::Sent).of.unwrap().to_string();
    for (id, address, accepted) in [
        // Theirs, and in other letters.
        (id(0), address(0).replace("reader-0", "Reader-0"), 1),
        // Somebody else.
        (id(1), "victim@reader.example".to_owned(), 1),
        (id(2), "victim@reader.example".to_owned(), 1),
        // A call that was forgotten, or that never was; a proof; nothing of ours.
        (id(1).replacen(&chunk.execution.to_string(), &ExecutionId::random().to_string(), 1), address(1), 1),
        ("proof-4f-0".to_owned(), "victim@reader.example".to_owned(), 0),
        ("x".to_owned(), "victim@reader.example".to_owned(), 0),
    ] {
        let (status, answer) = service.post("/feedback/bounces", &headers, mail(&id, &address)).await;
        assert_eq!((status, &answer["accepted"]), (StatusCode::ACCEPTED, &json!(accepted)), "{id}");
    }
    world.pass(Duration::from_secs(2000)).await;
    let (rows, _) = world.store.suppressions.list(Channel::Email, None, 10).await.unwrap();
    let suppressed: Vec<_> = rows.into_iter().filter_map(|entry| entry.suppression.address).collect();
    assert_eq!(suppressed, ["Reader-0@reader.example"]);
    let facts = world.store.ledger.facts(chunk).await.unwrap();
    assert!((0..3).all(|index| facts.of(index).has(Fact::HardBounced)), "what is told of ours counts");
}

#[tokio::test]
async fn a_mail_tells_of_so_many_and_no_more() {
    let service = Service::new().await;
    let key = service.key(Role::Manager).await;
    let headers = [("content-type", "message/rfc822"), ("x-api-key", &*key)];
    let block = "Final-Recipient: rfc822; ada@reader.example\nAction: failed\nStatus: 5.1.1\n\n";
    let many = format!("{}Final-Recipient", block.repeat(1500));
    let mail = fixture("mail/failed.eml").replacen("Final-Recipient", &many, 1);
    let (status, answer) = service.post("/feedback/bounces", &headers, mail).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::ACCEPTED, &json!(1000)));
}

#[tokio::test]
async fn who_has_no_such_key_or_posts_nonsense_is_told_so() {
    let service = Service::new().await;
    let (manager, viewer) = (service.key(Role::Manager).await, service.key(Role::Viewer).await);
    let body = json!({ "events": [{ "type": "hard_bounced", "address": "a@reader.example" }] }).to_string();
    let json = ("content-type", "application/json");
    for (headers, status) in [
        (vec![json], StatusCode::UNAUTHORIZED),
        (vec![json, ("x-api-key", "envoi_no")], StatusCode::UNAUTHORIZED),
        (vec![json, ("x-api-key", &*viewer)], StatusCode::FORBIDDEN),
        (vec![("content-type", "text/plain"), ("x-api-key", &*manager)], StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let (answered, problem) = service.post("/feedback/events", &headers, body.clone()).await;
        assert_eq!((answered, &problem["status"]), (status, &json!(status.as_u16())));
    }
    let headers = [json, ("x-api-key", &*manager)];
    for (body, code, about) in [
        ("", "malformed_body", ""),
        ("[]", "invalid_field", ""),
        (r#"{"events":[{"type":"opened","message_id":"x"}]}"#, "invalid_field", "opened"),
        (r#"{"events":[{"type":"sent","message_id":"x"}]}"#, "invalid_field", "events[0].message_id"),
        (r#"{"events":[{"type":"hard_bounced"}]}"#, "invalid_field", "events[0].message_id"),
        (r#"{"events":[{"type":"complained","address":"a@b.example"}]}"#, "invalid_field", "events[0]"),
        (r#"{"events":[],"more":1}"#, "invalid_field", "more"),
    ] {
        let (status, problem) = service.post("/feedback/events", &headers, body).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{body}");
        assert!(problem["detail"].as_str().unwrap().contains(about), "{problem}");
    }
    assert_eq!(service.queued().await, 0);
}
