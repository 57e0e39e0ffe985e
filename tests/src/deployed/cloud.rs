//! The emulator that everything is deployed to, with the code and the template in a bucket.

use anyhow::{Context, anyhow};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::calls::Calls;
use super::package;
use super::relay::Relay;
use crate::ministack::Ministack;

const BUCKET: &str = "envoi-code";
const TEMPLATE: &str = "template.yaml";
/// What makes the emulator hold the functions to their roles.
const ROLES: &str = include_str!("roles.py");
/// The domain that may be sent from.
const SENDER: &str = "example.com";

/// An emulator of its own, apart from that of the contract suite: here functions run, which take what time they take.
#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) ministack: Ministack,
    pub(super) relay: Relay,
    /// Where the packaged template is.
    pub(super) template_url: String,
}

impl Cloud {
    /// The one of this test program, started when it is first asked for.
    pub(super) async fn get() -> anyhow::Result<&'static Self> {
        static CLOUD: OnceCell<Result<Cloud, String>> = OnceCell::const_new();
        let cloud = CLOUD.get_or_init(async || Self::start().await.map_err(|error| format!("{error:#}")));
        cloud.await.as_ref().map_err(|error| anyhow!("there is nothing to deploy to: {error}"))
    }

    async fn start() -> anyhow::Result<Self> {
        let relay = Relay::start()?;
        let variables = [
            // The functions inherit it: mail goes through the relay, all else straight to the emulator.
            ("AWS_ENDPOINT_URL_SESV2", relay.endpoint()),
            ("AUTH", "true".to_owned()),
        ];
        let ministack = Ministack::start_with(&variables, ROLES).await?;
        let endpoint = ministack.endpoint();
        relay.pass_on_to(endpoint.clone());
        let calls = Calls::new(endpoint.clone());
        let identity = json!({ "EmailIdentity": SENDER });
        calls.rest(Method::POST, "ses", "/v2/email/identities", &identity).await?;
        calls.put(&format!("/{BUCKET}"), "").await?;
        let template = package::template()?;
        for name in package::functions(&template)? {
            let (function, python) = (name.clone(), ministack.python.clone());
            // It builds the programs where they are not up to date.
            let zip = tokio::task::spawn_blocking(move || package::zip(&function, &python)).await??;
            calls.put(&format!("/{BUCKET}/{name}.zip"), zip).await?;
        }
        let packaged = package::packaged(&template, |name| format!("s3://{BUCKET}/{name}.zip"));
        calls.put(&format!("/{BUCKET}/{TEMPLATE}"), packaged).await?;
        Ok(Self { ministack, relay, template_url: format!("{endpoint}/{BUCKET}/{TEMPLATE}") })
    }

    /// What was sent to whom, as the emulator's mailbox has it.
    pub(super) async fn mailbox(&self, calls: &Calls) -> anyhow::Result<Vec<Value>> {
        let mut mailbox = calls.rest(Method::GET, "ses", "/_ministack/ses/messages", &Value::Null).await?;
        let mut mails = Vec::new();
        for account in mailbox["messages"].as_object_mut().context("a mailbox has messages")?.values_mut() {
            mails.append(account.as_array_mut().context("an account has a list of them")?);
        }
        Ok(mails)
    }
}
