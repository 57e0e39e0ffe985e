//! Messages and what a working server says to them.

use std::time::Duration;

use deliver_email::{Answer, NotAccepted, Refusal};
use envoi_tests::sink::{Keep, SinkOptions};

use super::*;

#[tokio::test]
async fn a_window_goes_out_in_order_with_and_without_pipelining() {
    for pipelining in [true, false] {
        let sink = sink(SinkOptions { pipelining, ..SinkOptions::default() }).await;
        let pool = pool(&sink);
        for round in 0..3 {
            let window: Vec<_> = (round * 10..round * 10 + 10).map(letter).collect();
            let answers = send(&pool, &window, AMPLE).await;
            let id = Some((round * 10 + 1).to_string());
            assert_eq!(answers[0], Answer::Accepted { provider_id: id });
            assert!(answers.iter().all(is_accepted), "{answers:?}");
        }
        let expected: Vec<_> = (0..30).map(|n| (format!("r{n}@example.com"), format!("{n}@test"))).collect();
        let received: Vec<_> = sink.messages().into_iter().map(|m| (m.to, m.message_id)).collect();
        assert_eq!(received, expected);
        let counts = sink.counts();
        assert_eq!((counts.connections, counts.violations), (1, 0));
    }
}

#[tokio::test]
async fn an_empty_window_opens_no_connection() {
    let sink = sink(SinkOptions::default()).await;
    assert_eq!(send(&pool(&sink), &[], AMPLE).await, []);
    assert_eq!(sink.counts().connections, 0);
}

/// F2: what arrives is what was written, dots, odd line ends and all.
#[tokio::test]
async fn messages_arrive_byte_for_byte() {
    let sink = sink(SinkOptions { keep: Keep::Messages, ..SinkOptions::default() }).await;
    let bodies = [
        ("https://shop.example=\r\n.com/offer\r\n", "https://shop.example=\r\n.com/offer\r\n"),
        (".\r\n..\r\n.QUIT\r\n", ".\r\n..\r\n.QUIT\r\n"),
        ("no end", "no end\r\n"),
        ("", ""),
        (
            "smuggled\n.\nMAIL FROM:<x@example.com>\r\n.\r\n",
            "smuggled\r\n.\r\nMAIL FROM:<x@example.com>\r\n.\r\n",
        ),
    ];
    let mut window: Vec<_> = bodies.iter().enumerate().map(|(n, (body, _))| letter_with(n, body)).collect();
    let large = format!("{}\r\n.\r\n", "x".repeat(70)).repeat(20_000);
    window.push(letter_with(bodies.len(), &large));
    window.push(Letter { to: "dot@example.com".into(), text: b".starts with a dot\r\n".to_vec() });
    let answers = send(&pool(&sink), &window, AMPLE).await;
    assert!(answers.iter().all(is_accepted), "{answers:?}");

    let received: Vec<_> = sink.messages().into_iter().map(|m| m.message.unwrap()).collect();
    for (n, (_, expected)) in bodies.iter().enumerate() {
        assert_eq!(
            String::from_utf8_lossy(&received[n]),
            String::from_utf8_lossy(&letter_with(n, expected).text)
        );
    }
    assert!(received[bodies.len()] == window[bodies.len()].text);
    assert_eq!(received[bodies.len() + 1], b".starts with a dot\r\n");
    assert_eq!(sink.counts().violations, 0);
}

