//! The [`Blob`] port on S3: one object a blob, under its name in one bucket.
//!
//! Clients bring and fetch objects by URLs that we sign, past API Gateway and Lambda and their limits. A signed URL ends
//! with the credentials that signed it, too.
//!
//! **What a role must allow**: on the bucket's objects `GetObject`, `PutObject` and `DeleteObject`, as far as the function
//! calls them (what a URL does is done with the rights of its signer); on the bucket `ListBucket`, without which an object
//! that is not there looks like one that must not be read. The bucket's lifecycle should abort uploads in parts after a
//! day, and remove objects after some 30.

mod call;
mod sign;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use http::Method;
use http::header::{CONTENT_TYPE, IF_MATCH, RANGE};
use tokio::sync::OnceCell;

use self::call::{Answer, Call, Client, Failure, element};
use super::sdk_config;
use crate::PlatformError;
use crate::blob::{Blob, BlobName, BlobWriter, Presigned, Stat, Upload};

/// What S3 is called in messages.
const WHAT: &str = "S3";
/// How large the parts of an object are that is written bit by bit: above S3's least of 5 MiB, and 78 GiB in the 10,000
/// parts that it takes.
const PART: usize = 8 * 1024 * 1024;
/// The longest that a signed URL can be good for.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// Blobs in a bucket. Clones share its connections once there are any.
#[derive(Clone)]
pub struct S3 {
    client: OnceCell<Arc<Client>>,
    bucket: String,
}

impl S3 {
    /// Blobs in `bucket`. It sends nothing yet.
    pub fn new(config: &SdkConfig, bucket: impl Into<String>) -> Self {
        let bucket = bucket.into();
        Self { client: OnceCell::from(Arc::new(Client::new(config, &bucket))), bucket }
    }

    /// Blobs in `bucket` of the account that the environment describes ([`sdk_config`]), which is looked at when the first
    /// is asked for: most calls of a function ask for none.
    pub fn of_environment(bucket: impl Into<String>) -> Self {
        Self { client: OnceCell::new(), bucket: bucket.into() }
    }

    async fn client(&self) -> &Client {
        let connect = || async { Arc::new(Client::new(&sdk_config().await, &self.bucket)) };
        self.client.get_or_init(connect).await
    }

    async fn send(&self, call: Call<'_>) -> Result<Answer, Failure> {
        self.client().await.send(&call).await
    }

    async fn presign(&self, call: &Call<'_>, expires: Duration) -> Result<String, PlatformError> {
        if expires > LONGEST {
            return Err(PlatformError::Invalid("a signed URL is good for seven days at most".to_owned()));
        }
        Ok(self.client().await.presign(call, expires).await?)
    }
}

#[async_trait]
impl Blob for S3 {
    async fn upload(
        &self,
        name: &BlobName,
        media_type: &str,
        expires: Duration,
    ) -> Result<Upload, PlatformError> {
        let put = Call::new(Method::PUT, name).header(CONTENT_TYPE, media_type);
        Ok(Upload::Presigned(Presigned {
            method: Method::PUT.to_string(),
            url: self.presign(&put, expires).await?,
            headers: vec![(CONTENT_TYPE.to_string(), media_type.to_owned())],
        }))
    }

    async fn stat(&self, name: &BlobName) -> Result<Option<Stat>, PlatformError> {
        let answer = match self.send(Call::new(Method::HEAD, name)).await {
            // The answer to HEAD has no body that could name a code.
            Err(failure) if failure.status() == Some(404) => return Ok(None),
            answer => answer?,
        };
        let told = answer.size.zip(answer.tag).map(|(size, tag)| Some(Stat { size, tag }));
        told.ok_or_else(|| PlatformError::Corrupt("S3 told neither size nor tag".to_owned()))
    }

    async fn read(
        &self,
        name: &BlobName,
        tag: &str,
        from: u64,
        most: usize,
    ) -> Result<Option<Vec<u8>>, PlatformError> {
        if most == 0 {
            return Ok(Some(Vec::new()));
        }
        let last = from.saturating_add(most as u64) - 1;
        let get = Call::new(Method::GET, name).header(RANGE, format!("bytes={from}-{last}"));
        match self.send(get.header(IF_MATCH, tag)).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(failure) => match failure.code() {
                Some("NoSuchKey" | "PreconditionFailed") => Ok(None),
                // There is nothing from there on.
                Some("InvalidRange") => Ok(Some(Vec::new())),
                _ => Err(failure.into()),
            },
        }
    }

    async fn put(&self, name: &BlobName, bytes: Vec<u8>) -> Result<(), PlatformError> {
        self.send(Call::new(Method::PUT, name).body(bytes)).await?;
        Ok(())
    }

    async fn create(&self, name: &BlobName) -> Result<Box<dyn BlobWriter>, PlatformError> {
        self.client().await;
        Ok(Box::new(Parts { s3: self.clone(), name: name.clone(), upload: None, buffer: Vec::new() }))
    }

    async fn download(
        &self,
        name: &BlobName,
        file_name: &str,
        expires: Duration,
    ) -> Result<Option<String>, PlatformError> {
        let disposition = format!("attachment; filename=\"{file_name}\"");
        let get = Call::new(Method::GET, name).query("response-content-disposition", &disposition);
        Ok(Some(self.presign(&get, expires).await?))
    }

    async fn delete(&self, name: &BlobName) -> Result<(), PlatformError> {
        self.send(Call::new(Method::DELETE, name)).await?;
        Ok(())
    }
}

/// An object that is written bit by bit. What is begun and never finished is nobody's to see; the bucket's lifecycle
/// removes its parts.
struct Parts {
    s3: S3,
    name: BlobName,
    /// What S3 calls the upload, and the tags of its parts so far; none while everything fits into one.
    upload: Option<(String, Vec<String>)>,
    buffer: Vec<u8>,
}

impl Parts {
    async fn send(&mut self) -> Result<(), PlatformError> {
        let (id, tags) = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let begun = self.s3.send(Call::new(Method::POST, &self.name).query("uploads", "")).await?;
                let id = element(&begun.body, "UploadId").map(str::to_owned);
                let id = id.ok_or_else(|| PlatformError::Corrupt("S3 named no upload".to_owned()))?;
                none.insert((id, Vec::new()))
            }
        };
        let number = (tags.len() + 1).to_string();
        let part = Call::new(Method::PUT, &self.name).query("partNumber", &number).query("uploadId", id);
        let sent = self.s3.send(part.body(std::mem::take(&mut self.buffer))).await?;
        tags.push(sent.tag.ok_or_else(|| PlatformError::Corrupt("S3 told no tag of a part".to_owned()))?);
        Ok(())
    }
}

#[async_trait]
impl BlobWriter for Parts {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), PlatformError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART {
            self.send().await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), PlatformError> {
        if self.upload.is_none() {
            return self.s3.put(&self.name, std::mem::take(&mut self.buffer)).await;
        }
        if !self.buffer.is_empty() {
            self.send().await?;
        }
        let Some((id, tags)) = self.upload.take() else { return Ok(()) };
        let mut parts = String::from("<CompleteMultipartUpload>");
        for (number, tag) in (1..).zip(tags) {
            parts += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
        }
        parts += "</CompleteMultipartUpload>";
        let complete = Call::new(Method::POST, &self.name).query("uploadId", &id);
        self.s3.send(complete.header(CONTENT_TYPE, "application/xml").body(parts)).await?;
        Ok(())
    }
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}
