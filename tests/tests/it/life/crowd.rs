//! Everybody who does something to the campaigns of a world at the same time.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use api::Context;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use campaign::{Campaign, CampaignId, Outcome};
use envoi_tests::sim::{Process, World, chance};
use jiff::Timestamp;
use platform::embedded::BlobFolder;
use platform::{Clock, Deadline, QueueName, Source, batch};
use serde_json::{Value, json};
use store::keys::Role;
use store::ledger::{Part, State};
use store::{HashKey, Store, tables};
use tempfile::TempDir;
use tokio::task::yield_now;
use tower::ServiceExt;

use super::model::{Model, Slots, instant};

const TIMEOUT: Duration = Duration::from_secs(60);
const VISIBILITY: Duration = Duration::from_secs(360);
const HOUR: Duration = Duration::from_secs(3600);
const QUEUES: [QueueName; 3] = [tables::WAKE_UP, tables::FAN_OUT, tables::DELIVER_EMAIL];

/// Where each command is allowed, as the product's description has it.
const ALLOWED: [(&str, &[&str]); 6] = [
    ("edit", &["draft", "scheduled", "live"]),
    ("activate", &["draft", "activating", "scheduled", "live"]),
    ("discard_draft", &["scheduled", "live", "stopped", "completed", "archived"]),
    ("stop", &["activating", "scheduled", "live", "stopped"]),
    ("archive", &["stopped", "completed", "archived"]),
    ("delete", &["draft"]),
];

/// Numbers by chance, one after the other.
struct Dice {
    seed: u64,
    thrown: Cell<u64>,
}

impl Dice {
    fn new(seed: u64, whose: u64) -> Self {
        Self { seed: chance(seed.wrapping_add(0x5eed), whose), thrown: Cell::new(0) }
    }

    fn below(&self, most: u64) -> u64 {
        self.thrown.set(self.thrown.get() + 1);
        chance(self.seed, self.thrown.get()) % most
    }

    fn one_in(&self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn of<'t, T>(&self, things: &'t [T]) -> &'t T {
        &things[usize::try_from(self.below(things.len() as u64)).unwrap()]
    }
}

/// A world full of people, and the campaigns they made.
pub struct Crowd {
    world: World,
    seed: u64,
    router: Router,
    keys: Vec<String>,
    segment: String,
    campaigns: RefCell<Vec<String>>,
    /// By campaign and ETag, what an answer said of it.
    told: RefCell<HashMap<(String, String), Value>>,
    /// The executions there were when the answer to a stop came.
    stopped: RefCell<BTreeMap<String, BTreeSet<String>>>,
    /// Who was answered that there is no such campaign.
    missed: RefCell<BTreeSet<String>>,
    seen: RefCell<BTreeMap<String, usize>>,
    is_over: Cell<bool>,
    _files: TempDir,
}

impl Crowd {
    pub async fn new(world: World, seed: u64) -> Self {
        let files = tempfile::tempdir().unwrap();
        let blob = Arc::new(BlobFolder::open(files.path()).unwrap());
        let store = Store::new(world.platform(), HashKey([7; 32]));
        let mut keys = Vec::new();
        for user in 0..8 {
            keys.push(world.store.keys.create(&format!("user {user}"), Role::Admin).await.unwrap().0);
        }
        let (segments, _) = world.store.segments.list(None, 10).await.unwrap();
        let campaign = format!("/campaigns/{}", world.campaign);
        Self {
            router: api::router(Context::new(store, blob)),
            segment: segments[0].value.id.to_string(),
            campaigns: RefCell::new(vec![campaign]),
            world,
            seed,
            keys,
            told: RefCell::default(),
            stopped: RefCell::default(),
            missed: RefCell::default(),
            seen: RefCell::default(),
            is_over: Cell::new(false),
            _files: files,
        }
    }

    /// The users are gone.
    pub fn leave(&self) {
        self.is_over.set(true);
    }

    fn saw(&self, what: impl Into<String>) {
        *self.seen.borrow_mut().entry(what.into()).or_default() += 1;
    }

