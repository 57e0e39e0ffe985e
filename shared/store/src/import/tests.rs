//! Imports into an engine that writes on a thread of its own, so that batches are under way at the same time.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use campaign::profile::Namespace;
use campaign::segment::SegmentKind;
use campaign::suppression::SuppressionReason;
use campaign::{Channel, SegmentId};
use futures::stream;
use jiff::Timestamp;
use platform::embedded::Embedded;
use platform::{Clock, Deadline, SystemClock};

use super::{Extent, ImportCounts, ImportError, Position, ProfileReport, RowFault, Steps, Unsaid};
use crate::csv::PREVIEW_BYTES;
use crate::{HashKey, Segment, Store};

async fn with_store<T>(test: impl AsyncFnOnce(&Store) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap();
    test(&Store::new(engine.platform(), HashKey([1; 32]))).await
}

async fn import(store: &Store, text: &str, piece: usize) -> ProfileReport {
    let pieces: Vec<_> = text.as_bytes().chunks(piece).map(Ok::<_, Infallible>).collect();
    let report = store.import_profiles(stream::iter(pieces), None, None).await.unwrap();
    assert_eq!(report.rows, report.created + report.updated + report.duplicates + report.invalid);
    report
}

async fn field(store: &Store, email: &str, field: &str) -> Option<String> {
    let id = store.profiles.find(Namespace::Email, email).await.unwrap()?;
    store.profiles.get(id).await.unwrap().value.text(field).map(str::to_owned)
}

/// Ten people named again and again over many batches: each ends as its last row says, whichever batch was written first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_rows_about_one_person_the_later_wins_across_batches() {
    with_store(async |store| {
        let mut text = "email,external_id,seen\n".to_owned();
        for n in 0..3000 {
            // Half of the rows name them by another identity, which only the first row ties to the email.
            let external = if n < 10 { format!("e{n}") } else { String::new() };
            let filler = format!("filler{n}@x.io,,-\n");
            text.push_str(&format!("p{}@x.io,{external},{n}\n{filler}", n % 10));
        }
        let report = import(store, &text, 1000).await;
        assert_eq!((report.rows, report.created, report.duplicates, report.invalid), (6000, 3010, 2990, 0));
        for n in 0..10 {
            assert_eq!(field(store, &format!("p{n}@x.io"), "seen").await, Some((2990 + n).to_string()));
            assert_eq!(field(store, &format!("p{n}@x.io"), "external_id").await, Some(format!("e{n}")));
        }
    })
    .await;
}

#[tokio::test]
async fn a_report_does_not_depend_on_how_the_bytes_come() {
    let text = "\u{feff}email;age:number\r\na@x.io;1\r\nb@x.io;x\r\n\"c@x.io\";\"2\"\r\nA@X.IO;3";
    let mut reports = Vec::new();
    for piece in [1, 2, 7, 1000] {
        reports.push(with_store(async |store| import(store, text, piece).await).await);
    }
    assert_eq!((reports[0].created, reports[0].duplicates, reports[0].invalid), (2, 1, 1));
    assert!(reports.iter().all(|report| *report == reports[0]));
}

#[tokio::test]
async fn a_bad_row_does_not_spoil_a_good_one_about_the_same_person() {
    with_store(async |store| {
        let text = "email,consent.email,name\na@x.io,in,Ann\na@x.io,perhaps,Bad\n";
        let report = import(store, text, 1000).await;
        assert_eq!((report.created, report.invalid), (1, 1));
        assert_eq!(report.faults[0].field.as_deref(), Some("consent.email"));
        assert_eq!(field(store, "a@x.io", "name").await.as_deref(), Some("Ann"));
    })
    .await;
}

#[tokio::test]
async fn what_came_before_a_break_is_written_and_the_break_is_told() {
    with_store(async |store| {
        let rows: String = (0..400).map(|n| format!("p{n}@x.io\n")).collect();
        let pieces = [Ok("email\n".to_owned()), Ok(rows), Ok("x".repeat(70_000)), Err("gone")];
        let broken = store.import_profiles(stream::iter(pieces), None, None).await;
        assert!(matches!(broken, Err(ImportError::Source("gone"))), "{broken:?}");
        assert!(store.profiles.find(Namespace::Email, "p0@x.io").await.unwrap().is_some());
    })
    .await;
}

/// A clock on which every look at the monotonic reading takes a second.
struct TickingClock(AtomicU64);

#[async_trait::async_trait]
impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
    }
    async fn sleep(&self, _: Duration) {}
}

fn ticking() -> Store {
    let clock = Arc::new(TickingClock(AtomicU64::new(0)));
    Store::new(Embedded::in_memory(clock).platform(), HashKey([1; 32]))
}

async fn list(store: &Store) -> SegmentId {
    let now = store.platform.clock.now();
    let segment = Segment {
        id: SegmentId::random(),
        name: "l".to_owned(),
        description: String::new(),
        kind: SegmentKind::List { generation: 1, partitions: 16, members: 0 },
        created_at: now,
        modified_at: now,
    };
    store.segments.put(&segment, 0).await.unwrap();
    segment.id
}

