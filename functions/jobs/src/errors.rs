//! The row errors of an import, as one file for people.

use futures::{StreamExt, TryStreamExt, stream};
use platform::{Blob, BlobName, PlatformError};
use store::csv::write_row;
use store::import::RowFault;
use store::jobs::Job;

use crate::Context;

/// How many blobs are read or removed at the same time.
const AT_ONCE: usize = 8;
/// How much of a blob is read at once.
const READ: usize = 4 * 1024 * 1024;
/// The columns of the file.
const COLUMNS: [&str; 4] = ["row", "line", "field", "message"];

/// These errors as rows of CSV. None repeats a cell, but a column's name may be anything.
pub(crate) fn rows(faults: &[RowFault]) -> Vec<u8> {
    let mut csv = Vec::new();
    for RowFault { row, line, field, message } in faults {
        let (row, line) = (row.to_string(), line.to_string());
        write_row(&mut csv, [row.as_str(), &line, field.as_deref().unwrap_or_default(), message]);
    }
    csv
}

/// Makes one file of all the parts, if there are any.
pub(crate) async fn collect(context: &Context, job: &Job) -> Result<(), PlatformError> {
    let parts = job.import().map_or(&[][..], |import| &import.errors);
    if parts.is_empty() {
        return Ok(());
    }
    let mut header = Vec::new();
    write_row(&mut header, COLUMNS);
    let mut file = context.blob.create(&job.errors_file()).await?;
    file.write(&header).await?;
    let names: Vec<BlobName> = parts.iter().map(|part| job.errors_part(*part)).collect();
    let mut parts =
        stream::iter(names).map(|name| async move { whole(&*context.blob, &name).await }).buffered(AT_ONCE);
    while let Some(part) = parts.try_next().await? {
        file.write(&part).await?;
    }
    file.finish().await
}

/// What an import leaves behind: the file that was imported, which holds people, and the parts.
pub(crate) fn left_behind(job: &Job) -> Vec<BlobName> {
    let Some(import) = job.import() else { return Vec::new() };
    let mut names = vec![job.file()];
    names.extend(import.errors.iter().map(|part| job.errors_part(*part)));
    names.extend(import.seen.iter().map(|part| job.seen_part(*part)));
    names
}

/// Removes these.
pub(crate) async fn tidy(context: &Context, names: Vec<BlobName>) -> Result<(), PlatformError> {
    stream::iter(names)
        .map(|name| async move { context.blob.delete(&name).await })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// A small blob that must be there.
pub(crate) async fn whole(blob: &dyn Blob, name: &BlobName) -> Result<Vec<u8>, PlatformError> {
    let missing = || PlatformError::Corrupt(format!("the blob {name} is missing"));
    let stat = blob.stat(name).await?.ok_or_else(missing)?;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < stat.size {
        let more = blob.read(name, &stat.tag, bytes.len() as u64, READ).await?.ok_or_else(missing)?;
        if more.is_empty() {
            return Err(missing());
        }
        bytes.extend_from_slice(&more);
    }
    Ok(bytes)
}