    async fn call(&self, user: u64, method: Method, path: &str, tag: Option<&str>, body: &Value) -> Answer {
        let key = &self.keys[usize::try_from(user).unwrap()];
        let mut request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        let request = match body {
            Value::Null => request.body(Body::empty()),
            body => request.header("content-type", "application/json").body(Body::from(body.to_string())),
        };
        let (parts, body) = self.router.clone().oneshot(request.unwrap()).await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let tag = parts.headers.get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Answer { status: parts.status, tag, body }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.call(7, Method::GET, path, None, &Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body
    }

    /// Presses so many buttons, one after the other.
    pub async fn user(&self, user: u64, commands: usize) {
        let dice = Dice::new(self.seed, user);
        for _ in 0..commands {
            let path = dice.of(&self.campaigns.borrow()).clone();
            self.press(user, &dice, &path).await;
            for _ in 0..dice.below(20) {
                yield_now().await;
            }
        }
    }

    async fn press(&self, user: u64, dice: &Dice, path: &str) {
        let known = self.call(user, Method::GET, path, None, &Value::Null).await;
        self.hear("get", path, false, &known);
        if known.status == StatusCode::NOT_FOUND && !dice.one_in(5) {
            return;
        }
        let tag = known.tag.filter(|_| dice.one_in(4));
        let sub = |name: &str| format!("{path}/{name}");
        let none = Value::Null;
        let (command, method, at, body) = match dice.below(40) {
            0..12 => ("edit", Method::PATCH, path.to_owned(), self.change(dice)),
            12..15 => {
                ("rename", Method::PATCH, path.to_owned(), json!({ "name": format!("n{}", dice.below(3)) }))
            }
            15..25 => ("activate", Method::POST, sub("activate"), none),
            25..28 | 29 => ("discard_draft", Method::DELETE, sub("draft"), none),
            28 => ("stop", Method::POST, sub("stop"), none),
            30..32 if self.campaigns.borrow().len() < 8 => {
                ("duplicate", Method::POST, sub("duplicate"), none)
            }
            32..33 => ("duplicate", Method::POST, sub("duplicate"), json!({ "version": "draft" })),
            33..35 => ("archive", Method::POST, sub("archive"), none),
            35 => ("delete", Method::DELETE, path.to_owned(), none),
            36 => ("occurrences", Method::GET, sub("occurrences?n=3"), none),
            37 => ("history", Method::GET, sub("history"), none),
            38 => ("list", Method::GET, "/campaigns?status=all".to_owned(), none),
            _ => ("validate", Method::POST, sub("validate"), none),
        };
        let takes_tag = matches!(command, "edit" | "rename" | "activate" | "discard_draft" | "delete");
        let tag = tag.filter(|_| takes_tag);
        let answer = self.call(user, method, &at, tag.as_deref(), &body).await;
        self.hear(command, path, tag.is_some(), &answer);
        if !answer.status.is_success() {
            return;
        }
        match command {
            "duplicate" => {
                let made = format!("/campaigns/{}", answer.body["id"].as_str().unwrap());
                self.campaigns.borrow_mut().push(made);
            }
            "stop" if answer.body["status"] == "stopped" => {
                let executions = self.executions(path).await;
                let ids = executions.iter().map(|execution| execution["id"].as_str().unwrap().to_owned());
                self.stopped.borrow_mut().entry(path.to_owned()).or_insert_with(|| ids.collect());
            }
            _ => {}
        }
    }

    /// A change of a version: of its schedule, or of something else.
    fn change(&self, dice: &Dice) -> Value {
        let now = self.world.clock().now();
        let later = |seconds: u64| now + Duration::from_secs(seconds);
        match dice.below(10) {
            0..2 => json!({ "schedule": { "kind": "at_activation" } }),
            2..4 => {
                let at = later(dice.below(4 * 3600)) - Duration::from_secs(1800);
                let at = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
                json!({ "schedule": { "kind": "at", "date_time": at, "time_zone": "UTC" } })
            }
            4..7 => {
                let time = later(dice.below(24 * 3600)).strftime("%H:%M").to_string();
                let start = (now - HOUR * 24 * u32::try_from(dice.below(3)).unwrap())
                    .strftime("%Y-%m-%d")
                    .to_string();
                json!({ "schedule": {
                    "kind": "recurring", "frequency": "daily", "time": time, "start": start, "time_zone": "UTC",
                    "occurrences": 3 + dice.below(4),
                } })
            }
            7 => json!({ "segment_id": null }),
            8 => json!({ "segment_id": self.segment, "misfire_grace_seconds": 600 + dice.below(3) * 1500 }),
            _ => json!({ "segment_id": self.segment, "on_missing": dice.of(&["skip", "blank"]) }),
        }
    }

    /// Holds an answer to what may be answered.
    fn hear(&self, command: &str, path: &str, had_tag: bool, answer: &Answer) {
        let (status, body) = (answer.status.as_u16(), &answer.body);
        let story = || format!("seed {}: {command} of {path} is answered {status}: {body}", self.seed);
        match (status, body["code"].as_str().unwrap_or_default()) {
            (200..300, _) => {
                if let Some(tag) = &answer.tag {
                    self.note(tag, body);
                }
            }
            (409, "status_not_allowed") => {
                let (_, allowed) = ALLOWED.iter().find(|(name, _)| *name == command).unwrap();
                assert_eq!(body["allowed_in"], json!(allowed), "{}", story());
                let reason = body["reason"].as_str().unwrap();
                let is_allowed = allowed.iter().any(|status| body["campaign_status"] == **status);
                // One that has ended can't be edited for its status, whatever else there is.
                assert_eq!(is_allowed, reason != "status", "{}", story());
                self.saw(format!("refused: {reason}"));
            }
            (409, "conflict")
                if !had_tag && matches!(command, "delete" | "edit" | "rename" | "discard_draft") =>
            {
                self.saw("conflict");
            }
            (412, "precondition_failed") if had_tag => self.saw("412"),
            (404, "not_found") => {
                self.saw("404");
                self.missed.borrow_mut().insert(path.to_owned());
            }
            (400, "invalid_field") if command == "duplicate" && body["errors"][0]["field"] == "version" => {}
            _ => panic!("{}", story()),
        }
    }

    /// One ETag is one campaign: all answers with it say the same.
    fn note(&self, tag: &str, body: &Value) {
        let number = |of: &str| body[of]["number"].as_u64();
        assert_eq!(body["has_draft"], number("draft").is_some(), "{body}");
        assert!(number("draft").is_some() || number("live").is_some(), "{body}");
        assert_ne!(number("draft"), number("live"), "{body}");
        let is_new = matches!(body["status"].as_str().unwrap(), "draft" | "activating");
        assert_eq!(is_new, number("live").is_none(), "{body}");
        let said = json!([
            body["status"],
            body["name"],
            number("draft"),
            number("live"),
            body["next_occurrence"],
            body["actions"],
            body["activating_since"],
            body["live"],
            body["modified_at"],
        ]);
        let key = (body["id"].as_str().unwrap().to_owned(), tag.to_owned());
        let mut told = self.told.borrow_mut();
        let before = told.entry(key).or_insert_with(|| said.clone());
        assert_eq!(*before, said, "seed {}: two answers under one ETag", self.seed);
    }

    /// Does what messages ask for, some of them twice at once; some wake-ups get lost.
    pub async fn work(&self, worker: u64) {
        let (dice, process) = (Dice::new(self.seed, 100 + worker), self.world.boot());
        while !self.is_over.get() {
            self.drain(&process, &dice).await;
            // Wake-ups are late, too.
            for _ in 0..=dice.below(60) {
                yield_now().await;
            }
        }
    }

    /// Takes what lies in the queues; whether there was anything.
    async fn drain(&self, process: &Process, dice: &Dice) -> bool {
        let mut found = false;
        self.world.engine.fire_due(tables::WAKE_UP).await.unwrap();
        for queue in QUEUES {
            for received in self.world.engine.receive(queue, 2, VISIBILITY, 50).await.unwrap() {
                found = true;
                let event = || batch::event(vec![received.clone()]);
                let handle = || process.handle(queue, event(), Deadline::after(self.world.clock(), TIMEOUT));
                let is_done = match dice.below(10) {
                    0 if queue == tables::WAKE_UP && !self.is_over.get() => true,
                    1 | 2 => {
                        let (one, other) = futures::join!(handle(), handle());
                        one && other
                    }
                    _ => handle().await,
                };
                if is_done {
                    self.world.engine.delete(queue, vec![received.receipt.clone()]).await.unwrap();
                }
            }
        }
        found
    }

    pub async fn sweep(&self) {
        let (dice, process) = (Dice::new(self.seed, 200), self.world.boot());
        while !self.is_over.get() {
            for _ in 0..dice.below(60) {
                yield_now().await;
            }
            process.handle_sweep().await;
        }
    }

    /// Lets time pass: by little, by much, or to the very instant of a start.
    pub async fn pass_time(&self) {
        let dice = Dice::new(self.seed, 300);
        while !self.is_over.get() {
            for _ in 0..dice.below(30) {
                yield_now().await;
            }
            let by = match dice.below(12) {
                0..5 => Duration::from_millis(dice.below(900)),
                5..8 => Duration::from_secs(dice.below(60)),
                8 => Duration::from_secs(dice.below(3600)),
                _ => {
                    let path = dice.of(&self.campaigns.borrow()).clone();
                    let next = self.campaign(&path).await.and_then(|campaign| campaign.next_occurrence);
                    let wait = next.map(|next| next.duration_since(self.world.clock().now()));
                    let wait = wait.filter(jiff::SignedDuration::is_positive).unwrap_or_default();
                    wait.unsigned_abs().saturating_sub(Duration::from_secs(dice.below(2)))
                }
            };
            self.world.clock().advance(by);
        }
    }

    async fn campaign(&self, path: &str) -> Option<Campaign> {
        self.world.store.campaigns.get(id(path)).await.ok()
    }

    async fn all(&self) -> Vec<Campaign> {
        let mut all = Vec::new();
        let campaigns = self.campaigns.borrow().clone();
        for path in campaigns {
            all.extend(self.campaign(&path).await);
        }
        all
    }

    /// Lets everything come to its end, with nobody at the buttons.
    pub async fn settle(&self) {
        let (dice, process) = (Dice::new(self.seed, 400), self.world.boot());
        for _ in 0..20_000 {
            while self.drain(&process, &dice).await {}
            process.handle_sweep().await;
            let all = self.all().await;
            let is_open = |campaign: &Campaign| {
                campaign.open_executions > 0
                    || campaign.activating_since.is_some()
                    || matches!(campaign.status.name(), "activating" | "scheduled" | "live")
            };
            let mut next = self.world.engine.next_wake_up().await.unwrap();
            for queue in QUEUES {
                next =
                    [next, self.world.engine.next_visible(queue).await.unwrap()].into_iter().flatten().min();
            }
            if !all.iter().any(is_open) && next.is_none() {
                return;
            }
            let now = self.world.clock().now();
            let is_busy =
                |campaign: &Campaign| campaign.open_executions > 0 || campaign.activating_since.is_some();
            if all.iter().any(is_busy) {
                next = [next, Some(now + TIMEOUT)].into_iter().flatten().min();
            }
            let starts = all.iter().filter_map(|campaign| campaign.next_occurrence);
            let next = next.into_iter().chain(starts).min().unwrap_or(now);
            self.world.clock().advance(next.duration_since(now).unsigned_abs().max(Duration::from_millis(1)));
        }
        panic!("seed {}: it does not come to an end: {:#?}", self.seed, self.all().await);
    }

    async fn items(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let mut page = self.get(&format!("{path}?limit=20{cursor}")).await;
            items.append(page["items"].as_array_mut().unwrap());
            let Some(next) = page["next_cursor"].as_str() else { return items };
            cursor = format!("&cursor={next}");
        }
    }

