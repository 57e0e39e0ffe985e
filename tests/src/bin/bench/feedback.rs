//! Events of a provider, embedded: what Amazon SES tells of a campaign's messages, each in a message of its own, from the
//! queue through the function into the ledger. The ledger is made beforehand; the events are put on the queue beside, no
//! further ahead than a queue is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use campaign::content::OnMissing;
use campaign::model::Actor;
use campaign::outcome::OnUnknown;
use campaign::plan::Lane;
use campaign::{
    Campaign, CampaignType, Category, Channel, Code, Command, Fact, ProfileId, SegmentId, Version,
    chunk::CHUNK,
};
use clap::Args;
use delivery::tags;
use envoi_tests::process::Usage;
use feedback::sns::Sns;
use outbound::{Client, Limits, Policy};
use platform::embedded::Embedded;
use platform::{Clock, Deadline, Message, SystemClock, batch};
use serde_json::json;
use store::ledger::{Audience, Begins, CursorClaim, Head, NewChunk, State, Tenancy, Worker, execution_id};
use store::messages::{ChunkKey, FanOut};
use store::{HashKey, Store, tables};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::report::{Report, mib, per};

/// How many chunks lie in a shard.
const IN_A_SHARD: u64 = 1000;
/// How many chunks one transaction writes.
const AT_ONCE: usize = 80;
/// Events arrive about in the order of the messages: those of so many chunks are mixed.
const MIXED: usize = 40;
/// How far the queue may be ahead.
const AHEAD: u64 = 20_000;
/// As `envoi serve` has it.
const BATCH: usize = 50;
const CONCURRENCY: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many events, two for each message.
    #[arg(long, default_value = "1000000")]
    events: u64,
    /// Where to put the data; by default into a temporary folder that is removed at the end.
    #[arg(long)]
    data: Option<PathBuf>,
}

pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    let temporary = TempDir::new()?;
    let folder = options.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    let engine = Embedded::open(&folder, Arc::new(SystemClock))?;
    let store = Store::new(engine.platform(), HashKey([7; 32]));
    let members = (options.events / 2).div_ceil(CHUNK as u64) * CHUNK as u64;
    let chunks = sent(&store, members / CHUNK as u64).await?;
    let events = members * 2;

    let me = std::process::id();
    // The peak is to be that of the events.
    std::fs::write("/proc/self/clear_refs", "5").context("the peak of memory can't be set back")?;
    let (before, started) = (Usage::of(me)?, SystemClock.monotonic());
    let handled = Arc::new(AtomicU64::new(0));
    let consumer = tokio::spawn(consume(engine.clone(), store.clone(), Arc::clone(&handled), events));
    let mut put = 0;
    for some in chunks.chunks(MIXED) {
        while put - handled.load(Ordering::Relaxed) > AHEAD {
            ensure!(!consumer.is_finished(), "the events are not handled");
            SystemClock.sleep(Duration::from_millis(2)).await;
        }
        put += arrive(&store, some).await?;
    }
    consumer.await??;
    let seconds = (SystemClock.monotonic() - started).as_secs_f64();
    let used = Usage::of(me)?;
    check(&store, &chunks).await?;
    let mut report = Report::default();
    report.line(
        "feedback",
        &json!({
            "events": events,
            "seconds": seconds,
            "events_per_second": events as f64 / seconds,
            "cpu_us_per_event": per(used.seconds() - before.seconds(), events),
            "resident_mib_before": mib(before.resident_kib),
            "peak_mib": mib(used.peak_kib),
        }),
    );
    report.print();
    engine.shutdown().await?;
    Ok(())
}