async fn members(store: &Store, list: SegmentId) -> u64 {
    match store.segments.get(list).await.unwrap().value.kind {
        SegmentKind::List { members, .. } => members,
        SegmentKind::Rule { .. } => panic!("it is a list"),
    }
}

#[tokio::test]
async fn a_file_that_takes_too_long_is_read_to_the_end_of_a_row_and_that_is_said() {
    let store = ticking();
    let list = list(&store).await;
    let file = format!("email\n{}", (0..20_000).map(|n| format!("p{n}@x.io\n")).collect::<String>());
    let whole = || stream::iter([Ok::<_, Infallible>(file.clone())]);
    let until = |store: &Store| Some(Deadline::after(&*store.platform.clock, Duration::from_secs(4)));
    let report = store.import_profiles(whole(), Some(list), until(&store)).await.unwrap();
    assert_eq!(report.extent, Extent::Part);
    assert!((1000..20_000).contains(&report.rows), "{report:?}");
    assert_eq!((report.created, report.invalid), (report.rows, 0), "what was read is imported");
    assert_eq!(members(&store, list).await, report.rows);
    let there = store.profiles.find(Namespace::Email, &format!("p{}@x.io", report.rows)).await.unwrap();
    assert_eq!(there, None, "of a row that was cut nothing is");

    let read = store.import_members(list, whole(), until(&store)).await.unwrap();
    assert_eq!((read.extent, read.rows, read.unchanged), (Extent::Part, report.rows, report.rows));
    let unsaid = Unsaid { channel: Channel::Email, reason: SuppressionReason::Manual, source: None };
    let file = file.replacen("email", "address", 1);
    let whole = || stream::iter([Ok::<_, Infallible>(file.clone())]);
    let read = store.import_suppressions(whole(), unsaid.clone(), until(&store)).await.unwrap();
    assert!(read.extent == Extent::Part && read.rows == read.new && read.new > 1000, "{read:?}");
    let read = store.import_suppressions(whole(), unsaid, None).await.unwrap();
    assert_eq!((read.extent, read.rows), (Extent::Whole, 20_000));
}

/// Imports in steps, each by an importer of its own that knows only what the one before has left; the sum of them.
async fn import_in_steps(store: &Store, text: &str, piece: usize) -> (ImportCounts, Vec<RowFault>) {
    let preview = &text.as_bytes()[..text.len().min(PREVIEW_BYTES)];
    let (mut position, mut seen) = (None::<Position>, Vec::new());
    let (mut counts, mut faults) = (ImportCounts::default(), Vec::new());
    loop {
        let mut steps = Steps::profiles(store, None).await.unwrap();
        if let Some(position) = &position {
            steps = steps.resume(preview, position, seen.iter().copied()).unwrap();
        }
        let from = position.map_or(0, |position| usize::try_from(position.bytes.offset).unwrap());
        let to = text.len().min(from.max(PREVIEW_BYTES) + piece);
        steps.push(&text.as_bytes()[from..to]).await.unwrap();
        if to == text.len() {
            steps.finish().await.unwrap();
        }
        let step = steps.step().await.unwrap();
        counts.add(&step.counts);
        faults.extend(step.faults);
        seen.extend(step.seen);
        position = step.position;
        if to == text.len() {
            return (counts, faults);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_in_steps_comes_to_the_same_as_one_at_once() {
    let mut text = "email,name,age:number\n".to_owned();
    for n in 0..5000 {
        // Some twice, near and far; some wrong; some with a line end in them.
        let name = if n % 100 == 7 { "\"two\nlines\"" } else { "one" };
        let age = if n % 50 == 3 { "old" } else { "41" };
        text.push_str(&format!("p{}@x.io,{name},{age}\n", n % 4000));
    }
    let whole = with_store(async |store| import(store, &text, 10_000).await).await;
    let (counts, faults) = with_store(async |store| import_in_steps(store, &text, 9_001).await).await;
    assert_eq!(whole.created, 3920);
    assert_eq!(
        (counts.rows, counts.created, counts.updated, counts.duplicates, counts.invalid),
        (whole.rows, whole.created, whole.updated, whole.duplicates, whole.invalid)
    );
    assert_eq!(faults, whole.faults);
}

#[tokio::test]
async fn a_step_taken_twice_changes_nothing_but_how_it_is_counted() {
    with_store(async |store| {
        let text = "email,name\na@x.io,Ann\nb@x.io,Bo\n";
        for (created, updated) in [(2, 0), (0, 2)] {
            let (counts, _) = import_in_steps(store, text, 100).await;
            assert_eq!((counts.rows, counts.created, counts.updated), (2, created, updated));
        }
        assert_eq!(store.profiles.estimate().await.unwrap(), 2);
    })
    .await;
}