    async fn executions(&self, path: &str) -> Vec<Value> {
        self.items(&format!("{path}/executions")).await
    }

    /// Holds what is there in the end to what was told and to the model; what has happened, and how often.
    pub async fn judge(self) -> BTreeMap<String, usize> {
        let mut deleted = BTreeSet::new();
        let mut sent: HashMap<campaign::ProfileId, [usize; 2]> = HashMap::new();
        let campaigns = self.campaigns.borrow().clone();
        for path in campaigns {
            let story = format!("seed {}: {path}", self.seed);
            let mut history = self.items(&format!("{path}/history")).await;
            history.reverse();
            let model = self.path_of(&history, &story);
            if model.deleted {
                deleted.insert(path.clone());
                let gone = self.call(0, Method::GET, &path, None, &Value::Null).await;
                assert_eq!(gone.status, StatusCode::NOT_FOUND, "{story}");
                let (executions, _) = self.world.store.ledger.executions(id(&path), None, 1).await.unwrap();
                assert!(executions.is_empty(), "{story}");
                continue;
            }
            let executions = self.executions(&path).await;
            let now = self.get(&path).await;
            let numbers = (now["live"]["number"].as_u64(), now["draft"]["number"].as_u64());
            assert_eq!(
                (now["status"].as_str().unwrap(), numbers),
                (model.status.as_str(), (model.live, model.draft)),
                "{story}"
            );
            assert!(
                matches!(model.status.as_str(), "draft" | "stopped" | "completed" | "archived"),
                "{story}"
            );
            if let Some(then) = self.stopped.borrow().get(&path) {
                let ids: BTreeSet<_> =
                    executions.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
                assert_eq!(&ids, then, "{story}: something started after its stop");
            }
            self.judge_executions(&path, &model, &executions, &story).await;
            for execution in &executions {
                self.count(execution, &mut sent, &story).await;
            }
        }
        let strange: Vec<_> = self.missed.borrow().difference(&deleted).cloned().collect();
        assert!(strange.is_empty(), "seed {}: not found, but never deleted: {strange:?}", self.seed);
        for person in &self.world.people {
            let [sent, unknown] = sent.get(&person.id).copied().unwrap_or_default();
            let taken = self.world.provider.taken(person.id);
            let story = format!("seed {}: {} was sent {taken} messages", self.seed, person.id);
            assert!((sent..=sent + unknown).contains(&taken), "{story}, not {sent} or {unknown} more");
        }
        self.seen.into_inner()
    }

