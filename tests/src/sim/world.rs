//! The world of a simulation: an engine, a provider, a process that may die, and what wakes it.

mod calls;
mod days;
mod process;
mod redriven;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use campaign::address::EmailAddress;
use campaign::configuration::{
    AwsSms, EmailSender, PushSender, Sender, SmsProvider, SmsSender, WebhookSender, default_retry_period,
};
use campaign::content::{Content, EmailBody, EmailContent, PushContent, SmsContent, WebhookContent};
use campaign::model::Actor;
use campaign::outcome::OnUnknown;
use campaign::schedule::{CampaignEnd, Moment, Schedule, Zone};
use campaign::segment::SegmentKind;
use campaign::status::Command;
use campaign::suppression::SuppressionReason;
use campaign::version::Action;
use campaign::{
    Campaign, CampaignId, CampaignType, Category, Channel, Configuration, ConfigurationId, ExecutionId,
    SegmentId, Status, Version,
};
use futures::future::BoxFuture;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use platform::embedded::Embedded;
use platform::{Clock, Deadline, QueueName, Received, Source, batch};
use store::ledger::Tenancy;
use store::messages::{Priority, queue_of};
use store::suppression::Suppression;
use store::{HashKey, Segment, Store, tables};

use self::calls::Caller;
pub use self::calls::{Answer, Heard};
pub use self::days::Post;
pub use self::process::Process;
use super::{Fault, Faults, JumpClock, Person, Provider, Trouble};

/// How long a function may run, and six times that its messages stay hidden.
const TIMEOUT: Duration = Duration::from_secs(60);
const VISIBILITY: Duration = Duration::from_secs(360);

/// An action beside that of email, over another channel with a provider of its own.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    /// The channel.
    pub channel: Channel,
    /// Whom it reaches; everybody where absent.
    pub condition: Option<&'static str>,
    /// What is the matter with its provider.
    pub trouble: Trouble,
}

/// How often a message arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// Once.
    Once,
    /// Twice: it is handled, and handled again.
    Twice,
    /// Once, twice, late and behind younger ones, or never, as it comes by this seed.
    Astray(u64),
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
    /// What starts the campaign.
    pub kind: CampaignType,
    /// The campaign's category.
    pub category: Category,
    /// How many actions by email it has, all alike.
    pub actions: usize,
    /// Whom these reach; everybody where absent.
    pub condition: Option<&'static str>,
    /// Its other actions, which come behind, each over a channel of its own.
    pub beside: &'static [Beside],
    /// How long after the world's beginning the campaign ends; where absent, it does not end by the clock.
    pub ends_after: Option<Duration>,
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
            kind: CampaignType::Scheduled,
            category: Category::Marketing,
            actions: 1,
            condition: None,
            beside: &[],
            ends_after: None,
        }
    }
}

