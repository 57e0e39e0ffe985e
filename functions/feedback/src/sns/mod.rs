//! What SNS posts by HTTP: anybody can post, so each message is held against its signature, and its topic against a list.
//!
//! The signature is checked by the certificate that the message names, and that has to lie where SNS keeps its own: at
//! `https://sns.<region>.amazonaws.com/SimpleNotificationService-<hex>.pem`, in the topic's own region. It is fetched over TLS, so that place is the
//! proof that it is SNS's; redirects are not followed. ("Verifying the signatures of Amazon SNS messages" in the SNS
//! Developer Guide.)

mod certificate;
mod signature;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Uri};
use jiff::{SignedDuration, Timestamp};
use outbound::Client;
use platform::batch;
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::Mutex;
use tracing::{info, warn};

pub use self::signature::string_to_sign;

/// The most certificates that are kept: SNS changes its own once in a while.
const MOST: usize = 16;
/// How old a message may be: SNS tries for no longer to deliver one by HTTP.
const OLDEST: SignedDuration = SignedDuration::from_hours(1);
/// How far its clock may be ahead of ours.
const AHEAD: SignedDuration = SignedDuration::from_mins(15);

/// Which topics are listened to, and what is known of who signs for them.
#[derive(Debug)]
pub struct Sns {
    client: Client,
    topics: Vec<String>,
    /// What stands in place of SNS.
    instead: Option<String>,
    /// Keys, by the URL of the certificate.
    keys: Mutex<HashMap<String, Arc<[u8]>>>,
}

/// A message as SNS posts it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SnsMessage<'a> {
    /// `Notification`, `SubscriptionConfirmation` or `UnsubscribeConfirmation`.
    #[serde(rename = "Type", borrow)]
    pub kind: Cow<'a, str>,
    /// Its id.
    #[serde(borrow)]
    pub message_id: Cow<'a, str>,
    /// What is said.
    #[serde(borrow)]
    pub message: Cow<'a, str>,
    /// Under which heading, if any.
    #[serde(borrow, default)]
    pub subject: Option<Cow<'a, str>>,
    /// When.
    #[serde(borrow)]
    pub timestamp: Cow<'a, str>,
    /// By which topic.
    #[serde(borrow)]
    pub topic_arn: Cow<'a, str>,
    /// By what a subscription is confirmed.
    #[serde(borrow, default)]
    pub token: Option<Cow<'a, str>>,
    /// Where.
    #[serde(rename = "SubscribeURL", borrow, default)]
    pub subscribe_url: Option<Cow<'a, str>>,
    /// `1` or `2`.
    #[serde(borrow)]
    pub signature_version: Cow<'a, str>,
    /// In base64.
    #[serde(borrow)]
    pub signature: Cow<'a, str>,
    /// Where the certificate lies.
    #[serde(rename = "SigningCertURL", borrow)]
    pub signing_cert_url: Cow<'a, str>,
}

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// This to be read, which is what was signed: the body may hold more.
    Reading(String),
    /// Nothing more.
    Nothing,
}

/// Why a message is not heeded.
#[derive(Debug, Error)]
pub enum Refusal {
    /// It is none of SNS's.
    #[error("this is no message of SNS")]
    Unreadable,
    /// Its topic is not one of ours.
    #[error("the topic is not one that is listened to")]
    Topic,
    /// The certificate or the confirmation lies elsewhere than SNS's.
    #[error("an address in the message is not one of SNS")]
    Elsewhere,
    /// The signature does not match.
    #[error("the signature does not match")]
    Signature,
    /// It was signed long ago, and perhaps is said again by somebody else; or it will be signed.
    #[error("the message is not of now")]
    Stale,
    /// The certificate can't be had, or the subscription not be confirmed, now.
    #[error("SNS can't be reached")]
    Unreachable,
}

impl Sns {
    /// Listens to these topics, by their ARNs, with commas or white space between. `instead` is what stands in place of SNS,
    /// such as `http://127.0.0.1:4566`: certificates and confirmations must lie there then.
    pub fn new(client: Client, topics: &str, instead: Option<&str>) -> Self {
        let topics = topics.split(|c: char| c == ',' || c.is_whitespace()).filter(|topic| !topic.is_empty());
        Self {
            client,
            topics: topics.map(str::to_owned).collect(),
            instead: instead.map(|url| url.trim_end_matches('/').to_owned()),
            keys: Mutex::default(),
        }
    }

