//! What a call that got no answer died of, in the SDK's words: they decide whether it is repeated.

use std::error::Error;
use std::io;

use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::retry::ErrorKind;
use hyper_util::client::legacy;

use super::connect::ConnectTimeout;

/// As the SDK's own client has it.
pub(super) fn of(error: legacy::Error) -> ConnectorError {
    if find::<ConnectTimeout>(&error).is_some() {
        return ConnectorError::timeout(error.into());
    }
    let io = error.is_connect() || find::<io::Error>(&error).is_some();
    match find::<hyper::Error>(&error) {
        Some(hyper) if hyper.is_timeout() => ConnectorError::timeout(error.into()),
        Some(hyper) if hyper.is_user() => ConnectorError::user(error.into()),
        Some(hyper) if io || hyper.is_closed() || hyper.is_canceled() => ConnectorError::io(error.into()),
        // The connection was closed in the middle of an answer.
        Some(hyper) if hyper.is_incomplete_message() => {
            ConnectorError::other(error.into(), Some(ErrorKind::TransientError))
        }
        None if io => ConnectorError::io(error.into()),
        _ => ConnectorError::other(error.into(), None),
    }
}

/// The first cause of a kind. What an [`io::Error`] was made of is not among its sources, but in it.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}
