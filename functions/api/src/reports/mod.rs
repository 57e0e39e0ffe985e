//! Reports: counts by what became of messages, that add up.

mod asked;
mod campaign;
mod csv;
mod execution;
mod figures;
mod out;
mod read;

use crate::operations::{Collect, routes};

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(into, campaign::get_live_report, campaign::get_global_report, execution::get_execution_report,)
}
