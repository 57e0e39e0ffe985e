//! Which messages are in doubt, and which are not.

use std::time::Duration;

use deliver_email::{
    Answer, NotAccepted, Refusal,
    smtp::{SmtpConfig, SmtpPool, Timeouts, Tls},
};
use envoi_tests::sink::SinkOptions;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// A27: the message was taken, the 250 never came. It is in doubt, it alone, and is not sent again.
#[tokio::test]
async fn a_connection_dropped_before_the_250_leaves_one_message_in_doubt() {
    for pipelining in [true, false] {
        let sink =
            sink(SinkOptions { pipelining, drop_before_reply: Some(4), ..SinkOptions::default() }).await;
        let answers = send(&pool(&sink), &letters(10), AMPLE).await;
        for (n, answer) in answers.iter().enumerate() {
            assert!(if n == 3 { is_doubtful(answer) } else { is_accepted(answer) }, "{n}: {answer:?}");
        }
        assert_eq!(recorded(&sink), (0..10).map(|n| format!("r{n}@example.com")).collect::<Vec<_>>());
        assert_eq!(sink.counts().connections, 2);
    }
}

/// With nothing to show that the server works at all, one message in doubt is enough.
#[tokio::test]
async fn doubt_about_the_first_message_does_not_spread_to_the_next() {
    let sink = sink(SinkOptions { drop_before_reply: Some(1), ..SinkOptions::default() }).await;
    let answers = send(&pool(&sink), &letters(5), AMPLE).await;
    assert!(is_doubtful(&answers[0]));
    answers[1..].iter().for_each(|answer| assert_cause(answer, NotAccepted::Unreachable));
    assert_eq!(recorded(&sink), ["r0@example.com"]);
}

#[tokio::test]
async fn when_time_runs_out_one_message_is_in_doubt_and_the_rest_unsent() {
    let sink =
        sink(SinkOptions { stall: Some((3, Duration::from_secs(600))), ..SinkOptions::default() }).await;
    let answers = send(&pool(&sink), &letters(6), Duration::from_secs(2)).await;
    assert!(is_accepted(&answers[0]) && is_accepted(&answers[1]), "{answers:?}");
    assert!(is_doubtful(&answers[2]), "{answers:?}");
    answers[3..].iter().for_each(|answer| assert_cause(answer, NotAccepted::Transient));
    assert_eq!(recorded(&sink), ["r0@example.com", "r1@example.com", "r2@example.com"]);
}

#[tokio::test]
async fn a_message_whose_reply_would_come_too_late_is_not_begun() {
    let sink = sink(SinkOptions { delay: Duration::from_millis(1500), ..SinkOptions::default() }).await;
    let answers = send(&pool(&sink), &letters(4), Duration::from_millis(2800)).await;
    // One was answered in time; for a second one, as slow, there is no time.
    assert!(is_accepted(&answers[0]), "{answers:?}");
    answers[1..].iter().for_each(|answer| assert_cause(answer, NotAccepted::Transient));
    assert_eq!(recorded(&sink), ["r0@example.com"]);
}

/// A server by hand: takes one connection up to the first DATA, and gives it back before its reply.
async fn until_command(listener: &TcpListener) -> TcpStream {
    let (mut tcp, _) = listener.accept().await.unwrap();
    tcp.write_all(b"220 hello\r\n").await.unwrap();
    let mut input = Vec::new();
    while !input.ends_with(b"\r\n") {
        tcp.read_buf(&mut input).await.unwrap();
    }
    tcp.write_all(b"250-hello\r\n250 PIPELINING\r\n").await.unwrap();
    while !input.ends_with(b"DATA\r\n") {
        tcp.read_buf(&mut input).await.unwrap();
    }
    tcp
}

async fn until_data(listener: TcpListener) -> TcpStream {
    let mut tcp = until_command(&listener).await;
    tcp.write_all(b"250 ok\r\n250 ok\r\n354 go\r\n").await.unwrap();
    tcp
}

