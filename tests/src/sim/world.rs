//! The world of a simulation: an engine, a provider, a process that may die, and what wakes it.

mod days;

use std::sync::Arc;
use std::time::Duration;

use campaign::address::EmailAddress;
use campaign::configuration::{EmailSender, default_retry_period};
use campaign::content::{Content, EmailBody, EmailContent};
use campaign::outcome::OnUnknown;
use campaign::schedule::Schedule;
use campaign::segment::SegmentKind;
use campaign::status::Command;
use campaign::version::Action;
use campaign::{
    Campaign, CampaignId, CampaignType, Category, Channel, Configuration, ConfigurationId, ExecutionId,
    SegmentId, Status, Version,
};
use delivery::{Delivery, Settings};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use platform::embedded::Embedded;
use platform::{Clock, Deadline, Platform, QueueName, Source, batch};
use store::ledger::{Tenancy, Worker};
use store::{HashKey, Segment, Store, tables};

pub use self::days::Post;
use super::ports::{Commits, FaultyPorts};
use super::provider::Postman;
use super::{Faults, JumpClock, Person, Provider, Trouble};

/// How long a function may run, and six times that its messages stay hidden.
const TIMEOUT: Duration = Duration::from_secs(60);
const VISIBILITY: Duration = Duration::from_secs(360);
const QUEUES: [QueueName; 3] = [tables::WAKE_UP, tables::FAN_OUT, tables::DELIVER_EMAIL];

/// How often a message arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// Once.
    Once,
    /// Twice: it is handled, and handled again.
    Twice,
}

/// How the audience is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// As a list of members.
    ByList,
    /// By a rule that is true of everybody.
    ByRule,
}

/// What kind of world.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether other processes may work on the ledger.
    pub tenancy: Tenancy,
    /// How often a message arrives.
    pub delivered: Delivered,
    /// How the audience is told.
    pub told: Told,
    /// What to do in doubt.
    pub on_unknown: OnUnknown,
    /// What is the matter with the provider.
    pub trouble: Trouble,
    /// How many members are handed over at once.
    pub window: usize,
    /// The configuration's rate.
    pub rate_per_second: Option<u32>,
    /// How long after the world's beginning the campaign starts; at its activation where absent.
    pub starts_after: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tenancy: Tenancy::Shared,
            delivered: Delivered::Once,
            told: Told::ByList,
            on_unknown: OnUnknown::Hold,
            trouble: Trouble::None,
            window: 4,
            rate_per_second: None,
            starts_after: None,
        }
    }
}

/// A world with one campaign in it.
pub struct World {
    /// The engine, which survives the process.
    pub engine: Embedded,
    /// The repositories without faults, for looking.
    pub store: Store,
    /// The provider, which survives the process.
    pub provider: Arc<Provider>,
    /// The audience.
    pub people: Vec<Person>,
    /// The campaign.
    pub campaign: CampaignId,
    clock: Arc<JumpClock>,
    faults: Arc<Faults>,
    options: Options,
}

/// What is thrown away when the process dies.
struct Process {
    activate: activate::Context,
    fanout: fanout::Context,
    deliver: Delivery<Postman>,
}

impl World {
    /// A world in which a campaign to these people is ready to be activated.
    pub async fn new(people: Vec<Person>, options: Options, faults: Faults) -> Self {
        Self::at(Timestamp::constant(1_780_315_200, 0), people, options, faults).await
    }

    /// The same, beginning at an instant.
    pub async fn at(begins: Timestamp, people: Vec<Person>, options: Options, faults: Faults) -> Self {
        let clock = Arc::new(JumpClock::at(begins));
        let engine = Embedded::in_memory(clock.clone());
        let store = Store::new(engine.platform(), HashKey([7; 32]));
        let campaign = CampaignId::ordered(clock.now().as_millisecond());
        let world = Self {
            engine,
            store,
            provider: Arc::new(Provider::with(options.trouble)),
            people,
            campaign,
            clock,
            faults: Arc::new(faults),
            options,
        };
        world.furnish().await;
        world
    }

    async fn furnish(&self) {
        let now = self.clock.now();
        for person in &self.people {
            self.store.profiles.put(&person.profile(), None).await.unwrap();
            if person.fate == super::Fate::Suppressed {
                self.store.suppressions.add(Channel::Email, &person.address(), "by hand", now).await.unwrap();
            }
        }
        create_campaign(&self.store, self.campaign, &self.people, &self.options).await;
    }