/// A campaign that was sent to everybody in so many chunks.
async fn sent(store: &Store, count: u64) -> anyhow::Result<Vec<ChunkKey>> {
    let (now, by) = (SystemClock.now(), Actor::envoi());
    let campaign = Campaign::new("News", CampaignType::Scheduled, Category::Marketing, by.clone(), now);
    store.campaigns.create(&campaign, &Version::draft(1), &[], None).await?;
    store.campaigns.command_with(campaign.id, Command::Activate, &by, Vec::new(), |_| Ok(())).await?;
    let campaign = store.campaigns.get(campaign.id).await?;
    let shards = u16::try_from(count.div_ceil(IN_A_SHARD))?;
    let head = Head {
        id: execution_id(campaign.id, now.as_millisecond()),
        campaign: campaign.id,
        version: 1,
        occurrence: now,
        category: Category::Marketing,
        shards,
        actions: vec![Channel::Email],
        audience: Audience::List { segment: SegmentId::random(), generation: 1, partitions: 16 },
        on_unknown: OnUnknown::Hold,
        on_missing: OnMissing::Blank,
        started_at: now,
        plan: None,
        state: State::Running,
        paused_at: None,
        paused_for_ms: 0,
        ended_at: None,
        request: None,
        call: None,
        revision: 1,
    };
    ensure!(store.ledger.start(&campaign, &head, Vec::new()).await?, "it does not start");
    let worker = Worker::new(Tenancy::Sole);
    let mut keys = Vec::new();
    for shard in head.shards() {
        let claimed = store.ledger.claim_cursor(shard, &worker, Duration::from_secs(600)).await?;
        let CursorClaim::Claimed(mut cursor) = claimed else { anyhow::bail!("the cursor is not free") };
        let FanOut { execution, shard } = shard;
        let left = (count - keys.len() as u64).min(IN_A_SHARD);
        let numbers: Vec<_> = (0..u32::try_from(left)?).collect();
        for some in numbers.chunks(AT_ONCE) {
            let new = |number: &u32| NewChunk {
                key: ChunkKey { execution, shard, action: 0, number: *number },
                members: (0..CHUNK).map(|_| ProfileId::random()).collect(),
                begins: Begins::Closed(Code::Sent),
            };
            let chunks: Vec<_> = some.iter().map(new).collect();
            keys.extend(chunks.iter().map(|chunk| chunk.key));
            let stands = cursor.lanes.entry(Lane::AT_ONCE).or_default();
            stands.written += u32::try_from(some.len())?;
            stands.members += (some.len() * CHUNK) as u64;
            ensure!(store.ledger.advance(&mut cursor, chunks, Vec::new()).await?, "it does not advance");
        }
    }
    Ok(keys)
}

/// Handles what comes as `envoi serve` does, until all is handled.
async fn consume(engine: Embedded, store: Store, handled: Arc<AtomicU64>, events: u64) -> anyhow::Result<()> {
    let sns = Sns::new(Client::new(Policy::public_only(), Limits::default()), "", None);
    let context = Arc::new(feedback::Context::new(store, sns));
    let mut consumer = engine.consumer(tables::FEEDBACK, Duration::from_secs(360), 20).await?;
    let mut running: JoinSet<anyhow::Result<()>> = JoinSet::new();
    while handled.load(Ordering::Relaxed) < events {
        while running.len() >= CONCURRENCY {
            running.join_next().await.context("some run")???;
        }
        while let Some(done) = running.try_join_next() {
            done??;
        }
        let places = (CONCURRENCY - running.len()) * BATCH;
        let mut found = consumer.next(places, Duration::from_millis(50)).await?;
        while !found.is_empty() {
            let rest = found.split_off(BATCH.min(found.len()));
            let batch = std::mem::replace(&mut found, rest);
            let (engine, context, handled) = (engine.clone(), Arc::clone(&context), Arc::clone(&handled));
            running.spawn(async move {
                let receipts: Vec<_> = batch.iter().map(|message| message.receipt.clone()).collect();
                let count = receipts.len() as u64;
                let deadline = Deadline::after(&SystemClock, Duration::from_secs(60));
                let response = feedback::handle(&context, batch::event(batch), deadline).await;
                ensure!(response.batch_item_failures.is_empty(), "events failed");
                engine.delete_later(tables::FEEDBACK, receipts).await?;
                handled.fetch_add(count, Ordering::Relaxed);
                Ok(())
            });
        }
    }
    Ok(())
}

