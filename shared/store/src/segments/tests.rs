//! Lists and what they count, under several hands.

use std::sync::Arc;

use platform::embedded::Embedded;
use platform::{Clock, SystemClock};

use super::*;
use crate::{HashKey, Store};

const PARTITIONS: u32 = LIST_PARTITIONS;

fn store() -> Store {
    Store::new(Embedded::in_memory(Arc::new(SystemClock)).platform(), HashKey([1; 32]))
}

async fn list(store: &Store) -> SegmentId {
    let now = SystemClock.now();
    let segment = Segment {
        id: SegmentId::random(),
        name: "l".to_owned(),
        description: String::new(),
        kind: SegmentKind::List { generation: 1, partitions: PARTITIONS, members: 0 },
        created_at: now,
        modified_at: now,
    };
    store.segments.put(&segment, 0).await.unwrap();
    segment.id
}

async fn counted(store: &Store, list: SegmentId) -> u64 {
    match store.segments.get(list).await.unwrap().value.kind {
        SegmentKind::List { members, .. } => members,
        SegmentKind::Rule { .. } => panic!("it is a list"),
    }
}

fn people(many: usize) -> Vec<ProfileId> {
    (0..many).map(|_| ProfileId::random()).collect()
}

#[tokio::test]
async fn of_two_who_add_or_remove_the_same_people_one_counts_them() {
    let (store, people) = (store(), people(250));
    let list = list(&store).await;
    let segments = &store.segments;
    // Both look before either writes: nobody is there yet.
    let (one, other) = tokio::join!(segments.enlist(list, 1, &people), segments.enlist(list, 1, &people));
    assert_eq!(one.unwrap().0 + other.unwrap().0, 250);
    assert_eq!(counted(&store, list).await, 250);
    let (one, other) =
        tokio::join!(segments.dismiss(list, 1, &people[..200]), segments.dismiss(list, 1, &people[..200]));
    assert_eq!(one.unwrap().0 + other.unwrap().0, 200);
    assert_eq!(counted(&store, list).await, 50);
}
