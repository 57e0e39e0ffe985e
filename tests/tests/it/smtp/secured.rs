//! TLS and logins.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use deliver_email::{
    NotAccepted,
    smtp::{ConfigError, Credentials, KeptCredentials, SmtpConfig, SmtpPool, Tls},
};
use envoi_tests::sink::{Keep, SinkOptions, SinkTls};

use super::*;

fn credentials(password: &str) -> Option<Credentials> {
    Some(Credentials { username: "user".into(), password: password.into() })
}

#[tokio::test]
async fn tls_and_logins_of_every_kind_work() {
    for (sink_tls, tls) in [(SinkTls::StartTls, Tls::StartTls), (SinkTls::Implicit, Tls::Implicit)] {
        for mechanisms in ["PLAIN LOGIN", "LOGIN"] {
            let sink = sink(SinkOptions {
                tls: sink_tls,
                login: Some(("user".into(), "päss".into())),
                mechanisms: mechanisms.into(),
                keep: Keep::Messages,
                ..SinkOptions::default()
            })
            .await;
            let config = SmtpConfig { credentials: credentials("päss"), ..secured(&sink, tls) };
            let mut window = letters(5);
            window.push(letter_with(5, &format!("{}\r\n", "x".repeat(78)).repeat(3000)));
            window.push(letter(6));
            let pool = SmtpPool::new(config.clone()).unwrap();
            for _ in 0..2 {
                let answers = send(&pool, &window, AMPLE).await;
                assert!(answers.iter().all(is_accepted), "{answers:?}");
            }
            assert!(sink.messages()[5].message.as_deref() == Some(&window[5].text));
            assert_eq!(sink.counts().connections, 1);

            let wrong = SmtpPool::new(SmtpConfig { credentials: credentials("wrong"), ..config }).unwrap();
            let answers = send(&wrong, &letters(2), AMPLE).await;
            answers.iter().for_each(|answer| assert_cause(answer, NotAccepted::Misconfigured));
            assert_eq!(recorded(&sink).len(), 14);
        }
    }
}

#[tokio::test]
async fn a_login_the_server_does_not_know_is_a_misconfiguration() {
    let login = Some(("user".to_owned(), "pass".to_owned()));
    let options = SinkOptions { login, mechanisms: "XOAUTH2".into(), ..SinkOptions::default() };
    let sink = sink(options).await;
    let pool = SmtpPool::new(SmtpConfig { credentials: credentials("pass"), ..config(&sink) }).unwrap();
    assert_cause(&send(&pool, &letters(1), AMPLE).await[0], NotAccepted::Misconfigured);
    // And so is no login where one is wanted.
    let pool = SmtpPool::new(config(&sink)).unwrap();
    assert_cause(&send(&pool, &letters(1), AMPLE).await[0], NotAccepted::Misconfigured);
}

/// Credentials that are changed while a pool is in use, and how often they were read.
#[derive(Default)]
struct Kept {
    credentials: Mutex<Option<Credentials>>,
    reads: AtomicUsize,
}

#[async_trait]
impl KeptCredentials for Kept {
    async fn read(&self) -> Option<Credentials> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.credentials.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn credentials_that_were_changed_are_read_when_the_server_refuses_the_old_ones() {
    let login = Some(("user".to_owned(), "new".to_owned()));
    let sink = sink(SinkOptions { login, ..SinkOptions::default() }).await;
    for before in [credentials("old"), None] {
        let kept = Arc::new(Kept { credentials: Mutex::new(credentials("new")), ..Kept::default() });
        let config = SmtpConfig { credentials: before, ..config(&sink) };
        let pool = SmtpPool::with_kept(config, kept.clone()).unwrap();
        for _ in 0..2 {
            let answers = send(&pool, &letters(2), AMPLE).await;
            assert!(answers.iter().all(is_accepted), "{answers:?}");
        }
        assert_eq!(kept.reads.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn credentials_that_stay_refused_are_not_read_for_each_window() {
    let login = Some(("user".to_owned(), "new".to_owned()));
    let sink = sink(SinkOptions { login, ..SinkOptions::default() }).await;
    let kept = Arc::new(Kept { credentials: Mutex::new(credentials("old")), ..Kept::default() });
    let config = SmtpConfig { credentials: credentials("old"), ..config(&sink) };
    let pool = SmtpPool::with_kept(config, kept.clone()).unwrap();
    for _ in 0..3 {
        assert_cause(&send(&pool, &letters(1), AMPLE).await[0], NotAccepted::Misconfigured);
    }
    assert_eq!(kept.reads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn there_is_no_way_down_to_plain_text() {
    let plain = sink(SinkOptions::default()).await;
    let pool = SmtpPool::new(SmtpConfig { tls: Tls::StartTls, ..config(&plain) }).unwrap();
    assert_cause(&send(&pool, &letters(1), AMPLE).await[0], NotAccepted::Unreachable);
    assert_eq!(plain.counts().offered, 0);

    let config =
        SmtpConfig { credentials: credentials("x"), tls: Tls::None, ..SmtpConfig::new("192.0.2.1", 25) };
    assert!(matches!(SmtpPool::new(config), Err(ConfigError::PlaintextAuth)));
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_not_trusted() {
    let options = SinkOptions { tls: SinkTls::StartTls, ..SinkOptions::default() };
    let (sink, other) = (sink(options.clone()).await, sink(options).await);
    let extra_roots_pem = other.certificate_pem().map(str::to_owned);
    let pool = SmtpPool::new(SmtpConfig { extra_roots_pem, ..secured(&sink, Tls::StartTls) }).unwrap();
    assert_cause(&send(&pool, &letters(1), AMPLE).await[0], NotAccepted::Unreachable);
    assert_eq!(sink.counts().offered, 0);
}

/// What an attacker puts behind the reply to STARTTLS must not pass for replies given under TLS.
#[tokio::test]
async fn replies_injected_before_tls_are_not_believed() {
    let injected = Some("250-evil\r\n250 AUTH LOGIN".to_owned());
    let sink = sink(SinkOptions {
        tls: SinkTls::StartTls,
        inject_after_starttls: injected,
        ..SinkOptions::default()
    })
    .await;
    let pool = SmtpPool::new(secured(&sink, Tls::StartTls)).unwrap();
    assert_cause(&send(&pool, &letters(1), AMPLE).await[0], NotAccepted::Unreachable);
    assert_eq!(sink.counts().offered, 0);
}
