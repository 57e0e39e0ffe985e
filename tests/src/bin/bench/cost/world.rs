//! A campaign on the emulator, and the functions that work on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use campaign::address::EmailAddress;
use campaign::configuration::{
    EmailSender as From, Sender as SenderSettings, Tracking, default_retry_period,
};
use campaign::content::{Content, EmailBody, EmailContent};
use campaign::model::Actor;
use campaign::segment::SegmentKind;
use campaign::version::Action;
use campaign::{
    Campaign, CampaignId, CampaignType, Category, Channel, Configuration, ConfigurationId, Outcome,
    SegmentId, Status, Version,
};
use deliver_email::outbox::Outbox;
use deliver_email::{EmailSender, Provider};
use delivery::{Delivery, Settings};
use envoi_tests::contract::aws::{create_queues, create_table};
use envoi_tests::ministack::Ministack;
use futures::stream;
use platform::aws::{Aws, Names};
use platform::{Clock, Deadline, Received, SystemClock, batch};
use store::ledger::{Tenancy, Worker};
use store::messages::WakeUp;
use store::{HashKey, Segment, Store, tables};
use tempfile::TempDir;

use super::account::Function;
use super::mailroom::Mailroom;
use super::model::Model;
use super::postman::Postman;
use super::recorder::{AT_WORK, Recorder};
use super::time::ModelClock;
use super::{Audience, Options};
use crate::campaign::{HTML, SUBJECT};
use crate::people;

/// What the names of tables and queues begin with.
const PREFIX: &str = "cost-";
/// How long a function may run.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often an idle function looks for a message; on AWS it is told.
const LOOK: Duration = Duration::from_millis(100);
/// How often the sweep comes.
const SWEEP: Duration = Duration::from_secs(60);
/// A campaign that has not ended by then never will.
const TOO_LONG: Duration = Duration::from_secs(24 * 3600);

/// The campaign and its functions.
pub(crate) struct World {
    /// What the functions have asked for.
    pub(crate) recorder: Recorder,
    clock: Arc<ModelClock>,
    mailroom: Arc<Mailroom>,
    model: Model,
    campaign: CampaignId,
    /// For looking, uncounted.
    store: Store,
    activate: activate::Context,
    fanout: fanout::Context,
    deliver: Delivery<Postman>,
    ended: AtomicBool,
    _outbox: TempDir,
}

impl World {
    /// Makes the tables and the campaign.
    pub(crate) async fn new(ministack: &Ministack, options: &Options) -> anyhow::Result<Self> {
        let config = ministack.sdk_config("test").await;
        let names = names(&config).await;
        let clock = Arc::new(ModelClock::at(SystemClock.now()));
        let mailroom = Arc::new(Mailroom::default());
        let http = config.http_client().context("the engines' configuration has an HTTP client")?;
        let dynamodb = aws_sdk_dynamodb::Client::new(&config);
        let model = options.model();
        let recorder = Recorder::new(http, dynamodb, Arc::clone(&mailroom), Arc::clone(&clock), model);
        let key = HashKey([7; 32]);
        let store =
            Store::new(Aws::connect(&config, names.clone(), Arc::new(SystemClock)).platform(), key.clone());
        let counted = config.into_builder().http_client(recorder.clone()).build();
        let counted = Store::new(Aws::connect(&counted, names, clock.clone()).platform(), key);

        let campaign = furnish(&store, options).await?;
        let outbox = TempDir::new()?;
        let worker = Worker::new(Tenancy::Shared);
        let postman = Postman {
            email: EmailSender::new(Provider::Outbox(Outbox::new(outbox.path())?)),
            clock: Arc::clone(&clock),
            model,
        };
        Ok(Self {
            recorder,
            clock,
            mailroom,
            model,
            campaign,
            store,
            activate: activate::Context { store: counted.clone(), sweep_every: SWEEP },
            fanout: fanout::Context { store: counted.clone(), worker },
            deliver: Delivery::new(counted, worker, postman, Settings::default()),
            ended: AtomicBool::new(false),
            _outbox: outbox,
        })
    }

