use platform::embedded::Embedded;
use platform::{KeyVault, SystemClock};

use super::*;
use crate::ledger::{Tenancy, Worker};
use campaign::{EventId, ProfileId};

fn endpoints() -> Endpoints {
    let engine = Embedded::in_memory(Arc::new(SystemClock));
    Endpoints::new(engine.platform(), Arc::new(KeyVault::new(&[7; 32])))
}

fn endpoint() -> Endpoint {
    let now = Timestamp::UNIX_EPOCH;
    Endpoint {
        id: EndpointId::random(),
        url: "https://example.com/hook".to_owned(),
        description: String::new(),
        events: Vec::new(),
        disabled: false,
        gone_at: None,
        created_at: now,
        secret_at: now,
    }
}

fn parked(number: u8, due_ms: i64) -> Parked {
    let event = EventId::from_bytes([number; 16]);
    Parked { event, body: format!("{{\"n\":{number}}}"), since_ms: 1, tries: 0, error: None, due_ms }
}

fn now_ms(endpoints: &Endpoints) -> i64 {
    endpoints.platform.clock.now().as_millisecond()
}

#[test]
fn an_endpoint_wants_what_it_names_or_everything_or_nothing_while_it_is_disabled() {
    let all = endpoint();
    assert!(EventType::ALL.into_iter().all(|kind| all.wants().has(kind)));
    let some = Endpoint { events: vec![EventType::Failed], ..endpoint() };
    assert!(some.wants().has(EventType::Failed) && !some.wants().has(EventType::Sent));
    assert!(Endpoint { disabled: true, ..some }.wants().is_empty());
}