    /// Starts the process.
    fn boot(&self) -> Process {
        let commits = match self.options.tenancy {
            Tenancy::Shared => Commits::InTwoSteps,
            Tenancy::Sole => Commits::InOneStep,
        };
        let ports = || FaultyPorts { engine: self.engine.clone(), faults: self.faults.clone(), commits };
        let platform = Platform {
            table: Arc::new(ports()),
            queue: Arc::new(ports()),
            scheduler: Arc::new(ports()),
            clock: self.clock.clone(),
        };
        let store = Store::new(platform, HashKey([7; 32]));
        let worker = Worker::new(self.options.tenancy);
        let postman = Postman {
            provider: self.provider.clone(),
            faults: self.faults.clone(),
            clock: self.clock.clone(),
        };
        let settings = Settings { window: self.options.window, ..Settings::default() };
        Process {
            activate: activate::Context { store: store.clone(), sweep_every: Duration::from_secs(60) },
            fanout: fanout::Context { store: store.clone(), worker },
            deliver: Delivery::new(store, worker, postman, settings),
        }
    }

    /// Asks for the campaign's activation, as the API does.
    pub async fn activate(&self) {
        self.store.campaigns.command(self.campaign, Command::Activate, |_| Ok(())).await.unwrap();
    }

    /// Lets the world go on until nothing is left to do.
    ///
    /// # Panics
    /// Where that takes longer than anything here may.
    pub async fn run(&self) {
        self.run_until(|_| false).await;
    }

    /// Lets the world go on until nothing is left to do or `enough` says so, which is asked after every message.
    ///
    /// # Panics
    /// Where that takes longer than anything here may.
    pub async fn run_until(&self, mut enough: impl FnMut(&Self) -> bool) {
        let mut process = self.boot();
        let mut sweep_at = self.clock.now() + Duration::from_secs(60);
        for _ in 0..10_000 {
            let mut idle = true;
            self.engine.fire_due(tables::WAKE_UP).await.unwrap();
            for queue in QUEUES {
                for received in self.engine.receive(queue, 1, VISIBILITY, 20).await.unwrap() {
                    idle = false;
                    let receipt = received.receipt.clone();
                    let times = if self.options.delivered == Delivered::Twice { 2 } else { 1 };
                    let mut handled = true;
                    for _ in 0..times {
                        let event = batch::event(vec![received.clone()]);
                        let deadline = Deadline::after(&*self.clock, TIMEOUT);
                        let done = self.faults.alive(process.handle(queue, event, deadline)).await;
                        if done.is_none() {
                            process = self.boot();
                        }
                        handled &= done == Some(true);
                    }
                    if handled {
                        self.engine.delete(queue, vec![receipt]).await.unwrap();
                    }
                    if enough(self) {
                        return;
                    }
                }
            }
            if idle {
                if self.is_finished().await {
                    return;
                }
                let now = self.clock.now();
                if let Some(next) = self.next_event().await.filter(|next| *next < sweep_at) {
                    self.clock.advance(next.duration_since(now).unsigned_abs());
                    continue;
                }
                if now < sweep_at {
                    self.clock.advance(sweep_at.duration_since(now).unsigned_abs());
                }
                sweep_at = self.clock.now() + Duration::from_secs(60);
                let swept = process.handle_sweep();
                if self.faults.alive(swept).await.is_none() {
                    process = self.boot();
                }
            }
        }
        panic!("the campaign does not come to an end: {:?}", self.store.campaigns.get(self.campaign).await);
    }

    /// When the next message becomes visible or the next wake-up fires.
    async fn next_event(&self) -> Option<Timestamp> {
        let mut next = self.engine.next_wake_up().await.unwrap();
        for queue in QUEUES {
            let visible = self.engine.next_visible(queue).await.unwrap();
            next = [next, visible].into_iter().flatten().min();
        }
        next
    }

    async fn is_finished(&self) -> bool {
        let campaign = self.store.campaigns.get(self.campaign).await.unwrap();
        let ended = matches!(campaign.status, Status::Completed | Status::Stopped | Status::Draft);
        if !ended || campaign.open_executions > 0 {
            return false;
        }
        let mut left = 0;
        for queue in QUEUES {
            let counts = self.engine.counts(queue).await.unwrap();
            left += counts.visible + counts.in_flight + counts.delayed;
        }
        left == 0
    }

    /// The one execution there is.
    ///
    /// # Panics
    /// Where there is none, or more than one.
    pub async fn execution(&self) -> ExecutionId {
        let (executions, _) = self.store.ledger.executions(self.campaign, None, 10).await.unwrap();
        assert_eq!(executions.len(), 1, "one occurrence is one execution");
        executions[0].id
    }