    fn path_of(&self, history: &[Value], story: &str) -> Model {
        let mut model = Model::born(&history[0]).unwrap_or_else(|error| panic!("{story}: {error}"));
        self.saw("create");
        for (place, entry) in history.iter().enumerate().skip(1) {
            self.saw(entry["command"].as_str().unwrap());
            let by = entry["by"]["name"].as_str().unwrap();
            let by_envoi =
                ["become_scheduled", "become_live", "replace", "fail_activation", "start", "complete"];
            let is_envoi = by_envoi.iter().any(|command| entry["command"] == **command);
            assert_eq!(by == "Envoi", is_envoi, "{story}: {entry}");
            if let Err(error) = model.step(entry) {
                let told: Vec<_> = history[..=place].iter().map(ToString::to_string).collect();
                panic!("{story}: {error}, but\n{}", told.join("\n"));
            }
        }
        model
    }

    async fn judge_executions(&self, path: &str, model: &Model, executions: &[Value], story: &str) {
        let mut occurrences: BTreeMap<Timestamp, &Value> = BTreeMap::new();
        for execution in executions {
            let (occurrence, version) =
                (instant(&execution["occurrence"]), execution["version"].as_u64().unwrap());
            let twice = occurrences.insert(occurrence, execution);
            assert!(twice.is_none(), "{story}: {occurrence} ran twice");
            let state = execution["state"].as_str().unwrap();
            assert!(matches!(state, "completed" | "stopped" | "missed"), "{story}: {execution}");
            assert!(state == "missed" || execution["total"]["balances"] == true, "{story}: {execution}");
            // It ran when its version was the live one, and at a time that this one knows.
            let decided = if execution["state"] == "missed" { "ended_at" } else { "started_at" };
            let decided = instant(&execution[decided]);
            let reigned = model.reigns.iter().any(|reign| {
                reign.version == version
                    && reign.began <= decided
                    && reign.ended.is_none_or(|ended| decided <= ended)
            });
            assert!(reigned, "{story}: {execution} in {:#?}", model.reigns);
            assert!(decided >= occurrence, "{story}: early: {execution}");
            assert!(model.stopped.is_none_or(|stopped| decided <= stopped), "{story}: {execution}");
            if version > 1 {
                self.saw("run on a later version");
            }
        }
        for reign in &model.reigns {
            let number = u32::try_from(reign.version).unwrap();
            let version = self.world.store.campaigns.version(id(path), number).await.unwrap();
            let slots = Slots::of(&serde_json::to_value(&version.schedule).unwrap());
            let of_version = executions.iter().filter(|execution| execution["version"] == reign.version);
            match slots {
                Slots::AtActivation => {
                    let mut starts = of_version.map(|execution| instant(&execution["occurrence"]));
                    assert!(starts.all(|start| start >= reign.asked), "{story}: {executions:?}");
                }
                Slots::At(slots) => {
                    let mut starts = of_version.map(|execution| instant(&execution["occurrence"]));
                    assert!(starts.all(|start| slots.contains(&start)), "{story}: {slots:?} {executions:?}");
                    // What had come due and was not decided yet when the campaign was stopped is not decided any more.
                    // All else is.
                    let end = reign.end_asked.unwrap_or(Timestamp::MAX);
                    let last = occurrences.keys().next_back().copied().unwrap_or(Timestamp::MIN);
                    let until = if model.stopped == Some(end) { end.min(last) } else { end };
                    // Where its check took long, the version before went on meanwhile: it goes on from there.
                    let before = executions
                        .iter()
                        .filter(|execution| execution["version"].as_u64() < Some(reign.version))
                        .map(|execution| instant(&execution["occurrence"]));
                    let from = before.fold(reign.asked, Timestamp::max);
                    for slot in slots.into_iter().filter(|slot| (from..until).contains(slot)) {
                        let found = occurrences.get(&slot);
                        assert!(
                            found.is_some(),
                            "{story}: {slot} was passed over by {reign:?} of {executions:#?}"
                        );
                    }
                }
            }
        }
    }

