//! One call: the request, and what its end means.

use std::time::Duration;

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::http::HttpResponse;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{Destination, EmailContent, MessageTag, RawMessage};
use platform::aws::{Handover, Reached};
use tokio::time::timeout;

use super::classify::{self, Rejection};
use super::{Outgoing, Ses};
use delivery::MessageId;

use crate::{Answer, NotAccepted, tags};

impl Ses {
    pub(super) async fn hand_over(&self, client: &Client, message: &Outgoing<'_>, time: Duration) -> Answer {
        let handover = Handover::default();
        let raw =
            RawMessage::builder().data(Blob::new(message.message)).build().expect("its one field is set");
        let call = client
            .send_email()
            .from_email_address(message.from)
            .destination(Destination::builder().to_addresses(message.to).build())
            .content(EmailContent::builder().raw(raw).build())
            .set_configuration_set_name(self.configuration_set.clone())
            .set_email_tags(Some(tags_of(message.id)))
            .customize()
            .interceptor(handover.clone())
            .send();
        let outcome = timeout(time, call).await;
        // Only now that the call is over, or given up.
        let reached = handover.end();
        match (outcome, reached) {
            (Ok(Ok(output)), _) => Answer::Accepted { provider_id: output.message_id },
            (Ok(Err(SdkError::ServiceError(answer))), _) => {
                classify::refusal(&rejection(answer.err(), answer.raw()), message.from, message.to)
            }
            (Ok(Err(error)), Reached::Never) => never_reached(&error),
            (Ok(Err(error)), Reached::Maybe) => Answer::Ambiguous { detail: in_doubt(&error).to_owned() },
            (Err(_), Reached::Never) => {
                Answer::not_accepted(NotAccepted::Unreachable, "time ran out before SES was reached")
            }
            (Err(_), Reached::Maybe) => Answer::Ambiguous { detail: "no answer in time".to_owned() },
        }
    }
}

/// By what its events are to be told apart.
fn tags_of(id: &MessageId) -> Vec<MessageTag> {
    let tag = |(name, value): (&str, String)| {
        MessageTag::builder().name(name).value(value).build().expect("its two fields are set")
    };
    tags::of(id).into_iter().map(tag).collect()
}

fn rejection<'a>(error: &'a SendEmailError, answer: &'a HttpResponse) -> Rejection<'a> {
    Rejection {
        status: answer.status().as_u16(),
        code: error.code(),
        message: error.message().unwrap_or_default(),
        retry_after: answer
            .headers()
            .get("retry-after")
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs),
    }
}

/// The answer where the request was not even begun. Errors' own words are left out: they may hold anything.
fn never_reached<E, R>(error: &SdkError<E, R>) -> Answer {
    match error {
        SdkError::ConstructionFailure(_) => {
            Answer::not_accepted(NotAccepted::Misconfigured, "the request to SES can't be made")
        }
        // What is no trouble of the network is trouble before it: there are no credentials.
        SdkError::DispatchFailure(failure) if !failure.is_io() && !failure.is_timeout() => {
            Answer::not_accepted(NotAccepted::Misconfigured, "the request to SES can't be signed")
        }
        _ => Answer::not_accepted(NotAccepted::Unreachable, "there is no connection to SES"),
    }
}

fn in_doubt<E, R>(error: &SdkError<E, R>) -> &'static str {
    match error {
        SdkError::ResponseError(_) => "SES's answer can't be read",
        SdkError::TimeoutError(_) => "no answer in time",
        _ => "the connection to SES broke before the answer",
    }
}