    /// Stops the campaign, as the API does.
    pub async fn stop(&self) {
        self.store
            .campaigns
            .command(self.campaign, Command::Stop, |campaign| {
                campaign.next_occurrence = None;
                Ok(())
            })
            .await
            .unwrap();
    }

    /// How many calls there were, faults or none.
    pub fn calls(&self) -> usize {
        self.faults.calls()
    }

    /// The time in this world.
    pub fn clock(&self) -> &JumpClock {
        &self.clock
    }

    /// The time in this world, for who keeps it.
    pub fn shared_clock(&self) -> Arc<JumpClock> {
        Arc::clone(&self.clock)
    }
}

impl Process {
    /// Handles an event and says whether every message of it was handled.
    async fn handle(
        &self,
        queue: QueueName,
        event: aws_lambda_events::sqs::SqsEvent,
        deadline: Deadline,
    ) -> bool {
        let response = match queue {
            tables::WAKE_UP => activate::handle(&self.activate, event, deadline).await,
            tables::FAN_OUT => fanout::handle(&self.fanout, event, deadline).await,
            _ => self.deliver.handle(event, deadline).await.0,
        };
        response.batch_item_failures.is_empty()
    }

    async fn handle_sweep(&self) {
        // A sweep that fails is followed by another.
        let deadline = Deadline::after(&*self.activate.store.platform.clock, TIMEOUT);
        drop(activate::sweep(&self.activate, deadline).await);
    }
}

/// Makes a campaign to these people, ready to be activated.
async fn create_campaign(store: &Store, campaign: CampaignId, people: &[Person], options: &Options) {
    let now = store.platform.clock.now();
    let segment = SegmentId::random();
    let members: Vec<_> = people.iter().map(|person| person.id).collect();
    let kind = match options.told {
        Told::ByList => SegmentKind::List { generation: 1, partitions: 16, members: members.len() as u64 },
        Told::ByRule => SegmentKind::Rule { expression: "has(profile.fate)".to_owned() },
    };
    let segment = Segment {
        id: segment,
        name: "Everybody".to_owned(),
        description: String::new(),
        kind,
        created_at: now,
        modified_at: now,
    };
    store.segments.put(&segment, 0).await.unwrap();
    store.segments.add_members(segment.id, 1, &members).await.unwrap();
    let configuration = Configuration {
        id: ConfigurationId::random(),
        name: "Post".to_owned(),
        category: Category::Marketing,
        rate_per_second: options.rate_per_second,
        retry_period_seconds: default_retry_period(),
        sender: campaign::configuration::Sender::Email(EmailSender {
            from: EmailAddress::parse("us@example.org").unwrap(),
            from_name: None,
            reply_to: None,
        }),
    };
    store.configurations.put(&configuration, 0).await.unwrap();
    let document = Campaign {
        id: campaign,
        name: "Simulated".to_owned(),
        description: String::new(),
        tags: Vec::new(),
        kind: CampaignType::Scheduled,
        category: Category::Marketing,
        created_at: now,
        modified_at: now,
        activation_errors: Vec::new(),
        status: Status::Draft,
        revision: 0,
        live_version: None,
        draft_version: Some(1),
        next_occurrence: None,
        open_executions: 0,
    };
    let version = Version {
        segment: Some(segment.id),
        actions: vec![Action { channel: Channel::Email, configuration: Some(configuration.id) }],
        on_unknown: Some(options.on_unknown),
        schedule: options.starts_after.map_or(Schedule::AtActivation, |after| Schedule::At {
            date_time: TimeZone::UTC.to_datetime(now + after),
            time_zone: "UTC".to_owned(),
        }),
        ..Version::draft(1)
    };
    let content = Content::Email(EmailContent {
        subject: "Hello".to_owned(),
        body: EmailBody::Html("<p>Hello</p>".to_owned()),
        ..EmailContent::default()
    });
    store.campaigns.create(&document, &version, &[content]).await.unwrap();
}

/// Fills a store with so many people and a campaign to them, ready to be activated; its id.
pub async fn furnish(store: &Store, people: u8) -> CampaignId {
    let campaign = CampaignId::ordered(store.platform.clock.now().as_millisecond());
    let people: Vec<_> = (1..=people).map(|number| Person::new(number, super::Fate::Taken)).collect();
    for person in &people {
        store.profiles.put(&person.profile(), None).await.unwrap();
    }
    create_campaign(store, campaign, &people, &Options::default()).await;
    campaign
}
