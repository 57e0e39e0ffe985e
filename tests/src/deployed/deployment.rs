//! A deployed Envoi, and what a test does with it.

use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use futures::FutureExt;
use platform::aws::{Aws, Names};
use platform::{Clock, Message, QueueName, SystemClock};
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::{Value, json};
use store::Keys;
use store::keys::Role;
use store::messages::WakeUp;
use store::tables::CONTROL;

use super::calls::{ACCOUNT, Calls};
use super::cloud::Cloud;
use super::gate::Gate;
use super::stack::Stack;
use super::{LOOK, processes};
use crate::process::{Api, GUARD};

/// What every deployment of a test sets: leases that run out within a test's patience, providers that are a test's own, and
/// nothing that stays.
const PARAMETERS: [(&str, &str); 4] = [
    ("Architecture", if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }),
    ("DeliverEmailTimeout", "30"),
    ("OutboundAllow", "http://127.0.0.1"),
    ("DeletionProtection", "false"),
];
/// How many lines of a log are shown where a test has failed.
const LINES: usize = 400;

/// One stack of the template, with a first key.
#[derive(Debug)]
pub struct Deployment {
    /// Its API, called as an administrator.
    pub api: Api,
    name: String,
    base: String,
    key: String,
    cloud: &'static Cloud,
    calls: Calls,
    stack: Stack,
    /// How many of the denials are a test's own.
    provoked: AtomicUsize,
}

/// A message in the mailbox of the mail service.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mail {
    /// To whom.
    pub to: Vec<String>,
    /// From whom.
    pub source: String,
    /// Its subject.
    pub subject: String,
    /// Its HTML part.
    pub body_html: Option<String>,
    /// Its text part.
    pub body_text: String,
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// That can be received now.
    pub visible: u64,
    /// That are with a consumer.
    pub in_flight: u64,
    /// That are held back.
    pub delayed: u64,
}

impl Waiting {
    /// Of any kind.
    pub fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// Deploys a stack of that name, lets `scenario` use it, and removes it. Where the scenario fails, the logs of the
/// functions and of the emulator are printed before it does.
///
/// # Panics
/// Where the scenario does, where the stack can't be created or removed, and where a function was denied something.
pub async fn deployed(name: &str, scenario: impl AsyncFnOnce(&Deployment)) {
    let deployment = match Deployment::create(name).await {
        Ok(deployment) => deployment,
        Err(error) => panic!("{name} can't be deployed: {error:#}"),
    };
    let began = SystemClock.monotonic();
    let outcome = AssertUnwindSafe(scenario(&deployment)).catch_unwind().await;
    println!("{name} took {} s", (SystemClock.monotonic() - began).as_secs());
    if let Err(panic) = outcome {
        eprintln!("{}", deployment.logs().await);
        resume_unwind(panic);
    }
    let denied = deployment.denied().expect("the emulator keeps a log");
    let provoked = deployment.provoked.load(Ordering::Relaxed);
    assert_eq!(denied.len(), provoked, "the functions' roles lack something of this:\n{}", denied.join("\n"));
    deployment.stack.delete().await.expect("the stack can be removed");
}

impl Deployment {
    async fn create(name: &str) -> anyhow::Result<Self> {
        let cloud = Cloud::get().await?;
        let calls = Calls::new(cloud.ministack.endpoint());
        let stack = Stack::create(calls.clone(), name, &cloud.template_url, &PARAMETERS).await;
        let stack = stack.with_context(|| format!("see {}", cloud.ministack.log.display()))?;
        let key = first_key(cloud, stack.output("ControlTable")?).await?;
        // The address is the real one's, with the id of the API in it; the emulator has it under a path.
        let url = stack.output("ApiUrl")?;
        let id = url.trim_start_matches("https://").split('.').next().context("the API has an id")?;
        let base = format!("{}/_aws/execute-api/{id}", cloud.ministack.endpoint());
        let (api, name, provoked) = (Api::new(&base, &key), name.to_owned(), AtomicUsize::new(0));
        Ok(Self { api, name, base, key, cloud, calls, stack, provoked })
    }

