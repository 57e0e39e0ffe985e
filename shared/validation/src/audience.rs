//! Who it is for: the segment exists, makes sense, and has somebody in it.

use campaign::model::Finding;
use campaign::segment::{Match, Rule, SegmentKind};
use campaign::{Profile, Version};
use platform::Scan;
use store::{Store, StoreError};

/// How many sample profiles content is tried on.
const SAMPLES: usize = 20;
/// How many profiles are looked at to find them.
const LOOKED_AT: usize = 5_000;
const PAGE: usize = 500;

/// What is known of an audience.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    /// About how many may be in it: all profiles, for a rule.
    pub(crate) size: u64,
    /// Some of its members.
    pub(crate) samples: Vec<Profile>,
}

pub(crate) async fn check(
    store: &Store,
    version: &Version,
    findings: &mut Vec<Finding>,
) -> Result<Audience, StoreError> {
    let Some(id) = version.segment else {
        findings.push(Finding::error(
            "no_audience",
            "segment_id",
            "the campaign has no audience: name a segment",
        ));
        return Ok(Audience::default());
    };
    let segment = match store.segments.get(id).await {
        Err(StoreError::NotFound { .. }) => {
            findings.push(Finding::error(
                "segment_missing",
                "segment_id",
                format!("there is no segment {id}"),
            ));
            return Ok(Audience::default());
        }
        found => found?.value,
    };
    let (audience, seen_all) = match &segment.kind {
        SegmentKind::Rule { expression } => match Rule::compile(expression) {
            Ok(rule) => by_rule(store, &rule).await?,
            Err(error) => {
                findings.push(Finding::error(
                    "invalid_rule",
                    "segment_id",
                    format!("the segment's rule: {error}"),
                ));
                return Ok(Audience::default());
            }
        },
        SegmentKind::List { generation, partitions, members } => {
            let mut samples = Vec::new();
            let mut found = 0;
            for partition in 0..*partitions {
                if samples.len() >= SAMPLES {
                    break;
                }
                let page = store.segments.members(id, *generation, partition, None, SAMPLES).await?;
                found += page.members.len();
                samples.extend(store.profiles.get_many(&page.members).await?);
            }
            samples.truncate(SAMPLES);
            (Audience { size: (*members).max(found as u64), samples }, found == 0)
        }
    };
    if audience.samples.is_empty() && seen_all {
        findings.push(Finding::warning("empty_segment", "segment_id", "nobody is in the segment at present"));
    }
    Ok(audience)
}

/// About how many are in a version's audience: all profiles, for a rule. `None` where it has none.
pub(crate) async fn size(store: &Store, version: &Version) -> Result<Option<u64>, StoreError> {
    let Some(id) = version.segment else { return Ok(None) };
    Ok(match store.segments.get(id).await {
        Err(StoreError::NotFound { .. }) => None,
        found => Some(match found?.value.kind {
            SegmentKind::Rule { .. } => store.profiles.estimate().await?,
            SegmentKind::List { members, .. } => members,
        }),
    })
}

/// Some profiles that the rule is true of, and whether all profiles were looked at.
async fn by_rule(store: &Store, rule: &Rule) -> Result<(Audience, bool), StoreError> {
    let now = store.platform.clock.now();
    let mut audience = Audience { size: store.profiles.estimate().await?, samples: Vec::new() };
    let (mut after, mut looked_at) = (None, 0);
    while looked_at < LOOKED_AT {
        let scan = Scan { bucket: 0, of: 1, after, limit: PAGE };
        let (profiles, next) = store.profiles.scan(scan).await?;
        looked_at += profiles.len();
        for profile in profiles {
            if rule.matches(profile.document(), now) == Match::Yes {
                audience.samples.push(profile);
            }
            if audience.samples.len() >= SAMPLES {
                return Ok((audience, false));
            }
        }
        if next.is_none() {
            return Ok((audience, true));
        }
        after = next;
    }
    Ok((audience, false))
}