    /// Counts whom an execution sent to, by name.
    async fn count(
        &self,
        execution: &Value,
        sent: &mut HashMap<campaign::ProfileId, [usize; 2]>,
        story: &str,
    ) {
        let ledger = &self.world.store.ledger;
        let Some(head) = ledger.head(execution["id"].as_str().unwrap().parse().unwrap()).await.unwrap()
        else {
            assert_eq!(execution["state"], "missed", "{story}");
            return;
        };
        assert!(matches!(head.state, State::Completed | State::Stopped), "{story}: {head:?}");
        let mut known = BTreeSet::new();
        for shard in head.shards() {
            let (chunks, _) = ledger.chunks(shard, Part::Whole, None, 1000).await.unwrap();
            for chunk in chunks {
                for (id, code) in chunk.members.profiles.iter().zip(&chunk.members.codes) {
                    assert!(known.insert(*id), "{story}: {id} is targeted twice");
                    let [times, doubts] = sent.entry(*id).or_default();
                    match code.outcome() {
                        Outcome::Sent => *times += 1,
                        Outcome::Unknown => *doubts += 1,
                        _ => {}
                    }
                }
            }
        }
    }
}

struct Answer {
    status: StatusCode,
    tag: Option<String>,
    body: Value,
}

fn id(path: &str) -> CampaignId {
    path.strip_prefix("/campaigns/").unwrap().parse().unwrap()
}