    /// Whether any topic is listened to.
    pub fn is_listening(&self) -> bool {
        !self.topics.is_empty()
    }

    /// Finds out whether a message is SNS's, of a topic that is listened to, and confirms the subscription where it asks for
    /// that. What is repeated is heeded again within the hour for which SNS goes on trying: reading it twice changes nothing.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn heed(&self, body: &str, now: Timestamp) -> Result<Asks, Refusal> {
        let message: SnsMessage<'_> = serde_json::from_str(body).map_err(|_| Refusal::Unreadable)?;
        if !self.topics.iter().any(|topic| *topic == message.topic_arn) {
            return Err(Refusal::Topic);
        }
        let key = self.key(&message).await?;
        if !signature::is_valid(&message, &key) {
            return Err(Refusal::Signature);
        }
        let at: Timestamp = message.timestamp.parse().map_err(|_| Refusal::Unreadable)?;
        let age = now.duration_since(at);
        if age > OLDEST || -age > AHEAD {
            return Err(Refusal::Stale);
        }
        match &*message.kind {
            "Notification" => Ok(Asks::Reading(message.message.into_owned())),
            "SubscriptionConfirmation" => {
                self.confirm(&message).await?;
                info!(topic = %message.topic_arn, "the subscription to a topic of SNS is confirmed");
                Ok(Asks::Nothing)
            }
            kind => {
                warn!(topic = %message.topic_arn, "a topic of SNS says {kind:?}: nothing is done");
                Ok(Asks::Nothing)
            }
        }
    }

    /// The key of the certificate that a message names.
    async fn key(&self, message: &SnsMessage<'_>) -> Result<Arc<[u8]>, Refusal> {
        let url = &*message.signing_cert_url;
        let uri = self.pinned(url, &message.topic_arn)?;
        if self.instead.is_none() && !is_certificate(uri.path(), uri.query()) {
            return Err(Refusal::Elsewhere);
        }
        // Whoever comes while it is fetched waits for that.
        let mut keys = self.keys.lock().await;
        if let Some(key) = keys.get(url) {
            return Ok(Arc::clone(key));
        }
        let pem = self.get(uri).await?;
        let key: Arc<[u8]> = certificate::rsa_key(&pem).ok_or(Refusal::Unreachable)?.into();
        if keys.len() >= MOST {
            keys.clear();
        }
        keys.insert(url.to_owned(), Arc::clone(&key));
        Ok(key)
    }

    async fn confirm(&self, message: &SnsMessage<'_>) -> Result<(), Refusal> {
        let url = message.subscribe_url.as_deref().ok_or(Refusal::Unreadable)?;
        self.get(self.pinned(url, &message.topic_arn)?).await?;
        Ok(())
    }

    async fn get(&self, uri: Uri) -> Result<Bytes, Refusal> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri;
        match self.client.send(request).await {
            Ok(answer) if answer.status().is_success() => Ok(answer.into_body()),
            Ok(answer) => {
                warn!(status = answer.status().as_u16(), "SNS answers {}", answer.status());
                Err(Refusal::Unreachable)
            }
            Err(error) => {
                warn!(error = %batch::chain(&error), "SNS can't be reached");
                Err(Refusal::Unreachable)
            }
        }
    }

    /// The address, if it is one of SNS in the region of this topic.
    fn pinned(&self, url: &str, topic: &str) -> Result<Uri, Refusal> {
        let uri: Uri = url.parse().map_err(|_| Refusal::Elsewhere)?;
        let is_pinned = match &self.instead {
            Some(base) => url.strip_prefix(base.as_str()).is_some_and(|rest| rest.starts_with('/')),
            None => {
                uri.scheme_str() == Some("https")
                    && uri.authority().is_some_and(|authority| is_host(authority.as_str(), topic))
            }
        };
        if is_pinned { Ok(uri) } else { Err(Refusal::Elsewhere) }
    }
}

