//! Errors as the caller sees them: problems after RFC 9457, with a stable code.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use platform::{PlatformError, batch};
use serde::Serialize;
use serde_json::{Map, Value};
use store::StoreError;
use tracing::error;

use crate::schema;

/// The media type of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// What every problem's `type` begins with; behind it come service, number and status.
const TYPE: &str = "https://envoi.dev/problems/ENVOI";

/// What handlers return.
pub(crate) type Result<T, E = Problem> = std::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = ($number:literal, $status:ident, $code:literal, $title:literal),)*) => {
        /// Every kind of problem. Numbers and codes are published: never reuse one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name,)*];

            const fn parts(self) -> (u16, StatusCode, &'static str, &'static str) {
                match self {
                    $(Self::$name => ($number, StatusCode::$status, $code, $title),)*
                }
            }
        }
    };
}

kinds! {
    /// The body is no JSON.
    MalformedBody = (1001, BAD_REQUEST, "malformed_body", "The body is not JSON"),
    /// A field of the body has a value it can't have.
    InvalidField = (1002, BAD_REQUEST, "invalid_field", "A field is not valid"),
    /// A query parameter.
    InvalidParameter = (1003, BAD_REQUEST, "invalid_parameter", "A query parameter is not valid"),
    /// A cursor that this list did not give.
    InvalidCursor = (1004, BAD_REQUEST, "invalid_cursor", "The cursor is not one of this list"),
    /// A header.
    InvalidHeader = (1005, BAD_REQUEST, "invalid_header", "A header is not valid"),
    /// No key, or one that is not known.
    Unauthenticated = (1006, UNAUTHORIZED, "unauthenticated", "A valid API key is needed"),
    /// The key's role does not allow it.
    Forbidden = (1007, FORBIDDEN, "forbidden", "The API key's role does not allow this"),
    /// There is no such path.
    NoRoute = (1008, NOT_FOUND, "no_such_path", "There is no such path"),
    /// There is no such thing.
    NotFound = (1009, NOT_FOUND, "not_found", "There is no such thing"),
    /// The path has other methods.
    MethodNotAllowed = (1010, METHOD_NOT_ALLOWED, "method_not_allowed", "The path does not have this method"),
    /// It changed meanwhile.
    Conflict = (1011, CONFLICT, "conflict", "It has changed meanwhile"),
    /// If-Match does not hold.
    PreconditionFailed = (1012, PRECONDITION_FAILED, "precondition_failed", "It is not what If-Match says"),
    /// The body is too large.
    BodyTooLarge = (1013, PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large"),
    /// Not the media type this takes.
    UnsupportedMediaType = (1014, UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The body's media type is not taken"),
    /// The first call with this key is under way.
    IdempotencyInProgress = (1015, CONFLICT, "idempotency_in_progress", "The first call with this key is under way"),
    /// The key was used for another body.
    IdempotencyMismatch = (1016, UNPROCESSABLE_ENTITY, "idempotency_key_reused", "The key was used with another body"),
    /// The first call with this key was answered with what is erased by now.
    AnswerErased = (1018, GONE, "answer_erased", "The answer to the first call with this key is erased"),
    /// A request that no handler understood.
    BadRequest = (1017, BAD_REQUEST, "bad_request", "The request is not valid"),
    /// We failed.
    Internal = (1500, INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side"),
    /// What we depend on failed.
    Unavailable = (1503, SERVICE_UNAVAILABLE, "unavailable", "A part of the service is not available right now"),
    /// Another profile has one of the identities.
    IdentityTaken = (2001, CONFLICT, "identity_taken", "Another profile has this identity"),
    /// The CSV file as a whole can't be read.
    InvalidCsv = (2002, BAD_REQUEST, "invalid_csv", "The file can't be imported"),
    /// The person of this id was erased.
    ProfileErased = (2003, GONE, "profile_erased", "The person of this id was erased"),
    /// A segment's rule can't be compiled.
    InvalidRule = (2101, BAD_REQUEST, "invalid_rule", "The rule is not valid"),
    /// Something uses it.
    InUse = (2102, CONFLICT, "in_use", "It is in use"),
    /// Only a list has members.
    NotAList = (2103, CONFLICT, "not_a_list", "The segment is not a list"),
    /// The file of an import is not there.
    FileMissing = (2201, CONFLICT, "file_missing", "The file has not been uploaded yet"),
    /// The import has begun, so that its file is no longer taken.
    ImportStarted = (2202, CONFLICT, "import_started", "The import has been started already"),
    /// Files are not brought here.
    UploadElsewhere = (2203, CONFLICT, "upload_elsewhere", "The file is to be brought to the URL that the import was answered with"),
    /// The time for a call is over before the file is.
    ImportUnfinished = (2204, PAYLOAD_TOO_LARGE, "import_unfinished", "Only a part of the file was imported"),
    /// The campaign's status does not allow it.
    StatusNotAllowed = (3001, CONFLICT, "status_not_allowed", "The campaign's status does not allow this"),
    /// The content is larger than allowed.
    ContentTooLarge = (3002, BAD_REQUEST, "content_too_large", "The content is too large"),
    /// The stored content can't be compiled.
    InvalidContent = (3003, UNPROCESSABLE_ENTITY, "invalid_content", "The content is not valid"),
    /// The content can't be rendered for this profile.
    RenderFailed = (3004, UNPROCESSABLE_ENTITY, "render_failed", "The content can't be rendered for this profile"),
    /// The campaign is started by its schedule.
    NotApiTriggered = (3101, CONFLICT, "not_api_triggered", "The campaign is not started by calls"),
    /// The campaign takes no calls yet or any more.
    CampaignNotLive = (3102, CONFLICT, "campaign_not_live", "The campaign is not live"),
    /// The campaign's start lies ahead.
    CampaignNotStarted = (3103, CONFLICT, "campaign_not_started", "The campaign has not started yet"),
    /// The campaign's end has passed.
    CampaignEnded = (3104, CONFLICT, "campaign_ended", "The campaign has ended"),
    /// A recipient's profile is not stored.
    ProfileNotFound = (3105, NOT_FOUND, "profile_not_found", "There is no such profile"),
    /// The request id was used for another request.
    RequestReused = (3106, UNPROCESSABLE_ENTITY, "request_id_reused", "The request id was used with another body"),
    /// A planned call has been made.
    AlreadyTriggered = (3107, CONFLICT, "already_triggered", "The planned call has been made"),
    /// A planned call was taken back.
    TakenBack = (3108, CONFLICT, "taken_back", "The planned call was taken back"),
    /// The execution's state does not allow it.
    StateNotAllowed = (4001, CONFLICT, "state_not_allowed", "The execution's state does not allow this"),
    /// What is known of the execution's recipients is removed too soon.
    LedgerExpires = (4002, CONFLICT, "ledger_expires", "What is known of the execution's recipients is soon removed"),
}

/// A field and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    /// The path of the field, such as `actions[0].content.subject`.
    pub(crate) field: String,
    /// What is wrong, for people.
    pub(crate) message: String,
    /// The line in the field's text, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// The column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<usize>,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), line: None, column: None }
    }
}

/// An error, ready to be answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    more: Map<String, Value>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), more: Map::new() }
    }

    /// One field's fault.
    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::fields(Kind::InvalidField, vec![FieldError::new(field, message)])
    }

    /// Several fields' faults.
    pub(crate) fn fields(kind: Kind, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [error] => format!("{}: {}", error.field, error.message),
            errors => format!("{} fields are not valid", errors.len()),
        };
        Self { errors, ..Self::new(kind, detail) }
    }

    pub(crate) fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("there is no {what} {id}"))
    }

    /// The same with a member of its own kind.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// The same, its fields' paths behind `prefix`.
    pub(crate) fn within(self, prefix: &str) -> Self {
        let errors = self
            .errors
            .into_iter()
            .map(|error| FieldError { field: format!("{prefix}{}", error.field), ..error })
            .collect();
        Self { more: self.more, ..Self::fields(self.kind, errors) }
    }

    /// Its fields' faults.
    pub(crate) fn errors(self) -> Vec<FieldError> {
        self.errors
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (number, status, code, title) = self.kind.parts();
        let mut body = self.more;
        body.insert("type".to_owned(), format!("{TYPE}-{number}-{}", status.as_u16()).into());
        body.insert("title".to_owned(), title.into());
        body.insert("status".to_owned(), status.as_u16().into());
        body.insert("detail".to_owned(), self.detail.into());
        body.insert("code".to_owned(), code.into());
        if !self.errors.is_empty() {
            body.insert("errors".to_owned(), serde_json::to_value(&self.errors).unwrap_or_default());
        }
        let mut response = (status, Json(Value::Object(body))).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::NotFound { what, id } => Self::not_found(what, id),
            StoreError::Stale { .. } => Self::new(Kind::Conflict, text),
            StoreError::NotAllowed(refusal) => {
                let allowed: Vec<_> =
                    refusal.command.allowed_in().iter().map(|status| status.name().to_owned()).collect();
                Self::new(Kind::StatusNotAllowed, text)
                    .with("campaign_status", refusal.status.name())
                    .with("reason", refusal.why.name())
                    .with("allowed_in", allowed)
            }
            StoreError::IdentityTaken { namespace } => {
                Self::fields(Kind::IdentityTaken, vec![FieldError::new(namespace, text)])
            }
            StoreError::InUse(_) => Self::new(Kind::InUse, text),
            StoreError::Invalid { field, message } => Self::field(field, message),
            StoreError::Contended { .. } => {
                Self::new(Kind::Unavailable, "too many changes at once: try again")
            }
            StoreError::Platform(error @ PlatformError::Unavailable { .. }) => {
                error!(error = %batch::chain(&error), "the store is unavailable");
                Self::new(Kind::Unavailable, "try again in a moment")
            }
            StoreError::Corrupt { what, source } => {
                // What the parser says may quote what is stored, which may be an address.
                let place = source.map(|source| (source.classify(), source.line(), source.column()));
                error!(what, ?place, "the stored {what} can't be read");
                Self::internal()
            }
            // What the handlers' own limits have let through; the text names sizes alone.
            StoreError::Platform(error @ PlatformError::TooLarge { .. }) => {
                Self::new(Kind::BodyTooLarge, error.to_string())
            }
            StoreError::Platform(error) => {
                error!(error = %batch::chain(&error), "the store failed");
                Self::internal()
            }
        }
    }
}