    /// Activates the campaign and lets the functions work until it is complete; how long that took in the model's time.
    pub(crate) async fn run(self: &Arc<Self>) -> anyhow::Result<Duration> {
        let everybody = self.clock.enter();
        let mut functions = Vec::new();
        let concurrency = self.model.concurrency;
        for (queue, places) in
            [(tables::WAKE_UP, 1), (tables::FAN_OUT, 2), (tables::DELIVER_EMAIL, concurrency)]
        {
            for _ in 0..places {
                let (world, awake) = (Arc::clone(self), self.clock.enter());
                functions.push(tokio::spawn(async move {
                    let worked = world.work(queue.0).await;
                    if worked.is_err() {
                        // Nobody else need go on.
                        world.ended.store(true, Ordering::Relaxed);
                    }
                    drop(awake);
                    worked
                }));
            }
        }
        let (world, awake) = (Arc::clone(self), self.clock.enter());
        functions.push(tokio::spawn(async move {
            world.clock.sleep(Duration::ZERO).await;
            while !world.has_ended() {
                world.clock.sleep(SWEEP).await;
                world.mailroom.put(&name(tables::WAKE_UP.0), world.clock.monotonic(), &WakeUp::Sweep.body());
            }
            drop(awake);
            Ok(Duration::ZERO)
        }));
        let store = &self.activate.store;
        AT_WORK
            .scope(
                Function::Api,
                validation::ask_activation(store, self.campaign, &Actor::envoi(), |_| Ok(())),
            )
            .await?;
        drop(everybody);
        let mut last = Duration::ZERO;
        for function in functions {
            last = last.max(function.await??);
        }
        Ok(last)
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed) || self.clock.monotonic() > TOO_LONG
    }

    /// One of a queue's functions, message after message; when it had delivered its last chunk.
    async fn work(&self, queue: &str) -> anyhow::Result<Duration> {
        let mut last = Duration::ZERO;
        self.clock.sleep(Duration::ZERO).await;
        while !self.has_ended() {
            let started = self.clock.monotonic();
            let Some(body) = self.mailroom.next(&name(queue), started) else {
                self.clock.sleep(LOOK).await;
                continue;
            };
            let function = self.handle(queue, body).await?;
            let ended = self.clock.monotonic();
            self.recorder.account(|account| account.invoked(function, ended - started));
            match function {
                Function::DeliverEmail => last = ended,
                Function::Sweep => {
                    let status = self.store.campaigns.get(self.campaign).await?.status;
                    self.ended.store(status == Status::Completed, Ordering::Relaxed);
                }
                _ => {}
            }
        }
        Ok(last)
    }

    async fn handle(&self, queue: &str, body: String) -> anyhow::Result<Function> {
        let deadline = Deadline::after(&*self.clock, TIMEOUT);
        let function = match queue {
            queue if queue == tables::FAN_OUT.0 => Function::FanOut,
            queue if queue == tables::DELIVER_EMAIL.0 => Function::DeliverEmail,
            _ if matches!(serde_json::from_str(&body)?, WakeUp::Sweep) => Function::Sweep,
            _ => Function::Activate,
        };
        let event =
            batch::event(vec![Received { id: "1".to_owned(), receipt: "1".to_owned(), body, receives: 1 }]);
        let response = AT_WORK
            .scope(function, async {
                match function {
                    Function::FanOut => fanout::handle(&self.fanout, event, deadline).await,
                    Function::DeliverEmail => self.deliver.handle(event, deadline).await.0,
                    _ => activate::handle(&self.activate, event, deadline).await,
                }
            })
            .await;
        ensure!(response.batch_item_failures.is_empty(), "a message of {queue} failed");
        Ok(function)
    }

    /// Refuses a run in which not everybody got the email, or something happened that the account does not know.
    pub(crate) async fn check(&self, recipients: u64) -> anyhow::Result<()> {
        let (executions, _) = self.store.ledger.executions(self.campaign, None, 10).await?;
        let sent: Vec<u64> = executions
            .iter()
            .flat_map(|execution| execution.counts.iter().map(|counts| counts.outcome(Outcome::Sent)))
            .collect();
        let campaign = self.store.campaigns.get(self.campaign).await?;
        ensure!(
            campaign.status == Status::Completed && sent == [recipients],
            "the campaign is {:?} and sent {sent:?}: {:?}",
            campaign.status,
            campaign.activation_errors
        );
        let faults = self.recorder.account(|account| account.faults().to_vec());
        ensure!(faults.is_empty(), "{} requests are not accounted for, such as {}", faults.len(), faults[0]);
        Ok(())
    }
}