/// A world with one campaign in it.
pub struct World {
    /// The engine, which survives the process.
    pub engine: Embedded,
    /// The repositories without faults, for looking.
    pub store: Store,
    /// The provider of email, which survives the process.
    pub provider: Arc<Provider>,
    /// The providers of the actions beside, in their order.
    pub beside: Vec<Arc<Provider>>,
    /// The audience.
    pub people: Vec<Person>,
    /// The campaign.
    pub campaign: CampaignId,
    clock: Arc<JumpClock>,
    faults: Arc<Faults>,
    options: Options,
    /// How many messages were received.
    received: AtomicU64,
    /// Every message that was ever received, in order.
    kept: Mutex<Vec<(QueueName, Received)>>,
    /// Who calls the campaign.
    caller: Caller,
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
            beside: options.beside.iter().map(|beside| Arc::new(Provider::with(beside.trouble))).collect(),
            people,
            campaign,
            clock,
            faults: Arc::new(faults),
            options,
            received: AtomicU64::new(0),
            kept: Mutex::default(),
            caller: Caller::default(),
        };
        world.furnish().await;
        world
    }

    async fn furnish(&self) {
        let now = self.clock.now();
        for person in &self.people {
            if person.fate == super::Fate::Gone {
                continue;
            }
            self.store.profiles.put(&person.profile(), None).await.unwrap();
            if person.fate == super::Fate::Suppressed {
                let suppression = Suppression {
                    channel: Channel::Email,
                    address: Some(person.address()),
                    reason: SuppressionReason::Manual,
                    source: None,
                    at: now,
                };
                self.store.suppressions.add(&suppression).await.unwrap();
            }
        }
        create_campaign(&self.store, self.campaign, &self.people, &self.options).await;
    }

    /// Makes another campaign to the same people, ready to be activated.
    pub async fn another(&self, options: &Options) -> CampaignId {
        let campaign = CampaignId::random();
        create_campaign(&self.store, campaign, &self.people, options).await;
        campaign
    }

    /// The provider of a channel; that of email for one that has no action.
    pub(super) fn provider_of(&self, channel: Channel) -> &Arc<Provider> {
        let place = self.options.beside.iter().position(|beside| beside.channel == channel);
        place.map_or(&self.provider, |place| &self.beside[place])
    }

    /// The queues that may hold something.
    fn queues(&self) -> Vec<QueueName> {
        let beside = self.options.beside.iter().map(|beside| beside.channel);
        let deliver = beside
            .chain([Channel::Email])
            .flat_map(|channel| [Priority::Call, Priority::Bulk].map(|priority| queue_of(channel, priority)));
        [tables::WAKE_UP, tables::FAN_OUT].into_iter().chain(deliver).collect()
    }

    /// Asks for the campaign's activation, as the API does.
    pub async fn activate(&self) {
        validation::ask_activation(&self.store, self.campaign, &Actor::envoi(), |_| Ok(())).await.unwrap();
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
    pub async fn run_until(&self, enough: impl FnMut(&Self) -> bool) {
        self.go_on(Timestamp::MAX, enough).await;
    }

    /// Lets the world go on for so long, or until nothing is left to do.
    ///
    /// # Panics
    /// As [`Self::run`].
    pub async fn run_for(&self, time: Duration) {
        self.go_on(self.clock.now() + time, |_| false).await;
    }

    async fn go_on(&self, until: Timestamp, mut enough: impl FnMut(&Self) -> bool) {
        let queues = self.queues();
        let mut process = self.boot();
        let mut sweep_at = self.clock.now() + Duration::from_secs(60);
        for _ in 0..10_000 {
            let mut idle = true;
            self.engine.fire_due(tables::WAKE_UP).await.unwrap();
            for &queue in &queues {
                for received in self.engine.receive(queue, 1, VISIBILITY, 20).await.unwrap() {
                    idle = false;
                    self.kept.lock().unwrap().push((queue, received.clone()));
                    let receipt = received.receipt.clone();
                    let Some(times) = self.arrivals() else { continue };
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
                if now >= until {
                    return;
                }
                let next = self.next_event().await.unwrap_or(until).min(until);
                if next < sweep_at {
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

    /// How often the message that was received now is handled; `None` where it is not, and comes back later.
    fn arrivals(&self) -> Option<usize> {
        let nth = self.received.fetch_add(1, Ordering::Relaxed);
        match self.options.delivered {
            Delivered::Once => Some(1),
            Delivered::Twice => Some(2),
            Delivered::Astray(seed) => match chance(seed, nth) % 10 {
                0 => Some(0),
                1 | 2 => None,
                3 | 4 => Some(2),
                _ => Some(1),
            },
        }
    }

    /// Has something happen from outside before each call to a port or to the provider; see [`Faults::interrupt`].
    pub fn interrupt(&self, with: impl Fn(usize) -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        self.faults.interrupt(with);
    }

    /// Has the ports fail; see [`Faults::fail_calls`].
    pub fn fail_calls(&self, spared: usize, count: usize) {
        self.faults.fail_calls(spared, count);
    }

    /// When the next message becomes visible or the next wake-up fires.
    async fn next_event(&self) -> Option<Timestamp> {
        let mut next = self.engine.next_wake_up().await.unwrap();
        for queue in self.queues() {
            let visible = self.engine.next_visible(queue).await.unwrap();
            next = [next, visible].into_iter().flatten().min();
        }
        next
    }

    async fn is_finished(&self) -> bool {
        let campaign = self.store.campaigns.get(self.campaign).await.unwrap();
        let ended = matches!(campaign.status, Status::Completed | Status::Stopped | Status::Draft);
        // What calls start stays live until its end; it has nothing to do while nobody is called.
        let idle = campaign.kind == CampaignType::ApiTriggered && campaign.activating_since.is_none();
        if !(ended || idle) || campaign.open_executions > 0 || self.is_called().await {
            return false;
        }
        let mut left = 0;
        for queue in self.queues() {
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
            .command(self.campaign, Command::Stop, &Actor::envoi(), |_| Ok(()))
            .await
            .unwrap();
    }

    /// How many calls there were, faults or none.
    pub fn calls(&self) -> usize {
        self.faults.calls()
    }

    /// Every fault that could have come over one of these calls.
    pub fn fault_points(&self) -> Vec<(usize, Fault)> {
        self.faults.points()
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

/// The n-th number by chance of a seed, the same each time.
pub fn chance(seed: u64, n: u64) -> u64 {
    // SplitMix64.
    let mut mixed = seed.wrapping_add((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
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
        category: options.category,
        rate_per_second: options.rate_per_second,
        retry_period_seconds: default_retry_period(),
        disabled: false,
        ignores_suppression: false,
        sender: sender_of(Channel::Email),
    };
    store.configurations.put(&configuration, 0).await.unwrap();
    let document = Campaign {
        id: campaign,
        ..Campaign::new("Simulated", options.kind, options.category, Actor::envoi(), now)
    };
    let email = Action {
        channel: Channel::Email,
        configuration: Some(configuration.id),
        condition: options.condition.map(str::to_owned),
    };
    let mut actions = vec![email; options.actions];
    let mut contents = vec![content_of(Channel::Email); options.actions];
    for beside in options.beside {
        let own = Configuration {
            id: ConfigurationId::random(),
            sender: sender_of(beside.channel),
            ..configuration.clone()
        };
        store.configurations.put(&own, 0).await.unwrap();
        actions.push(Action {
            channel: beside.channel,
            configuration: Some(own.id),
            condition: beside.condition.map(str::to_owned),
        });
        contents.push(content_of(beside.channel));
    }
    let version = Version {
        segment: Some(segment.id),
        actions,
        ends: options
            .ends_after
            .map(|after| CampaignEnd { at: Moment::Instant(now + after), time_zone: Zone::UTC }),
        on_unknown: Some(options.on_unknown),
        schedule: options.starts_after.map_or(Schedule::AtActivation, |after| Schedule::At {
            date_time: TimeZone::UTC.to_datetime(now + after),
            time_zone: "UTC".to_owned(),
            recipient_time: None,
        }),
        ..Version::draft(1)
    };
    store.campaigns.create(&document, &version, &contents, None).await.unwrap();
}

fn sender_of(channel: Channel) -> Sender {
    match channel {
        Channel::Email => Sender::Email(EmailSender {
            from: EmailAddress::parse("us@example.org").unwrap(),
            from_name: None,
            reply_to: None,
            unsubscribe_mailto: None,
            tracking: campaign::configuration::Tracking::default(),
        }),
        Channel::Sms => Sender::Sms(SmsSender {
            provider: SmsProvider::Aws(AwsSms::default()),
            default_country: None,
            max_segments: 10,
            opt_out_wording: None,
        }),
        Channel::Push => Sender::Push(PushSender { project_id: "simulated-1".to_owned(), app_id: None }),
        Channel::Webhook => Sender::Webhook(WebhookSender { allowed_hosts: Vec::new(), timeout_seconds: 10 }),
    }
}

fn content_of(channel: Channel) -> Content {
    let hello = || "Hello".to_owned();
    match channel {
        Channel::Email => Content::Email(EmailContent {
            subject: hello(),
            body: EmailBody::Html("<p>Hello</p><a href=\"{{links.unsubscribe}}\">No more</a>".to_owned()),
            ..EmailContent::default()
        }),
        Channel::Sms => Content::Sms(SmsContent { text: hello(), ..SmsContent::default() }),
        Channel::Push => {
            Content::Push(Box::new(PushContent { title: hello(), body: hello(), ..PushContent::default() }))
        }
        Channel::Webhook => Content::Webhook(WebhookContent {
            url: "https://hooks.example.org/hello".to_owned(),
            ..WebhookContent::default()
        }),
    }
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

/// Edits the one configuration that a store has.
///
/// # Panics
/// Where somebody else edits it at the same time.
pub async fn edit_configuration(store: &Store, edit: impl FnOnce(&mut Configuration)) {
    let (found, _) = store.configurations.list(None, 10).await.unwrap();
    let mut configuration = found[0].value.clone();
    edit(&mut configuration);
    store.configurations.put(&configuration, found[0].revision).await.unwrap();
}
