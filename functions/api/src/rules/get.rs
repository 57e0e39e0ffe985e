use axum::extract::State;
use campaign::DeliveryRules;

use crate::Context;
use crate::error::Result;
use crate::extract::Tagged;

/// Get the delivery rules
///
/// What holds for marketing as a whole, whichever campaign it comes from. Both lists are empty where nothing was ever decided.
#[utoipa::path(
    get, path = "/delivery-rules", tag = "delivery rules",
    responses((status = 200, description = "The rules", body = DeliveryRules, headers(("etag" = String, description = "The revision")))),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_delivery_rules(State(context): State<Context>) -> Result<Tagged<DeliveryRules>> {
    let found = context.store.rules.get().await?;
    Ok(Tagged::ok(found.revision, found.value))
}
