//! Who may work on a job, and what becomes of one that nobody works on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use campaign::segment::SegmentKind;
use campaign::{Profile, ProfileId};
use platform::embedded::Embedded;
use platform::{Clock, Deadline, Received, Source};
use serde_json::json;

use super::*;
use crate::ledger::{Tenancy, Worker};
use crate::{HashKey, Store, StoreError, tables};

const LEASE: Duration = Duration::from_secs(60);

/// A clock on which every look at the monotonic reading takes a second.
struct TestClock(Mutex<Timestamp>);

impl TestClock {
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.advance(Duration::from_secs(1));
        self.now().duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}

struct World {
    clock: Arc<TestClock>,
    engine: Embedded,
    store: Store,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(TestClock(Mutex::new("2026-11-26T09:00:00Z".parse().unwrap())));
        let engine = Embedded::in_memory(clock.clone());
        let store = Store::new(engine.platform(), HashKey([1; 32]));
        Self { clock, engine, store }
    }

    async fn messages(&self) -> usize {
        let taken = self.engine.receive(tables::JOBS, 10, LEASE, 5).await.unwrap();
        let count = taken.len();
        let receipts = taken.into_iter().map(|Received { receipt, .. }| receipt).collect();
        self.engine.delete(tables::JOBS, receipts).await.unwrap();
        count
    }

    async fn claim(&self, job: JobId, worker: &Worker) -> Claim {
        self.store.jobs.claim(job, worker, LEASE).await.unwrap()
    }

    async fn awaiting(&self) -> Job {
        let task = Task::ImportProfiles { list: None, import: Import::default() };
        let job = Job::new(task, self.clock.now());
        self.store.jobs.create(&job).await.unwrap();
        self.store.jobs.get(job.id).await.unwrap()
    }

    async fn queued(&self) -> Job {
        let job = self.awaiting().await;
        let job = self.store.jobs.start(job, Stat { size: 10, tag: "t".to_owned() }).await.unwrap();
        assert_eq!(self.messages().await, 1);
        job
    }
}

#[track_caller]
fn claimed(claim: Claim) -> Job {
    match claim {
        Claim::Claimed(job) => *job,
        other => panic!("expected a job, got {other:?}"),
    }
}

#[tokio::test]
async fn an_import_waits_for_its_file_and_is_started_once() {
    let world = World::new();
    let worker = Worker::new(Tenancy::Shared);
    let job = world.awaiting().await;
    assert_eq!((job.state, world.messages().await), (JobState::AwaitingUpload, 0));
    assert_eq!(world.claim(job.id, &worker).await, Claim::Over);
    let file = Stat { size: 10, tag: "t".to_owned() };
    let started = world.store.jobs.start(job.clone(), file.clone()).await.unwrap();
    // Somebody who read it before, and somebody who reads it now.
    let later = world.store.jobs.start(job, Stat { size: 11, ..file.clone() }).await.unwrap();
    let again = world.store.jobs.start(later.clone(), file.clone()).await.unwrap();
    assert_eq!((&later, &again), (&started, &started));
    assert_eq!(started.import().unwrap().file, Some(file));
    assert_eq!(world.messages().await, 1);
}

#[tokio::test]
async fn one_of_two_workers_has_a_job_until_its_lease_ends() {
    let world = World::new();
    let (first, second) = (Worker::new(Tenancy::Shared), Worker::new(Tenancy::Shared));
    let id = world.queued().await.id;
    let mut lost = claimed(world.claim(id, &first).await);
    assert_eq!(world.claim(id, &second).await, Claim::Leased);
    assert_eq!(world.claim(id, &first).await, Claim::Leased);
    world.clock.advance(LEASE + Duration::from_secs(3));
    let mut job = claimed(world.claim(id, &second).await);
    assert_ne!(lost.part(), job.part());
    // Whoever lost it writes nothing, and takes nothing away.
    assert!(!world.store.jobs.save(&mut lost).await.unwrap());
    assert!(!world.store.jobs.hand_on(&mut lost).await.unwrap());
    lost.state = JobState::Failed;
    assert!(!world.store.jobs.end(&mut lost).await.unwrap());
    world.store.jobs.let_go(&lost).await.unwrap();
    assert_eq!(world.claim(id, &first).await, Claim::Leased);
    assert_eq!((job.tries(), world.messages().await), (2, 0));
    assert!(world.store.jobs.save(&mut job).await.unwrap());
    assert!(world.store.jobs.hand_on(&mut job).await.unwrap());
    assert_eq!(world.messages().await, 1);
    let mut job = claimed(world.claim(id, &first).await);
    assert_eq!(job.tries(), 1);
    job.state = JobState::Completed;
    assert!(world.store.jobs.end(&mut job).await.unwrap());
    assert_eq!(world.claim(id, &first).await, Claim::Over);
    let kept = world.store.jobs.get(id).await.unwrap();
    assert_eq!((kept.state, kept.ended_at.is_some()), (JobState::Completed, true));
}