async fn by_hand() -> (TcpListener, SmtpConfig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = SmtpConfig {
        tls: Tls::None,
        timeouts: Timeouts { data: Duration::from_millis(500), ..Timeouts::default() },
        ..SmtpConfig::new("127.0.0.1", listener.local_addr().unwrap().port())
    };
    (listener, config)
}

/// More than the kernel holds for a reader that does not read.
fn huge() -> Letter {
    letter_with(0, &format!("{}\r\n", "x".repeat(78)).repeat(400_000))
}

#[tokio::test]
async fn a_message_whose_end_was_never_handed_over_is_not_in_doubt() {
    // The server stops reading in the middle of the message...
    let (listener, config) = by_hand().await;
    let server = tokio::spawn(until_data(listener));
    let answers = send(&SmtpPool::new(config).unwrap(), &[huge(), letter(1)], AMPLE).await;
    answers.iter().for_each(|answer| assert_cause(answer, NotAccepted::Unreachable));
    drop(server.await.unwrap());

    // ... or hangs up there.
    let (listener, config) = by_hand().await;
    let server = tokio::spawn(async move {
        let mut tcp = until_data(listener).await;
        tcp.read_exact(&mut vec![0; 100_000]).await.unwrap();
        tcp.set_zero_linger().unwrap();
    });
    let answers = send(&SmtpPool::new(config).unwrap(), &[huge(), letter(1)], AMPLE).await;
    answers.iter().for_each(|answer| assert_cause(answer, NotAccepted::Unreachable));
    server.await.unwrap();
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_message_is_heard() {
    let (listener, config) = by_hand().await;
    let server = tokio::spawn(async move {
        let mut tcp = until_data(listener).await;
        tcp.read_exact(&mut vec![0; 100_000]).await.unwrap();
        tcp.write_all(b"552 5.3.4 message too big\r\n").await.unwrap();
        // It reads no more but does not hang up, so that the reply is not lost with the connection.
        tcp
    });
    let answers = send(&SmtpPool::new(config).unwrap(), &[huge(), letter(1)], AMPLE).await;
    assert_reason(&answers[0], Refusal::TooLarge);
    assert!(matches!(answers[1], Answer::NotAccepted { .. }), "{answers:?}");
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_final_reply_that_makes_no_sense_leaves_doubt() {
    for nonsense in [&b"sure, why not\r\n"[..], b"354 go on\r\n", b"250-never\r\n251 ends\r\n"] {
        let (listener, config) = by_hand().await;
        let server = tokio::spawn(async move {
            let mut tcp = until_data(listener).await;
            let mut input = Vec::new();
            while !input.windows(5).any(|five| five == b"\r\n.\r\n") {
                tcp.read_buf(&mut input).await.unwrap();
            }
            tcp.write_all(nonsense).await.unwrap();
            tcp
        });
        let answers = send(&SmtpPool::new(config).unwrap(), &letters(2), AMPLE).await;
        assert!(is_doubtful(&answers[0]), "{answers:?}");
        assert!(matches!(answers[1], Answer::NotAccepted { .. }), "{answers:?}");
        drop(server.await.unwrap());
    }
}

/// A reply too many must not pass for the reply to the message that follows it.
#[tokio::test]
async fn a_reply_that_nothing_asked_for_is_not_taken_for_an_acceptance() {
    let (listener, config) = by_hand().await;
    let server = tokio::spawn(async move {
        let mut tcp = until_command(&listener).await;
        tcp.write_all(b"250 ok\r\n250 ok\r\n354 go\r\n250 and another\r\n").await.unwrap();
        tcp
    });
    let answers = send(&SmtpPool::new(config).unwrap(), &letters(2), AMPLE).await;
    answers.iter().for_each(|answer| assert_cause(answer, NotAccepted::Transient));
    drop(server.await.unwrap());
}
