//! Google's service accounts: what their JSON file says, and how it becomes an access token (RFC 7523).
//!
//! An account asserts who it is by a JWT that its private key signs, and the token endpoint gives a token for it, which is good
//! for an hour. This makes the request and reads the answer; sending it, and keeping the token, is its user's affair.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Uri};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::Target;

/// How long an assertion is good for, in seconds: the longest that Google takes.
const ASSERTED_SECONDS: i64 = 3600;
const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";

/// Why a text is no service account. Says nothing of what the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadServiceAccount {
    /// It is no JSON object with these fields as texts.
    #[error("must be the JSON file of a service account, with client_email, private_key and token_uri")]
    File,
    /// Its `type` says that it is something else.
    #[error("must be of a service account: its type is another")]
    Type,
    /// The token endpoint is no URL.
    #[error("token_uri must be the URL of the token endpoint")]
    TokenUri,
    /// The private key is none.
    #[error("private_key must be an RSA key of at least 2048 bits, in PKCS#8 as PEM")]
    Key,
}

/// A service account, able to sign.
pub struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    /// As the file has it: the assertion's audience.
    token_uri: String,
    endpoint: Uri,
    key: RsaKeyPair,
}

/// What a token endpoint gave.
pub struct AccessToken {
    /// As the value of the header `Authorization`.
    pub bearer: HeaderValue,
    /// For how long it is good, from when it was asked for.
    pub lifetime: Duration,
}

#[derive(Deserialize)]
struct File {
    r#type: Option<String>,
    client_email: String,
    private_key_id: Option<String>,
    private_key: String,
    token_uri: String,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

impl ServiceAccount {
    /// Reads the JSON file of an account.
    ///
    /// # Errors
    /// [`BadServiceAccount`], without anything of the text in it.
    pub fn parse(file: &str) -> Result<Self, BadServiceAccount> {
        let file: File = serde_json::from_str(file).map_err(|_| BadServiceAccount::File)?;
        if file.r#type.is_some_and(|kind| kind != "service_account") {
            return Err(BadServiceAccount::Type);
        }
        if file.client_email.is_empty() {
            return Err(BadServiceAccount::File);
        }
        let endpoint: Uri = file.token_uri.parse().map_err(|_| BadServiceAccount::TokenUri)?;
        Target::read(&endpoint).map_err(|_| BadServiceAccount::TokenUri)?;
        let key = pkcs8(&file.private_key).ok_or(BadServiceAccount::Key)?;
        let key = RsaKeyPair::from_pkcs8(&key).map_err(|_| BadServiceAccount::Key)?;
        Ok(Self {
            email: file.client_email,
            key_id: file.private_key_id,
            token_uri: file.token_uri,
            endpoint,
            key,
        })
    }

    /// What asks the token endpoint for a token of this scope; to be sent at once. Asking again does no harm.
    pub fn request(&self, scope: &str, now: Timestamp) -> Request<Bytes> {
        let body = format!("{GRANT}{}", self.assertion(scope, now));
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.endpoint.clone();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
        request
    }

    /// The signed JWT.
    fn assertion(&self, scope: &str, now: Timestamp) -> String {
        let iat = now.as_second();
        let header = Header { alg: "RS256", typ: "JWT", kid: self.key_id.as_deref() };
        let claims =
            Claims { iss: &self.email, scope, aud: &self.token_uri, iat, exp: iat + ASSERTED_SECONDS };
        let mut jwt = String::new();
        encode(&serde_json::to_vec(&header).expect("texts always serialize"), &mut jwt);
        jwt.push('.');
        encode(&serde_json::to_vec(&claims).expect("texts and numbers always serialize"), &mut jwt);
        let mut signature = vec![0; self.key.public().modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), jwt.as_bytes(), &mut signature);
        signed.expect("the signature is as long as the modulus, and the system has random numbers");
        jwt.push('.');
        encode(&signature, &mut jwt);
        jwt
    }
}

impl AccessToken {
    /// Reads the answer of a token endpoint that gave one; `None` where it did not.
    pub fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: String,
            expires_in: u64,
        }
        let answer: Answer = serde_json::from_slice(body).ok()?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", answer.access_token)).ok()?;
        bearer.set_sensitive(true);
        Some(Self { bearer, lifetime: Duration::from_secs(answer.expires_in) })
    }
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceAccount(..)")
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

fn encode(bytes: &[u8], into: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, into);
}

/// The key in its PEM armour.
fn pkcs8(pem: &str) -> Option<Vec<u8>> {
    let inner =
        pem.trim().strip_prefix("-----BEGIN PRIVATE KEY-----")?.strip_suffix("-----END PRIVATE KEY-----")?;
    let inner: String = inner.split_ascii_whitespace().collect();
    STANDARD.decode(inner).ok()
}

#[cfg(test)]
mod tests;
