use campaign::frequency::MessageTag;
use futures::future::join_all;
use jiff::SignedDuration;
use platform::embedded::Embedded;
use platform::{Clock, SystemClock};

use super::*;
use crate::{HashKey, Store};

fn store() -> Store {
    let engine = Embedded::in_memory(Arc::new(SystemClock));
    Store::new(engine.platform(), HashKey([7; 32]))
}

fn entry(address: &str, reason: SuppressionReason) -> Suppression {
    let (address, at) = (Some(address.to_owned()), SystemClock.now());
    Suppression { channel: Channel::Email, address, reason, source: None, at }
}

async fn stopped(store: &Store, category: Category, addresses: &[&str]) -> Vec<usize> {
    let found = store.suppressions.which(Channel::Email, category, addresses).await.unwrap();
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable();
    found
}

#[tokio::test]
async fn an_address_is_stopped_whatever_its_case_for_what_its_reason_says() {
    let store = store();
    let list = &store.suppressions;
    list.add(&entry("Ann@Example.org", SuppressionReason::HardBounce)).await.unwrap();
    list.add(&entry("bob@example.org", SuppressionReason::Complaint)).await.unwrap();
    let addresses = ["ann@example.org", "BOB@example.org", "carl@example.org"];
    assert_eq!(stopped(&store, Category::Marketing, &addresses).await, [0, 1]);
    assert_eq!(stopped(&store, Category::Transactional, &addresses).await, [0]);
    assert!(list.which(Channel::Sms, Category::Marketing, &addresses).await.unwrap().is_empty());
    assert!(list.remove(Channel::Email, "ANN@example.org").await.unwrap());
    assert!(!list.remove(Channel::Email, "ann@example.org").await.unwrap());
    assert_eq!(stopped(&store, Category::Transactional, &addresses).await, [] as [usize; 0]);
}

