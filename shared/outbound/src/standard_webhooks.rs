//! Signatures by the [Standard Webhooks](https://www.standardwebhooks.com) specification, so that a receiver can tell who
//! sent a message, and use one of the many libraries that check it.
//!
//! What is signed is `id.timestamp.body`; the signature goes in the header [`SIGNATURE`] as `v1,` and the base64 of an
//! HMAC-SHA256. While a secret is exchanged for a new one, a message bears one signature of each, separated by a space.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use ring::hmac;
use thiserror::Error;

/// The header of a message's id: the same whenever the message is sent again.
pub const ID: HeaderName = HeaderName::from_static("webhook-id");
/// The header of when it was sent, in seconds since the Unix epoch.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// The header of its signatures.
pub const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// How far a message's time may be from the receiver's.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// What a secret begins with when it is written down.
const PREFIX: &str = "whsec_";
/// Of how many bytes a secret we make is.
const MADE: usize = 32;

/// The text is not a secret: `whsec_` and the base64 of 24 to 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct BadSecret;

/// What a message is not signed rightly for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unverified {
    /// A header is missing or not of its form.
    #[error("the header {0} is missing or not of its form")]
    Header(&'static str),
    /// The message is too old.
    #[error("the message is too old")]
    TooOld,
    /// The message comes from the future.
    #[error("the message comes from the future")]
    TooNew,
    /// No signature is of this secret and this message.
    #[error("no signature is of this secret and this message")]
    Signature,
}

/// A secret that the sender and the receiver share.
#[derive(Clone)]
pub struct Secret {
    key: hmac::Key,
    text: String,
}

impl Secret {
    /// A new one, of random bytes.
    ///
    /// # Panics
    /// Where the operating system gives no random bytes.
    pub fn generate() -> Self {
        let mut bytes = [0; MADE];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        Self::of_bytes(&bytes)
    }

    /// Reads one as it is written down. The prefix may be missing.
    ///
    /// # Errors
    /// [`BadSecret`].
    pub fn read(text: &str) -> Result<Self, BadSecret> {
        let bytes =
            BASE64_STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).map_err(|_| BadSecret)?;
        if (24..=64).contains(&bytes.len()) { Ok(Self::of_bytes(&bytes)) } else { Err(BadSecret) }
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let text = format!("{PREFIX}{}", BASE64_STANDARD.encode(bytes));
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, bytes), text }
    }

    /// The secret itself, as its receiver needs it.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The signature of one message, as it stands in the header.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        feed(&mut context, id, at.as_second(), body);
        format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
    }

    /// Whether a message is of who has the secret, and not older or newer than `tolerance`. Takes as long for a signature
    /// that is wrong as for one that is right.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
        tolerance: Duration,
    ) -> Result<(), Unverified> {
        let text = |name: HeaderName, called| {
            headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Unverified::Header(called))
        };
        let id = text(ID, "webhook-id")?;
        let at = text(TIMESTAMP, "webhook-timestamp")?;
        let signatures = text(SIGNATURE, "webhook-signature")?;
        let at: i64 = at.parse().map_err(|_| Unverified::Header("webhook-timestamp"))?;
        let tolerance = i64::try_from(tolerance.as_secs()).unwrap_or(i64::MAX);
        if at < now.as_second().saturating_sub(tolerance) {
            return Err(Unverified::TooOld);
        }
        if at > now.as_second().saturating_add(tolerance) {
            return Err(Unverified::TooNew);
        }
        let mut signed = Vec::with_capacity(id.len() + body.len() + 24);
        feed(&mut signed, id, at, body);
        let is_ours = |signature: &str| {
            signature
                .strip_prefix("v1,")
                .and_then(|signature| BASE64_STANDARD.decode(signature).ok())
                .is_some_and(|signature| hmac::verify(&self.key, &signed, &signature).is_ok())
        };
        if signatures.split(' ').any(is_ours) { Ok(()) } else { Err(Unverified::Signature) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The headers of a message, signed with each of the secrets; the newest first.
///
/// # Panics
/// Where `id` is not printable ASCII without a dot, which would make the signed text mean two things.
pub fn headers(id: &str, at: Timestamp, body: &[u8], secrets: &[Secret]) -> [(HeaderName, HeaderValue); 3] {
    assert!(
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.'),
        "a message's id"
    );
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(id, at, body)).collect();
    let value = |text: &str| HeaderValue::from_str(text).expect("printable ASCII is a header's value");
    [
        (ID, value(id)),
        (TIMESTAMP, HeaderValue::from(at.as_second())),
        (SIGNATURE, value(&signatures.join(" "))),
    ]
}

/// Gives the signed text to whatever takes bytes, without copying the body where that is a hash.
fn feed(to: &mut impl Feed, id: &str, at: i64, body: &[u8]) {
    to.take(id.as_bytes());
    to.take(format!(".{at}.").as_bytes());
    to.take(body);
}

