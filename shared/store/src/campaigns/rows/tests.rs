use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering as Atomic};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use campaign::model::{Actor, CampaignType};
use campaign::{Campaign, Category, Command, Version};
use platform::embedded::Embedded;
use platform::{
    Change, Clock, Condition, Consistency, Page, PlatformError, Scan, Table, TableName, TransactError,
    Updated, WriteKind,
};

use super::*;
use crate::campaigns::{read, writes as campaign_writes, writes_by_envoi};

struct TestClock(Mutex<Timestamp>);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
    fn monotonic(&self) -> Duration {
        self.now().duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
    }
    async fn sleep(&self, duration: Duration) {
        *self.0.lock().unwrap() += duration;
    }
}

/// A table that counts the rows that queries give, and refuses to be read otherwise while it counts.
struct Counting {
    table: Embedded,
    rows: AtomicUsize,
    queries: AtomicUsize,
}

#[async_trait]
impl Table for Counting {
    async fn get(&self, t: TableName, key: &Key, c: Consistency) -> Result<Option<Item>, PlatformError> {
        Table::get(&self.table, t, key, c).await
    }
    async fn batch_get(&self, _: TableName, _: &[Key], _: Consistency) -> Result<Vec<Item>, PlatformError> {
        panic!("a list gets no items")
    }
    async fn query(&self, table: TableName, query: Query) -> Result<Page, PlatformError> {
        assert!(query.pk.starts_with("rows#"), "{query:?}");
        let page = Table::query(&self.table, table, query).await?;
        self.rows.fetch_add(page.items.len(), Atomic::Relaxed);
        self.queries.fetch_add(1, Atomic::Relaxed);
        Ok(page)
    }
    async fn scan(&self, _: TableName, _: Scan) -> Result<Page, PlatformError> {
        panic!("a list scans nothing")
    }
    async fn estimate(&self, table: TableName) -> Result<u64, PlatformError> {
        Table::estimate(&self.table, table).await
    }
    async fn query_due(
        &self,
        table: TableName,
        bucket: u8,
        until_ms: i64,
        limit: usize,
    ) -> Result<Vec<Item>, PlatformError> {
        Table::query_due(&self.table, table, bucket, until_ms, limit).await
    }
    async fn update(
        &self,
        table: TableName,
        key: &Key,
        condition: Option<Condition>,
        changes: Vec<Change>,
    ) -> Result<Updated, PlatformError> {
        Table::update(&self.table, table, key, condition, changes).await
    }
    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        Table::transact(&self.table, writes).await
    }
    async fn batch_put(&self, table: TableName, items: Vec<Item>) -> Result<(), PlatformError> {
        Table::batch_put(&self.table, table, items).await
    }
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }
}

const NAMES: [&str; 10] =
    ["Spring", "spring", "SPRING SALE", "spring sale", "", "Ärger", "zoo", "😀", "İstanbul", "spring\tsale"];

struct World {
    clock: Arc<TestClock>,
    campaigns: Campaigns,
    dice: Dice,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = Arc::new(TestClock(Mutex::new("2026-11-26T09:00:00.123456789Z".parse().unwrap())));
        let campaigns = Campaigns::new(Embedded::in_memory(clock.clone()).platform());
        Self { clock, campaigns, dice: Dice(seed) }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn create(&mut self) -> CampaignId {
        let name = self.dice.pick(&NAMES);
        let (kind, category) = (CampaignType::Scheduled, Category::Marketing);
        let campaign = Campaign::new(name, kind, category, Actor::envoi(), self.now());
        self.campaigns.create(&campaign, &Version::draft(1), &[], None).await.unwrap();
        campaign.id
    }

    /// All campaigns, by their own items.
    async fn all(&self) -> Vec<Campaign> {
        let query = Query::of(tables::CAMPAIGNS, 10_000);
        let page = self.campaigns.platform.table.query(CONTROL, query).await.unwrap();
        assert_eq!(page.next, None);
        page.items.iter().map(|item| read(item).unwrap()).collect()
    }

