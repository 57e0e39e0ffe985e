//! A client of the API, as any program would be one.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

/// Calls the API of a node under one key.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, key: &str) -> Self {
        Self { http: reqwest::Client::new(), base: format!("http://{address}"), key: key.to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(self.request(Method::GET, path), path).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(self.request(Method::POST, path).json(body), path).await
    }

    pub(crate) async fn import(&self, path: &str, csv: &'static [u8]) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, path).header("content-type", "text/csv").body(csv);
        self.call(request, path).await
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
pub(crate) fn text<'v>(value: &'v Value, field: &str) -> anyhow::Result<&'v str> {
    value[field].as_str().with_context(|| format!("the API's answer has no {field}"))
}
