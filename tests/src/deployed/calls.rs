//! Calls of AWS services as they are on the wire. The emulator checks no signature, only whose it is and for which service.

use anyhow::{Context, ensure};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Body, Client, Method, RequestBuilder, Response};
use serde_json::Value;

/// Where everything is.
pub(super) const REGION: &str = "us-east-1";
/// Whose everything is.
pub(super) const ACCOUNT: &str = "000000000000";

/// A client of the emulator. One for each runtime: connections do not outlive it.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    http: Client,
    endpoint: String,
    access_key: String,
}

impl Calls {
    /// Calls as the root of the account, whose key is its number.
    pub(super) fn new(endpoint: String) -> Self {
        Self { http: Client::new(), endpoint, access_key: ACCOUNT.to_owned() }
    }

    /// Calls as somebody else.
    pub(super) fn by(&self, access_key: String) -> Self {
        Self { access_key, ..self.clone() }
    }

    /// Puts an object, or without one makes a bucket, at `path`.
    pub(super) async fn put(&self, path: &str, body: impl Into<Body>) -> anyhow::Result<()> {
        let request = self.request(Method::PUT, "s3", path).body(body);
        answer(request.send().await?).await.with_context(|| format!("PUT {path}"))?;
        Ok(())
    }

    /// A service of JSON and paths.
    pub(super) async fn rest(
        &self,
        method: Method,
        service: &str,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let mut request = self.request(method, service, path);
        if !body.is_null() {
            request = request.json(body);
        }
        let text = answer(request.send().await?).await.with_context(|| format!("{service} {path}"))?;
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    /// A service of JSON and actions; `target` is such as `AmazonSQS.SendMessage`.
    pub(super) async fn json(&self, service: &str, target: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .request(Method::POST, service, "/")
            .header("x-amz-target", target)
            .header(CONTENT_TYPE, "application/x-amz-json-1.0")
            .body(body.to_string());
        let text = answer(request.send().await?).await.with_context(|| target.to_owned())?;
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    /// CloudFormation, which speaks forms and XML.
    pub(super) async fn cloudformation(
        &self,
        action: &str,
        parameters: &[(String, String)],
    ) -> anyhow::Result<String> {
        let fixed = [("Action", action), ("Version", "2010-05-15")];
        let form: Vec<(&str, &str)> =
            fixed.into_iter().chain(parameters.iter().map(|(name, value)| (&**name, &**value))).collect();
        let request = self.request(Method::POST, "cloudformation", "/").form(&form);
        answer(request.send().await?).await.with_context(|| action.to_owned())
    }

    fn request(&self, method: Method, service: &str, path: &str) -> RequestBuilder {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential={}/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0",
            self.access_key
        );
        self.http.request(method, format!("{}{path}", self.endpoint)).header(AUTHORIZATION, scope)
    }
}

/// The text of an answer, if it is a good one.
async fn answer(response: Response) -> anyhow::Result<String> {
    let status = response.status();
    let text = response.text().await?;
    ensure!(status.is_success(), "{status}: {text}");
    Ok(text)
}
