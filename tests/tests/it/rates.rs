//! The rate of a configuration, held over any order of callers.

use std::sync::Arc;
use std::time::Duration;

use campaign::ConfigurationId;
use campaign::rate::{FARTHEST_SLOT_US, Slot};
use envoi_tests::clock::TestClock;
use platform::Clock;
use platform::embedded::Embedded;
use proptest::prelude::*;
use store::Rates;
use store::rates::Standing;

fn in_memory() -> (Arc<TestClock>, Rates) {
    let clock = Arc::new(TestClock::default());
    let rates = Rates::new(Embedded::in_memory(clock.clone()).platform());
    (clock, rates)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However callers come, in any stretch of time no more starts than the rate allows, plus the burst that begins it.
    #[test]
    fn no_stretch_of_time_has_more_than_the_rate_allows(
        rate in 1..500u32,
        calls in proptest::collection::vec((0..400_000u64, 1..10usize), 1..100),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let starts = runtime.block_on(async {
            let (clock, rates) = in_memory();
            let id = ConfigurationId::random();
            let mut starts: Vec<(i64, usize)> = Vec::new();
            for (pause_us, count) in calls {
                clock.advance(Duration::from_micros(pause_us));
                let now_us = clock.now().as_microsecond();
                if let Slot::At { start_us } = rates.reserve(id, rate, count).await.unwrap() {
                    assert!(start_us >= now_us && start_us - now_us <= FARTHEST_SLOT_US);
                    starts.push((start_us, count));
                }
            }
            starts
        });
        for (first, (from, _)) in starts.iter().enumerate() {
            let mut sent = 0;
            for (start, count) in &starts[first..] {
                // Each reservation loses less than a microsecond to rounding.
                let allowed = (start - from + 100) * i64::from(rate) / 1_000_000 + 1;
                prop_assert!(i64::try_from(sent).unwrap() <= allowed, "{sent} sent, {allowed} allowed");
                sent += count;
            }
        }
    }
}

#[tokio::test]
async fn a_provider_that_asks_to_wait_is_waited_for_by_everybody() {
    let (clock, rates) = in_memory();
    let id = ConfigurationId::random();
    assert_eq!(rates.standing(id).await.unwrap(), Standing::default());
    let until_us = clock.now().as_microsecond() + 3_000_000;
    rates.hold(id, until_us).await.unwrap();
    // A shorter wish does not shorten it.
    rates.hold(id, until_us - 1_000_000).await.unwrap();
    assert_eq!(rates.standing(id).await.unwrap().held_until_us, until_us);
    assert_eq!(rates.reserve(id, 100, 1).await.unwrap(), Slot::Later { wait_us: 3_000_000 });
    clock.advance(Duration::from_secs(3));
    assert_eq!(rates.reserve(id, 100, 1).await.unwrap(), Slot::At { start_us: until_us });
}

#[tokio::test]
async fn an_outage_is_counted_once_for_all_who_find_it_and_holds_longer_each_time() {
    let (clock, rates) = in_memory();
    let id = ConfigurationId::random();
    for (outages, seconds) in [(1, 5), (2, 10), (3, 20)] {
        let found = futures::future::join(rates.outage(id, None), rates.outage(id, None)).await;
        let found = [found.0.unwrap(), found.1.unwrap()];
        let until_us = clock.now().as_microsecond() + seconds * 1_000_000;
        assert_eq!(found.map(|standing| standing.outages), [outages; 2]);
        assert_eq!(rates.standing(id).await.unwrap().held_until_us, until_us);
        clock.advance(Duration::from_secs(seconds.unsigned_abs()) + Duration::from_millis(1));
    }
    rates.reached(id).await.unwrap();
    assert_eq!(rates.standing(id).await.unwrap().outages, 0);
    let asked = Some(Duration::from_secs(120));
    let until_us = clock.now().as_microsecond() + 120_000_000;
    let standing = rates.outage(id, asked).await.unwrap();
    assert_eq!((standing.outages, standing.held_until_us), (1, until_us));
}

#[tokio::test]
async fn five_workers_share_one_rate() {
    // Corpus I2: one limiter for all.
    let (_clock, rates) = in_memory();
    let id = ConfigurationId::random();
    let all = (0..5).map(|_| rates.reserve(id, 14, 1));
    let mut starts: Vec<i64> = futures::future::join_all(all)
        .await
        .into_iter()
        .map(|slot| match slot {
            Ok(Slot::At { start_us }) => start_us,
            other => panic!("a slot, not {other:?}"),
        })
        .collect();
    starts.sort_unstable();
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 71_428), "{starts:?}");
}

#[tokio::test]
async fn a_throttle_is_counted_once_for_all_who_are_asked_and_holds_as_long_as_the_longest_wish() {
    let (clock, rates) = in_memory();
    let id = ConfigurationId::random();
    let now_us = clock.now().as_microsecond();
    let found = rates.throttle(id, None).await.unwrap();
    assert_eq!((found.throttles, found.held_until_us), (1, now_us + 1_000_000));
    let found = rates.throttle(id, Some(Duration::from_secs(7))).await.unwrap();
    assert_eq!((found.throttles, found.held_until_us), (1, now_us + 7_000_000));
    assert_eq!(rates.standing(id).await.unwrap().held_until_us, now_us + 7_000_000);
    clock.advance(Duration::from_secs(8));
    // An outage has a row of its own; whoever is reached ends both.
    rates.outage(id, None).await.unwrap();
    let standing = rates.standing(id).await.unwrap();
    assert_eq!((standing.outages, standing.throttles), (1, 1));
    rates.reached(id).await.unwrap();
    let standing = rates.standing(id).await.unwrap();
    assert_eq!((standing.outages, standing.throttles), (0, 0));
}
