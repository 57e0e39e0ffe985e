//! Connections are used again, unless they have rested for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_pinpointsmsvoicev2::config::Credentials;
use campaign::configuration::AwsSms;
use campaign::{Category, Configuration};
use delivery::Answer;
use jiff::Timestamp;
use outbound::Policy;
use platform::{Clock, SystemClock};

use crate::endpoint::{Endpoint, Reply};
use crate::{Sms, anonymous, by_aws, by_http};

/// A clock that is ahead.
#[derive(Default)]
struct Ahead(AtomicU64);

#[async_trait]
impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

/// A function that stood still may not know that its connections are dead; what is written to one would be in doubt.
async fn are_left_behind(configuration: impl Fn(&str) -> Configuration) {
    const WINDOWS: u64 = 6;
    let mut endpoint = Endpoint::start(|_| Reply::Answer(200, "", "{}".to_owned()));
    let clock = Arc::new(Ahead::default());
    let aws =
        anonymous(&endpoint.url).credentials_provider(Credentials::new("key", "secret", None, None, "test"));
    let policy = Policy::allowing("http://127.0.0.1").unwrap();
    let sms = Sms::at(Arc::<Ahead>::clone(&clock), policy, Some(aws));
    sms.keep("token", "t0ken").await;
    let configuration = configuration(&endpoint.url);
    let mut opened = async |rest: u64| {
        endpoint.opened();
        for _ in 0..WINDOWS {
            clock.0.fetch_add(rest, Ordering::SeqCst);
            assert_eq!(sms.send(&configuration).await, Answer::Accepted);
            // The connection goes back to its pool in a task of its own.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        endpoint.opened() as u64
    };
    assert_eq!(opened(60).await, WINDOWS);
    assert!(opened(1).await < WINDOWS);
}

#[tokio::test]
async fn connections_to_aws_that_have_rested_are_left_behind() {
    are_left_behind(|_| by_aws(Category::Marketing, AwsSms::default())).await;
}

#[tokio::test]
async fn connections_to_a_provider_that_have_rested_are_left_behind() {
    are_left_behind(|url| by_http(url, Vec::new())).await;
}