#[tokio::test]
async fn who_is_added_again_keeps_the_graver_reason_and_one_row() {
    let store = store();
    let list = &store.suppressions;
    let (first, is_new) = list.add(&entry("ann@example.org", SuppressionReason::Manual)).await.unwrap();
    assert!(is_new);
    for (reason, kept) in [
        (SuppressionReason::Complaint, SuppressionReason::Manual),
        (SuppressionReason::HardBounce, SuppressionReason::HardBounce),
        (SuppressionReason::SoftBounces, SuppressionReason::HardBounce),
    ] {
        let (again, is_new) = list.add(&entry("ann@example.org", reason)).await.unwrap();
        assert_eq!((again.hash, is_new), (first.hash, false));
        assert_eq!((again.suppression.reason, again.suppression.at), (kept, first.suppression.at));
    }
    let (rows, next) = list.list(Channel::Email, None, 10).await.unwrap();
    assert_eq!((rows.len(), next), (1, None));
    assert_eq!(rows[0], list.find(Channel::Email, "ann@example.org").await.unwrap().unwrap());
    list.remove(Channel::Email, "ann@example.org").await.unwrap();
    assert!(list.list(Channel::Email, None, 10).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn a_domain_stops_every_address_of_it_and_none_of_another() {
    let store = store();
    let list = &store.suppressions;
    let addresses = ["ann@example.org", "ann@mail.example.org", "\"a@example.com\"@EXAMPLE.org"];
    assert_eq!(stopped(&store, Category::Marketing, &addresses).await, [] as [usize; 0]);
    let reason = SuppressionReason::Manual;
    let domain = SuppressedDomain { reason, source: None, at: SystemClock.now() };
    let add = |domains: &mut Domains| domains.insert("example.org".to_owned(), domain.clone()).is_none();
    assert!(list.change_domains(add).await.unwrap());
    assert!(!list.change_domains(|_| false).await.unwrap());
    assert_eq!(stopped(&store, Category::Marketing, &addresses).await, [0, 2]);
    assert!(list.change_domains(|domains| domains.remove("example.org").is_some()).await.unwrap());
    assert_eq!(stopped(&store, Category::Marketing, &addresses).await, [] as [usize; 0]);
}

#[tokio::test]
async fn domains_have_a_most() {
    let store = store();
    let fill = |domains: &mut Domains| {
        let (reason, at) = (SuppressionReason::Manual, SystemClock.now());
        let domain = SuppressedDomain { reason, source: None, at };
        domains.extend((0..=MOST_DOMAINS).map(|number| (format!("d{number}.example.org"), domain.clone())));
        true
    };
    let refused = store.suppressions.change_domains(fill).await;
    assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
}

#[tokio::test]
async fn domains_with_long_sources_have_room_in_one_item() {
    let store = store();
    let list = &store.suppressions;
    let (reason, at) = (SuppressionReason::Manual, SystemClock.now());
    let domain = SuppressedDomain { reason, source: Some("x".repeat(800)), at };
    let new: Vec<_> =
        (0..MOST_DOMAINS).map(|number| (format!("d{number}.example.org"), domain.clone())).collect();
    let refused = list.change_domains(|domains| {
        domains.extend(new.clone());
        true
    });
    let refused = refused.await;
    assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    // Of many at once as many are taken as there is room for, and the others are told.
    let became = list.add_domains(&new).await.unwrap();
    let taken = became.iter().flatten().count();
    assert!((300..400).contains(&taken), "{taken}");
    assert_eq!(list.domains().await.unwrap().len(), taken);
    let again = list.add_domains(&new[..taken]).await.unwrap();
    assert!(again.iter().all(|became| *became == Some(Became::Unchanged)));
    assert!(list.change_domains(|domains| domains.remove("d0.example.org").is_some()).await.unwrap());
}

/// Row H2's sibling: who has unsubscribed still gets what they asked for themselves.
#[tokio::test]
async fn of_somebody_without_a_profile_the_hash_alone_is_kept() {
    let store = store();
    let list = &store.suppressions;
    let hash = list.hash(Channel::Email, "Ann@Example.org").await.unwrap();
    assert_eq!(hash, list.hash(Channel::Email, "ann@example.org").await.unwrap());
    assert_ne!(hash, list.hash(Channel::Sms, "ann@example.org").await.unwrap());
    let reason = SuppressionReason::Unsubscribed;
    let source = Some("link".to_owned());
    assert!(list.add_hashed(Channel::Email, hash, reason, source.clone()).await.unwrap());
    assert!(!list.add_hashed(Channel::Email, hash, reason, None).await.unwrap());
    assert_eq!(stopped(&store, Category::Marketing, &["ann@example.org"]).await, [0]);
    assert_eq!(stopped(&store, Category::Transactional, &["ann@example.org"]).await, [] as [usize; 0]);

    let found = list.find(Channel::Email, "ANN@example.org").await.unwrap().unwrap();
    assert_eq!((found.hash, &found.suppression.address, &found.suppression.source), (hash, &None, &source));
    assert_eq!(list.list(Channel::Email, None, 10).await.unwrap().0, [found]);
    // A graver reason counts, and the address is not written down for it.
    let (graver, is_new) = list.add(&entry("ann@example.org", SuppressionReason::Complaint)).await.unwrap();
    assert_eq!((graver.suppression.reason, is_new), (SuppressionReason::Complaint, false));
    assert_eq!(graver.suppression.address, None);
    assert_eq!(list.find_hashed(hash).await.unwrap(), Some(graver));
    assert!(list.remove_hashed(hash).await.unwrap() && !list.remove_hashed(hash).await.unwrap());
    assert!(list.list(Channel::Email, None, 10).await.unwrap().0.is_empty());

    list.add_hashed(Channel::Email, hash, reason, None).await.unwrap();
    assert!(list.remove(Channel::Email, "ann@example.org").await.unwrap());
    let nameless = Suppression { address: None, ..entry("", reason) };
    assert!(matches!(list.add(&nameless).await, Err(StoreError::Invalid { .. })));
}

#[tokio::test]
async fn who_is_forgotten_is_still_not_written_to() {
    let store = store();
    let list = &store.suppressions;
    list.add(&entry("ann@example.org", SuppressionReason::HardBounce)).await.unwrap();
    assert!(list.forget(Channel::Email, "Ann@example.org").await.unwrap());
    assert!(!list.forget(Channel::Email, "ann@example.org").await.unwrap());
    assert!(!list.forget(Channel::Email, "bob@example.org").await.unwrap());
    let (rows, _) = list.list(Channel::Email, None, 10).await.unwrap();
    assert_eq!((rows.len(), &rows[0].suppression.address), (1, &None));
    assert_eq!(stopped(&store, Category::Transactional, &["ann@example.org"]).await, [0]);
}

/// Row H4.
#[tokio::test]
async fn five_soft_bounces_in_a_row_suppress_an_address() {
    let store = store();
    let list = &store.suppressions;
    let now = SystemClock.now();
    let mut messages = 0..;
    let mut bounce = async || {
        let message = MessageTag(messages.next().unwrap());
        list.soft_bounce(Channel::Email, "Ann@example.org", message, now).await.unwrap()
    };
    for count in 1..BOUNCES_IN_A_ROW {
        assert_eq!(bounce().await, SoftBounces::Counted(count));
    }
    list.delivered(Channel::Email, "ann@example.org").await.unwrap();
    list.delivered(Channel::Email, "ann@example.org").await.unwrap();
    for count in 1..BOUNCES_IN_A_ROW {
        assert_eq!(bounce().await, SoftBounces::Counted(count), "a delivery sets it back");
    }
    assert_eq!(list.find(Channel::Email, "ann@example.org").await.unwrap(), None);
    assert_eq!(bounce().await, SoftBounces::Suppressed);
    let found = list.find(Channel::Email, "ann@example.org").await.unwrap().unwrap().suppression;
    assert_eq!(found.reason, SuppressionReason::SoftBounces);
    assert_eq!(stopped(&store, Category::Transactional, &["ann@example.org"]).await, [0]);
    list.delivered(Channel::Email, "ann@example.org").await.unwrap();
    assert_eq!(stopped(&store, Category::Transactional, &["ann@example.org"]).await, [0]);
    // Whoever is let off starts anew.
    for _ in 1..BOUNCES_IN_A_ROW {
        bounce().await;
    }
    assert!(list.remove(Channel::Email, "ann@example.org").await.unwrap());
    assert_eq!(bounce().await, SoftBounces::Counted(1));
}

#[tokio::test]
async fn a_bounce_counts_once_however_often_and_late_it_is_told() {
    let store = store();
    let list = &store.suppressions;
    // As long past as it is, it was heard of now.
    let then = SystemClock.now() - SignedDuration::from_hours(91 * 24);
    let bounce = async |message| {
        list.soft_bounce(Channel::Email, "ann@example.org", MessageTag(message), then).await.unwrap()
    };
    for count in 1..BOUNCES_IN_A_ROW {
        for message in (1..=count).rev().chain(1..=count) {
            assert_eq!(bounce(message.into()).await, SoftBounces::Counted(count));
        }
    }
    assert_eq!(bounce(99).await, SoftBounces::Suppressed);
    // Whoever died before the entry was written is made up for.
    assert_eq!(bounce(99).await, SoftBounces::Suppressed);
    assert_eq!(bounce(1).await, SoftBounces::Suppressed);
}

#[tokio::test]
async fn bounces_are_remembered_for_ninety_days_from_the_last_one() {
    let store = store();
    let list = &store.suppressions;
    let bounce = list.soft_bounce(Channel::Email, "ann@example.org", MessageTag(1), Timestamp::UNIX_EPOCH);
    bounce.await.unwrap();
    let at = bounces_key(list.hash(Channel::Email, "ann@example.org").await.unwrap());
    let item = store.platform.table.get(AUDIENCE, &at, Consistency::Strong).await.unwrap().unwrap();
    let left = item.expires.unwrap() - SystemClock.now().as_second();
    assert!((90 * 24 * 3600 - 60..=90 * 24 * 3600).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounces_at_the_same_time_are_all_counted() {
    let store = store();
    let list = &store.suppressions;
    let now = SystemClock.now();
    let bounces =
        (0..20).map(|message| list.soft_bounce(Channel::Email, "ann@example.org", MessageTag(message), now));
    let answers = join_all(bounces).await;
    let mut counted: Vec<_> = answers
        .into_iter()
        .filter_map(|answer| match answer.unwrap() {
            SoftBounces::Counted(count) => Some(count),
            SoftBounces::Suppressed => None,
        })
        .collect();
    counted.sort_unstable();
    assert_eq!(counted, [1, 2, 3, 4]);
    assert_eq!(list.list(Channel::Email, None, 10).await.unwrap().0.len(), 1);
}
