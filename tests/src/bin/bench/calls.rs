//! Calls to the execution API of `envoi serve`: clients that call as fast as they are answered, and callers that call now
//! and then, alone and beside a campaign to many.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use envoi_tests::process::{Api, Envoi, GUARD};
use envoi_tests::sink::{Keep, Received, Sink, SinkOptions};
use platform::{Clock, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::campaign::{HTML, SUBJECT};
use crate::client::{Client, host, percentile};
use crate::machine::busy_seconds;
use crate::people;
use crate::report::{Report, mib, per};

const CALLED_SUBJECT: &str = "Order {{context.order.id}}";
/// A confirmation with a few variables and a list.
const CALLED_HTML: &str = "<html><body><h1>Thank you, {{context.name}}</h1>\
    <p>Your order {{context.order.id}} of {{context.order.total}} is on its way.</p>\
    <table>{{#each context.order.items}}<tr><td>{{this.name}}</td><td>{{this.price}}</td></tr>{{/each}}</table>\
    <p><a href=\"https://shop.example.com/orders/{{context.order.id}}\">See your order</a></p></body></html>";
/// How long calls are made before the measurement, so that everything is warm.
const WARM_UP: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);

/// Of what kind, and how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many clients call at the same time.
    #[arg(long, value_delimiter = ',', default_value = "16,64")]
    clients: Vec<usize>,
    /// How many recipients a call names.
    #[arg(long, value_delimiter = ',', default_value = "1,20")]
    recipients: Vec<usize>,
    /// For how many seconds each measurement calls.
    #[arg(long, default_value = "5")]
    seconds: u64,
    /// How many calls a second are made now and then.
    #[arg(long, default_value = "50")]
    paced: u64,
    /// To how many people the campaign beside them goes; 0: there is none.
    #[arg(long, default_value = "100000")]
    bulk: u64,
    /// Where to put the data; by default into a temporary folder that is removed at the end.
    #[arg(long)]
    data: Option<PathBuf>,
}

/// Everything that runs.
struct Bench {
    envoi: Envoi,
    sink: Sink,
    campaign: String,
    key: String,
    /// Numbers requests, so that none is made twice.
    next: Arc<AtomicU64>,
}

/// An answered call.
struct Answered {
    number: u64,
    took: Duration,
    at: Instant,
}

pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    let temporary = TempDir::new()?;
    let folder = options.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    let mut report = Report::default();
    for clients in &options.clients {
        for recipients in &options.recipients {
            let name = format!("{clients}-{recipients}");
            let bench = Bench::start(folder.join(name)).await?;
            bench.as_fast_as_answered(*clients, *recipients, options.seconds, &mut report).await?;
            bench.finish().await?;
        }
    }
    let bench = Bench::start(folder.join("paced")).await?;
    bench.now_and_then(options, 0, &mut report).await?;
    if options.bulk > 0 {
        let import = bench.envoi.api()?.import(people::csv(options.bulk)).await?;
        ensure!(import["created"] == options.bulk, "not everybody was imported: {import}");
        bench.now_and_then(options, options.bulk, &mut report).await?;
    }
    bench.finish().await?;
    report.print();
    Ok(())
}

impl Bench {
    async fn start(data: PathBuf) -> anyhow::Result<Self> {
        let sink = Sink::start(SinkOptions { keep: Keep::Envelopes, ..SinkOptions::default() }).await?;
        let mut envoi = Envoi::new(data, sink.address(), &[]);
        envoi.start().await?;
        let api = envoi.api()?;
        let campaign = live(api).await?;
        let key = api.post("/keys", &json!({ "name": "caller", "role": "publisher" })).await?;
        let key = key["secret"].as_str().context("a new key is shown")?.to_owned();
        Ok(Self { envoi, sink, campaign, key, next: Arc::default() })
    }

    async fn finish(mut self) -> anyhow::Result<()> {
        ensure!(
            self.envoi.terminate(GUARD).await?.success(),
            "envoi does not end well: {}",
            self.envoi.said()
        );
        let logged = self.envoi.logged();
        ensure!(logged.is_empty(), "envoi has something to complain of: {logged:?}");
        Ok(())
    }

    async fn connect(&self) -> anyhow::Result<Caller> {
        Caller::connect(self.envoi.api()?, &self.key, &self.campaign).await
    }