#[tokio::test]
async fn a_refused_recipient_leaves_the_others_accepted() {
    for (pipelining, data_without_recipient) in [(true, false), (true, true), (false, false)] {
        let refuse_recipient =
            [0, 4, 5, 9].map(|n| (format!("r{n}@example.com"), "550 5.1.1 unknown".to_owned()));
        let refuse_message = [(String::from("r7@example.com"), String::from("554 5.7.1 looks like spam"))];
        let sink = sink(SinkOptions {
            pipelining,
            data_without_recipient,
            refuse_recipient: refuse_recipient.into(),
            refuse_message: refuse_message.into(),
            ..SinkOptions::default()
        })
        .await;
        let pool = pool(&sink);
        let answers = send(&pool, &letters(10), AMPLE).await;
        for (n, answer) in answers.iter().enumerate() {
            match n {
                0 | 4 | 5 | 9 => assert_reason(answer, Refusal::BadAddress),
                7 => assert_reason(answer, Refusal::Policy),
                _ => assert!(is_accepted(answer), "{n}: {answer:?}"),
            }
        }
        assert_eq!(recorded(&sink), [1, 2, 3, 6, 8].map(|n| format!("r{n}@example.com")));
        // The connection is still in step: the next window can use it.
        assert!(send(&pool, &[letter(20)], AMPLE).await.iter().all(is_accepted));
        let counts = sink.counts();
        assert_eq!((counts.connections, counts.violations), (1, 0), "{pipelining} {data_without_recipient}");
    }
}

#[tokio::test]
async fn addresses_that_are_none_never_reach_the_server() {
    let sink = sink(SinkOptions::default()).await;
    let mut window = letters(3);
    window[1].to = "x@example.com>\r\nRCPT TO:<victim@example.com".into();
    let answers = send(&pool(&sink), &window, AMPLE).await;
    assert!(is_accepted(&answers[0]) && is_accepted(&answers[2]));
    assert_reason(&answers[1], Refusal::BadAddress);
    assert_eq!(recorded(&sink), ["r0@example.com", "r2@example.com"]);
}

#[tokio::test]
async fn a_message_above_the_servers_size_is_refused_and_the_rest_sent() {
    let sink = sink(SinkOptions { extensions: vec!["SIZE 1000".into()], ..SinkOptions::default() }).await;
    let window = [letter(0), letter_with(1, &"x".repeat(1000)), letter(2)];
    let answers = send(&pool(&sink), &window, AMPLE).await;
    assert_reason(&answers[1], Refusal::TooLarge);
    assert_eq!(recorded(&sink), ["r0@example.com", "r2@example.com"]);
}

/// A refused sender is nobody's fault but the configuration's: no recipient may be counted as failed for it.
#[tokio::test]
async fn a_refused_sender_is_a_misconfiguration() {
    for pipelining in [true, false] {
        let refuse_sender = Some("550 5.7.1 you may not send as this".to_owned());
        let sink = sink(SinkOptions { pipelining, refuse_sender, ..SinkOptions::default() }).await;
        let answers = send(&pool(&sink), &letters(3), AMPLE).await;
        answers.iter().for_each(|answer| assert_cause(answer, NotAccepted::Misconfigured));
        assert_eq!(sink.counts().violations, 0);
    }
}

/// I1: what is over the rate comes back as a throttle, and only that.
#[tokio::test]
async fn a_throttled_message_is_not_accepted_and_not_lost() {
    let sink = sink(SinkOptions { per_second: Some(14), ..SinkOptions::default() }).await;
    let answers = send(&pool(&sink), &letters(60), AMPLE).await;
    let (taken, rest): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| is_accepted(answer));
    rest.iter().for_each(|answer| assert_cause(answer, NotAccepted::Throttled));
    assert_eq!(taken.len(), recorded(&sink).len());
    assert_eq!(rest.len() as u64, sink.counts().throttled);
    assert!(!rest.is_empty() && taken.len() >= 14);
}

/// I9: a greylisted recipient is told from a refused one, and the wait the server asked for is passed on.
#[tokio::test]
async fn a_greylisted_recipient_is_taken_the_second_time() {
    let sink = sink(SinkOptions { greylist: true, ..SinkOptions::default() }).await;
    let pool = pool(&sink);
    for answer in send(&pool, &letters(5), AMPLE).await {
        let Answer::NotAccepted { cause: NotAccepted::Transient, retry_after, .. } = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(retry_after, Some(Duration::from_secs(60)));
    }
    assert!(send(&pool, &letters(5), AMPLE).await.iter().all(is_accepted));
    assert_eq!(recorded(&sink).len(), 5);
}
