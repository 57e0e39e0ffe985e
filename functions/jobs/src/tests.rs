//! Jobs from their start to their end, on a clock on which looking at it takes time, so that they need many slices.

mod lists;
mod people;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use campaign::segment::SegmentKind;
use campaign::{JobId, SegmentId};
use futures::stream;
use jiff::Timestamp;
use platform::blob::{Stat, Upload};
use platform::embedded::{BlobFolder, Embedded};
use platform::{Blob, BlobName, BlobWriter, Clock, Deadline, PlatformError, Source, batch};
use store::import::ProfileReport;
use store::jobs::{Counting, Import, Job, JobState, Task};
use store::ledger::{Tenancy, Worker};
use store::{HashKey, Segment, Store, tables};
use tempfile::TempDir;

use crate::{Context, Pace, go_on, handle};

/// How long a slice may take.
const SLICE: Duration = Duration::from_secs(15);

/// Every look at the monotonic reading takes a second.
struct TickingClock(Mutex<Timestamp>);

impl TickingClock {
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

#[async_trait]
impl Clock for TickingClock {
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

/// What happens at a read of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The blob can't be reached.
    Error,
    /// Nothing comes, ever: the process is as good as dead.
    Death,
}

/// Blobs of which the reads after the next so many go wrong once.
struct Faulty {
    blobs: BlobFolder,
    reads_left: AtomicUsize,
    fault: Fault,
    dead: tokio::sync::Notify,
}

#[async_trait]
impl Blob for Faulty {
    async fn upload(&self, name: &BlobName, kind: &str, expires: Duration) -> Result<Upload, PlatformError> {
        self.blobs.upload(name, kind, expires).await
    }
    async fn stat(&self, name: &BlobName) -> Result<Option<Stat>, PlatformError> {
        self.blobs.stat(name).await
    }
    async fn read(
        &self,
        name: &BlobName,
        tag: &str,
        from: u64,
        most: usize,
    ) -> Result<Option<Vec<u8>>, PlatformError> {
        // Small pieces, so that there are many reads.
        let read = self.blobs.read(name, tag, from, most.min(100_000)).await;
        if self.reads_left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return read;
        }
        match self.fault {
            Fault::Error => {
                Err(PlatformError::Unavailable { what: "the folder", source: "unplugged".into() })
            }
            Fault::Death => {
                self.dead.notify_one();
                std::future::pending().await
            }
        }
    }
    async fn put(&self, name: &BlobName, bytes: Vec<u8>) -> Result<(), PlatformError> {
        self.blobs.put(name, bytes).await
    }
    async fn create(&self, name: &BlobName) -> Result<Box<dyn BlobWriter>, PlatformError> {
        self.blobs.create(name).await
    }
    async fn download(
        &self,
        name: &BlobName,
        file: &str,
        expires: Duration,
    ) -> Result<Option<String>, PlatformError> {
        self.blobs.download(name, file, expires).await
    }
    async fn delete(&self, name: &BlobName) -> Result<(), PlatformError> {
        self.blobs.delete(name).await
    }
}

