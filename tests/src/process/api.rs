//! A client of the API, as any program would be one.

use std::time::Duration;

use anyhow::{Context, bail};
use platform::{Clock, SystemClock};
use reqwest::{Body, Method, RequestBuilder};
use serde_json::{Value, json};

use super::GUARD;

/// Calls the API of a node under one key.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Api {
    /// The API at `base`, called with `key`.
    pub fn new(base: &str, key: &str) -> Self {
        Self { http: reqwest::Client::new(), base: base.to_owned(), key: key.to_owned() }
    }

    /// Where it is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The key it is called with.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// GETs.
    ///
    /// # Errors
    /// Where the API does not answer, or answers with a problem: its text is in the error.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(self.request(Method::GET, path), path).await
    }

    /// POSTs JSON.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(self.request(Method::POST, path).json(body), path).await
    }

    /// PUTs JSON.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(self.request(Method::PUT, path).json(body), path).await
    }

    /// PATCHes JSON.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(self.request(Method::PATCH, path).json(body), path).await
    }

    /// DELETEs.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.call(self.request(Method::DELETE, path), path).await
    }

    /// POSTs without a body.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn act(&self, path: &str) -> anyhow::Result<Value> {
        self.call(self.request(Method::POST, path), path).await
    }

    /// Imports profiles from CSV; what became of the rows.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn import(&self, csv: impl Into<Body>) -> anyhow::Result<Value> {
        let path = "/profiles/import";
        let request = self.request(Method::POST, path).header("content-type", "text/csv").body(csv);
        self.call(request, path).await
    }

    /// Makes the request that the `upload` of a new import describes, with `file` as its body.
    ///
    /// # Errors
    /// Where it is not taken.
    pub async fn upload(&self, upload: &Value, file: impl Into<Body>) -> anyhow::Result<()> {
        let (method, url) = (text(upload, "method")?.parse()?, text(upload, "url")?);
        let mut request = match url.strip_prefix('/') {
            Some(_) => self.request(method, url),
            None => self.http.request(method, url),
        };
        for (name, value) in upload["headers"].as_object().context("it names its headers")? {
            request = request.header(name, value.as_str().context("a header has a value")?);
        }
        let response = request.body(file).send().await?;
        let status = response.status();
        if !status.is_success() {
            bail!("the upload is answered by {status}: {}", response.text().await?);
        }
        Ok(())
    }

    /// Waits until a job is over; the job as it is then.
    ///
    /// # Errors
    /// As [`Api::get`]; where nothing moves for very long.
    pub async fn job(&self, id: &str, poll: Duration) -> anyhow::Result<Value> {
        let (mut last, mut since) = (Value::Null, SystemClock.monotonic());
        loop {
            let job = self.get(&format!("/jobs/{id}")).await?;
            if matches!(text(&job, "state")?, "completed" | "failed") {
                return Ok(job);
            }
            if job != last {
                (last, since) = (job, SystemClock.monotonic());
            }
            if SystemClock.monotonic() - since > GUARD {
                bail!("nothing moves any more: {last}");
            }
            SystemClock.sleep(poll).await;
        }
    }

    /// GETs what is no JSON, following where it leads.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn download(&self, path: &str) -> anyhow::Result<String> {
        let response = self.request(Method::GET, path).send().await?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("the API answers {status} on {path}: {text}");
        }
        Ok(text)
    }

    /// Creates what `body` says at `path`; its id.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn create(&self, path: &str, body: &Value) -> anyhow::Result<String> {
        text(&self.post(path, body).await?, "id").map(str::to_owned)
    }

    /// Creates a rule segment; its id.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn rule(&self, expression: &str) -> anyhow::Result<String> {
        self.create("/segments", &json!({ "name": "Rule", "kind": "rule", "expression": expression })).await
    }

    /// Creates a marketing campaign by email, to be run when it is activated, with a configuration of its own; its id.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn campaign(&self, segment: &str, subject: &str, html: &str) -> anyhow::Result<String> {
        let sender = json!({ "channel": "email", "from": "news@envoi.example.com", "from_name": "News" });
        let configuration = json!({ "name": "News", "category": "marketing", "sender": sender });
        let configuration = self.create("/configurations", &configuration).await?;
        let campaign = json!({
            "name": "Campaign",
            "type": "scheduled",
            "category": "marketing",
            "segment_id": segment,
            "actions": [{
                "channel": "email",
                "configuration_id": configuration,
                "content": { "subject": subject, "body": { "html": html } },
            }],
            "schedule": { "kind": "at_activation" },
        });
        self.create("/campaigns", &campaign).await
    }

    /// Activates a campaign.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn activate(&self, campaign: &str) -> anyhow::Result<Value> {
        self.act(&format!("/campaigns/{campaign}/activate")).await
    }

    /// The one execution of a campaign; `None` where it has not begun.
    ///
    /// # Errors
    /// As [`Api::get`]; where the campaign was refused; where it has several executions.
    pub async fn execution(&self, campaign: &str) -> anyhow::Result<Option<Value>> {
        let page = self.get(&format!("/campaigns/{campaign}/executions")).await?;
        let executions = page["items"].as_array().context("a page has items")?;
        match executions.as_slice() {
            [] => {
                let campaign = self.get(&format!("/campaigns/{campaign}")).await?;
                if campaign["status"] == "draft" {
                    bail!("the campaign was not activated: {campaign}");
                }
                Ok(None)
            }
            [execution] => Ok(Some(self.get(&format!("/executions/{}", text(execution, "id")?)).await?)),
            several => bail!("the campaign ran {} times", several.len()),
        }
    }

    /// Waits until the one execution of a campaign is no longer running; the execution as it is then.
    ///
    /// # Errors
    /// As [`Api::execution`]; where nothing moves for very long.
    pub async fn finished(&self, campaign: &str, poll: Duration) -> anyhow::Result<Value> {
        let (mut last, mut since) = (None, SystemClock.monotonic());
        loop {
            let execution = self.execution(campaign).await?;
            match &execution {
                Some(execution) if execution["state"] != "running" => return Ok(execution.clone()),
                _ => {}
            }
            if execution != last {
                (last, since) = (execution, SystemClock.monotonic());
            }
            if SystemClock.monotonic() - since > GUARD {
                bail!("nothing moves any more: {last:?}");
            }
            SystemClock.sleep(poll).await;
        }
    }

    /// Every item of a paged list.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn all(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let mut page = self.get(&format!("{path}?limit=100{cursor}")).await?;
            let found = page["items"].as_array_mut().context("a page has items")?;
            items.append(found);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    async fn call(&self, request: RequestBuilder, path: &str) -> anyhow::Result<Value> {
        let response = request.send().await.with_context(|| format!("the API does not answer on {path}"))?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("the API answers {status} on {path}: {text}");
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("the API's answer on {path} is no JSON"))
    }
}

/// The text of a field that the API always gives.
fn text<'v>(value: &'v Value, field: &str) -> anyhow::Result<&'v str> {
    value[field].as_str().with_context(|| format!("the API's answer has no {field}: {value}"))
}