/// Puts on the queue what SES tells of the messages of some chunks, mixed; how many events.
async fn arrive(store: &Store, chunks: &[ChunkKey]) -> anyhow::Result<u64> {
    let mut bodies = Vec::with_capacity(chunks.len() * CHUNK * 2);
    for chunk in chunks {
        for index in 0..CHUNK {
            bodies.push(event(*chunk, index, r#""eventType":"Send","send":{}"#));
            bodies.push(event(*chunk, index, &fate(*chunk, index)));
        }
    }
    // Some fixed disorder.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for place in (1..bodies.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bodies.swap(place, usize::try_from(state >> 33)? % (place + 1));
    }
    let count = bodies.len() as u64;
    while !bodies.is_empty() {
        let some = bodies.split_off(bodies.len().saturating_sub(500));
        let messages = some.into_iter().map(|body| Message::new(tables::FEEDBACK, body)).collect();
        store.platform.queue.send(messages).await?;
    }
    Ok(count)
}

/// What becomes of the member at this place: of 50, one bounces for good, and one for now.
const fn fact(index: usize) -> Fact {
    match index {
        0 => Fact::HardBounced,
        1 => Fact::SoftBounced,
        _ => Fact::Delivered,
    }
}

fn fate(chunk: ChunkKey, index: usize) -> String {
    let ChunkKey { shard, number, .. } = chunk;
    let bounce = |kind: &str, status: &str| {
        format!(
            r#""eventType":"Bounce","bounce":{{"bounceType":"{kind}","bounceSubType":"General","bouncedRecipients":[{{"emailAddress":"reader-{shard}-{number}-{index}@reader.example","action":"failed","status":"{status}","diagnosticCode":"smtp; it did not work"}}],"timestamp":"2026-11-26T10:00:05.250Z","feedbackId":"0102018f0a1b2c3d","reportingMTA":"dns; mx.example"}}"#
        )
    };
    match fact(index) {
        Fact::HardBounced => bounce("Permanent", "5.1.1"),
        Fact::SoftBounced => bounce("Transient", "4.2.2"),
        _ => format!(
            r#""eventType":"Delivery","delivery":{{"timestamp":"2026-11-26T10:00:04.100Z","processingTimeMillis":4100,"recipients":["reader-{shard}-{number}-{index}@reader.example"],"smtpResponse":"250 2.6.0 ok","reportingMTA":"a4-7.smtp-out.eu-west-1.amazonses.com"}}"#
        ),
    }
}

/// An event with all that SES says beside, as a rule of EventBridge hands it on.
fn event(chunk: ChunkKey, index: usize, what: &str) -> String {
    let ChunkKey { execution, shard, action, number } = chunk;
    let (x, s, a, c, m) = (tags::EXECUTION, tags::SHARD, tags::ACTION, tags::CHUNK, tags::MEMBER);
    format!(
        r#"{{"version":"0","id":"5d1c2b3a-0000-4111-8222-333344445555","detail-type":"Email","source":"aws.ses","account":"123456789012","time":"2026-11-26T10:00:06Z","region":"eu-west-1","resources":["arn:aws:ses:eu-west-1:123456789012:configuration-set/envoi"],"detail":{{{what},"mail":{{"timestamp":"2026-11-26T10:00:00.000Z","source":"News <news@news.example>","sourceArn":"arn:aws:ses:eu-west-1:123456789012:identity/news.example","sendingAccountId":"123456789012","messageId":"0102018f0a1b2c3d-5e6f7a8b-1234-4cde-9f01-{number:06}{index:06}-000000","destination":["reader-{shard}-{number}-{index}@reader.example"],"headersTruncated":false,"headers":[{{"name":"From","value":"News <news@news.example>"}},{{"name":"To","value":"reader-{shard}-{number}-{index}@reader.example"}},{{"name":"Subject","value":"What is new this week"}},{{"name":"Message-ID","value":"<{execution}-{shard:02}-{action}-{number}-{index}@news.example>"}},{{"name":"List-Unsubscribe","value":"<https://links.news.example/t/u/0123456789012345678901234567890123456789012345678901234567890123456789>"}},{{"name":"List-Unsubscribe-Post","value":"List-Unsubscribe=One-Click"}},{{"name":"MIME-Version","value":"1.0"}},{{"name":"Content-Type","value":"multipart/alternative; boundary=\"b\""}}],"commonHeaders":{{"from":["News <news@news.example>"],"to":["reader-{shard}-{number}-{index}@reader.example"],"messageId":"0102018f0a1b2c3d","subject":"What is new this week"}},"tags":{{"ses:source-tls-version":["TLSv1.3"],"ses:operation":["SendEmail"],"ses:configuration-set":["envoi"],"ses:source-ip":["192.0.2.7"],"ses:from-domain":["news.example"],"ses:caller-identity":["deliver-email"],"ses:outgoing-ip":["192.0.2.8"],"{x}":["{execution}"],"{s}":["{shard}"],"{a}":["{action}"],"{c}":["{number}"],"{m}":["{index}"]}}}}}}}}"#
    )
}

/// What is known in the end is what was told.
async fn check(store: &Store, chunks: &[ChunkKey]) -> anyhow::Result<()> {
    for chunk in chunks {
        let facts = store.ledger.facts(*chunk).await?;
        for index in 0..CHUNK {
            ensure!(
                facts.of(index).fate() == Some(fact(index)),
                "{index} of {chunk:?} is {:?}",
                facts.of(index)
            );
        }
    }
    Ok(())
}