    /// Brings a file where the API said, which is not to the API.
    ///
    /// # Errors
    /// Where it is not taken.
    pub async fn upload(&self, told: &Value, file: String) -> anyhow::Result<()> {
        let told_text = |field: &str| told[field].as_str().with_context(|| format!("no {field} in {told}"));
        let url = told_text("url")?;
        ensure!(!url.starts_with(&self.base), "the file is to go to the API: {told}");
        let mut request = Client::new().request(told_text("method")?.parse()?, url).body(file);
        for (name, value) in told["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().context("a header is text")?);
        }
        let response = request.send().await?;
        let status = response.status();
        ensure!(status.is_success(), "{status}: {}", response.text().await?);
        Ok(())
    }

    /// Gets a file that the API leads to, which needs no key.
    ///
    /// # Errors
    /// Where it leads nowhere.
    pub async fn download(&self, path: &str) -> anyhow::Result<String> {
        let http = Client::builder().redirect(Policy::none()).build()?;
        let answer = http.get(format!("{}{path}", self.base)).bearer_auth(&self.key).send().await?;
        let url = answer.headers().get(LOCATION).context("the API leads nowhere")?.to_str()?;
        Ok(http.get(url).send().await?.error_for_status()?.text().await?)
    }

    /// Sends a message to its queue, to be seen at once.
    ///
    /// # Errors
    /// Where the queue is not there.
    pub async fn send(&self, message: &Message) -> anyhow::Result<()> {
        let message = json!({ "QueueUrl": self.url(message.queue)?, "MessageBody": message.body });
        self.calls.json("sqs", "AmazonSQS.SendMessage", &message).await?;
        Ok(())
    }

    /// Sends what the rule of each minute sends.
    ///
    /// # Errors
    /// Where the queue is not there.
    pub async fn sweep(&self) -> anyhow::Result<()> {
        self.send(&WakeUp::Sweep.message()).await
    }

    /// Lets the rule of each minute rest.
    ///
    /// # Errors
    /// Where the stack has no such rule.
    pub async fn disable_the_rule(&self) -> anyhow::Result<()> {
        self.rule("AWSEvents.DisableRule").await
    }

    /// Lets the rule of each minute fire again.
    ///
    /// # Errors
    /// Where the stack has no such rule.
    pub async fn enable_the_rule(&self) -> anyhow::Result<()> {
        self.rule("AWSEvents.EnableRule").await
    }

    async fn rule(&self, action: &str) -> anyhow::Result<()> {
        let rule = self.stack.id("Sweep")?;
        self.calls.json("events", action, &json!({ "Name": rule })).await?;
        Ok(())
    }

    /// The wake-ups that EventBridge Scheduler keeps: when they fire.
    ///
    /// # Errors
    /// Where the stack has no schedule group.
    pub async fn schedules(&self) -> anyhow::Result<Vec<String>> {
        let group = self.stack.output("ScheduleGroup")?;
        let schedule = |name: &str| format!("/schedules/{name}?groupName={group}");
        let list = format!("/schedules?ScheduleGroup={group}");
        let list = self.calls.rest(Method::GET, "scheduler", &list, &Value::Null).await?;
        let mut expressions = Vec::new();
        for listed in list["Schedules"].as_array().context("a group has a list")? {
            let name = listed["Name"].as_str().context("a schedule has a name")?;
            let found = self.calls.rest(Method::GET, "scheduler", &schedule(name), &Value::Null).await?;
            expressions.push(found["ScheduleExpression"].as_str().context("and a time")?.to_owned());
        }
        Ok(expressions)
    }

