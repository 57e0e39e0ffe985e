//! Files that jobs have made, as answers.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Redirect, Response};
use futures::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use platform::blob::Stat;
use platform::{Blob, BlobName, PlatformError};

use crate::Context;
use crate::error::Result;

/// How long a signed URL gives the file out.
const DOWNLOAD: Duration = Duration::from_secs(300);
/// How much of the file is read at once.
const PIECE: usize = 256 * 1024;

/// The file, or where it is; `None` where there is none.
pub(super) async fn download(
    context: &Context,
    name: BlobName,
    file_name: String,
    media_type: &str,
) -> Result<Option<Response>> {
    let Some(file) = context.blob.stat(&name).await? else { return Ok(None) };
    if let Some(url) = context.blob.download(&name, &file_name, DOWNLOAD).await? {
        return Ok(Some(Redirect::temporary(&url).into_response()));
    }
    let headers = [
        (CONTENT_TYPE, media_type.to_owned()),
        (CONTENT_LENGTH, file.size.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{file_name}\"")),
    ];
    Ok(Some((headers, pieces(Arc::clone(&context.blob), name, file)).into_response()))
}

/// The file as a body that is read as it goes out.
fn pieces(blob: Arc<dyn Blob>, name: BlobName, file: Stat) -> Body {
    Body::from_stream(stream::try_unfold((blob, name, file, 0), async |(blob, name, file, at)| {
        let read = blob.read(&name, &file.tag, at, PIECE).await?;
        let bytes = read.ok_or_else(|| PlatformError::Invalid("the file is gone".to_owned()))?;
        let next = at + bytes.len() as u64;
        Ok::<_, PlatformError>((!bytes.is_empty()).then_some((bytes, (blob, name, file, next))))
    }))
}