struct World {
    clock: Arc<TickingClock>,
    engine: Embedded,
    blobs: BlobFolder,
    context: Context,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(TickingClock(Mutex::new("2026-11-26T09:00:00Z".parse().unwrap())));
        let engine = Embedded::in_memory(clock.clone());
        let folder = tempfile::tempdir().unwrap();
        let blobs = BlobFolder::open(folder.path()).unwrap();
        let context = Context {
            store: Store::new(engine.platform(), HashKey([1; 32])),
            blob: Arc::new(blobs.clone()),
            worker: Worker::new(Tenancy::Shared),
            pace: Pace { time: Duration::from_secs(4), rows: 4000 },
            longest: Duration::from_secs(60),
        };
        Self { clock, engine, blobs, context, folder }
    }

    /// The same data in the hands of another process, whose reads go wrong once.
    fn faulty(&self, reads_left: usize, fault: Fault) -> (Context, Arc<Faulty>) {
        let faulty = Arc::new(Faulty {
            blobs: self.blobs.clone(),
            reads_left: AtomicUsize::new(reads_left),
            fault,
            dead: tokio::sync::Notify::new(),
        });
        let worker = Worker::new(Tenancy::Shared);
        (Context { blob: faulty.clone(), worker, ..self.context.clone() }, faulty)
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(&*self.clock, SLICE)
    }

    fn store(&self) -> &Store {
        &self.context.store
    }

    async fn start(&self, task: Task, file: &str) -> JobId {
        let job = Job::new(task, self.clock.now());
        self.store().jobs.create(&job).await.unwrap();
        let job = self.store().jobs.get(job.id).await.unwrap();
        self.blobs.put(&job.file(), file.as_bytes().to_vec()).await.unwrap();
        let stat = self.blobs.stat(&job.file()).await.unwrap().unwrap();
        self.store().jobs.start(job, stat).await.unwrap().id
    }

    async fn start_profiles(&self, file: &str) -> JobId {
        self.start(Task::ImportProfiles { list: None, import: Import::default() }, file).await
    }

    async fn job(&self, id: JobId) -> Job {
        self.store().jobs.get(id).await.unwrap()
    }

    /// Does what the queue's messages ask for until there are none; how many there were, and how many failed.
    async fn run(&self, context: &Context) -> (usize, usize) {
        let (mut handled, mut failed) = (0, 0);
        loop {
            let messages = self.engine.receive(tables::JOBS, 1, SLICE, 20).await.unwrap();
            let Some(message) = messages.first().cloned() else { return (handled, failed) };
            let response = handle(context, batch::event(messages), self.deadline()).await;
            handled += 1;
            if response.batch_item_failures.is_empty() {
                self.engine.delete(tables::JOBS, vec![message.receipt]).await.unwrap();
            } else {
                failed += 1;
                self.engine.release(tables::JOBS, vec![message.receipt], Duration::ZERO).await.unwrap();
            }
        }
    }

    async fn errors(&self, id: JobId) -> String {
        let name = self.job(id).await.errors_file();
        fs::read_to_string(self.folder.path().join(name.as_str())).unwrap()
    }

    /// The blobs that are there.
    fn blobs_left(&self) -> BTreeSet<String> {
        fn walk(folder: &Path, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut found = BTreeSet::new();
        walk(self.folder.path(), &mut found);
        found
    }
}

/// People, some of them twice, near and far; and every seventh row wrong.
fn people(rows: usize) -> String {
    let mut csv = "\u{feff}email;=name;age:number\r\n".to_owned();
    for n in 0..rows {
        let age = if n % 7 == 0 { "old" } else { "41" };
        csv.push_str(&format!("p{}@x.io;\"two\nlines\";{age}\r\n", n % (rows * 4 / 5)));
    }
    csv
}

/// What becomes of the same file at once.
async fn at_once(file: &str) -> ProfileReport {
    let world = World::new();
    let bytes = stream::iter([Ok::<_, std::convert::Infallible>(file.to_owned())]);
    world.store().import_profiles(bytes, None, None).await.unwrap()
}

#[tokio::test]
async fn an_import_in_many_slices_comes_to_the_same_as_one_at_once() {
    let world = World::new();
    let file = people(12_000);
    let id = world.start_profiles(&file).await;
    let (slices, failed) = world.run(&world.context).await;
    assert!(slices > 1 && failed == 0, "it took {slices} slices, of which {failed} failed");
    let job = world.job(id).await;
    assert_eq!((job.state, job.failure.clone()), (JobState::Completed, None));
    let counts = job.import().unwrap().counts;
    let whole = at_once(&file).await;
    assert_eq!(
        (counts.rows, counts.created, counts.updated, counts.duplicates, counts.invalid),
        (whole.rows, whole.created, whole.updated, whole.duplicates, whole.invalid)
    );
    // All of them, not only those that fit into an answer.
    let errors = world.errors(id).await;
    let errors: Vec<&str> = errors.lines().collect();
    assert!(counts.invalid > 1000);
    assert_eq!(errors.len() as u64, 1 + counts.invalid);
    let message = &whole.faults[0].message;
    assert_eq!(errors[..2], ["row,line,field,message", &format!("1,2,age,\"{message}\"")]);
    let rows: Vec<u64> =
        errors[1..].iter().map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    assert!(rows.is_sorted() && rows.last() == Some(&11_999));
    // The people who were uploaded do not lie about.
    assert_eq!(world.blobs_left(), BTreeSet::from(["errors.csv".to_owned()]));
}

#[tokio::test]
async fn a_doubled_message_runs_nothing_twice() {
    let world = World::new();
    let id = world.start_profiles(&people(3000)).await;
    let (context, faulty) = world.faulty(1, Fault::Death);
    let first = go_on(&context, id, world.deadline());
    let second = async {
        faulty.dead.notified().await;
        go_on(&world.context, id, world.deadline()).await.unwrap();
        world.job(id).await
    };
    let job = tokio::select! {
        _ = first => panic!("it is as good as dead"),
        job = second => job,
    };
    assert_eq!((job.state, job.import().unwrap().counts.rows), (JobState::Running, 0));
}

