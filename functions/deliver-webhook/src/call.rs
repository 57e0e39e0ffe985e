//! A call ready to be made, and what it is made from.

use std::fmt;

use bytes::Bytes;
use campaign::configuration::{Sender as SenderSettings, WebhookSender as Settings};
use campaign::content::Method;
use campaign::{Code, Profile, hosts};
use content::{Destination, RenderError, RenderedWebhook, WebhookTemplate};
use delivery::{Job, MessageId};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use serde_json::Value;

/// Who we are, to whom reads a server's log.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("Envoi/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A call ready to be made, but for what is said at the time it is: when, and with which signature.
pub struct Call {
    pub(crate) id: MessageId,
    pub(crate) destination: Destination,
    method: http::Method,
    uri: Uri,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl fmt::Debug for Call {
    /// Without the URL, headers or body: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("id", &self.id)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Call {
    /// Renders a call, and checks that its configuration lets it go where it would.
    ///
    /// # Errors
    /// The `failed` or `excluded` code, and why.
    pub(crate) fn of(job: &Job<'_, WebhookTemplate>, profile: Profile) -> Result<Self, (Code, String)> {
        let SenderSettings::Webhook(settings) = &job.configuration.sender else {
            return Err((Code::Misconfigured, "the configuration is not for webhooks".to_owned()));
        };
        let destination = job.template.destination();
        if destination == Destination::AnyHost && settings.allowed_hosts.is_empty() {
            let why = "data chooses the URL's host, and the configuration names no allowed_hosts";
            return Err((Code::Policy, why.to_owned()));
        }
        let rendered = job
            .template
            .render(&Value::Object(profile.into_document()), job.context, job.on_missing)
            .map_err(|error| (code_of(&error), error.to_string()))?;
        let uri: Uri = rendered.url.parse().map_err(|_| not_valid("url: it is not a URL"))?;
        check_host(&uri, settings)?;
        Ok(Self {
            id: job.id.clone(),
            destination,
            method: method(rendered.method),
            uri,
            headers: headers(&rendered)?,
            body: rendered.body.map(Bytes::from).unwrap_or_default(),
        })
    }

    /// The request, with these headers beside its own.
    pub(crate) fn request(self, more: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Request<Bytes> {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request.headers_mut().extend(more);
        request
    }
}

fn code_of(error: &RenderError) -> Code {
    match error {
        RenderError::MissingValue { .. } => Code::MissingValue,
        _ => Code::RenderFailed,
    }
}

fn not_valid(why: &str) -> (Code, String) {
    (Code::RenderFailed, why.to_owned())
}

fn check_host(uri: &Uri, settings: &Settings) -> Result<(), (Code, String)> {
    let is_allowed = |host| hosts::is_allowed(&settings.allowed_hosts, host);
    if settings.allowed_hosts.is_empty() || uri.host().is_some_and(is_allowed) {
        return Ok(());
    }
    Err((Code::Policy, "the URL's host is not among the configuration's allowed_hosts".to_owned()))
}

fn headers(rendered: &RenderedWebhook) -> Result<HeaderMap, (Code, String)> {
    let mut headers = HeaderMap::with_capacity(rendered.headers.len() + 5);
    headers.insert(USER_AGENT, AGENT);
    if rendered.body.is_some() {
        headers.insert(CONTENT_TYPE, JSON);
    }
    for (name, value) in &rendered.headers {
        let read =
            HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(value.as_bytes()).ok());
        let (name, value) = read.ok_or_else(|| not_valid("headers: one is not valid"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

const fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    }
}
