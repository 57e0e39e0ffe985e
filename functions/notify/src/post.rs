//! One event to one address, and what the address said.

use std::time::Duration;

use bytes::Bytes;
use campaign::EventId;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode};
use outbound::{Error, retry_after, standard_webhooks};
use platform::batch;

use crate::Context;
use crate::addresses::Address;

/// Who we are, to whom reads a server's log.
const AGENT: &str = concat!("Envoi/", env!("CARGO_PKG_VERSION"));
/// An address that takes longer than this to say yes is told what follows one at a time.
const SLOW: Duration = Duration::from_secs(3);

/// What an address said to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// It has it.
    Yes,
    /// It wants to be told nothing any more.
    Gone,
    /// Not this time.
    No {
        /// Why, for people. Never says to which address a name leads.
        why: String,
        /// How long it asked to be left alone.
        wait: Option<Duration>,
    },
}

/// Posts an event, and notes how the address is doing.
pub(crate) async fn post(context: &Context, address: &Address, event: EventId, body: &str) -> Said {
    let clock = &*context.store.platform.clock;
    let request = match request(context, address, event, body) {
        Ok(request) => request,
        Err(error) => return Said::No { why: format!("the address can't be called: {error}"), wait: None },
    };
    let began = clock.monotonic();
    let said = match context.client.send(request).await {
        Ok(answer) => judge(&answer, clock.now()),
        // Whoever says yes and then more than we listen to has said yes.
        Err(error) if error.status().is_some_and(|status| status.is_success()) => Said::Yes,
        Err(error) => Said::No { why: why(&error), wait: None },
    };
    if said != Said::Yes || clock.monotonic().saturating_sub(began) > SLOW {
        address.line.has_trouble(clock);
    }
    said
}

fn request(
    context: &Context,
    address: &Address,
    event: EventId,
    body: &str,
) -> Result<Request<Bytes>, http::Error> {
    let now = context.store.platform.clock.now();
    let mut request = Request::post(&address.endpoint.url)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(USER_AGENT, HeaderValue::from_static(AGENT));
    for (name, value) in
        standard_webhooks::headers(&event.to_string(), now, body.as_bytes(), &address.secrets)
    {
        request = request.header(name, value);
    }
    request.body(Bytes::copy_from_slice(body.as_bytes()))
}

fn judge(answer: &Response<Bytes>, now: jiff::Timestamp) -> Said {
    let status = answer.status();
    if status.is_success() {
        return Said::Yes;
    }
    if status == StatusCode::GONE {
        return Said::Gone;
    }
    let asks = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let wait = if asks { retry_after(answer.headers(), now) } else { None };
    let why = if status.is_redirection() {
        format!("it answered {}, and redirects are not followed", status.as_u16())
    } else {
        format!("it answered {}", status.as_u16())
    };
    Said::No { why, wait }
}

fn why(error: &Error) -> String {
    batch::chain(error)
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;

    use super::*;

    fn said(status: u16, asked: Option<&str>) -> Said {
        let mut answer = Response::builder().status(status);
        if let Some(asked) = asked {
            answer = answer.header(RETRY_AFTER, asked);
        }
        judge(&answer.body(Bytes::new()).unwrap(), jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn only_a_yes_is_a_yes_and_only_gone_is_gone() {
        for yes in [200, 201, 202, 204, 299] {
            assert_eq!(said(yes, None), Said::Yes);
        }
        assert_eq!(said(410, None), Said::Gone);
        for no in [300, 301, 302, 307, 308, 400, 401, 404, 409, 429, 500, 502, 503, 504] {
            assert!(matches!(said(no, None), Said::No { wait: None, .. }), "{no}");
        }
        assert!(matches!(said(302, None), Said::No { why, .. } if why.contains("not followed")));
    }

    #[test]
    fn an_address_that_is_busy_may_ask_to_be_left_alone() {
        for busy in [429, 503] {
            let wait = Some(Duration::from_secs(120));
            assert!(matches!(said(busy, Some("120")), Said::No { wait: asked, .. } if asked == wait));
        }
        assert!(matches!(said(500, Some("120")), Said::No { wait: None, .. }));
    }
}
