//! What can be sent by HTTP. No message says what stands where something is wrong.

#[cfg(feature = "lower")]
use http::header::{self, HeaderName};
use http::{Uri, uri::Scheme};
use serde::de::IgnoredAny;

/// The longest URL, in bytes: what servers take at most, as a rule.
const LONGEST_URL: usize = 8 * 1024;
/// The longest value of a header, in bytes.
const LONGEST_VALUE: usize = 8 * 1024;
/// The longest body, in bytes.
const LONGEST_BODY: usize = 256 * 1024;
/// The most headers.
#[cfg(feature = "lower")]
pub(crate) const MOST_HEADERS: usize = 50;

/// Headers that are the connection's own, or ours.
#[cfg(feature = "lower")]
static RESERVED: [HeaderName; 13] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Checks that something is a whole URL of `http` or `https` that carries no credentials. Whether it may be called is a
/// question of where it leads, and is asked when it is.
pub(crate) fn url(url: &str) -> Result<(), String> {
    if url.len() > LONGEST_URL {
        return Err(format!("the URL has more than {LONGEST_URL} bytes"));
    }
    if let Some(at) = url.bytes().position(|byte| !byte.is_ascii_graphic()) {
        return Err(format!(
            "character {} is a space, a control character or not of ASCII; it has to be percent-encoded",
            at + 1
        ));
    }
    let read: Uri = url.parse().map_err(|_| "it is not a URL".to_owned())?;
    let is_http = read.scheme().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
    let Some(authority) = read.authority().filter(|_| is_http) else {
        return Err("it does not begin with https:// and a host".to_owned());
    };
    if authority.as_str().contains('@') {
        return Err("it may not carry a user's name or password".to_owned());
    }
    if authority.host().is_empty() {
        return Err("it has no host".to_owned());
    }
    // What stands behind the host and is no port, the parser lets pass and no call can use.
    if authority.as_str() != authority.host() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("its port is not a number from 1 to 65535".to_owned());
    }
    Ok(())
}

/// Checks that something is a header's name, and not of a header that is not the content's to set.
#[cfg(feature = "lower")]
pub(crate) fn header_name(name: &str) -> Result<(), String> {
    let Ok(read) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err("is not the name of a header".to_owned());
    };
    if RESERVED.contains(&read) {
        return Err("is set by the connection, and can't be set here".to_owned());
    }
    if read.as_str().starts_with("webhook-") {
        return Err("names beginning with webhook- are for what is signed (Standard Webhooks)".to_owned());
    }
    Ok(())
}

/// Checks that something can be a header's value.
pub(crate) fn header_value(value: &str) -> Result<(), String> {
    if value.len() > LONGEST_VALUE {
        return Err(format!("the value has more than {LONGEST_VALUE} bytes"));
    }
    if value.chars().any(char::is_control) {
        return Err("the value has a line break, a tab or another control character".to_owned());
    }
    Ok(())
}

/// Checks that something is JSON of a size that can be sent.
pub(crate) fn body(body: &str) -> Result<(), String> {
    if body.len() > LONGEST_BODY {
        return Err(format!("the body has {} bytes, and the limit is {LONGEST_BODY}", body.len()));
    }
    match serde_json::from_str::<IgnoredAny>(body) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}
