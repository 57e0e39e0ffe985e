//! Firebase Cloud Messaging: one request a token.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::uri::InvalidUri;
use http::{Method, Request, Response, Uri};
use outbound::{Client, Error, Limits, Policy};

/// Where it is.
const FCM: &str = "https://fcm.googleapis.com";
/// How long a call may take. Its documentation has a caller wait for ten seconds at least.
const CALL: Duration = Duration::from_secs(12);

/// Firebase Cloud Messaging. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Fcm {
    client: Client,
    base: String,
}

impl Fcm {
    /// It, or what stands in its place at `base`, such as `http://127.0.0.1:9099`, called as `policy` allows.
    pub fn new(policy: Policy, base: Option<&str>) -> Self {
        let limits = Limits { call: CALL, ..Limits::default() };
        Self {
            client: Client::new(policy, limits),
            base: base.unwrap_or(FCM).trim_end_matches('/').to_owned(),
        }
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Where a project's messages go.
    pub(crate) fn messages_of(&self, project: &str) -> Result<Uri, InvalidUri> {
        format!("{}/v1/projects/{project}/messages:send", self.base).parse()
    }

    /// Hands one message over, and reads the whole answer, within `time`.
    pub(crate) async fn send(
        &self,
        address: &Uri,
        bearer: &HeaderValue,
        message: &Bytes,
        time: Duration,
    ) -> Result<Response<Bytes>, Error> {
        let mut request = Request::new(message.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = address.clone();
        request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.client.send_within(request, time).await
    }
}