#[tokio::test]
async fn whoever_dies_in_mid_slice_loses_a_step_and_no_row() {
    let file = people(6000);
    let whole = at_once(&file).await;
    let mut repeated = 0;
    for reads in [1, 2, 3, 4] {
        let world = World::new();
        let id = world.start_profiles(&file).await;
        let (mut context, faulty) = world.faulty(reads, Fault::Death);
        let long = Duration::from_secs(300);
        context.pace.time = long;
        tokio::select! {
            _ = go_on(&context, id, Deadline::after(&*world.clock, long)) => panic!("it was to die at read {reads}"),
            () = faulty.dead.notified() => {}
        }
        // The sweep finds it once its lease is over.
        let overdue =
            async || world.store().jobs.overdue(world.clock.now().as_millisecond(), 10).await.unwrap();
        assert_eq!(overdue().await, []);
        world.clock.advance(long + Duration::from_secs(10));
        assert_eq!(overdue().await, [id]);
        world.store().jobs.enqueue_again(id).await.unwrap();
        let (_, failed) = world.run(&world.context).await;
        let job = world.job(id).await;
        assert_eq!((job.state, failed), (JobState::Completed, 0));
        let counts = job.import().unwrap().counts;
        assert_eq!(
            (counts.rows, counts.created + counts.updated, counts.duplicates, counts.invalid),
            (whole.rows, whole.created, whole.duplicates, whole.invalid),
            "death at read {reads}"
        );
        repeated += counts.updated;
        assert_eq!(world.errors(id).await.lines().count() as u64, 1 + whole.invalid);
        assert_eq!(world.blobs_left().iter().filter(|name| name.starts_with("file")).count(), 0);
    }
    assert!(repeated > 0, "a step that was lost is taken again");
}

#[tokio::test]
async fn trouble_gives_the_job_back_and_its_message_comes_again() {
    let world = World::new();
    let file = people(3000);
    let id = world.start_profiles(&file).await;
    let (context, _) = world.faulty(2, Fault::Error);
    let (_, failed) = world.run(&context).await;
    assert_eq!((world.job(id).await.state, failed), (JobState::Completed, 1));
    assert_eq!(world.job(id).await.import().unwrap().counts.rows, 3000);
}

#[tokio::test]
async fn a_job_that_never_gets_on_is_given_up() {
    let world = World::new();
    let id = world.start_profiles(&people(3000)).await;
    for tries in 1..=21 {
        let (context, _) = world.faulty(1, Fault::Error);
        assert_eq!(go_on(&context, id, world.deadline()).await.is_err(), tries <= 20, "try {tries}");
    }
    let job = world.job(id).await;
    assert_eq!((job.state, job.failure.unwrap().code.as_str()), (JobState::Failed, "gave_up"));
    assert_eq!(world.blobs_left(), BTreeSet::new());
}

#[tokio::test]
async fn a_job_that_is_given_up_lists_its_row_errors_or_names_none() {
    for is_lost in [None, Some(())] {
        let world = World::new();
        let id = world.start_profiles(&people(12_000)).await;
        go_on(&world.context, id, world.deadline()).await.unwrap();
        let job = world.job(id).await;
        let parts = job.import().unwrap().errors.clone();
        assert!(job.state == JobState::Running && !parts.is_empty(), "some rows were left out: {job:?}");
        if is_lost.is_some() {
            world.blobs.delete(&job.errors_part(parts[0])).await.unwrap();
        }
        for _ in 0..20 {
            let (context, _) = world.faulty(1, Fault::Error);
            go_on(&context, id, world.deadline()).await.unwrap_err();
        }
        go_on(&world.context, id, world.deadline()).await.unwrap();
        let job = world.job(id).await;
        assert_eq!((job.state, job.failure.clone().unwrap().code.as_str()), (JobState::Failed, "gave_up"));
        let names_errors = !job.import().unwrap().errors.is_empty();
        assert_eq!(names_errors, is_lost.is_none());
        let is_there = world.blobs.stat(&job.errors_file()).await.unwrap().is_some();
        assert_eq!(is_there, names_errors);
        assert!(world.blobs_left().iter().all(|name| name == "errors.csv"), "{:?}", world.blobs_left());
    }
}