    /// Does something to a campaign. What it does not allow changes nothing.
    async fn change(&mut self, id: CampaignId) {
        self.clock.sleep(Duration::from_micros(self.dice.pick(&[0, 1, 700, 5_000]))).await;
        let mut campaign = self.campaigns.get(id).await.unwrap();
        let next = self.dice.pick(&[None, Some(1), Some(1), Some(2), Some(30)]);
        let next = next.map(|days| {
            "2027-01-01T09:00:00Z".parse::<Timestamp>().unwrap() + days * SignedDuration::from_hours(24)
        });
        let by = Actor::envoi();
        match self.dice.roll(12) {
            0 | 1 => {
                campaign.name = self.dice.pick(&NAMES).to_owned();
                campaign.tags = vec![self.dice.pick(&["a", "b"]).to_owned()];
                campaign.modified_at = self.now();
                self.campaigns.save_draft(&campaign, None, 0, &by, Vec::new()).await.unwrap();
            }
            2 => {
                // What was read before somebody else's change is refused, rows and all.
                self.campaigns.save_draft(&campaign, None, 0, &by, Vec::new()).await.unwrap();
                campaign.name = "too late".to_owned();
                let late = self.campaigns.save_draft(&campaign, None, 0, &by, Vec::new()).await;
                assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
            }
            3 if campaign.status == Status::Live || campaign.status == Status::Scheduled => {
                // What starts and ends executions.
                campaign.open_executions += 1;
                campaign.last_occurrence = campaign.next_occurrence;
                campaign.next_occurrence = next;
                campaign.status = Status::Live;
                let writes = writes_by_envoi(&campaign, "start").unwrap();
                self.campaigns.transact(writes, Vec::new()).await.unwrap();
            }
            4 if campaign.after(Command::Delete).is_ok() && self.dice.roll(4) == 0 => {
                self.campaigns.delete(id, campaign.revision, &by).await.unwrap();
            }
            5 if campaign.after(Command::Discard).is_ok() => {
                self.campaigns.discard(id, campaign.revision, &by).await.unwrap();
            }
            _ => {
                let forward = [
                    Command::Activate,
                    Command::Activate,
                    Command::BecomeScheduled,
                    Command::BecomeScheduled,
                    Command::BecomeLive,
                    Command::Replace,
                    Command::FailActivation,
                    Command::Stop,
                    Command::Complete,
                    Command::Archive,
                    Command::Resend,
                ];
                let command = self.dice.pick(&forward);
                let done = self.campaigns.command(id, command, &by, |campaign| {
                    if matches!(command, Command::BecomeScheduled | Command::BecomeLive | Command::Replace) {
                        campaign.next_occurrence = next;
                    }
                    if command == Command::Complete {
                        campaign.next_occurrence = None;
                    }
                    Ok(())
                });
                match done.await {
                    Ok(done) => assert_eq!(
                        done,
                        self.campaigns
                            .get(id)
                            .await
                            .map(|read| Campaign { activating_since: done.activating_since, ..read })
                            .unwrap()
                    ),
                    Err(error) => assert!(matches!(error, StoreError::NotAllowed(_)), "{error}"),
                }
            }
        }
    }

    /// All rows as they are stored, by their keys.
    async fn stored(&self) -> BTreeMap<Key, CampaignRow> {
        let mut rows = BTreeMap::new();
        for (status, order) in
            Status::ALL.into_iter().flat_map(|status| Order::ALL.map(|order| (status, order)))
        {
            let query = Query::of(order.partition(status), 10_000);
            let page = self.campaigns.platform.table.query(CONTROL, query).await.unwrap();
            rows.extend(
                page.items.iter().map(|item| (item.key.clone(), document::decode(WHAT, item).unwrap())),
            );
        }
        rows
    }

    /// The ids in an order, from page to page.
    async fn walk(&self, query: &RowQuery) -> Vec<CampaignId> {
        let (mut query, mut ids) = (query.clone(), Vec::new());
        loop {
            let page = self.campaigns.rows(&query, |_| true).await.unwrap();
            assert!(page.next.is_none() || page.rows.len() == query.limit);
            ids.extend(page.rows.iter().map(|row| row.id));
            query.after = page.next;
            if query.after.is_none() {
                return ids;
            }
        }
    }
}

