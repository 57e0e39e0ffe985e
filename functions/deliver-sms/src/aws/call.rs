//! One call: the request, and what its end means.

use std::time::Duration;

use aws_sdk_pinpointsmsvoicev2::Client;
use aws_sdk_pinpointsmsvoicev2::config::http::HttpResponse;
use aws_sdk_pinpointsmsvoicev2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_pinpointsmsvoicev2::operation::send_text_message::SendTextMessageError;
use aws_sdk_pinpointsmsvoicev2::types::{
    AccessDeniedExceptionReason as Denied, ConflictExceptionReason as Conflict, MessageType,
    ServiceQuotaExceededExceptionReason as Quota, ValidationExceptionField as Field,
    ValidationExceptionReason as Invalid,
};
use campaign::Category;
use campaign::configuration::AwsSms;
use delivery::{Answer, Cause, tags};
use platform::aws::{Handover, Reached};
use tokio::time::timeout;

use super::classify::{self, Rejection};
use crate::message::Text;
use crate::sender::not_accepted;

pub(super) async fn hand_over(client: &Client, settings: &AwsSms, message: &Text, time: Duration) -> Answer {
    let handover = Handover::default();
    let tags = tags::of(&message.id).into_iter().map(|(name, value)| (name.to_owned(), value));
    let call = client
        .send_text_message()
        .destination_phone_number(&message.to)
        .message_body(&message.text)
        .message_type(match message.category {
            Category::Marketing => MessageType::Promotional,
            Category::Transactional => MessageType::Transactional,
        })
        .set_origination_identity(settings.origination_identity.clone())
        .set_configuration_set_name(settings.configuration_set.clone())
        .set_protect_configuration_id(settings.protect_configuration.clone())
        .set_time_to_live(settings.time_to_live_seconds.and_then(|seconds| i32::try_from(seconds).ok()))
        .set_context(Some(tags.collect()))
        .customize()
        .interceptor(handover.clone())
        .send();
    let outcome = timeout(time, call).await;
    // Only now that the call is over, or given up.
    let reached = handover.end();
    match (outcome, reached) {
        (Ok(Ok(_)), _) => Answer::Accepted,
        (Ok(Err(SdkError::ServiceError(answer))), _) => {
            classify::refusal(&rejection(answer.err(), answer.raw()))
        }
        (Ok(Err(error)), Reached::Never) => never_reached(&error),
        (Ok(Err(error)), Reached::Maybe) => Answer::Ambiguous { detail: in_doubt(&error).to_owned() },
        (Err(_), Reached::Never) => not_accepted(Cause::Unreachable, "time ran out before AWS was reached"),
        (Err(_), Reached::Maybe) => Answer::Ambiguous { detail: "no answer in time".to_owned() },
    }
}

fn rejection<'a>(error: &'a SendTextMessageError, answer: &HttpResponse) -> Rejection<'a> {
    use SendTextMessageError as Error;
    let (reason, field) = match error {
        Error::AccessDeniedException(error) => (error.reason().map(Denied::as_str), None),
        Error::ConflictException(error) => (error.reason().map(Conflict::as_str), None),
        Error::ServiceQuotaExceededException(error) => (error.reason().map(Quota::as_str), None),
        Error::ValidationException(error) => {
            (error.reason().map(Invalid::as_str), error.fields().first().map(Field::name))
        }
        _ => (None, None),
    };
    Rejection {
        status: answer.status().as_u16(),
        code: error.code(),
        reason,
        field,
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
            not_accepted(Cause::Misconfigured, "the request to AWS can't be made")
        }
        // What is no trouble of the network is trouble before it: there are no credentials.
        SdkError::DispatchFailure(failure) if !failure.is_io() && !failure.is_timeout() => {
            not_accepted(Cause::Misconfigured, "the request to AWS can't be signed")
        }
        _ => not_accepted(Cause::Unreachable, "there is no connection to AWS"),
    }
}

fn in_doubt<E, R>(error: &SdkError<E, R>) -> &'static str {
    match error {
        SdkError::ResponseError(_) => "AWS's answer can't be read",
        SdkError::TimeoutError(_) => "no answer in time",
        _ => "the connection to AWS broke before the answer",
    }
}
