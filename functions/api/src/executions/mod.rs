//! Executions: the runs of a campaign, and what became of each recipient.

mod get;
mod list;
pub(crate) mod out;
mod pause;
mod recipients;
mod resend;
mod resume;

use crate::operations::{Collect, routes};

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(
        into,
        list::list_executions,
        get::get_execution,
        recipients::list_recipients,
        pause::pause_execution,
        resume::resume_execution,
        resend::resend_execution,
    )
}
