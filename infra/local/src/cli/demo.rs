//! `envoi demo`: the main job from its beginning to its end, through the API.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use envoi_local::{Config, Node, config::Email};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use platform::{Clock, SystemClock};
use serde_json::{Value, json};

use super::client::{Client, text};
use super::report;

/// Ten thousand invented people; a few rows are wrong, as in every real file.
const PROFILES: &[u8] = include_bytes!("../../demo/profiles.csv");
/// What they get.
const WELCOME: &str = include_str!("../../demo/welcome.html");
/// How often the progress is asked for.
const POLL: Duration = Duration::from_millis(100);
/// A demo that takes longer is stuck.
const LONGEST: Duration = Duration::from_secs(600);

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where to put the database and the outbox; by default a new folder among the system's temporary ones.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Prints the report as JSON and nothing else.
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let data = self.data.clone().unwrap_or_else(|| {
            std::env::temp_dir().join(format!("envoi-demo-{}", campaign::CampaignId::random()))
        });
        if data.join("envoi.db").exists() {
            bail!("{} holds data already: the demo wants a folder of its own", data.display());
        }
        let outbox = data.join("outbox");
        let node = Node::start(Config::new(&data, Email::Outbox(outbox.clone()))).await?;
        let key = node.first_key().context("a new folder has no key yet")?.to_owned();
        let client = Client::new(node.address(), &key);
        let outcome = self.campaign(&client, &outbox).await;
        node.stop().await?;
        outcome
    }

    async fn campaign(&self, client: &Client, outbox: &Path) -> anyhow::Result<()> {
        let started = SystemClock.monotonic();
        self.say("Importing profiles from a CSV file ...");
        let import = client.import("/profiles/import", PROFILES).await?;
        self.say(&report::import(&import));
        let campaign = self.create(client).await?;
        let validation = client.post(&format!("/campaigns/{campaign}/validate"), &Value::Null).await?;
        for finding in validation["findings"].as_array().into_iter().flatten() {
            self.say(&format!(
                "  {}: {}",
                finding["severity"].as_str().unwrap_or(""),
                finding["message"].as_str().unwrap_or("")
            ));
        }
        self.say("Activating the campaign ...");
        client.post(&format!("/campaigns/{campaign}/activate"), &Value::Null).await?;
        let execution = self.follow(client, &campaign).await?;
        let took = SystemClock.monotonic() - started;
        let mail = one_mail(outbox)?;
        if self.json {
            let report = json!({ "import": import, "execution": execution, "mail": mail, "seconds": took.as_secs_f64() });
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            let report = client.get(&format!("/executions/{}/report", text(&execution, "id")?)).await?;
            println!("{}", report::total(&report));
            println!("One of the mails: {}", mail.display());
            println!("All of them:      {}", outbox.display());
        }
        if execution["total"]["balances"] != json!(true) {
            bail!("the report does not balance");
        }
        Ok(())
    }

    /// A segment, a configuration and a campaign; the campaign's id.
    async fn create(&self, client: &Client) -> anyhow::Result<String> {
        let segment = json!({
            "name": "Customers",
            "kind": "rule",
            "expression": "profile.orders >= 0",
        });
        let segment = client.post("/segments", &segment).await?;
        let configuration = json!({
            "name": "Newsletter",
            "category": "marketing",
            "sender": { "channel": "email", "from": "hello@envoi.example.com", "from_name": "The demo" },
        });
        let configuration = client.post("/configurations", &configuration).await?;
        let campaign = json!({
            "name": "Welcome",
            "type": "scheduled",
            "category": "marketing",
            "segment_id": text(&segment, "id")?,
            "actions": [{
                "channel": "email",
                "configuration_id": text(&configuration, "id")?,
                "content": {
                    "subject": "{{default profile.person.name.firstName \"Hello\"}}, your year with us",
                    "preheader": "A short letter, made for you.",
                    "body": { "html": WELCOME },
                },
            }],
            "schedule": { "kind": "at_activation" },
        });
        Ok(text(&client.post("/campaigns", &campaign).await?, "id")?.to_owned())
    }

    /// Watches the campaign to its end; the execution as it is then.
    async fn follow(&self, client: &Client, campaign: &str) -> anyhow::Result<Value> {
        let bar = self.bar();
        let begun = SystemClock.monotonic();
        loop {
            SystemClock.sleep(POLL).await;
            if SystemClock.monotonic() - begun > LONGEST {
                bail!("the campaign has not ended after {} minutes", LONGEST.as_secs() / 60);
            }
            let page = client.get(&format!("/campaigns/{campaign}/executions")).await?;
            let Some(execution) = page["items"].get(0) else {
                let state = client.get(&format!("/campaigns/{campaign}")).await?;
                if state["status"] == "draft" {
                    bail!("the campaign was not activated: {}", state["activation_errors"]);
                }
                continue;
            };
            let execution = client.get(&format!("/executions/{}", text(execution, "id")?)).await?;
            let total = &execution["total"];
            let targeted = total["targeted"].as_u64().unwrap_or(0);
            bar.set_length(targeted);
            bar.set_position(targeted - total["pending"].as_u64().unwrap_or(0).min(targeted));
            if execution["state"] != "running" {
                bar.finish();
                return Ok(execution);
            }
        }
    }

    fn bar(&self) -> ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} settled, {per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(0).with_style(style)
    }

    fn say(&self, text: &str) {
        if !self.json {
            println!("{text}");
        }
    }
}

/// The first mail of the outbox, by name.
fn one_mail(outbox: &Path) -> anyhow::Result<PathBuf> {
    fs::read_dir(outbox)
        .with_context(|| format!("the outbox {} can't be read", outbox.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .min()
        .with_context(|| format!("there is no mail in {}", outbox.display()))
}
