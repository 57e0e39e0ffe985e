//! Where a row lies, and in which bucket of a scan. Hashes are stored in the ids of rows, so they must never change between
//! versions.
//!
//! Rows that stay lie by the hash of their partition, so that a scan's bucket is one range of ids. Rows that expire lie in
//! the order in which they are written: those of one moment share pages, and so do those that are removed together.

/// One above the largest hash: 2^63, so that every hash is a non-negative SQLite integer.
pub(super) const HASH_SPAN: u64 = 1 << 63;

/// The 63-bit hash of a partition key: FNV-1a over its UTF-8, mixed by MurmurHash3's 64-bit finaliser (FNV alone leaves
/// the high bits of short keys close together, and buckets are cut by the high bits), shifted right by one.
pub(super) fn partition_hash(pk: &str) -> i64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in pk.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    (hash >> 1).cast_signed()
}

/// The low bits of a row's id, which tell the rows of a partition apart.
const LOW_BITS: u32 = 20;
/// How many low bits give way in a partition where ids have become scarce.
const WIDE_BITS: u32 = 32;
/// How many of the close ids are tried first.
const CLOSE_ATTEMPTS: u32 = 4;

/// An id for a new row of the partition with this hash, the `attempt`th for the row with this running number. The first
/// 43 bits are the hash's; rows that are written one after another get consecutive ids, and so lie together. Where an
/// id is taken, others are scattered, in the end over all ids that share the hash's first 31 bits.
pub(super) fn row_id(hash: i64, number: u64, attempt: u32) -> i64 {
    let scattered = scatter(number.wrapping_add(u64::from(attempt) << 48));
    let (bits, low) = match attempt {
        0 => (LOW_BITS, number),
        1..CLOSE_ATTEMPTS => (LOW_BITS, scattered),
        _ => (WIDE_BITS, scattered),
    };
    let mask = (1_i64 << bits) - 1;
    (hash & !mask) | (low.cast_signed() & mask)
}

/// The id of a new row that expires, with this running number: below those of all rows that lie by their hash.
pub(super) const fn in_turn(number: i64) -> i64 {
    i64::MIN + number
}

/// SplitMix64's output function.
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The first and the last id of bucket `bucket` of `of`, both included. The caller has checked `bucket < of`. Buckets
/// are cut between the first 31 bits, so that no partition lies in two.
pub(super) fn bucket_bounds(bucket: u32, of: u32) -> (i64, i64) {
    let edge = |n: u32| (u64::from(n) << (63 - WIDE_BITS)) / u64::from(of);
    let id = |edge: u64| (edge << WIDE_BITS).wrapping_sub(1).cast_signed();
    (id(edge(bucket)) + 1, id(edge(bucket + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_ones_already_stored() {
        for (pk, hash) in PINNED {
            assert_eq!(partition_hash(pk), hash, "{pk}");
        }
    }

    /// Computed once by an independent program; stored databases depend on them.
    const PINNED: [(&str, i64); 4] = [
        ("", 8_640_173_135_264_257_171),
        ("a", 4_706_636_184_713_914_157),
        ("campaign-1", 3_483_188_017_862_631_010),
        ("Zürich 🏔", 2_323_791_340_504_227_181),
    ];

    #[test]
    fn buckets_cover_everything_once() {
        for of in [1, 2, 3, 7, 16, 4096] {
            let mut expected = 0;
            for bucket in 0..of {
                let (first, last) = bucket_bounds(bucket, of);
                assert_eq!(first, expected);
                assert!(last >= first);
                expected = last.wrapping_add(1);
            }
            assert_eq!(expected, i64::MIN, "the last bucket ends at i64::MAX");
        }
    }

    #[test]
    fn every_id_of_a_partition_lies_in_one_bucket() {
        let hash = partition_hash("campaign-1");
        for of in [3, 7, 16, 4095, 4096] {
            let bucket_of = |id: i64| {
                let holds = |bucket: &u32| {
                    let (first, last) = bucket_bounds(*bucket, of);
                    (first..=last).contains(&id)
                };
                (0..of).filter(holds).collect::<Vec<_>>()
            };
            let expected = bucket_of(hash);
            assert_eq!(expected.len(), 1);
            for attempt in [0, 1, 3, 4, 99] {
                for number in [0, 1, u64::MAX] {
                    assert_eq!(bucket_of(row_id(hash, number, attempt)), expected);
                }
            }
        }
    }

    #[test]
    fn rows_written_in_turn_lie_together_and_scatter_where_ids_are_taken() {
        let hash = partition_hash("campaign-1");
        assert_eq!(row_id(hash, 8, 0), row_id(hash, 7, 0) + 1);
        let ids: std::collections::BTreeSet<i64> = (0..100).map(|attempt| row_id(hash, 7, attempt)).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| *id >= 0));
    }

    #[test]
    fn similar_keys_spread_over_the_buckets() {
        let mut filled = [0_u32; 16];
        for n in 0..16_000 {
            let hash = partition_hash(&format!("profile-{n}"));
            filled[usize::try_from(hash >> 59).unwrap()] += 1;
        }
        assert!(filled.iter().all(|count| (800..1200).contains(count)), "{filled:?}");
    }
}
