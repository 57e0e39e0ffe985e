//! What is left open where no answer comes, and what is not.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use deliver_email::ses::{Outgoing, Ses};
use deliver_email::{Answer, NotAccepted};
use platform::SystemClock;

use crate::endpoint::{Endpoint, Event, Reply};
use crate::{FROM, TIME, anonymous, member, send_to, ses};

fn is_in_doubt(answers: &[Answer]) -> bool {
    matches!(answers, [Answer::Ambiguous { .. }])
}

fn is_unreachable(answers: &[Answer]) -> bool {
    matches!(answers, [Answer::NotAccepted { cause: NotAccepted::Unreachable, .. }])
}

#[tokio::test]
async fn an_answer_that_does_not_come_leaves_a_doubt_and_nothing_going_on() {
    let mut endpoint = Endpoint::start(|_| Reply::Silence);
    let ses = ses(&endpoint.url);
    let (answers, ()) = tokio::join!(send_to(&ses, &["jane@example.org"]), async {
        endpoint.wait_for(Event::Read).await;
        tokio::time::pause();
        tokio::time::advance(TIME).await;
        tokio::time::resume();
    });
    assert!(is_in_doubt(&answers), "{answers:?}");
    endpoint.wait_for(Event::HungUp).await;
    assert_eq!(endpoint.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_that_ends_after_the_request_leaves_a_doubt_and_is_not_tried_again() {
    for end in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{\"Mess",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nyes!",
        "what?\r\n\r\n",
    ] {
        let endpoint = Endpoint::start(move |_| Reply::Bytes(end));
        let answers = send_to(&ses(&endpoint.url), &["jane@example.org"]).await;
        assert!(is_in_doubt(&answers), "{end:?}: {answers:?}");
        assert_eq!(endpoint.requests().len(), 1, "{end:?}");
    }
}

/// The server has read a part and resets the connection: nobody can say how much of the rest it had.
#[tokio::test]
async fn a_reset_within_the_request_leaves_a_doubt() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        // One connection is all it takes: there is no second try. Closing with bytes unread resets it.
        let (mut connection, _) = listener.accept().unwrap();
        connection.read_exact(&mut [0; 16]).unwrap();
    });
    let (id, message) = (member(0), vec![b'x'; 4_000_000]);
    let window = [Outgoing { id: &id, from: FROM, to: "jane@example.org", message: &message }];
    let answers = ses(&url).send(&window, TIME).await;
    assert!(is_in_doubt(&answers), "{answers:?}");
}

#[tokio::test]
async fn what_never_had_a_connection_was_not_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let answers = send_to(&ses(&url), &["jane@example.org"]).await;
    assert!(is_unreachable(&answers), "{answers:?}");
}

#[tokio::test]
async fn what_broke_off_in_the_handshake_was_not_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().for_each(drop));
    let answers = send_to(&ses(&url), &["jane@example.org"]).await;
    assert!(is_unreachable(&answers), "{answers:?}");
}

/// By the limit of connecting, and by the caller's.
#[tokio::test(start_paused = true)]
async fn what_ran_out_of_time_before_it_went_out_was_not_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let ses = ses(&url);
    let answers = send_to(&ses, &["jane@example.org"]).await;
    assert!(is_unreachable(&answers), "{answers:?}");

    let id = member(0);
    let window = [Outgoing { id: &id, from: FROM, to: "jane@example.org", message: b"" }];
    let answers = ses.send(&window, Duration::from_millis(5)).await;
    assert!(is_unreachable(&answers), "{answers:?}");
    drop(listener);
}

#[tokio::test]
async fn without_credentials_nothing_goes_out_and_it_is_our_fault() {
    let endpoint = Endpoint::start(|_| Reply::Silence);
    let ses = Ses::new(anonymous(&endpoint.url), None, Arc::new(SystemClock));
    let answers = send_to(&ses, &["jane@example.org"]).await;
    assert!(
        matches!(answers[..], [Answer::NotAccepted { cause: NotAccepted::Misconfigured, .. }]),
        "{answers:?}"
    );
    assert!(endpoint.requests().is_empty());
}
