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

use crate::operations::{Collect, routes};

pub(crate) use live::LiveCampaigns;

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(
        into,
        unitary::trigger_unitary,
        unitary::trigger_high_throughput,
        audience::trigger_audience,
        audience::get_audience_execution,
        schedules::get_schedule,
        schedules::delete_schedule,
        health::im_health,
    )
}
