use platform::embedded::Embedded;
use platform::{Clock, SystemClock};

use super::*;
use crate::{HashKey, Store};

fn store() -> Store {
    let engine = Embedded::in_memory(Arc::new(SystemClock));
    Store::new(engine.platform(), HashKey([7; 32]))
}

fn entry(address: &str, reason: SuppressionReason) -> Suppression {
    let (address, at) = (address.to_owned(), SystemClock.now());
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
        assert_eq!((again.reason, again.at, is_new), (kept, first.at, false));
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
