//! Where a call may go.

use campaign::Code;
use delivery::{Answer, Cause};
use serde_json::json;

use crate::receiver::{Receiver, status};
use crate::world::{World, ada, to};

/// Whatever spells an address of our own, or of a network that is not the public one.
const INSIDE: [&str; 22] = [
    "https://127.0.0.1/",
    "https://localhost/",
    "https://127.1/",
    "https://0x7f.1/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[fe80::1]/",
    "https://[fd00:ec2::254]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
];

#[tokio::test]
async fn without_an_operator_s_word_no_address_inside_is_called() {
    let world = World::with("", &[]).await;
    for url in INSIDE {
        let answer = world.answer(&to(url), ada()).await;
        let Answer::Refused { code: Code::Policy, detail } = &answer else { panic!("{url}: {answer:?}") };
        assert!(detail.starts_with("the address is refused: it leads to a "), "{url}: {detail}");
    }
    let answer = world.answer(&to("http://8.8.8.8/"), ada()).await;
    let Answer::Refused { code: Code::Policy, detail } = &answer else { panic!("{answer:?}") };
    assert!(detail.contains("only https is allowed"), "{detail}");
}

#[tokio::test]
async fn allowed_hosts_do_not_open_what_the_operator_keeps_shut() {
    let world = World::with("", &["127.0.0.1", "localhost"]).await;
    for url in ["https://127.0.0.1/", "https://localhost/"] {
        let answer = world.answer(&to(url), ada()).await;
        assert!(matches!(answer, Answer::Refused { code: Code::Policy, .. }), "{url}: {answer:?}");
    }
}

#[tokio::test]
async fn data_chooses_a_host_only_among_those_that_are_allowed() {
    let receiver = Receiver::start(status(200)).await;
    let content = to("{{{profile.url}}}");
    let url = |url: &str| json!({ "url": url, "name": "Ada" });
    let anywhere = World::new().await;
    let (code, why) = anywhere.call(&content, url(&receiver.url())).await.unwrap_err();
    assert_eq!(code, Code::Policy);
    assert!(why.contains("allowed_hosts"), "{why}");

    let some = World::with("http://127.0.0.1", &["127.0.0.1", "*.example.org"]).await;
    assert_eq!(some.call(&content, url(&receiver.url())).await, Ok(Answer::Accepted));
    for other in [
        "http://127.1/",
        "https://example.org/",
        "https://example.org.evil.com/",
        "https://evil.com/#.example.org",
    ] {
        let (code, why) = some.call(&content, url(other)).await.unwrap_err();
        assert_eq!(code, Code::Policy, "{other}");
        assert!(!why.contains("evil"), "{why}");
    }
    // A host that is written out has to be among them, too.
    let fixed = some.call(&to("https://example.com/"), ada()).await;
    assert!(matches!(fixed, Err((Code::Policy, _))), "{fixed:?}");
    assert_eq!(receiver.take().len(), 1);
}

#[tokio::test]
async fn one_host_of_many_that_is_down_keeps_nobody_waiting() {
    let world = World::with("http://127.0.0.1", &["127.0.0.1"]).await;
    // Port 1 is nobody's.
    let answer =
        world.call(&to("{{{profile.url}}}"), json!({ "url": "http://127.0.0.1:1/", "name": "Ada" })).await;
    assert!(matches!(answer, Ok(Answer::NotAccepted { cause: Cause::Transient, .. })), "{answer:?}");
}

#[tokio::test]
async fn credentials_in_a_url_are_refused() {
    let world = World::with("http://127.0.0.1", &["127.0.0.1"]).await;
    let user = json!({ "url": "http://user:secret@127.0.0.1/", "name": "Ada" });
    let (code, why) = world.call(&to("{{{profile.url}}}"), user).await.unwrap_err();
    assert_eq!(code, Code::RenderFailed);
    assert!(why.contains("password") && !why.contains("secret"), "{why}");
}
