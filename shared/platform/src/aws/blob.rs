//! The [`Blob`] port on S3: one object a blob, under its name in one bucket.
//!
//! Clients bring and fetch objects by URLs that we sign, past API Gateway and Lambda and their limits. A signed URL ends
//! with the credentials that signed it, too.
//!
//! **What a role must allow**: on the bucket's objects `GetObject`, `PutObject` and `DeleteObject`, as far as the function
//! calls them (what a URL does is done with the rights of its signer); on the bucket `ListBucket`, without which an object
//! that is not there looks like one that must not be read. The bucket's lifecycle should abort uploads in parts after a
//! day, and remove objects after some 30.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tokio::sync::OnceCell;

use super::failure::failure;
use super::{CONNECT_TIMEOUT, sdk_config};
use crate::PlatformError;
use crate::blob::{Blob, BlobName, BlobWriter, Presigned, Stat, Upload};

/// What S3 is called in messages.
const WHAT: &str = "S3";
/// How long one attempt of a call may take, the bytes of a part included.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How large the parts of an object are that is written bit by bit: above S3's least of 5 MiB, and 78 GiB in the 10,000
/// parts that it takes.
const PART: usize = 8 * 1024 * 1024;
/// How often bytes are asked for that broke off.
const TRIES: usize = 3;

/// Blobs in a bucket. Clones share its connections once there are any.
#[derive(Clone)]
pub struct S3 {
    client: OnceCell<Client>,
    bucket: String,
}

impl S3 {
    /// Blobs in `bucket`. It sends nothing yet.
    pub fn new(config: &SdkConfig, bucket: impl Into<String>) -> Self {
        Self { client: OnceCell::from(connect(config)), bucket: bucket.into() }
    }

    /// Blobs in `bucket` of the account that the environment describes ([`sdk_config`]), which is looked at when the first
    /// is asked for: most calls of a function ask for none.
    pub fn of_environment(bucket: impl Into<String>) -> Self {
        Self { client: OnceCell::new(), bucket: bucket.into() }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| async { connect(&sdk_config().await) }).await
    }

    /// Reads a range once.
    async fn read_once(
        &self,
        name: &BlobName,
        tag: &str,
        from: u64,
        most: usize,
    ) -> Result<Option<Vec<u8>>, PlatformError> {
        let last = from.saturating_add(most as u64) - 1;
        let get = self.client().await.get_object().bucket(&self.bucket).key(name.as_str());
        let object = match get.range(format!("bytes={from}-{last}")).if_match(tag).send().await {
            Ok(object) => object,
            Err(error) => {
                return match code(&error) {
                    Some("NoSuchKey" | "PreconditionFailed") => Ok(None),
                    // There is nothing from there on.
                    Some("InvalidRange") => Ok(Some(Vec::new())),
                    _ => Err(failure(WHAT, error)),
                };
            }
        };
        let bytes = object.body.collect().await;
        let bytes = bytes
            .map_err(|source| PlatformError::Unavailable { what: WHAT, source: Box::new(source) })?
            .to_vec();
        Ok(Some(bytes))
    }
}

fn connect(config: &SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let is_given = config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    let config = aws_sdk_s3::config::Builder::from(config)
        .timeout_config(timeouts)
        // Names of buckets in names of hosts are AWS's own affair.
        .force_path_style(is_given)
        // TLS and the signature cover what is sent; whoever signs a URL does not know what will be.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    Client::from_conf(config)
}

/// The service's code for what is wrong.
fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

fn presigning(expires: Duration) -> Result<PresigningConfig, PlatformError> {
    PresigningConfig::expires_in(expires).map_err(|error| PlatformError::Invalid(error.to_string()))
}

fn presigned(request: &PresignedRequest) -> Presigned {
    Presigned {
        method: request.method().to_owned(),
        url: request.uri().to_owned(),
        headers: request
            .headers()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("host"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
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
        let put = self.client().await.put_object().bucket(&self.bucket).key(name.as_str());
        let request = put
            .content_type(media_type)
            .presigned(presigning(expires)?)
            .await
            .map_err(|error| failure(WHAT, error))?;
        Ok(Upload::Presigned(presigned(&request)))
    }

    async fn stat(&self, name: &BlobName) -> Result<Option<Stat>, PlatformError> {
        let head = self.client().await.head_object().bucket(&self.bucket).key(name.as_str());
        let object = match head.send().await {
            Ok(object) => object,
            Err(error) if matches!(code(&error), Some("NotFound" | "NoSuchKey")) => return Ok(None),
            Err(error) => return Err(failure(WHAT, error)),
        };
        let size = object.content_length.and_then(|size| u64::try_from(size).ok());
        size.zip(object.e_tag)
            .map(|(size, tag)| Some(Stat { size, tag }))
            .ok_or_else(|| PlatformError::Corrupt("S3 told neither size nor tag".to_owned()))
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
        let mut tries = 1;
        loop {
            match self.read_once(name, tag, from, most).await {
                // The SDK repeats calls, but not what breaks off in mid-answer.
                Err(PlatformError::Unavailable { .. }) if tries < TRIES => tries += 1,
                result => return result,
            }
        }
    }

    async fn put(&self, name: &BlobName, bytes: Vec<u8>) -> Result<(), PlatformError> {
        let put = self.client().await.put_object().bucket(&self.bucket).key(name.as_str());
        put.body(ByteStream::from(bytes)).send().await.map_err(|error| failure(WHAT, error))?;
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
        let get = self.client().await.get_object().bucket(&self.bucket).key(name.as_str());
        let request = get
            .response_content_disposition(format!("attachment; filename=\"{file_name}\""))
            .presigned(presigning(expires)?)
            .await
            .map_err(|error| failure(WHAT, error))?;
        Ok(Some(request.uri().to_owned()))
    }

    async fn delete(&self, name: &BlobName) -> Result<(), PlatformError> {
        let delete = self.client().await.delete_object().bucket(&self.bucket).key(name.as_str());
        delete.send().await.map_err(|error| failure(WHAT, error))?;
        Ok(())
    }
}

/// An object that is written bit by bit. What is begun and never finished is nobody's to see; the bucket's lifecycle
/// removes its parts.
struct Parts {
    s3: S3,
    name: BlobName,
    /// What S3 calls the upload, and its parts so far; none while everything fits into one.
    upload: Option<(String, Vec<CompletedPart>)>,
    buffer: Vec<u8>,
}

impl Parts {
    async fn send(&mut self) -> Result<(), PlatformError> {
        let (client, bucket, key) = (self.s3.client().await, &self.s3.bucket, self.name.as_str());
        let (id, parts) = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let begin = client.create_multipart_upload().bucket(bucket).key(key);
                let begun = begin.send().await.map_err(|error| failure(WHAT, error))?;
                let id =
                    begun.upload_id.ok_or_else(|| PlatformError::Corrupt("S3 named no upload".to_owned()))?;
                none.insert((id, Vec::new()))
            }
        };
        let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
        let part = client.upload_part().bucket(bucket).key(key).upload_id(id.as_str()).part_number(number);
        let body = ByteStream::from(std::mem::take(&mut self.buffer));
        let sent = part.body(body).send().await.map_err(|error| failure(WHAT, error))?;
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build());
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
        let Some((id, parts)) = self.upload.take() else { return Ok(()) };
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let client = self.s3.client().await;
        let complete = client.complete_multipart_upload().bucket(&self.s3.bucket).key(self.name.as_str());
        complete.upload_id(id).multipart_upload(parts).send().await.map_err(|error| failure(WHAT, error))?;
        Ok(())
    }
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}
