//! The connection breaks at every step of the protocol in turn.

use std::{collections::BTreeMap, time::Duration};

use deliver_email::{
    Answer,
    smtp::{SmtpConfig, SmtpPool, Timeouts, Tls},
};
use envoi_tests::sink::{Fault, FaultKind, Queued, SinkOptions, SinkTls};
use tokio::task::JoinSet;

use super::*;

/// How many steps are tried at once: the waiting is on timeouts.
const AT_ONCE: u64 = 16;

/// Breaks the connection at each step of two windows in turn, and holds the client's answers against the server's
/// record.
async fn sweep(base: SinkOptions, kind: FaultKind, queued: Queued) {
    let mut struck = 0;
    for first in (0..).step_by(AT_ONCE as usize) {
        let mut steps = JoinSet::new();
        for step in first..first + AT_ONCE {
            steps.spawn(break_at(base.clone(), Fault { step, kind, queued }));
        }
        let now: u64 = steps.join_all().await.into_iter().sum();
        struck += now;
        if now < AT_ONCE {
            break;
        }
    }
    assert!(struck >= 20, "the sweep ended after {struck} steps");
}

/// Breaks the connection once; whether the fault was reached (1) or not (0).
async fn break_at(base: SinkOptions, fault: Fault) -> u64 {
    let tls = match base.tls {
        SinkTls::None => Tls::None,
        SinkTls::StartTls => Tls::StartTls,
        SinkTls::Implicit => Tls::Implicit,
    };
    let refuse_recipient = [("r1@example.com".to_owned(), "550 5.1.1 unknown".to_owned())].into();
    let sink = sink(SinkOptions { refuse_recipient, fault: Some(fault), ..base }).await;
    let longest = if fault.kind == FaultKind::Stall { Duration::from_secs(1) } else { AMPLE };
    let timeouts = Timeouts { connect: longest, command: longest, data: longest, ..Timeouts::default() };
    let pool = SmtpPool::new(SmtpConfig { timeouts, ..secured(&sink, tls) }).unwrap();

    let mut window = letters(6);
    // Long enough to come in pieces, and to fill the buffers on its way.
    window[3] = letter_with(3, &format!("{}\r\n", "x".repeat(78)).repeat(2000));
    // Two windows, so that a kept connection breaks as well.
    let mut answers = send(&pool, &window[..3], AMPLE).await;
    answers.extend(send(&pool, &window[3..], AMPLE).await);
    let context = format!("{fault:?}: {answers:?}");

    let times = times_recorded(&sink);
    assert!(times.values().all(|&times| times == 1), "sent twice: {context}");
    for (letter, answer) in window.iter().zip(&answers) {
        let is_there = times.contains_key(&letter.to);
        match answer {
            Answer::Accepted { .. } => assert!(is_there, "{context}"),
            Answer::Refused { .. } | Answer::NotAccepted { .. } => assert!(!is_there, "{context}"),
            Answer::Ambiguous { .. } => {}
        }
    }
    assert!(answers.iter().filter(|answer| is_doubtful(answer)).count() <= 1, "{context}");
    // Steps 0 to 4 come before the first message: connection, EHLO, MAIL, RCPT, DATA.
    if fault.step < 5 {
        assert!(!answers.iter().any(is_doubtful), "{context}");
    }

    // What was not accepted may be sent again, and then everybody has it once.
    let doubtful = answers.iter().position(is_doubtful).map(|n| window[n].to.clone());
    let again: Vec<_> = window
        .into_iter()
        .zip(&answers)
        .filter(|(_, answer)| matches!(answer, Answer::NotAccepted { .. }))
        .map(|(letter, _)| letter)
        .collect();
    send(&SmtpPool::new(secured(&sink, tls)).unwrap(), &again, AMPLE).await;
    let times = times_recorded(&sink);
    for n in [0, 2, 3, 4, 5] {
        let to = format!("r{n}@example.com");
        let count = times.get(&to).copied().unwrap_or_default();
        assert!(count == 1 || (count == 0 && doubtful == Some(to)), "{n} {count} times: {context}");
    }
    let counts = sink.counts();
    assert_eq!(counts.violations, 0, "{context}");
    counts.faults
}

fn times_recorded(sink: &Sink) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for to in recorded(sink) {
        *times.entry(to).or_default() += 1;
    }
    times
}

#[tokio::test]
async fn a_break_at_any_step_never_makes_the_client_wrong() {
    for kind in [FaultKind::Reset, FaultKind::Close, FaultKind::Say421, FaultKind::SayNonsense] {
        for queued in [Queued::Sent, Queued::Lost] {
            for pipelining in [true, false] {
                sweep(SinkOptions { pipelining, ..SinkOptions::default() }, kind, queued).await;
            }
            let data_without_recipient = true;
            sweep(SinkOptions { data_without_recipient, ..SinkOptions::default() }, kind, queued).await;
        }
    }
}

#[tokio::test]
async fn a_break_at_any_step_under_tls_never_makes_the_client_wrong() {
    for kind in [FaultKind::Reset, FaultKind::Close, FaultKind::Say421] {
        sweep(SinkOptions { tls: SinkTls::StartTls, ..SinkOptions::default() }, kind, Queued::Sent).await;
        sweep(SinkOptions { tls: SinkTls::Implicit, ..SinkOptions::default() }, kind, Queued::Lost).await;
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_at_any_step_never_makes_the_client_wrong() {
    let pipelined = sweep(SinkOptions::default(), FaultKind::Stall, Queued::Sent);
    let lost = sweep(SinkOptions::default(), FaultKind::Stall, Queued::Lost);
    let stepwise =
        sweep(SinkOptions { pipelining: false, ..SinkOptions::default() }, FaultKind::Stall, Queued::Sent);
    tokio::join!(pipelined, lost, stepwise);
}