#[tokio::test]
async fn a_file_that_is_none_fails_the_job_and_imports_nobody() {
    for (file, code, says) in [
        ("", "invalid_csv", "empty"),
        ("name\nAnn\n", "invalid_csv", "external_id"),
        ("email,email\na@x.io,b@x.io\n", "invalid_csv", "both named"),
        ("email,age:int\na@x.io,1\n", "invalid_csv", "no type"),
    ] {
        let world = World::new();
        let id = world.start_profiles(file).await;
        world.run(&world.context).await;
        let job = world.job(id).await;
        let failure = job.failure.unwrap();
        assert_eq!((job.state, failure.code.as_str()), (JobState::Failed, code), "{file:?}");
        assert!(failure.message.contains(says), "{file:?}: {}", failure.message);
        assert_eq!(world.store().profiles.estimate().await.unwrap(), 0);
        assert_eq!(world.blobs_left(), BTreeSet::new());
    }
}

#[tokio::test]
async fn a_file_that_is_replaced_in_mid_import_fails_the_job() {
    let world = World::new();
    let file = people(6000);
    let id = world.start_profiles(&file).await;
    let job = world.job(id).await;
    world.blobs.put(&job.file(), file.into_bytes()).await.unwrap();
    world.run(&world.context).await;
    let job = world.job(id).await;
    assert_eq!((job.state, job.failure.unwrap().code.as_str()), (JobState::Failed, "file_replaced"));
}

async fn list(world: &World) -> SegmentId {
    let now = world.clock.now();
    let id = SegmentId::random();
    let kind = SegmentKind::List { generation: 1, partitions: tables::LIST_PARTITIONS, members: 0 };
    let segment = Segment {
        id,
        name: "l".to_owned(),
        description: String::new(),
        kind,
        created_at: now,
        modified_at: now,
    };
    world.store().segments.put(&segment, 0).await.unwrap();
    id
}

#[tokio::test]
async fn members_are_imported_and_counted_in_slices() {
    let world = World::new();
    let segment = list(&world).await;
    let profiles: String = (0..9000).map(|n| format!("p{n}@x.io\n")).collect();
    let id = world.start_profiles(&format!("email\n{profiles}")).await;
    world.run(&world.context).await;
    assert_eq!(world.job(id).await.import().unwrap().counts.created, 9000);

    let name = "x".repeat(30);
    let file = format!("name,email\n{}x,nobody@x.io\n", profiles.replace('p', &format!("{name},p")));
    let task = Task::ImportMembers { list: segment, import: Import::default() };
    let id = world.start(task, &file).await;
    let (slices, _) = world.run(&world.context).await;
    let counts = world.job(id).await.import().unwrap().counts;
    assert_eq!((counts.rows, counts.added, counts.unchanged, counts.invalid), (9001, 9000, 0, 1));
    assert!(slices > 1, "it took {slices} slices");
    let kept = world.store().segments.get(segment).await.unwrap().value.kind;
    assert!(matches!(kept, SegmentKind::List { members: 9000, .. }), "{kept:?}");

    let rule = SegmentKind::Rule { expression: "profile.email.startsWith('p1')".to_owned() };
    for kind in [kept, rule] {
        let mut whole = Counting::begin(segment, &kind, world.clock.now());
        let until = Deadline::after(&*world.clock, Duration::from_secs(3600));
        world.store().count(&mut whole, until).await.unwrap();
        let count = Counting::begin(segment, &kind, world.clock.now());
        let job = Job::new(Task::CountSegment { segment, count }, world.clock.now());
        world.store().jobs.create(&job).await.unwrap();
        let mut slices = 0;
        while !world.job(job.id).await.state.is_over() {
            // Time for a few pages.
            go_on(&world.context, job.id, world.deadline()).await.unwrap();
            slices += 1;
        }
        let Task::CountSegment { count, .. } = world.job(job.id).await.task else { panic!("it is a count") };
        assert!(slices > 1, "it took {slices} slices");
        assert_eq!((count.members, count.scanned), (whole.members, whole.scanned));
        assert!(count.is_complete() && count.scanned == 9000);
    }
}

#[tokio::test]
async fn a_list_that_is_gone_fails_the_job() {
    let world = World::new();
    let task = Task::ImportMembers { list: SegmentId::random(), import: Import::default() };
    let id = world.start(task, "email\na@x.io\n").await;
    world.run(&world.context).await;
    let job = world.job(id).await;
    assert_eq!((job.state, job.failure.unwrap().code.as_str()), (JobState::Failed, "not_found"));
}