/// `sns.<region>.amazonaws.com`, and nothing about it: no user, no port, no dot at the end. The region is the topic's: a
/// bucket of anybody's may be called `sns`, and lie at `sns.s3-us-west-2.amazonaws.com`.
fn is_host(authority: &str, topic: &str) -> bool {
    let region = authority.strip_prefix("sns.").and_then(|rest| {
        rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn"))
    });
    let of_topic = topic.split(':').nth(3).filter(|region| !region.is_empty());
    region.is_some() && region == of_topic
}

/// A certificate's own place: other paths of the same host answer with what whoever asks has put there.
fn is_certificate(path: &str, query: Option<&str>) -> bool {
    let name = path.strip_prefix("/SimpleNotificationService-").and_then(|rest| rest.strip_suffix(".pem"));
    query.is_none()
        && name.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use outbound::{Limits, Policy};

    use super::*;

    fn sns(instead: Option<&str>) -> Sns {
        Sns::new(Client::new(Policy::public_only(), Limits::default()), "arn:1, arn:2", instead)
    }

    #[test]
    fn addresses_of_sns_are_its_own_hosts_by_https_and_nothing_else() {
        let sns = sns(None);
        let topic = |region: &str| format!("arn:aws:sns:{region}:123456789012:feedback");
        for (url, region) in [
            ("https://sns.eu-west-1.amazonaws.com/x", "eu-west-1"),
            ("https://sns.us-gov-west-1.amazonaws.com/?Action=ConfirmSubscription", "us-gov-west-1"),
            ("https://sns.cn-north-1.amazonaws.com.cn/x", "cn-north-1"),
        ] {
            assert!(sns.pinned(url, &topic(region)).is_ok(), "{url}");
            assert!(matches!(sns.pinned(url, &topic("eu-west-2")), Err(Refusal::Elsewhere)), "{url}");
        }
        for topic in ["arn:1", "arn:aws:sns::1:x", ""] {
            assert!(sns.pinned("https://sns..amazonaws.com/x", topic).is_err(), "{topic}");
        }
        for url in [
            "http://sns.eu-west-1.amazonaws.com/x",
            "https://sns.eu-west-1.amazonaws.com:8443/x",
            "https://user@sns.eu-west-1.amazonaws.com/x",
            "https://sns.eu-west-1.amazonaws.com.evil.example/x",
            "https://sns.evil.example/x?.amazonaws.com",
            "https://evil.example/sns.eu-west-1.amazonaws.com",
            "https://sns.a.b.amazonaws.com/x",
            "https://sns..amazonaws.com/x",
            "https://xsns.eu-west-1.amazonaws.com/x",
            "https://bucket.s3.amazonaws.com/x",
            "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-0a1b2c.pem",
            "https://sns.s3.amazonaws.com/x",
            "/x",
            "",
            "\u{e9}",
        ] {
            for region in ["eu-west-1", "us-west-2"] {
                assert!(matches!(sns.pinned(url, &topic(region)), Err(Refusal::Elsewhere)), "{url}");
            }
        }
    }

    #[test]
    fn what_stands_in_place_of_sns_is_the_only_place() {
        let sns = sns(Some("http://127.0.0.1:4566/"));
        assert!(sns.pinned("http://127.0.0.1:4566/cert.pem", "arn:1").is_ok());
        for url in ["http://127.0.0.1:45666/cert.pem", "https://sns.eu-west-1.amazonaws.com/x"] {
            assert!(sns.pinned(url, "arn:1").is_err(), "{url}");
        }
    }

    #[test]
    fn a_certificate_has_its_own_place() {
        assert!(is_certificate("/SimpleNotificationService-0a1b2c.pem", None));
        for (path, query) in [
            ("/SimpleNotificationService-0a1b2c.pem", Some("x=1")),
            ("/SimpleNotificationService-.pem", None),
            ("/SimpleNotificationService-../x.pem", None),
            ("/", Some("Action=GetTopicAttributes&x=.pem")),
            ("/x.pem", None),
        ] {
            assert!(!is_certificate(path, query), "{path}");
        }
    }

    #[test]
    fn topics_are_a_list() {
        assert_eq!(sns(None).topics, ["arn:1", "arn:2"]);
    }
}