    /// Sets for how long a message that was received stays hidden, in seconds. The template's is six times the
    /// function's timeout, longer than a test can wait for a message to come back.
    ///
    /// # Errors
    /// Where the queue is not there.
    pub async fn hide_for(&self, queue: QueueName, seconds: u32) -> anyhow::Result<()> {
        let attributes = json!({ "VisibilityTimeout": seconds.to_string() });
        let set = json!({ "QueueUrl": self.url(queue)?, "Attributes": attributes });
        self.calls.json("sqs", "AmazonSQS.SetQueueAttributes", &set).await?;
        Ok(())
    }

    /// How many messages the queue holds.
    ///
    /// # Errors
    /// Where the queue is not there.
    pub async fn waiting(&self, queue: QueueName) -> anyhow::Result<Waiting> {
        self.waiting_at(self.url(queue)?).await
    }

    /// How many dead letters the queue has.
    ///
    /// # Errors
    /// Where the queue is not there.
    pub async fn dead(&self, queue: QueueName) -> anyhow::Result<u64> {
        Ok(self.waiting_at(self.dead_letters(queue)?).await?.total())
    }

    /// Takes up to ten of the queue's dead letters; their bodies.
    ///
    /// # Errors
    /// Where the queue is not there.
    pub async fn take_dead(&self, queue: QueueName) -> anyhow::Result<Vec<String>> {
        let receive = json!({ "QueueUrl": self.dead_letters(queue)?, "MaxNumberOfMessages": 10 });
        let received = self.calls.json("sqs", "AmazonSQS.ReceiveMessage", &receive).await?;
        let messages = received["Messages"].as_array().cloned().unwrap_or_default();
        let body = |message: &Value| Ok(message["Body"].as_str().context("a message has a body")?.to_owned());
        messages.iter().map(body).collect()
    }

    /// What was sent to addresses of a domain.
    ///
    /// # Errors
    /// Where the mailbox can't be read.
    pub async fn mails(&self, domain: &str) -> anyhow::Result<Vec<Mail>> {
        let mut mails = Vec::new();
        for mail in self.cloud.mailbox(&self.calls).await? {
            let mail: Mail = serde_json::from_value(mail)?;
            if mail.to.iter().any(|address| address.rsplit('@').next() == Some(domain)) {
                mails.push(mail);
            }
        }
        Ok(mails)
    }

    /// Holds the mail service's answers for messages to a domain back. The messages are taken all the same.
    pub fn close_gate(&self, domain: &str) -> Gate {
        self.cloud.relay.gates.close(domain)
    }

    /// Ends every running process of a function as `kill -9` does; how many there were.
    ///
    /// # Errors
    /// Where the stack has no such function or processes can't be seen.
    pub fn kill(&self, function: &str) -> anyhow::Result<usize> {
        processes::kill(self.function(function)?, &self.cloud.ministack.endpoint())
    }

    /// Whether a function may not do this: a call that is made as a process of it would make it.
    ///
    /// # Errors
    /// Where no process of the function runs.
    pub async fn denies(
        &self,
        function: &str,
        service: &str,
        target: &str,
        body: &Value,
    ) -> anyhow::Result<bool> {
        let (function, endpoint) = (self.function(function)?, self.cloud.ministack.endpoint());
        let calls = self.calls.by(processes::variable(function, &endpoint, "AWS_ACCESS_KEY_ID")?);
        let outcome = calls.json(service, target, body).await;
        let denied = outcome.is_err_and(|error| format!("{error:#}").contains("AccessDenied"));
        self.provoked.fetch_add(usize::from(denied), Ordering::Relaxed);
        Ok(denied)
    }

    /// What the stack tells its users under that name.
    ///
    /// # Errors
    /// Where it tells nothing.
    pub fn output(&self, name: &str) -> anyhow::Result<&str> {
        self.stack.output(name)
    }

    /// The functions' calls that were denied.
    fn denied(&self) -> anyhow::Result<Vec<String>> {
        let log = fs::read_to_string(&self.cloud.ministack.log)?;
        let ours = format!("DENIED {}-", self.name);
        Ok(log.lines().filter(|line| line.starts_with(&ours)).map(str::to_owned).collect())
    }

