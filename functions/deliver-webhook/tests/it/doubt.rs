//! What surely was not taken may be tried again, and nothing else.

use campaign::Code;
use delivery::{Answer, Cause};
use tokio::net::TcpListener;

use crate::receiver::{Behaviour, Receiver, said, status};
use crate::world::{World, ada, to};

#[tokio::test]
async fn without_a_connection_nobody_has_the_call() {
    let world = World::with("http://127.0.0.1", &["127.0.0.1"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let answer = world.answer(&to(&url), ada()).await;
    assert!(matches!(answer, Answer::NotAccepted { cause: Cause::Unreachable, .. }), "{answer:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_doubt() {
    let world = World::new().await;
    for behaviour in [
        Behaviour::ResetUnread,
        Behaviour::CloseAfterRequest,
        Behaviour::Say("HTTP/1.1 20".to_owned()),
        Behaviour::Say("SMTP 220 hello\r\n\r\n".to_owned()),
    ] {
        let receiver = Receiver::start(behaviour.clone()).await;
        let answer = world.answer(&to(&receiver.url()), ada()).await;
        assert!(matches!(answer, Answer::Ambiguous { .. }), "{behaviour:?}: {answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_late_leaves_doubt() {
    let mut world = World::new().await;
    world.settings().timeout_seconds = 1;
    let receiver = Receiver::start(Behaviour::Silent).await;
    let answer = world.answer(&to(&receiver.url()), ada()).await;
    let Answer::Ambiguous { detail } = &answer else { panic!("{answer:?}") };
    assert!(detail.contains("1s"), "{detail}");
    assert_eq!(receiver.take().len(), 1);
    // Of an answer that had begun, the status is enough.
    receiver.behave(Behaviour::Say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_owned()));
    assert_eq!(world.answer(&to(&receiver.url()), ada()).await, Answer::Accepted);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (world, other) = (World::new().await, Receiver::start(status(200)).await);
    for number in [301, 302, 303, 307, 308] {
        let receiver = Receiver::start(said(number, &format!("location: {}\r\n", other.url()))).await;
        let answer = world.answer(&to(&receiver.url()), ada()).await;
        assert!(matches!(answer, Answer::Refused { code: Code::Policy, .. }), "{number}: {answer:?}");
    }
    assert!(other.take().is_empty());
}
