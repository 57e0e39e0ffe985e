//! Calls of S3's HTTP API: signed, sent, and repeated where that may help.
//!
//! The SDK has a client for S3, too, which is larger than those of all other services together: rules that find an endpoint,
//! and tables for a dozen kinds of checksums. Seven calls for objects in one bucket need none of that.

use std::fmt::Write as _;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use http::header::{CONTENT_LENGTH, HeaderName};
use http::{Method, Request};
use thiserror::Error;
use tokio::time::timeout;

use super::WHAT;
use super::sign::Signer;
use crate::aws::failure::refusal;
use crate::aws::http::connector;
use crate::aws::{CONNECT_TIMEOUT, CONNECTION_REST, endpoint, pause};
use crate::{BlobName, Clock, PlatformError, SystemClock};

/// How long one attempt of a call may take, the bytes of a part included.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a call is tried.
const TRIES: u32 = 4;

/// A client for the objects of one bucket.
pub(super) struct Client {
    connector: SharedHttpConnector,
    signer: Signer,
    /// The URL of the bucket, without a slash behind it.
    bucket: String,
}

/// A call about one object.
pub(super) struct Call<'a> {
    method: Method,
    name: &'a BlobName,
    /// As it stands in the URL.
    query: String,
    headers: Vec<(HeaderName, String)>,
    body: SdkBody,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, name: &'a BlobName) -> Self {
        Self { method, name, query: String::new(), headers: Vec::new(), body: SdkBody::empty() }
    }

    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(name);
        self.query.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    self.query.push(char::from(byte));
                }
                // Writing to a string does not fail.
                _ => drop(write!(self.query, "%{byte:02X}")),
            }
        }
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: SdkBody::from(body.into()), ..self }
    }

    /// The request before it is signed. `bucket` is the bucket's URL.
    pub(super) fn request<B>(&self, bucket: &str, body: B) -> Result<Request<B>, http::Error> {
        let mut request =
            Request::builder().method(&self.method).uri(format!("{bucket}/{}{}", self.name, self.query));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(body)
    }
}

/// What S3 answered, all of it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) size: Option<u64>,
    pub(super) tag: Option<String>,
    pub(super) body: Vec<u8>,
}

/// A call that was not answered, or not as it was meant.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// S3 said no.
    #[error("it answered {status} {code}: {message}")]
    Refused { status: u16, code: String, message: String },
    /// There was no answer, or not all of it.
    #[error("there was no whole answer")]
    Unanswered(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The call could not be made.
    #[error("the call could not be made")]
    Unasked(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    /// What S3 calls it.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The status of S3's answer.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    pub(super) fn unasked(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unasked(error.into())
    }

    fn unanswered(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unanswered(error.into())
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Refused { status, code, .. } => {
                *status >= 500
                    || *status == 429
                    || matches!(code.as_str(), "InternalError" | "RequestTimeout" | "SlowDown")
            }
            Self::Unanswered(_) => true,
            Self::Unasked(_) => false,
        }
    }
}

impl From<Failure> for PlatformError {
    fn from(failure: Failure) -> Self {
        if let Failure::Refused { code, message, .. } = &failure
            && let Some(refusal) = refusal(Some(code), Some(message))
        {
            return refusal;
        }
        Self::Unavailable { what: WHAT, source: Box::new(failure) }
    }
}

impl Client {
    /// Sends nothing yet.
    pub(super) fn new(config: &SdkConfig, bucket: &str) -> Self {
        let region = config.region().map_or("us-east-1", AsRef::as_ref);
        let endpoint = endpoint("AWS_ENDPOINT_URL_S3").or_else(|| config.endpoint_url().map(str::to_owned));
        Self {
            connector: connector(CONNECT_TIMEOUT, CONNECTION_REST),
            signer: Signer::new(config.credentials_provider(), region),
            bucket: url(endpoint.as_deref(), region, bucket),
        }
    }