fn query(sort: Sort, direction: Direction, limit: usize) -> RowQuery {
    let statuses = Status::ALL.to_vec();
    RowQuery { statuses, sort, direction, span: Span::default(), after: None, limit }
}

const SORTS: [Sort; 5] = [Sort::Name, Sort::Status, Sort::Modified, Sort::Start, Sort::Created];
const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];

/// The order, said in another way.
fn sorted(campaigns: &[Campaign], query: &RowQuery) -> Vec<CampaignId> {
    let mut wanted: Vec<_> =
        campaigns.iter().filter(|campaign| query.statuses.contains(&campaign.status)).collect();
    wanted.sort_by(|a, b| {
        let order = match query.sort {
            Sort::Name => a.name.to_lowercase().cmp(&b.name.to_lowercase()),
            Sort::Status => a.status.cmp(&b.status),
            Sort::Modified => a.modified_at.cmp(&b.modified_at),
            Sort::Start => a.next_occurrence.cmp(&b.next_occurrence),
            Sort::Created => a.created_at.as_millisecond().cmp(&b.created_at.as_millisecond()),
        };
        let order = order.then(a.id.cmp(&b.id));
        let order = if query.direction == Direction::Descending { order.reverse() } else { order };
        let lacks = |campaign: &Campaign| query.sort == Sort::Start && campaign.next_occurrence.is_none();
        lacks(a).cmp(&lacks(b)).then(order)
    });
    wanted.iter().map(|campaign| campaign.id).collect()
}

#[tokio::test]
async fn after_any_changes_the_rows_say_what_the_campaigns_say() {
    let mut world = World::new(1);
    let mut seen = BTreeSet::new();
    for step in 0..1000 {
        let all = world.all().await;
        if all.len() < 12 || (all.len() < 60 && world.dice.roll(10) == 0) {
            world.create().await;
        } else {
            let id = world.dice.pick(&all).id;
            world.change(id).await;
        }
        if step % 40 == 0 || step == 999 {
            let all = world.all().await;
            seen.extend(all.iter().map(|campaign| campaign.status));
            let keys =
                |row: &CampaignRow| Order::ALL.map(|order| order.key(row).map(|key| (key, row.clone())));
            let expected: BTreeMap<_, _> =
                all.iter().flat_map(|campaign| keys(&campaign.row())).flatten().collect();
            // Only the instants' fractions of a millisecond are not read again.
            let kept: BTreeMap<_, _> = world.stored().await;
            assert_eq!(kept, expected);
            let started = all.iter().filter(|campaign| campaign.next_occurrence.is_some()).count();
            assert_eq!(kept.len(), 3 * all.len() + started);
            for (sort, direction) in SORTS.into_iter().flat_map(|sort| DIRECTIONS.map(|way| (sort, way))) {
                let mut query = query(sort, direction, 7);
                query.statuses.retain(|_| world.dice.roll(4) > 0);
                assert_eq!(world.walk(&query).await, sorted(&all, &query), "{query:?}");
            }
        }
    }
    assert_eq!(seen.len(), Status::ALL.len(), "{seen:?}");
}

#[tokio::test]
async fn a_walk_meets_what_does_not_change_exactly_once() {
    for (index, (sort, direction)) in
        SORTS.into_iter().flat_map(|sort| DIRECTIONS.map(|direction| (sort, direction))).enumerate()
    {
        let mut world = World::new(100 + index as u64);
        for _ in 0..60 {
            let id = world.create().await;
            for _ in 0..world.dice.roll(6) {
                if world.all().await.iter().any(|campaign| campaign.id == id) {
                    world.change(id).await;
                }
            }
        }
        let ids: Vec<_> = world.all().await.iter().map(|campaign| campaign.id).collect();
        let (still, moving): (Vec<_>, Vec<_>) = ids.iter().enumerate().partition(|(index, _)| index % 2 == 0);
        let mut query = query(sort, direction, 4);
        let mut met = Vec::new();
        loop {
            let page = world.campaigns.rows(&query, |_| true).await.unwrap();
            met.extend(page.rows.iter().map(|row| row.id));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
            for _ in 0..5 {
                let (_, id) = world.dice.pick(&moving);
                if world.all().await.iter().any(|campaign| campaign.id == *id) {
                    world.change(*id).await;
                }
            }
            if world.dice.roll(3) == 0 {
                world.create().await;
            }
        }
        for (_, id) in still {
            assert_eq!(met.iter().filter(|met| *met == id).count(), 1, "{sort:?} {direction:?}");
        }
    }
}

