use axum::extract::State;
use campaign::DeliveryRules;

use super::replace;
use crate::Context;
use crate::error::{FieldError, Kind, Problem, ProblemSchema, Result};
use crate::extract::{Body, IfMatch, Tagged};

/// Set the delivery rules
///
/// They take the place of those there were, and hold within two seconds, also for campaigns under way. They are about marketing
/// alone: transactional messages, proofs and tests know none.
///
/// A **frequency cap** counts the messages of all marketing campaigns over its channels: those that a provider took and those of
/// which nobody can say. Whoever has reached one is `excluded` with the reason `frequency_cap`. Messages that went out while no
/// cap was about their channel are not counted; and no cap is about recipients of calls who have no stored profile.
///
/// **Quiet hours** are read by the recipient's own clock. A message that is to go out within them waits for their end, which uses
/// up nothing of the retry period, or is `excluded` with the reason `quiet_hours`. A window begins when a clock first shows its
/// `start` and ends when one no longer shows less than its `end`, on days of clock changes too.
#[utoipa::path(
    put, path = "/delivery-rules", tag = "delivery rules",
    params(("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    request_body = DeliveryRules,
    responses(
        (status = 200, description = "The rules", body = DeliveryRules, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 409, description = "They kept changing", body = ProblemSchema),
        (status = 412, description = "They are not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn put_delivery_rules(
    State(context): State<Context>,
    if_match: IfMatch,
    Body(rules): Body<DeliveryRules>,
) -> Result<Tagged<DeliveryRules>> {
    let errors: Vec<_> =
        rules.check().into_iter().map(|error| FieldError::new(error.field, error.message)).collect();
    if !errors.is_empty() {
        return Err(Problem::fields(Kind::InvalidField, errors));
    }
    replace(&context, &if_match, rules).await
}