    /// Each client makes its next call when the one before is answered.
    async fn as_fast_as_answered(
        &self,
        clients: usize,
        recipients: usize,
        seconds: u64,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        self.call_for(clients, recipients, WARM_UP).await?;
        self.until_delivered().await?;
        let (before, taken_before, busy) =
            (self.envoi.usage()?, self.sink.counts().accepted, busy_seconds()?);
        let begun = Instant::now();
        let answered = self.call_for(clients, recipients, Duration::from_secs(seconds)).await?;
        let called = begun.elapsed().as_secs_f64();
        let taken_meanwhile = self.sink.counts().accepted - taken_before;
        self.until_delivered().await?;
        let drained = begun.elapsed().as_secs_f64();
        let (after, busy) = (self.envoi.usage()?, busy_seconds()? - busy);
        let count = answered.len() as u64;
        let taken = self.sink.counts().accepted - taken_before;
        ensure!(taken == count * recipients as u64, "{count} calls were answered, {taken} messages taken");
        let mut took: Vec<f64> = answered.iter().map(|call| call.took.as_secs_f64() * 1e3).collect();
        let mut delays = self.delays(&answered)?;
        report.line(
            "calls",
            &json!({
                "clients": clients,
                "recipients": recipients,
                "requests": count,
                "requests_per_second": count as f64 / called,
                "answer_ms_p50": percentile(&mut took, 50.0),
                "answer_ms_p99": percentile(&mut took, 99.0),
                "answer_ms_max": percentile(&mut took, 100.0),
                "messages_per_second_meanwhile": taken_meanwhile as f64 / called,
                "seconds_until_all_delivered": drained,
                "messages_per_second_in_all": taken as f64 / drained,
                "delay_ms_p50": percentile(&mut delays, 50.0),
                "delay_ms_p99": percentile(&mut delays, 99.0),
                "envoi_user_us": per(after.user_seconds - before.user_seconds, count),
                "envoi_system_us": per(after.system_seconds - before.system_seconds, count),
                "processors_used_by_all": busy / drained,
                "written_bytes_per_request": (after.written_bytes - before.written_bytes) as f64 / count as f64,
                "peak_mib": mib(after.peak_kib),
            }),
        );
        Ok(())
    }

    /// Clients that call until the time is over.
    async fn call_for(
        &self,
        clients: usize,
        recipients: usize,
        time: Duration,
    ) -> anyhow::Result<Vec<Answered>> {
        let until = Instant::now() + time;
        let mut running = JoinSet::new();
        for _ in 0..clients {
            let (mut client, next) = (self.connect().await?, Arc::clone(&self.next));
            running.spawn(async move {
                let mut answered = Vec::new();
                while Instant::now() < until {
                    answered.push(client.call(next.fetch_add(1, Ordering::Relaxed), recipients).await?);
                }
                anyhow::Ok(answered)
            });
        }
        let mut answered = Vec::new();
        while let Some(client) = running.join_next().await {
            answered.extend(client??);
        }
        Ok(answered)
    }

    /// Calls that come now and then, each from one of a few clients, beside a campaign to `bulk` people.
    async fn now_and_then(&self, options: &Options, bulk: u64, report: &mut Report) -> anyhow::Result<()> {
        const CLIENTS: u64 = 4;
        let api = self.envoi.api()?;
        self.call_for(1, 1, WARM_UP).await?;
        self.until_delivered().await?;
        let running = if bulk > 0 {
            let segment = api.rule("profile.orders >= 0").await?;
            let campaign = api.campaign(&segment, SUBJECT, HTML).await?;
            api.activate(&campaign).await?;
            let before = self.sink.counts().accepted;
            while self.sink.counts().accepted < before + 1000 {
                SystemClock.sleep(POLL).await;
            }
            Some(campaign)
        } else {
            None
        };
        let (begun, taken_before) = (Instant::now(), self.sink.counts().accepted);
        let mut callers = JoinSet::new();
        let (pause, seconds) =
            (Duration::from_secs(1).mul_f64(CLIENTS as f64 / options.paced as f64), options.seconds);
        for number in 0..CLIENTS {
            let (mut client, next) = (self.connect().await?, Arc::clone(&self.next));
            callers.spawn(async move {
                let mut answered = Vec::new();
                let mut at = begun + pause.mul_f64(number as f64 / CLIENTS as f64);
                while at < begun + Duration::from_secs(seconds) {
                    tokio::time::sleep_until(at).await;
                    answered.push(client.call(next.fetch_add(1, Ordering::Relaxed), 1).await?);
                    at += pause;
                }
                anyhow::Ok(answered)
            });
        }
        let mut answered = Vec::new();
        while let Some(caller) = callers.join_next().await {
            answered.extend(caller??);
        }
        let called = begun.elapsed().as_secs_f64();
        let taken = self.sink.counts().accepted - taken_before;
        let mut still_running = false;
        if let Some(campaign) = &running {
            let execution = api.execution(campaign).await?.context("it runs")?;
            still_running = execution["state"] == "running";
            let execution = api.finished(campaign, POLL).await?;
            ensure!(execution["total"]["sent"] == bulk, "not everybody got it: {}", execution["total"]);
        } else {
            self.until_delivered().await?;
        }
        let mut took: Vec<f64> = answered.iter().map(|call| call.took.as_secs_f64() * 1e3).collect();
        let mut delays = self.delays(&answered)?;
        report.line(
            "calls now and then",
            &json!({
                "requests": answered.len(),
                "requests_per_second": answered.len() as f64 / called,
                "bulk_recipients": bulk,
                "bulk_until_the_end": still_running,
                "bulk_messages_per_second": (taken as f64 - answered.len() as f64).max(0.0) / called,
                "answer_ms_p50": percentile(&mut took, 50.0),
                "answer_ms_p99": percentile(&mut took, 99.0),
                "delay_ms_p50": percentile(&mut delays, 50.0),
                "delay_ms_p99": percentile(&mut delays, 99.0),
                "delay_ms_max": percentile(&mut delays, 100.0),
            }),
        );
        Ok(())
    }

