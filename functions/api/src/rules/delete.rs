use axum::extract::State;
use campaign::DeliveryRules;
use http::StatusCode;

use super::replace;
use crate::Context;
use crate::error::{ProblemSchema, Result};
use crate::extract::IfMatch;

/// Remove all delivery rules
///
/// Frequency caps and quiet hours no longer hold, within two seconds. What waits for the end of quiet hours goes on waiting.
#[utoipa::path(
    delete, path = "/delivery-rules", tag = "delivery rules",
    params(("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    responses(
        (status = 204, description = "There are none any more"),
        (status = 409, description = "They kept changing", body = ProblemSchema),
        (status = 412, description = "They are not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn delete_delivery_rules(
    State(context): State<Context>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    replace(&context, &if_match, DeliveryRules::default()).await?;
    Ok(StatusCode::NO_CONTENT)
}