#[tokio::test]
async fn a_dead_process_of_ones_own_holds_no_job() {
    let world = World::new();
    let id = world.queued().await.id;
    claimed(world.claim(id, &Worker::new(Tenancy::Sole)).await);
    claimed(world.claim(id, &Worker::new(Tenancy::Sole)).await);
}

#[tokio::test]
async fn a_job_that_stands_still_is_found_and_sent_again() {
    let world = World::new();
    let jobs = &world.store.jobs;
    let worker = Worker::new(Tenancy::Shared);
    let overdue = async || jobs.overdue(world.clock.now().as_millisecond(), 10).await.unwrap();
    world.awaiting().await;
    let id = world.queued().await.id;
    assert_eq!(overdue().await, []);
    // Its message is lost.
    world.clock.advance(Duration::from_secs(301));
    assert_eq!(overdue().await, [id]);
    jobs.enqueue_again(id).await.unwrap();
    assert_eq!((overdue().await, world.messages().await), (vec![], 1));
    // Its worker is lost.
    let job = claimed(world.claim(id, &worker).await);
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(overdue().await, []);
    world.clock.advance(Duration::from_secs(4));
    assert_eq!(overdue().await, [id]);
    // It is over, and stays so.
    let mut job = Job { state: JobState::Failed, ..job };
    assert!(jobs.end(&mut job).await.unwrap());
    assert_eq!(overdue().await, []);
    jobs.enqueue_again(id).await.unwrap();
    assert_eq!(world.messages().await, 0);
}

#[tokio::test]
async fn jobs_are_listed_the_newest_first_and_are_gone_after_their_time() {
    let world = World::new();
    let waiting = world.awaiting().await.id;
    world.clock.advance(Duration::from_secs(1));
    let queued = world.queued().await.id;
    let listed = async || {
        let (jobs, next) = world.store.jobs.list(None, 10).await.unwrap();
        assert_eq!(next, None);
        jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [queued, waiting]);
    world.clock.advance(Duration::from_secs(2 * 24 * 3600));
    assert_eq!(listed().await, [queued]);
    world.clock.advance(Duration::from_secs(29 * 24 * 3600));
    assert_eq!(listed().await, []);
    let gone = world.store.jobs.get(queued).await;
    assert!(matches!(gone, Err(StoreError::NotFound { what: "job", .. })));
}

#[tokio::test]
async fn a_count_that_is_broken_off_again_and_again_is_exact() {
    let world = World::new();
    let store = &world.store;
    let mut ids = Vec::new();
    for n in 0..9500_u32 {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_be_bytes());
        id[12..].copy_from_slice(&n.to_be_bytes());
        let document = json!({ "email": format!("p{n}@x.io"), "n": n, "even": n % 2 == 0 });
        let mut document = document.as_object().unwrap().clone();
        if n % 10 == 0 {
            document.remove("even");
        }
        let profile = Profile::new(ProfileId::from_bytes(id), document).unwrap();
        store.profiles.put(&profile, None).await.unwrap();
        ids.push(profile.id());
    }
    let segment = SegmentId::random();
    store.segments.add_members(segment, 1, &ids).await.unwrap();
    let rule = SegmentKind::Rule { expression: "profile.even && profile.n < 5000".to_owned() };
    let list = SegmentKind::List { generation: 1, partitions: tables::LIST_PARTITIONS, members: 9500 };
    for (kind, expected) in [(rule, (2000, 500)), (list, (9500, 0))] {
        let mut counting = Counting::begin(segment, &kind, world.clock.now());
        let mut slices = 0;
        while !counting.is_complete() {
            // Time for a few pages only: each look at the clock takes a second.
            let until = Deadline::after(&*world.clock, Duration::from_secs(3));
            store.count(&mut counting, until).await.unwrap();
            let kept = serde_json::to_string(&counting).unwrap();
            counting = serde_json::from_str(&kept).unwrap();
            slices += 1;
        }
        assert_eq!((counting.members, counting.undecided), expected);
        assert_eq!(counting.scanned, 9500);
        assert!(slices > 3, "it took {slices} slices");
    }
}
