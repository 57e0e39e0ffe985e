//! Executions: the runs of a campaign, and what became of each recipient.

mod get;
mod list;
pub(crate) mod out;
mod pause;
mod recipients;
mod resend;
mod resume;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Context;

pub(crate) fn routes() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list::list_executions))
        .routes(routes!(get::get_execution))
        .routes(routes!(recipients::list_recipients))
        .routes(routes!(pause::pause_execution))
        .routes(routes!(resume::resume_execution))
        .routes(routes!(resend::resend_execution))
}