    /// Makes a call until it is answered with success, or refused for good, or it was tried often enough.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let mut attempt = 0;
        loop {
            let tried = timeout(ATTEMPT_TIMEOUT, self.try_once(call)).await;
            match tried.unwrap_or_else(|elapsed| Err(Failure::unanswered(elapsed))) {
                Err(failure) if failure.is_transient() && attempt + 1 < TRIES => {
                    SystemClock.sleep(pause(attempt)).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn try_once(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        // All of it is in memory.
        let bytes = call.body.bytes().unwrap_or_default();
        let body = call.body.try_clone().unwrap_or_else(SdkBody::empty);
        let mut request = call.request(&self.bucket, body).map_err(Failure::unasked)?;
        if matches!(call.method, Method::PUT | Method::POST) {
            // Also where there are no bytes: S3 wants to be told.
            request.headers_mut().insert(CONTENT_LENGTH, bytes.len().into());
        }
        self.signer.sign(&mut request, bytes).await?;
        let response = self.connector.call(request.try_into().map_err(Failure::unasked)?).await;
        let response = response.map_err(Failure::unanswered)?;
        let (status, headers) = (response.status(), response.headers());
        let size = headers.get(CONTENT_LENGTH).and_then(|size| size.parse().ok());
        let tag = headers.get(http::header::ETAG).map(str::to_owned);
        let body = ByteStream::new(response.into_body()).collect().await.map_err(Failure::unanswered)?;
        let body = body.to_vec();
        // What takes long is answered with success before S3 knows how it ends.
        let has_failed = call.method == Method::POST && element(&body, "Error").is_some();
        if status.is_success() && !has_failed {
            return Ok(Answer { size, tag, body });
        }
        let text = |name| element(&body, name).unwrap_or_default().to_owned();
        Err(Failure::Refused { status: status.as_u16(), code: text("Code"), message: text("Message") })
    }

    /// The URL with which whoever has it can make this call for so long. What body it has does not matter.
    pub(super) async fn presign(&self, call: &Call<'_>, expires: Duration) -> Result<String, Failure> {
        let mut request = call.request(&self.bucket, ()).map_err(Failure::unasked)?;
        self.signer.presign(&mut request, expires).await?;
        Ok(request.uri().to_string())
    }
}

/// The URL of a bucket. Names of buckets in names of hosts are AWS's own affair, and its certificates are for those without
/// a dot only.
fn url(endpoint: Option<&str>, region: &str, bucket: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    match endpoint {
        Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
        None if bucket.contains('.') => format!("https://s3.{region}.{domain}/{bucket}"),
        None => format!("https://{bucket}.s3.{region}.{domain}"),
    }
}

/// What stands in the first element of this name: in S3's answers a text without markup in it, or further elements.
pub(super) fn element<'x>(xml: &'x [u8], name: &str) -> Option<&'x str> {
    let xml = std::str::from_utf8(xml).ok()?;
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A client of a server that gives these answers in turn, and the server, which ends with them: with all it was asked.
    async fn against(
        answers: &'static [(u16, &'static str)],
    ) -> (Client, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let client = Client {
            connector: connector(CONNECT_TIMEOUT, CONNECTION_REST),
            signer: Signer::new(Some(SharedCredentialsProvider::new(credentials)), "eu-west-1"),
            bucket: format!("http://{}/bucket", listener.local_addr().unwrap()),
        };
        let serving = tokio::spawn(async move {
            let mut asked = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                while !bytes.ends_with(b"\r\n\r\n") {
                    stream.read_buf(&mut bytes).await.unwrap();
                }
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\netag: \"t\"\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                asked.push(String::from_utf8(bytes).unwrap());
            }
            asked
        });
        (client, serving)
    }

    const BUSY: &str = "<Error><Code>SlowDown</Code><Message>m</Message></Error>";
    const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>m</Message></Error>";
    const BROKEN: &str = "<Error><Code>InternalError</Code><Message>m</Message></Error>";

    #[tokio::test]
    async fn a_call_is_signed_and_made_again_while_s3_is_too_busy() {
        let (client, serving) = against(&[(503, BUSY), (200, "hi")]).await;
        let name = BlobName::new("a/b").unwrap();
        let answer = client.send(&Call::new(Method::GET, &name)).await.unwrap();
        assert_eq!(
            (answer.body.as_slice(), answer.tag.as_deref(), answer.size),
            (&b"hi"[..], Some("\"t\""), Some(2))
        );
        for asked in serving.await.unwrap() {
            assert!(asked.starts_with("GET /bucket/a/b HTTP/1.1\r\n"), "{asked}");
            assert!(asked.contains("authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{asked}");
        }
    }

    #[tokio::test]
    async fn what_is_refused_is_not_asked_again() {
        let (client, serving) = against(&[(403, DENIED)]).await;
        let name = BlobName::new("a").unwrap();
        let refused = client.send(&Call::new(Method::PUT, &name)).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (Some(403), Some("AccessDenied")));
        assert!(serving.await.unwrap()[0].contains("content-length: 0\r\n"));
    }

    #[tokio::test]
    async fn a_success_that_turns_out_to_be_none_is_made_again() {
        let (client, serving) = against(&[(200, BROKEN), (200, "<Done/>")]).await;
        let name = BlobName::new("a").unwrap();
        let answer = client.send(&Call::new(Method::POST, &name).query("uploadId", "1")).await.unwrap();
        assert_eq!((answer.body.as_slice(), serving.await.unwrap().len()), (&b"<Done/>"[..], 2));
        // What is fetched may say whatever it likes.
        let (client, serving) = against(&[(200, BROKEN)]).await;
        let answer = client.send(&Call::new(Method::GET, &name)).await.unwrap();
        assert_eq!((answer.body.as_slice(), serving.await.unwrap().len()), (BROKEN.as_bytes(), 1));
    }

    #[test]
    fn a_bucket_is_where_its_region_is_unless_an_endpoint_is_given() {
        assert_eq!(url(None, "eu-west-1", "b"), "https://b.s3.eu-west-1.amazonaws.com");
        assert_eq!(url(None, "cn-north-1", "b"), "https://b.s3.cn-north-1.amazonaws.com.cn");
        assert_eq!(url(None, "eu-west-1", "b.c"), "https://s3.eu-west-1.amazonaws.com/b.c");
        assert_eq!(url(Some("http://127.0.0.1:4566/"), "eu-west-1", "b"), "http://127.0.0.1:4566/b");
    }

    #[test]
    fn what_a_query_says_can_be_anything() {
        let name = BlobName::new("a/b.csv").unwrap();
        let call = Call::new(Method::GET, &name).query("uploads", "").query("x", "a b/\"é\"");
        let request = call.request("https://b", ()).unwrap();
        assert_eq!(request.uri(), "https://b/a/b.csv?uploads=&x=a%20b%2F%22%C3%A9%22");
    }

    #[test]
    fn what_stands_in_an_element_is_found() {
        let xml = b"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>m</Message></Error>";
        assert_eq!(element(xml, "Code"), Some("SlowDown"));
        assert_eq!(element(xml, "Error"), Some("<Code>SlowDown</Code><Message>m</Message>"));
        assert_eq!(element(xml, "UploadId"), None);
        assert_eq!(element(b"<Code>cut", "Code"), None);
    }

    #[test]
    fn only_what_may_be_over_soon_is_tried_again() {
        let refused = |status, code: &str| {
            Failure::Refused { status, code: code.to_owned(), message: String::new() }.is_transient()
        };
        assert!(
            refused(503, "SlowDown") && refused(500, "") && refused(429, "") && refused(200, "InternalError")
        );
        assert!(!refused(404, "NoSuchKey") && !refused(403, "AccessDenied") && !refused(400, "BadDigest"));
        assert!(
            Failure::unanswered("cut").is_transient() && !Failure::unasked("no credentials").is_transient()
        );
    }
}