    /// Waits until the one execution of a campaign has ended; the execution as it is then.
    ///
    /// # Errors
    /// Where the campaign was refused, ran twice, or never ends.
    pub async fn ended(&self, campaign: &str, sweeps: Sweeps) -> anyhow::Result<Value> {
        let until = SystemClock.monotonic() + GUARD;
        loop {
            let execution = self.api.execution(campaign).await?;
            if let Some(execution) = &execution {
                if execution["state"] == "completed" || execution["state"] == "stopped" {
                    return Ok(execution.clone());
                }
                if sweeps == Sweeps::OnTop {
                    self.sweep().await?;
                }
            }
            ensure!(SystemClock.monotonic() < until, "it does not end: {execution:?}");
            SystemClock.sleep(LOOK * 10).await;
        }
    }

    /// The logs of this stack's functions, and the emulator's.
    pub async fn logs(&self) -> String {
        let mut logs = String::new();
        for group in self.stack.all("AWS::Logs::LogGroup") {
            let filter = json!({ "logGroupName": group, "limit": 10_000 });
            let found = self.calls.json("logs", "Logs_20140328.FilterLogEvents", &filter).await;
            let found = found.unwrap_or_else(|error| json!({ "events": [{ "message": error.to_string() }] }));
            let lines = found["events"].as_array().into_iter().flatten();
            let lines: Vec<&str> = lines.filter_map(|event| event["message"].as_str()).collect();
            // Writing to a string can't fail.
            let _ = writeln!(logs, "---- {group}\n{}", last(&lines).join("\n"));
        }
        let path = &self.cloud.ministack.log;
        let said = fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let _ = writeln!(logs, "---- {} (of {})\n{}", path.display(), self.name, last(&lines).join("\n"));
        logs
    }

    async fn waiting_at(&self, url: &str) -> anyhow::Result<Waiting> {
        let get = json!({ "QueueUrl": url, "AttributeNames": ["All"] });
        let found = self.calls.json("sqs", "AmazonSQS.GetQueueAttributes", &get).await?;
        let count = |name: &str| -> anyhow::Result<u64> {
            Ok(found["Attributes"][name].as_str().with_context(|| format!("{name} is not told"))?.parse()?)
        };
        Ok(Waiting {
            visible: count("ApproximateNumberOfMessages")?,
            in_flight: count("ApproximateNumberOfMessagesNotVisible")?,
            delayed: count("ApproximateNumberOfMessagesDelayed")?,
        })
    }

    fn function(&self, name: &str) -> anyhow::Result<&str> {
        self.stack.id(&format!("{}Function", camel(name)))
    }

    fn url(&self, queue: QueueName) -> anyhow::Result<&str> {
        self.stack.output(&format!("{}Queue", camel(queue.0)))
    }

    fn dead_letters(&self, queue: QueueName) -> anyhow::Result<&str> {
        self.stack.output(&format!("{}DeadLetters", camel(queue.0)))
    }
}

/// What sweeps while a test waits. Only a sweep ends an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweeps {
    /// The rule, once a minute.
    ByRule,
    /// The test as well, since a minute is long.
    OnTop,
}

/// Writes a first key into the control table, with an operator's rights.
async fn first_key(cloud: &Cloud, control: &str) -> anyhow::Result<String> {
    let config = cloud.ministack.sdk_config(ACCOUNT).await;
    let engine = Aws::connect(&config, Names::default().table(CONTROL, control), Arc::new(SystemClock));
    let (key, _) = Keys::new(engine.platform()).create("first", Role::Admin).await?;
    Ok(key)
}

/// `deliver-email` is `DeliverEmail` in the template.
fn camel(name: &str) -> String {
    name.split('-')
        .flat_map(|word| word[..1].chars().map(|c| c.to_ascii_uppercase()).chain(word[1..].chars()))
        .collect()
}

fn last<'l>(lines: &'l [&'l str]) -> &'l [&'l str] {
    &lines[lines.len().saturating_sub(LINES)..]
}