trait Feed {
    fn take(&mut self, bytes: &[u8]);
}

impl Feed for hmac::Context {
    fn take(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

impl Feed for Vec<u8> {
    fn take(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn at() -> Timestamp {
        Timestamp::from_second(1_614_265_330).unwrap()
    }

    fn with(signatures: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ID, MESSAGE.parse().unwrap());
        headers.insert(TIMESTAMP, "1614265330".parse().unwrap());
        headers.insert(SIGNATURE, signatures.parse().unwrap());
        headers
    }

    #[test]
    fn the_published_vector_is_signed_and_verified() {
        let secret = Secret::read(SECRET).unwrap();
        assert_eq!(secret.sign(MESSAGE, at(), BODY), SIGNED);
        assert_eq!(secret.verify(&with(SIGNED), BODY, at(), TOLERANCE), Ok(()));
        assert_eq!(Secret::read(&SECRET[6..]).unwrap().reveal(), SECRET);
        let made: HeaderMap = headers(MESSAGE, at(), BODY, &[secret]).into_iter().collect();
        assert_eq!(made, with(SIGNED));
    }

    #[test]
    fn what_was_changed_is_not_verified() {
        let secret = Secret::read(SECRET).unwrap();
        let verify = |headers: &HeaderMap, body: &[u8]| secret.verify(headers, body, at(), TOLERANCE);
        assert_eq!(verify(&with(SIGNED), b"{}"), Err(Unverified::Signature));
        let mut other = with(SIGNED);
        other.insert(ID, "msg_other".parse().unwrap());
        assert_eq!(verify(&other, BODY), Err(Unverified::Signature));
        let mut later = with(SIGNED);
        later.insert(TIMESTAMP, "1614265331".parse().unwrap());
        assert_eq!(verify(&later, BODY), Err(Unverified::Signature));
        for wrong in
            ["v1,", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v1,Zm9v", &SIGNED[..20], &SIGNED[3..]]
        {
            assert_eq!(verify(&with(wrong), BODY), Err(Unverified::Signature), "{wrong}");
        }
        assert_eq!(
            Secret::generate().verify(&with(SIGNED), BODY, at(), TOLERANCE),
            Err(Unverified::Signature)
        );
        for (header, called) in
            [(ID, "webhook-id"), (TIMESTAMP, "webhook-timestamp"), (SIGNATURE, "webhook-signature")]
        {
            let mut missing = with(SIGNED);
            missing.remove(header);
            assert_eq!(verify(&missing, BODY), Err(Unverified::Header(called)));
        }
        let mut nonsense = with(SIGNED);
        nonsense.insert(TIMESTAMP, "soon".parse().unwrap());
        assert_eq!(verify(&nonsense, BODY), Err(Unverified::Header("webhook-timestamp")));
    }

    #[test]
    fn a_message_of_another_time_is_not_verified() {
        let secret = Secret::read(SECRET).unwrap();
        let verify = |seconds: i64| {
            let now = Timestamp::from_second(1_614_265_330 + seconds).unwrap();
            secret.verify(&with(SIGNED), BODY, now, TOLERANCE)
        };
        assert_eq!(verify(300), Ok(()));
        assert_eq!(verify(301), Err(Unverified::TooOld));
        assert_eq!(verify(-300), Ok(()));
        assert_eq!(verify(-301), Err(Unverified::TooNew));
    }

    #[test]
    fn while_a_secret_is_exchanged_either_verifies() {
        let (new, old) = (Secret::generate(), Secret::read(SECRET).unwrap());
        let both = [new.clone(), old.clone()];
        let made: HeaderMap = headers(MESSAGE, at(), BODY, &both).into_iter().collect();
        assert_eq!(made[SIGNATURE].to_str().unwrap().split(' ').nth(1), Some(SIGNED));
        for secret in [new, old] {
            assert_eq!(secret.verify(&made, BODY, at(), TOLERANCE), Ok(()));
        }
        let unknown = with(&format!("v1a,abc v1,bm9wZQ== {SIGNED}"));
        assert_eq!(both[1].verify(&unknown, BODY, at(), TOLERANCE), Ok(()));
    }

    #[test]
    fn a_secret_is_of_24_to_64_bytes_and_shows_itself_to_nobody() {
        let of = |length| Secret::read(&format!("whsec_{}", BASE64_STANDARD.encode(vec![7; length])));
        assert!(of(24).is_ok() && of(64).is_ok());
        assert!(of(23).is_err() && of(65).is_err());
        assert!(Secret::read("whsec_").is_err() && Secret::read("whsec_!").is_err());
        let (one, other) = (Secret::generate(), Secret::generate());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), "whsec_".len() + 44);
        assert!(Secret::read(one.reveal()).is_ok());
        assert_eq!(format!("{one:?}"), "Secret(..)");
    }
}
