//! The execution API, by which other systems trigger campaigns. It follows the contract that Adobe Journey Optimizer
//! publishes for its own, so that a caller needs only a new base URL and key.

mod audience;
mod body;
mod health;
mod live;
mod out;
mod problem;
mod recipient;
mod resolve;
mod schedules;
mod unitary;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Context;

pub(crate) use live::LiveCampaigns;

pub(crate) fn routes() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(unitary::trigger_unitary))
        .routes(routes!(unitary::trigger_high_throughput))
        .routes(routes!(audience::trigger_audience))
        .routes(routes!(audience::get_audience_execution))
        .routes(routes!(schedules::get_schedule, schedules::delete_schedule))
        .routes(routes!(health::im_health))
}
