use std::sync::Arc;
use std::time::Duration;

use campaign::segment::SegmentKind;
use campaign::{EndpointId, EventId, ProfileId, SegmentId};
use platform::embedded::{BlobFolder, Embedded};
use platform::{Clock, Deadline, SystemClock};

use super::*;
use crate::endpoints::{Endpoint, Parked};
use crate::{HashKey, Segment, Store};

fn store() -> Store {
    Store::new(Embedded::in_memory(Arc::new(SystemClock)).platform(), HashKey([1; 32]))
}

async fn erase(store: &Store, person: ProfileId) -> Erased {
    let folder = tempfile::tempdir().unwrap();
    let blob = BlobFolder::open(folder.path()).unwrap();
    let mut erasing = Erasing::default();
    let until = Deadline::after(&SystemClock, Duration::from_secs(600));
    store.erase(&blob, person, &mut erasing, until).await.unwrap();
    assert!(erasing.is_complete());
    erasing.erased
}

async fn endpoint(store: &Store) -> EndpointId {
    let now = SystemClock.now();
    let endpoint = Endpoint {
        id: EndpointId::random(),
        url: "https://example.com/".to_owned(),
        description: String::new(),
        events: Vec::new(),
        disabled: false,
        gone_at: None,
        created_at: now,
        secret_at: now,
    };
    store.endpoints.create(&endpoint, "whsec_c2VjcmV0").await.unwrap();
    endpoint.id
}

fn event(about: ProfileId, n: i64) -> Parked {
    let body = format!("{{\"profileId\":\"{about}\"}}");
    Parked { event: EventId::random(), body, since_ms: n, tries: 0, error: None, due_ms: n }
}

#[tokio::test]
async fn events_go_from_every_endpoint_however_many_wait() {
    let (store, person, other) = (store(), ProfileId::random(), ProfileId::random());
    let mut endpoints = Vec::new();
    // The first of them has a few, the next none, and the others more than a page.
    for count in [3, 0, 250, 120] {
        let id = endpoint(&store).await;
        let waiting: Vec<_> = (0..count).flat_map(|n| [event(person, n), event(other, 1000 + n)]).collect();
        store.endpoints.park(id, &waiting).await.unwrap();
        store.endpoints.bury(id, vec![event(person, 5)]).await.unwrap();
        endpoints.push((id, count));
    }
    assert_eq!(erase(&store, person).await.events, 3 + 250 + 120 + 4);
    for (id, count) in endpoints {
        let left = store.endpoints.waiting(id, None, 1000).await.unwrap();
        assert_eq!(left.len() as i64, count);
        assert!(left.iter().all(|event| event.body.contains(&other.to_string())));
        assert!(store.endpoints.dead_letters(id, None, 10).await.unwrap().0.is_empty());
    }
}

#[tokio::test]
async fn a_person_leaves_every_generation_of_every_list() {
    let (store, person, other) = (store(), ProfileId::random(), ProfileId::random());
    let now = SystemClock.now();
    let segment = |kind| Segment {
        id: SegmentId::random(),
        name: "s".to_owned(),
        description: String::new(),
        kind,
        created_at: now,
        modified_at: now,
    };
    let mut lists = Vec::new();
    // More than a page of segments, some of which are rules.
    for n in 0..SEGMENTS * 2 + 10 {
        let kind = match n % 3 {
            0 => SegmentKind::Rule { expression: "true".to_owned() },
            _ => SegmentKind::List { generation: 3, partitions: 16, members: 2 },
        };
        let segment = segment(kind);
        store.segments.put(&segment, 0).await.unwrap();
        if n % 3 == 1 {
            for generation in [1, 3] {
                store.segments.add_members(segment.id, generation, &[person, other]).await.unwrap();
            }
            lists.push(segment.id);
        }
    }
    assert_eq!(erase(&store, person).await.lists, lists.len() as u64);
    for list in lists {
        let kind = store.segments.get(list).await.unwrap().value.kind;
        assert!(matches!(kind, SegmentKind::List { members: 1, .. }), "{kind:?}");
        for generation in [1, 3] {
            assert_eq!(store.segments.remove_members(list, generation, &[person]).await.unwrap(), 0);
            assert_eq!(store.segments.remove_members(list, generation, &[other]).await.unwrap(), 1);
        }
        assert!(!store.segments.leave(list, person).await.unwrap());
    }
    assert!(!store.segments.leave(SegmentId::random(), person).await.unwrap());
}
