//! Connections are used again, unless they have rested for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deliver_email::ses::Ses;
use jiff::Timestamp;
use platform::{Clock, SystemClock};

use crate::endpoint::{Endpoint, Reply};
use crate::{config, send_to};

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
#[tokio::test]
async fn connections_that_have_rested_are_left_behind() {
    const WINDOWS: u64 = 6;
    let mut endpoint = Endpoint::start(|request| Reply::Taken(request.to().to_owned()));
    let clock = Arc::new(Ahead::default());
    let ses = Ses::new(config(&endpoint.url), None, Arc::<Ahead>::clone(&clock));
    let mut opened = async |rest: u64| {
        endpoint.opened();
        for _ in 0..WINDOWS {
            clock.0.fetch_add(rest, Ordering::SeqCst);
            send_to(&ses, &["jane@example.org"]).await;
            // The connection goes back to its pool in a task of its own.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        endpoint.opened() as u64
    };
    assert_eq!(opened(60).await, WINDOWS);
    assert!(opened(1).await < WINDOWS);
}