#[tokio::test]
async fn what_no_row_shows_writes_no_row() {
    let mut world = World::new(3);
    let id = world.create().await;
    let by = Actor::envoi();
    world.campaigns.command(id, Command::Activate, &by, |_| Ok(())).await.unwrap();
    let next = "2027-01-01T09:00:00Z".parse::<Timestamp>().unwrap();
    let live = world.campaigns.command(id, Command::BecomeLive, &by, |campaign| {
        campaign.next_occurrence = Some(next);
        Ok(())
    });
    let mut live = live.await.unwrap();
    let count = |campaign: &Campaign| campaign_writes(campaign).unwrap().len();
    live.open_executions += 1;
    live.last_occurrence = live.next_occurrence;
    live.activation_errors.clear();
    "of people".clone_into(&mut live.description);
    assert_eq!(count(&live), 1);
    // A further start: three rows put, and the one by its start moved.
    live.next_occurrence = Some(next + SignedDuration::from_hours(24));
    assert_eq!(count(&live), 1 + 3 + 2);
    // Nothing moves more: its rows leave their partitions, and none has a start.
    live.status = Status::Completed;
    live.next_occurrence = None;
    assert_eq!(count(&live), 1 + 4 + 3);
}

#[test]
fn an_ordinary_row_costs_one_unit() {
    let now = "2026-11-26T09:00:00.123456789Z".parse().unwrap();
    let by = Actor::key(&"a1".repeat(32), "Marketing automation");
    let name = "Spring newsletter 2027, second wave, Germany and Austria";
    let mut campaign = Campaign::new(name, CampaignType::Scheduled, Category::Transactional, by, now);
    campaign.tags = ["spring", "newsletter", "germany", "austria", "second-wave"].map(str::to_owned).into();
    campaign.next_occurrence = Some(now);
    campaign.activating_since = Some(now);
    campaign.live_version = Some(12);
    for write in writes(None, Some(&campaign.row())).unwrap() {
        let WriteKind::Put(item) = write.kind else { panic!("{write:?}") };
        let size = item.key.pk.len() + item.key.sk.len() + item.bytes(DOCUMENT).unwrap().len() + 20;
        assert!(size <= 1024, "{size} bytes in {}", item.key.pk);
    }
}

#[test]
fn a_name_of_any_length_makes_a_key() {
    let by = Actor::envoi();
    for name in ["😀".repeat(500), "İ".repeat(1000), "x".repeat(5000), String::new()] {
        let now = Timestamp::UNIX_EPOCH;
        let campaign = Campaign::new(&name, CampaignType::Scheduled, Category::Marketing, by.clone(), now);
        let key = Order::Name.key(&campaign.row()).unwrap();
        assert!(key.sk.len() <= LONGEST_KEY, "{}", key.sk.len());
        assert!(key.sk.ends_with(&campaign.id.to_string()));
    }
}

#[tokio::test]
async fn a_place_of_another_order_is_refused() {
    let mut world = World::new(4);
    world.create().await;
    for place in [
        Place { stretch: 1, key: "a".to_owned() },
        Place { stretch: 0, key: String::new() },
        Place { stretch: 0, key: "a".repeat(LONGEST_KEY + 1) },
    ] {
        let query = RowQuery { after: Some(place), ..query(Sort::Name, Direction::Ascending, 5) };
        let refused = world.campaigns.rows(&query, |_| true).await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    }
}

