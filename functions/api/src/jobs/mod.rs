//! Jobs: what takes longer than a call. Imports of files that are too large for one, counts over everybody, exports and
//! erasures of people, and removing the members of deleted lists.

mod count;
mod create;
mod download;
mod errors;
mod export;
mod get;
mod list;
mod out;
mod start;
mod upload;

use campaign::JobId;
pub(crate) use out::JobOut;
use store::jobs::{Import, Job};

use crate::Context;
use crate::error::{Problem, Result};
use crate::operations::{Collect, routes};

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(
        into,
        create::create_import,
        upload::put_import_file,
        start::start_import,
        count::create_count_job,
        list::list_jobs,
        get::get_job,
        errors::get_job_errors,
        export::get_job_export,
    )
}

/// What an uploaded file is.
const CSV: &str = "text/csv";

/// A job that is an import.
async fn import(context: &Context, id: JobId) -> Result<Job> {
    let job = context.store.jobs.get(id).await?;
    if job.import().is_some() { Ok(job) } else { Err(Problem::not_found("import", id)) }
}

/// Where the row errors of a job can be fetched, if it is over and has any.
fn errors_of(job: &Job) -> Option<&Import> {
    job.import().filter(|import| job.state.is_over() && !import.errors.is_empty())
}