impl From<PlatformError> for Problem {
    fn from(error: PlatformError) -> Self {
        StoreError::Platform(error).into()
    }
}

impl Problem {
    /// We failed; what happened is in the log.
    pub(crate) fn internal() -> Self {
        Self::new(Kind::Internal, "the error is in the service's log")
    }

    /// The problem for a status that something below the handlers answered with.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let kind = match status {
            StatusCode::NOT_FOUND => Kind::NoRoute,
            StatusCode::METHOD_NOT_ALLOWED => Kind::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Kind::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Kind::UnsupportedMediaType,
            status if status.is_client_error() => Kind::BadRequest,
            _ => return Self::internal(),
        };
        Self::new(kind, kind.parts().3)
    }
}

/// Keeps the schema of a problem beside what makes it.
pub(crate) type ProblemSchema = schema::Problem;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_and_codes_name_one_kind_each() {
        let (mut numbers, mut codes) = (HashSet::new(), HashSet::new());
        for kind in Kind::ALL {
            let (number, _, code, _) = kind.parts();
            assert!(numbers.insert(number) && codes.insert(code), "{kind:?}");
        }
    }

    #[test]
    fn no_detail_of_a_failed_engine_reaches_the_caller() {
        let source = "password=secret at 10.0.0.1".into();
        let error = StoreError::Platform(PlatformError::Unavailable { what: "table", source });
        let problem = Problem::from(error);
        assert_eq!((problem.kind, problem.detail.as_str()), (Kind::Unavailable, "try again in a moment"));
    }

    #[test]
    fn what_no_table_takes_is_the_caller_s_to_shorten() {
        let error = PlatformError::TooLarge { what: "item bytes", size: 500_000, limit: 409_600 };
        let problem = Problem::from(error);
        assert_eq!(
            (problem.kind, problem.detail.as_str()),
            (Kind::BodyTooLarge, "item bytes is 500000, the limit is 409600")
        );
    }
}