/// Ten thousand campaigns, of which one in ten is at work, and what reading them counts.
async fn ten_thousand() -> (Arc<Counting>, Campaigns, Timestamp) {
    let clock = Arc::new(TestClock(Mutex::new("2026-11-26T09:00:00Z".parse().unwrap())));
    let engine = Embedded::in_memory(clock.clone());
    let first = clock.now();
    let mut items = Vec::new();
    for n in 0..10_000 {
        clock.sleep(Duration::from_secs(60)).await;
        let name = format!("Campaign {n}");
        let mut campaign =
            Campaign::new(&name, CampaignType::Scheduled, Category::Marketing, Actor::envoi(), clock.now());
        campaign.status = if n % 10 == 0 { Status::ALL[n / 10 % 4] } else { Status::ALL[4 + n % 3] };
        if matches!(campaign.status, Status::Scheduled | Status::Live) {
            campaign.next_occurrence = Some(clock.now());
        }
        for write in campaign_writes(&campaign).unwrap() {
            let WriteKind::Put(item) = write.kind else { panic!("{write:?}") };
            items.push(item);
        }
    }
    Table::batch_put(&engine, CONTROL, items).await.unwrap();
    let table =
        Arc::new(Counting { table: engine.clone(), rows: AtomicUsize::new(0), queries: AtomicUsize::new(0) });
    let campaigns = Campaigns::new(Platform { table: table.clone(), ..engine.platform() });
    (table, campaigns, first)
}

#[tokio::test]
async fn of_ten_thousand_campaigns_a_page_reads_a_bounded_number_of_rows() {
    let (table, campaigns, first) = ten_thousand().await;
    let read = || (table.rows.swap(0, Atomic::Relaxed), table.queries.swap(0, Atomic::Relaxed));
    let at_work = Status::ALL[..4].to_vec();
    for (sort, direction) in SORTS.into_iter().flat_map(|sort| DIRECTIONS.map(|way| (sort, way))) {
        // Whatever is asked for, a page reads as many rows of each status as it may give, and one more.
        let query = RowQuery { statuses: at_work.clone(), ..query(sort, direction, 50) };
        let page = campaigns.rows(&query, |_| true).await.unwrap();
        assert_eq!((page.rows.len(), page.next.is_some()), (50, true));
        let (rows, queries) = read();
        assert!(rows <= 4 * 51 + 51 && queries <= 8, "{sort:?}: {rows} rows by {queries} queries");

        // One that hardly anything matches reads no more than it may, and says where it goes on.
        let query = RowQuery { statuses: Status::ALL.to_vec(), ..query };
        let (mut query, mut found, mut calls, mut all) = (query, Vec::new(), 0, 0);
        loop {
            let page = campaigns.rows(&query, |row| row.name.ends_with("777")).await.unwrap();
            let (rows, queries) = read();
            assert!(rows <= MOST_ROWS_READ && queries <= 40, "{sort:?}: {rows} rows by {queries} queries");
            found.extend(page.rows.iter().map(|row| row.id));
            (query.after, calls, all) = (page.next, calls + 1, all + rows);
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), 10, "{sort:?}");
        // What was read and not looked at is read again: less than half of it.
        assert!(all < 15_000 && calls <= 15, "{sort:?} {direction:?}: {calls} calls, {all} rows");
    }
    // A stretch of time is read by itself.
    let hour = Span {
        from: Some(first + SignedDuration::from_hours(24)),
        to: Some(first + SignedDuration::from_hours(25)),
    };
    for (sort, expected) in [(Sort::Created, 60), (Sort::Modified, 60), (Sort::Start, 2)] {
        for direction in DIRECTIONS {
            let query = RowQuery { span: hour, ..query(sort, direction, 100) };
            let page = campaigns.rows(&query, |row| hour.contains(row.created_at)).await.unwrap();
            assert_eq!((page.rows.len(), page.next), (expected, None), "{sort:?}");
            let (rows, _) = read();
            assert!(rows <= expected + 1, "{sort:?}: {rows}");
        }
    }
}