fn name(queue: &str) -> String {
    format!("{PREFIX}{queue}")
}

async fn names(config: &aws_config::SdkConfig) -> Names {
    let (dynamodb, sqs) = (aws_sdk_dynamodb::Client::new(config), aws_sdk_sqs::Client::new(config));
    let mut names = Names::default();
    for table in [tables::CONTROL, tables::PROFILES, tables::AUDIENCE, tables::LEDGER] {
        names = names.table(table, create_table(&dynamodb, PREFIX, table).await);
    }
    for queue in [tables::WAKE_UP, tables::FAN_OUT, tables::DELIVER_EMAIL] {
        let (url, _) = create_queues(&sqs, PREFIX, queue).await;
        names = names.queue(queue.0, url);
    }
    names
}

/// Imports the people and makes a campaign to them, ready to be activated.
async fn furnish(store: &Store, options: &Options) -> anyhow::Result<CampaignId> {
    let now = SystemClock.now();
    let (kind, list) = match options.audience {
        Audience::List => {
            (SegmentKind::List { generation: 1, partitions: tables::LIST_PARTITIONS, members: 0 }, true)
        }
        Audience::Rule => (SegmentKind::Rule { expression: "profile.orders >= 0".to_owned() }, false),
    };
    let segment = Segment {
        id: SegmentId::random(),
        name: "Everybody".to_owned(),
        description: String::new(),
        kind,
        created_at: now,
        modified_at: now,
    };
    store.segments.put(&segment, 0).await?;
    let rows = stream::iter(people::rows(options.recipients).map(Ok::<_, std::convert::Infallible>));
    let report = store.import_profiles(rows, list.then_some(segment.id), None).await?;
    ensure!(report.created == options.recipients, "not everybody was imported: {report:?}");
    let configuration = Configuration {
        id: ConfigurationId::random(),
        name: "Post".to_owned(),
        category: Category::Marketing,
        rate_per_second: Some(options.rate).filter(|rate| *rate > 0),
        retry_period_seconds: default_retry_period(),
        disabled: false,
        ignores_suppression: false,
        sender: SenderSettings::Email(From {
            from: EmailAddress::parse("news@example.com")?,
            from_name: Some("News".to_owned()),
            reply_to: None,
            unsubscribe_mailto: None,
            tracking: Tracking::default(),
        }),
    };
    store.configurations.put(&configuration, 0).await?;
    let document = Campaign::new("Cost", CampaignType::Scheduled, Category::Marketing, Actor::envoi(), now);
    let version = Version {
        segment: Some(segment.id),
        actions: vec![Action {
            channel: Channel::Email,
            configuration: Some(configuration.id),
            condition: None,
        }],
        ..Version::draft(1)
    };
    let content = Content::Email(EmailContent {
        subject: SUBJECT.to_owned(),
        body: EmailBody::Html(HTML.to_owned()),
        ..EmailContent::default()
    });
    store.campaigns.create(&document, &version, &[content], None).await?;
    Ok(document.id)
}
