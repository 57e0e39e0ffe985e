//! Which bucket a partition key lies in. The value is stored, so it must never change between versions.

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

/// The first and the last hash of bucket `bucket` of `of`, both included. The caller has checked `bucket < of`.
pub(super) fn bucket_bounds(bucket: u32, of: u32) -> (i64, i64) {
    let edge = |n: u32| u128::from(n) * u128::from(HASH_SPAN) / u128::from(of);
    let clamp = |edge: u128| i64::try_from(edge).unwrap_or(i64::MAX);
    (clamp(edge(bucket)), clamp(edge(bucket + 1) - 1))
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
    fn similar_keys_spread_over_the_buckets() {
        let mut filled = [0_u32; 16];
        for n in 0..16_000 {
            let hash = partition_hash(&format!("profile-{n}"));
            filled[usize::try_from(hash >> 59).unwrap()] += 1;
        }
        assert!(
            filled.iter().all(|count| (800..1200).contains(count)),
            "{filled:?}"
        );
    }
}