#[tokio::test]
async fn secrets_are_sealed_and_an_old_one_signs_for_a_while() {
    let endpoints = endpoints();
    let made = endpoint();
    endpoints.create(&made, "whsec_first").await.unwrap();
    let now = endpoints.platform.clock.now();
    assert_eq!(endpoints.secrets(made.id, now).await.unwrap(), ["whsec_first"]);
    let item =
        endpoints.platform.table.get(CONTROL, &secret_key(made.id), Consistency::Strong).await.unwrap();
    let sealed = item.unwrap().bytes(SEALED).unwrap().to_vec();
    assert!(!sealed.windows(5).any(|part| part == b"whsec"));

    let found = endpoints.get(made.id).await.unwrap();
    let changed = endpoints.change_secret(&found, "whsec_second", OVERLAP).await.unwrap();
    assert!(changed.secret_at >= now);
    assert_eq!(endpoints.secrets(made.id, now).await.unwrap(), ["whsec_second", "whsec_first"]);
    let tomorrow = now + Duration::from_secs(25 * 3600);
    assert_eq!(endpoints.secrets(made.id, tomorrow).await.unwrap(), ["whsec_second"]);
    // Two at once: one of them is refused.
    let stale = endpoints.change_secret(&found, "whsec_third", OVERLAP).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    let found = endpoints.get(made.id).await.unwrap();
    endpoints.change_secret(&found, "whsec_third", Duration::ZERO).await.unwrap();
    assert_eq!(endpoints.secrets(made.id, now).await.unwrap(), ["whsec_third"]);

    let found = endpoints.get(made.id).await.unwrap();
    endpoints.delete(made.id, found.revision).await.unwrap();
    assert!(matches!(endpoints.secrets(made.id, now).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn there_can_be_only_so_many() {
    let endpoints = endpoints();
    for _ in 0..MOST {
        endpoints.create(&endpoint(), "whsec_x").await.unwrap();
    }
    assert!(matches!(endpoints.create(&endpoint(), "whsec_x").await, Err(StoreError::InUse(_))));
    assert_eq!(endpoints.all().await.unwrap().len(), MOST);
}

#[tokio::test]
async fn what_waits_is_found_when_it_is_due() {
    let endpoints = endpoints();
    let (id, now_ms) = (EndpointId::random(), now_ms(&endpoints));
    let far = now_ms + 3_600_000;
    assert!(endpoints.park(id, &[parked(1, far), parked(2, far + 1)]).await.unwrap());
    assert!(!endpoints.park(id, &[parked(3, far + 2)]).await.unwrap(), "a look as early is planned");
    let at = |ms| Timestamp::from_millisecond(ms).unwrap();
    assert!(endpoints.due(at(far - 1), 10).await.unwrap().is_empty());
    assert_eq!(endpoints.due(at(far), 10).await.unwrap(), [id]);
    assert!(endpoints.park(id, &[parked(4, now_ms)]).await.unwrap(), "nobody would have looked as early");
    assert_eq!(endpoints.waiting(id, Some(now_ms), 10).await.unwrap(), [parked(4, now_ms)]);
    let all = endpoints.waiting(id, None, 10).await.unwrap();
    assert_eq!(all, [parked(4, now_ms), parked(1, far), parked(2, far + 1), parked(3, far + 2)]);
}

#[tokio::test]
async fn one_at_a_time_tells_an_endpoint_and_sees_what_comes_meanwhile() {
    let endpoints = endpoints();
    let (id, now_ms) = (EndpointId::random(), now_ms(&endpoints));
    let [worker, other] = [Worker::new(Tenancy::Shared), Worker::new(Tenancy::Shared)];
    endpoints.park(id, &[parked(1, now_ms)]).await.unwrap();
    let telling = endpoints.take(id, &worker, Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(endpoints.take(id, &other, Duration::from_secs(60)).await.unwrap(), None);
    endpoints.decide(id, vec![(parked(1, now_ms), Fate::Told)]).await.unwrap();
    // Somebody parks another just before the right is given back.
    endpoints.park(id, &[parked(2, now_ms)]).await.unwrap();
    assert_eq!(endpoints.give_back(telling, None).await.unwrap(), Some(now_ms));
    let telling = endpoints.take(id, &other, Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(endpoints.give_back(telling, Some(now_ms + 5000)).await.unwrap(), Some(now_ms + 5000));
    // It is down: nothing that comes makes the next look sooner.
    assert!(!endpoints.park(id, &[parked(3, now_ms)]).await.unwrap());
    endpoints.decide(id, vec![(parked(3, now_ms), Fate::Told)]).await.unwrap();
    let telling = endpoints.take(id, &worker, Duration::from_secs(60)).await.unwrap().unwrap();
    endpoints.decide(id, vec![(parked(2, now_ms), Fate::Told)]).await.unwrap();
    assert_eq!(endpoints.give_back(telling, None).await.unwrap(), None);
    let ever = Timestamp::from_millisecond(now_ms + 1_000_000).unwrap();
    assert!(endpoints.due(ever, 10).await.unwrap().is_empty(), "there is nothing to look for");
}

#[tokio::test]
async fn the_sweep_finds_what_a_dead_worker_had_taken() {
    let endpoints = endpoints();
    let (id, now_ms) = (EndpointId::random(), now_ms(&endpoints));
    endpoints.park(id, &[parked(1, now_ms)]).await.unwrap();
    let worker = Worker::new(Tenancy::Shared);
    endpoints.take(id, &worker, Duration::from_secs(60)).await.unwrap().unwrap();
    let at = |ms| Timestamp::from_millisecond(ms).unwrap();
    assert!(endpoints.due(at(now_ms + 1000), 10).await.unwrap().is_empty());
    assert_eq!(endpoints.due(at(now_ms + 61_000), 10).await.unwrap(), [id]);
}

#[tokio::test]
async fn who_was_asked_is_not_asked_again_at_once() {
    let endpoints = endpoints();
    let (id, now_ms) = (EndpointId::random(), now_ms(&endpoints));
    endpoints.park(id, &[parked(1, now_ms)]).await.unwrap();
    let at = |ms| Timestamp::from_millisecond(ms).unwrap();
    assert_eq!(endpoints.due(at(now_ms + 1000), 10).await.unwrap(), [id]);
    endpoints.hand_on(id).await.unwrap();
    assert!(endpoints.due(at(now_ms + 1000), 10).await.unwrap().is_empty());
    assert_eq!(endpoints.due(at(now_ms + 120_000), 10).await.unwrap(), [id]);
    // Whoever is asked goes on all the same.
    let worker = Worker::new(Tenancy::Shared);
    assert!(endpoints.take(id, &worker, Duration::from_secs(60)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_was_given_up_is_listed_revived_and_purged() {
    let endpoints = endpoints();
    let (id, now_ms) = (EndpointId::random(), now_ms(&endpoints));
    let many: Vec<_> = (0..120).map(|number| parked(number, now_ms)).collect();
    endpoints.park(id, &many).await.unwrap();
    let given_up =
        |event: &Parked| Parked { tries: 8, error: Some("answered 500".to_owned()), ..event.clone() };
    let fates = many.iter().map(|event| (event.clone(), Fate::Dead(given_up(event)))).collect();
    endpoints.decide(id, fates).await.unwrap();
    assert!(endpoints.waiting(id, None, 10).await.unwrap().is_empty());
    let (page, next) = endpoints.dead_letters(id, None, 100).await.unwrap();
    assert_eq!((page.len(), page[0].parked.tries), (100, 8));
    let (rest, end) = endpoints.dead_letters(id, next, 100).await.unwrap();
    assert_eq!((rest.len(), end), (20, None));

    let one = endpoints.dead_letter(id, parked(5, 0).event).await.unwrap();
    endpoints.revive(id, vec![one.clone()]).await.unwrap();
    // Asked again, it is alive already.
    endpoints.revive(id, vec![one.clone()]).await.unwrap();
    let waiting = endpoints.waiting(id, None, 10).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].tries, &waiting[0].body, &waiting[0].error), (0, &one.parked.body, &None));
    let gone = endpoints.dead_letter(id, one.parked.event).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");

    while !endpoints.purge(id).await.unwrap() {}
    assert!(endpoints.dead_letters(id, None, 10).await.unwrap().0.is_empty());
    assert!(endpoints.waiting(id, None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_event_that_is_put_off_is_in_one_place() {
    let endpoints = endpoints();
    let (id, now_ms) = (EndpointId::random(), now_ms(&endpoints));
    let before = parked(1, now_ms);
    endpoints.park(id, std::slice::from_ref(&before)).await.unwrap();
    let later = Parked { tries: 1, due_ms: now_ms + 5000, ..before.clone() };
    endpoints.decide(id, vec![(before, Fate::Waits(later.clone()))]).await.unwrap();
    assert_eq!(endpoints.waiting(id, None, 10).await.unwrap(), std::slice::from_ref(&later));
    // Put off to the same instant.
    let again = Parked { tries: 2, ..later.clone() };
    endpoints.decide(id, vec![(later, Fate::Waits(again.clone()))]).await.unwrap();
    assert_eq!(endpoints.waiting(id, None, 10).await.unwrap(), [again]);
}

#[tokio::test]
async fn what_is_parked_between_a_last_look_and_the_end_of_it_is_looked_for() {
    let endpoints = endpoints();
    let (id, now_ms) = (EndpointId::random(), now_ms(&endpoints));
    let worker = Worker::new(Tenancy::Shared);
    endpoints.park(id, &[parked(1, now_ms)]).await.unwrap();
    let telling = endpoints.take(id, &worker, Duration::from_secs(60)).await.unwrap().unwrap();
    endpoints.decide(id, vec![(parked(1, now_ms), Fate::Told)]).await.unwrap();
    assert_eq!(endpoints.waiting(id, None, 1).await.unwrap(), []);
    // Whoever looked has found nothing. Now comes what is due later than the lease ends, for which a look is planned.
    let far = now_ms + 3_600_000;
    assert!(!endpoints.park(id, &[parked(2, far)]).await.unwrap());
    let ended = endpoints.end_telling(telling, None, None, false).await.unwrap();
    assert!(matches!(ended, platform::Updated::Refused(Some(_))), "it has to look again: {ended:?}");
    assert_eq!(endpoints.give_back(telling, None).await.unwrap(), Some(far));
    assert_eq!(endpoints.due(Timestamp::from_millisecond(far).unwrap(), 10).await.unwrap(), [id]);
}

#[tokio::test]
async fn an_event_that_was_erased_meanwhile_does_not_come_back() {
    let endpoints = endpoints();
    let (id, person, now_ms) = (EndpointId::random(), ProfileId::random(), now_ms(&endpoints));
    let about = |number| Parked { body: format!("{{\"to\":\"{person}\"}}"), ..parked(number, now_ms) };
    let other = parked(3, now_ms);
    endpoints.park(id, &[about(1), about(2), other.clone()]).await.unwrap();
    let mut after = None;
    loop {
        after = endpoints.erase(id, person, after).await.unwrap().1;
        if after.is_none() {
            break;
        }
    }
    // Whoever has just tried to tell them knows nothing of that.
    let late = |event: &Parked| Parked { tries: 1, due_ms: now_ms + 5000, ..event.clone() };
    let fates = vec![
        (about(1), Fate::Waits(late(&about(1)))),
        (about(2), Fate::Dead(late(&about(2)))),
        (other.clone(), Fate::Waits(late(&other))),
    ];
    endpoints.decide(id, fates).await.unwrap();
    assert_eq!(endpoints.waiting(id, None, 10).await.unwrap(), [late(&other)]);
    assert!(endpoints.dead_letters(id, None, 10).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn an_event_that_moves_while_a_person_is_erased_is_erased_where_it_goes() {
    let endpoints = endpoints();
    let (id, person, now_ms) = (EndpointId::random(), ProfileId::random(), now_ms(&endpoints));
    let about = |number| Parked { body: format!("{{\"to\":\"{person}\"}}"), ..parked(number, now_ms) };
    let moves: [fn(Parked, i64) -> Fate; 2] =
        [|event, _| Fate::Dead(event), |event, later_ms| Fate::Waits(Parked { due_ms: later_ms, ..event })];
    for moved in moves {
        // More than a page, the last of which moves once the first page is done.
        let many: Vec<_> = (0..150).map(about).collect();
        endpoints.park(id, &many).await.unwrap();
        let (_, mut after) = endpoints.erase(id, person, None).await.unwrap();
        let last = many.last().unwrap().clone();
        endpoints.decide(id, vec![(last.clone(), moved(last, now_ms + 5000))]).await.unwrap();
        while after.is_some() {
            after = endpoints.erase(id, person, after).await.unwrap().1;
        }
        assert_eq!(endpoints.waiting(id, None, 10).await.unwrap(), []);
        assert!(endpoints.dead_letters(id, None, 10).await.unwrap().0.is_empty());
    }
    // One that was given up waits again behind the back of who walks.
    endpoints.park(id, &[about(1)]).await.unwrap();
    endpoints.decide(id, vec![(about(1), Fate::Dead(about(1)))]).await.unwrap();
    let (_, after) = endpoints.erase(id, person, None).await.unwrap();
    let letter = endpoints.dead_letter(id, about(1).event).await.unwrap();
    endpoints.revive(id, vec![letter]).await.unwrap();
    let mut after = after;
    while after.is_some() {
        after = endpoints.erase(id, person, after).await.unwrap().1;
    }
    assert_eq!(endpoints.waiting(id, None, 10).await.unwrap(), []);
}
