//! Connections: opened, kept, replaced and closed.

use std::{num::NonZeroU32, time::Duration};

use deliver_email::{
    Answer, NotAccepted,
    smtp::{SmtpConfig, SmtpPool, Timeouts},
};
use envoi_tests::sink::{Fault, FaultKind, Queued, SinkOptions};

use super::*;

/// A2: a server that closes each connection after so many messages loses and doubles nothing.
#[tokio::test]
async fn a_server_that_closes_after_n_messages_gets_every_message_once() {
    for (pipelining, close_after) in [(true, 25), (false, 25), (true, 10), (true, 1), (false, 1)] {
        let sink =
            sink(SinkOptions { pipelining, close_after: Some(close_after), ..SinkOptions::default() }).await;
        let pool = pool(&sink);
        for round in 0..10 {
            let window: Vec<_> = (round * 10..round * 10 + 10).map(letter).collect();
            let answers = send(&pool, &window, AMPLE).await;
            assert!(answers.iter().all(is_accepted), "{close_after}: {answers:?}");
        }
        assert_eq!(recorded(&sink), (0..100).map(|n| format!("r{n}@example.com")).collect::<Vec<_>>());
    }
}

/// A kept connection that turns out dead costs nothing: nothing was handed over on it.
#[tokio::test]
async fn a_stale_connection_is_replaced() {
    // The first message takes steps 0 to 7 (one less where the fault is a 421), then come three commands.
    for command in 0..3 {
        for (kind, first) in [(FaultKind::Reset, 8), (FaultKind::Close, 8), (FaultKind::Say421, 7)] {
            let step = first + command;
            let fault = Some(Fault { step, kind, queued: Queued::Lost });
            let sink = sink(SinkOptions { fault, ..SinkOptions::default() }).await;
            let pool = pool(&sink);
            assert!(send(&pool, &[letter(0)], AMPLE).await.iter().all(is_accepted));
            let answers = send(&pool, &[letter(1), letter(2)], AMPLE).await;
            assert!(answers.iter().all(is_accepted), "{kind:?} at {step}: {answers:?}");
            let counts = sink.counts();
            assert_eq!((counts.faults, counts.connections, counts.accepted), (1, 2, 3));
        }
    }
}

#[tokio::test]
async fn an_unused_connection_is_closed() {
    let sink = sink(SinkOptions::default()).await;
    let timeouts = Timeouts { idle: Duration::from_millis(200), ..Timeouts::default() };
    let pool = SmtpPool::new(SmtpConfig { timeouts, ..config(&sink) }).unwrap();
    for connections in 1..=2 {
        assert!(send(&pool, &letters(2), AMPLE).await.iter().all(is_accepted));
        until_ended(&sink, connections).await;
    }
    assert_eq!(sink.counts().connections, 2);
}

#[tokio::test]
async fn a_connection_is_given_up_after_the_configured_number_of_messages() {
    let sink = sink(SinkOptions::default()).await;
    let max_messages_per_connection = NonZeroU32::new(4);
    let pool = SmtpPool::new(SmtpConfig { max_messages_per_connection, ..config(&sink) }).unwrap();
    for _ in 0..2 {
        assert!(send(&pool, &letters(10), AMPLE).await.iter().all(is_accepted));
    }
    assert_eq!(sink.counts().connections, 5);
}

/// I6: waiting for a connection in vain is not sending.
#[tokio::test]
async fn a_window_that_finds_no_free_connection_is_not_accepted() {
    let sink =
        sink(SinkOptions { stall: Some((1, Duration::from_secs(600))), ..SinkOptions::default() }).await;
    let pool =
        SmtpPool::new(SmtpConfig { max_connections: NonZeroU32::new(1).unwrap(), ..config(&sink) }).unwrap();
    let busy = tokio::spawn({
        let pool = pool.clone();
        async move { send(&pool, &[letter(0)], AMPLE).await }
    });
    while sink.counts().accepted == 0 {
        tokio::task::yield_now().await;
    }
    let answers = send(&pool, &[letter(1), letter(2)], Duration::from_millis(50)).await;
    answers.iter().for_each(|answer| assert_cause(answer, NotAccepted::Transient));
    busy.abort();
    assert_eq!(recorded(&sink), ["r0@example.com"]);
}

#[tokio::test]
async fn no_time_at_all_sends_nothing() {
    let sink = sink(SinkOptions::default()).await;
    let pool = pool(&sink);
    let answers = send(&pool, &letters(3), Duration::ZERO).await;
    assert!(answers.iter().all(|answer| matches!(answer, Answer::NotAccepted { .. })), "{answers:?}");
    assert!(send(&pool, &letters(1), AMPLE).await.iter().all(is_accepted));
    let answers = send(&pool, &letters(3), Duration::ZERO).await;
    assert!(answers.iter().all(|answer| matches!(answer, Answer::NotAccepted { .. })), "{answers:?}");
    assert_eq!(recorded(&sink).len(), 1);
}

#[tokio::test]
async fn a_closed_pool_sends_nothing() {
    let sink = sink(SinkOptions::default()).await;
    let pool = pool(&sink);
    assert!(send(&pool, &letters(1), AMPLE).await.iter().all(is_accepted));
    pool.close().await;
    until_ended(&sink, 1).await;
    assert_cause(&send(&pool, &letters(1), AMPLE).await[0], NotAccepted::Unreachable);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    // Bound but not listened on, the port refuses connections and is nobody else's.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port();
    let pool = SmtpPool::new(SmtpConfig { tls: Tls::None, ..SmtpConfig::new("127.0.0.1", port) }).unwrap();
    let answers = send(&pool, &letters(2), AMPLE).await;
    answers.iter().for_each(|answer| assert_cause(answer, NotAccepted::Unreachable));
}
