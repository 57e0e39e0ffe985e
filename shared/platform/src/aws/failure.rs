//! The services' errors in the words of the ports.

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use thiserror::Error;

use crate::PlatformError;
use crate::table::MAX_ITEM_BYTES;

/// What DynamoDB is called in messages.
pub(super) const DYNAMODB: &str = "DynamoDB";
/// What SQS is called in messages.
pub(super) const SQS: &str = "SQS";
/// What EventBridge Scheduler is called in messages.
#[cfg(feature = "schedules")]
pub(super) const SCHEDULER: &str = "EventBridge Scheduler";

/// The port's error for a call that failed. What the service calls invalid, it will call invalid again; everything else
/// (throttles, outages, timeouts, but also missing rights) may be over at the next call.
pub(super) fn failure<E>(what: &'static str, error: SdkError<E>) -> PlatformError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if let SdkError::ServiceError(context) = &error
        && let Some(refusal) = refusal(context.err().code(), context.err().message())
    {
        return refusal;
    }
    PlatformError::Unavailable { what, source: Box::new(error) }
}

/// The port's error where the service says that the call itself is wrong.
pub(super) fn refusal(code: Option<&str>, message: Option<&str>) -> Option<PlatformError> {
    let message = message.unwrap_or("no reason was given");
    match code? {
        "ItemCollectionSizeLimitExceeded" | "ItemCollectionSizeLimitExceededException" => Some(too_large()),
        "ValidationException" | "ValidationError" if speaks_of_size(message) => Some(too_large()),
        "ValidationException"
        | "ValidationError"
        | "SerializationException"
        | "InvalidMessageContents"
        | "InvalidParameterValue"
        | "InvalidAttributeValue" => Some(PlatformError::Invalid(message.to_owned())),
        _ => None,
    }
}

fn speaks_of_size(message: &str) -> bool {
    message.contains("exceeded the maximum allowed size") || message.contains("exceed 4 MB")
}

/// An update whose item would grow too large; the service does not say how large.
fn too_large() -> PlatformError {
    PlatformError::TooLarge { what: "item bytes, at least", size: MAX_ITEM_BYTES + 1, limit: MAX_ITEM_BYTES }
}

/// A part of a call, which lacks nothing.
pub(super) fn complete<T>(built: Result<T, BuildError>) -> Result<T, PlatformError> {
    built.map_err(|error| PlatformError::Invalid(error.to_string()))
}

/// The service went on refusing parts of a call for the time being.
#[derive(Debug, Error)]
#[error("it was too busy for {left} of the call's parts: {reason}")]
pub(super) struct Busy {
    /// How many it has not taken.
    pub(super) left: usize,
    /// Its last word.
    pub(super) reason: String,
}

impl Busy {
    /// The port's error.
    pub(super) fn error(what: &'static str, left: usize, reason: impl Into<String>) -> PlatformError {
        PlatformError::Unavailable { what, source: Box::new(Self { left, reason: reason.into() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_in_itself_is_refused_for_good() {
        let size = refusal(
            Some("ValidationError"),
            Some("Item size to update has exceeded the maximum allowed size"),
        );
        assert!(matches!(size, Some(PlatformError::TooLarge { .. })), "{size:?}");
        let kind = refusal(Some("ValidationException"), Some("An operand has an incorrect data type"));
        assert!(matches!(kind, Some(PlatformError::Invalid(_))), "{kind:?}");
        for code in ["ThrottlingException", "InternalServerError", "AccessDeniedException"] {
            assert!(refusal(Some(code), None).is_none(), "{code}");
        }
        assert!(refusal(None, None).is_none());
    }
}
