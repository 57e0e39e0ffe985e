use campaign::Code;
use campaign::plan::Lane;
use platform::{Value, WriteKind};
use proptest::prelude::*;

use super::*;
use crate::ledger::Begins;
use crate::messages::ChunkKey;

fn id(n: usize) -> ProfileId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
    ProfileId::from_bytes(bytes)
}

fn cursor(actions: u8) -> Cursor {
    Cursor {
        shard: FanOut { execution: ExecutionId::random(), shard: 3 },
        position: Some("{\"partition\":7,\"after\":\"00000000000000000000000004\"}".to_owned()),
        read: false,
        actions,
        lanes: Lanes::new(),
        members: 0,
        zones: None,
        undecided: 0,
        open: BTreeMap::new(),
        done: false,
        leased_until_ms: None,
        seen: None,
        closed: vec![Lanes::new(); usize::from(actions)],
        released: Lanes::new(),
        opened: 0,
        revision: 0,
    }
}

/// About how many bytes an item has, as DynamoDB counts: names and values, two digits of a number a byte.
fn size(item: &Item) -> usize {
    let number = |number: i64| number.to_string().len().div_ceil(2) + 1;
    let value = |value: &Value| match value {
        Value::S(text) => text.len(),
        Value::B(bytes) => bytes.len(),
        Value::N(value) => number(*value),
    };
    let attributes: usize = item.attributes.iter().map(|(name, found)| name.len() + value(found)).sum();
    let key = "pk".len() + item.key.pk.len() + "sk".len() + item.key.sk.len();
    key + attributes + item.expires.map_or(0, |expires| "ttl".len() + number(expires))
}

proptest! {
    #[test]
    fn open_members_and_lanes_round_trip(
        open in prop::collection::btree_map(0..90_u16, 1..300_usize, 0..6),
        numbers in prop::collection::btree_map(0..90_u16, any::<u32>(), 0..90),
    ) {
        let mut cursor = cursor(1);
        for (lane, members) in open {
            cursor.open.insert(Lane::from_stored(lane), (0..members).map(id).collect());
        }
        let open = Cursor::unpack(&cursor.pack());
        prop_assert_eq!(open.as_ref(), Some(&cursor.open));
        let lanes: Lanes<u32> = numbers.into_iter().map(|(lane, n)| (Lane::from_stored(lane), n)).collect();
        prop_assert_eq!(unpack_lanes(&pack_lanes(&lanes)), lanes);
    }
}

#[test]
fn other_bytes_are_no_open_members() {
    for bytes in [&[0][..], &[0, 0, 0], &[0, 0, 0, 1, 7]] {
        assert_eq!(Cursor::unpack(bytes), None);
    }
}

#[test]
fn a_cursor_with_lanes_is_read_as_it_was_written() {
    let mut cursor = cursor(2);
    let lane = LaneCursor { written: 3, enqueued: 2, members: 120 };
    cursor.lanes = [(Lane::AT_ONCE, lane), (Lane::EXCLUDED, lane), (Lane::release(40), lane)].into();
    cursor.zones = Some(Zones { profile: 1, missing: 2, invalid: 3 });
    let json = serde_json::to_string(&cursor).unwrap();
    let mut read: Cursor = serde_json::from_str(&json).unwrap();
    read.closed.clone_from(&cursor.closed);
    assert_eq!(read, cursor, "{json}");
    assert_eq!((cursor.written(), cursor.targeted()), (9, 360));
    cursor.released.insert(Lane::release(40), 3);
    assert_eq!((cursor.enqueued(Lane::release(40)), cursor.enqueued(Lane::AT_ONCE)), (3, 2));
}

#[test]
fn the_largest_cursor_is_far_below_what_an_item_may_have() {
    // Ten actions, every zone of two days part filled, and a page that found no room.
    let mut cursor = cursor(10);
    for index in 0..90 {
        let lane = Lane::release(index);
        cursor.open.insert(lane, (0..49).map(id).collect());
        cursor.lanes.insert(lane, LaneCursor { written: 99_999, enqueued: 99_999, members: 4_999_950 });
        cursor.released.insert(lane, 99_999);
        cursor.closed.iter_mut().for_each(|closed| {
            closed.insert(lane, 99_999);
        });
    }
    cursor.open.insert(Lane::AT_ONCE, (0..1000).map(id).collect());
    let document = serde_json::to_vec(&cursor).unwrap().len();
    let closed: usize = cursor.closed.iter().map(|closed| pack_lanes(closed).len()).sum();
    let total = document + cursor.pack().len() + closed + pack_lanes(&cursor.released).len();
    assert!(total < 110_000, "{total}");
}

fn chunk(action: u8, number: u32, begins: Begins) -> NewChunk {
    let key = ChunkKey { execution: ExecutionId::random(), shard: 15, action, number };
    NewChunk { key, members: (0..50).map(id).collect(), begins }
}

#[test]
fn a_chunk_is_one_write_unit_and_the_next_states_of_it_too() {
    let now = 1_795_600_800;
    for (lane, begins, most) in [
        (Lane::AT_ONCE, Begins::AtOnce, 972),
        (Lane::release(39), Begins::At(now * 1000), 986),
        (Lane::EXCLUDED, Begins::Closed(Code::HourPassed), 986),
    ] {
        let writes = chunk::first_writes(vec![chunk(9, lane.number(99_999), begins)], now);
        let WriteKind::Put(item) = &writes[0].kind else { panic!("it is put") };
        assert!(size(item) <= most, "{} bytes", size(item));
        // A lease, a window and its hour come on top, until it waits no more.
        assert!(size(item) + 40 <= 1024);
    }
}

#[test]
fn closed_chunks_are_booked_once_an_action() {
    let closed = Begins::Closed(Code::HourPassed);
    let chunks = (0..4).flat_map(|n| [0, 1].map(|action| chunk(action, Lane::EXCLUDED.number(n), closed)));
    let writes = chunk::first_writes(chunks.collect(), 1_795_600_800);
    let updates: Vec<_> = writes
        .iter()
        .filter_map(|write| match &write.kind {
            WriteKind::Update(_, changes) => Some(changes),
            _ => None,
        })
        .collect();
    assert_eq!((writes.len(), updates.len()), (10, 2));
    for changes in updates {
        assert!(changes.contains(&Change::add("c47m0", 200)) && changes.contains(&Change::add("closed", 4)));
    }
}

#[test]
fn what_waits_is_kept_past_its_instant() {
    let (now, later) = (1_795_600_800, 1_795_600_800 + 60 * 24 * 3600);
    let writes =
        chunk::first_writes(vec![chunk(0, Lane::release(1).number(0), Begins::At(later * 1000))], now);
    let WriteKind::Put(item) = &writes[0].kind else { panic!("it is put") };
    assert_eq!(item.expires, Some(later + tables::LEDGER_TTL_SECONDS));
}