    /// From each answer to the arrival of the call's last message, in milliseconds; 0 where that came first.
    fn delays(&self, answered: &[Answered]) -> anyhow::Result<Vec<f64>> {
        let mut arrived: HashMap<u64, Instant> = HashMap::new();
        for Received { to, at, .. } in self.sink.messages() {
            if let Some(number) = number_of(&to) {
                arrived.entry(number).and_modify(|last| *last = at.max(*last)).or_insert(at);
            }
        }
        let delay = |call: &Answered| {
            let at = arrived.get(&call.number).context("a message is missing")?;
            Ok(at.saturating_duration_since(call.at).as_secs_f64() * 1e3)
        };
        answered.iter().map(delay).collect()
    }

    /// Waits until no more messages come.
    async fn until_delivered(&self) -> anyhow::Result<()> {
        let (mut last, mut since) = (0, Instant::now());
        // What is still being written after the last message is not waited for by anybody.
        while since.elapsed() < Duration::from_millis(500) {
            let taken = self.sink.counts().accepted;
            if taken != last {
                (last, since) = (taken, Instant::now());
            }
            SystemClock.sleep(POLL).await;
        }
        Ok(())
    }
}

/// A campaign that takes calls.
async fn live(api: &Api) -> anyhow::Result<String> {
    let sender = json!({ "channel": "email", "from": "orders@envoi.example.com", "from_name": "Orders" });
    let configuration = json!({ "name": "Orders", "category": "transactional", "sender": sender });
    let configuration = api.create("/configurations", &configuration).await?;
    let campaign = json!({
        "name": "Orders", "type": "api_triggered", "category": "transactional",
        "actions": [{
            "channel": "email", "configuration_id": configuration,
            "content": { "subject": CALLED_SUBJECT, "body": { "html": CALLED_HTML } },
        }],
    });
    let campaign = api.create("/campaigns", &campaign).await?;
    api.activate(&campaign).await?;
    let began = Instant::now();
    loop {
        let found = api.get(&format!("/campaigns/{campaign}")).await?;
        match found["status"].as_str() {
            Some("live") => return Ok(campaign),
            Some("draft") => bail!("it was not activated: {found}"),
            _ if began.elapsed() > GUARD => bail!("it does not go live: {found}"),
            _ => SystemClock.sleep(POLL).await,
        }
    }
}

fn address_of(number: u64, recipient: usize) -> String {
    format!("call-{number}-{recipient}@example.com")
}

fn number_of(address: &str) -> Option<u64> {
    address.strip_prefix("call-")?.split_once('-')?.0.parse().ok()
}

/// Calls over one connection.
struct Caller {
    client: Client,
    head: String,
    campaign: String,
}

impl Caller {
    async fn connect(api: &Api, key: &str, campaign: &str) -> anyhow::Result<Self> {
        let head = format!(
            "POST /im/executions/unitary HTTP/1.1\r\nhost: {}\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n",
            host(api)?,
        );
        Ok(Self { client: Client::connect(api).await?, head, campaign: campaign.to_owned() })
    }

    async fn call(&mut self, number: u64, recipients: usize) -> anyhow::Result<Answered> {
        let recipient = |recipient| {
            json!({
                "type": "external", "namespace": "email", "userId": address_of(number, recipient),
                "context": {
                    "name": "Wanjiru", "order": {
                        "id": number, "total": "27.50",
                        "items": [{ "name": "Roast", "price": "19.50" }, { "name": "Filters", "price": "8.00" }],
                    },
                },
            })
        };
        let recipients: Vec<Value> = (0..recipients).map(recipient).collect();
        let body = json!({ "requestId": format!("r-{number}"), "campaignId": self.campaign, "recipients": recipients });
        let body = body.to_string();
        let request = format!("{}content-length: {}\r\n\r\n{body}", self.head, body.len());
        let begun = Instant::now();
        self.client.ask(request.as_bytes(), 202).await?;
        let at = Instant::now();
        Ok(Answered { number, took: at - begun, at })
    }
}
