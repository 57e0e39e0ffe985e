//! Files too large for an item or a message: uploads to be imported, and what is made for people to fetch.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::PlatformError;

/// The longest name, in bytes.
const MAX_NAME: usize = 200;

/// What a blob is called: parts of `[a-z0-9-_.]` between slashes, none of which is empty or begins with a dot. So it is
/// the same name in a bucket and in a folder, and leads out of neither.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobName(String);

impl BlobName {
    /// The name with this text.
    ///
    /// # Errors
    /// [`PlatformError::TooLarge`] above 200 bytes, [`PlatformError::Invalid`] where it is of another form.
    pub fn new(text: impl Into<String>) -> Result<Self, PlatformError> {
        let text = text.into();
        if text.len() > MAX_NAME {
            return Err(PlatformError::TooLarge {
                what: "bytes of a blob's name",
                size: text.len(),
                limit: MAX_NAME,
            });
        }
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
        };
        let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(allowed);
        if !text.split('/').all(is_part) {
            return Err(PlatformError::Invalid(format!("{text:?} can't name a blob")));
        }
        Ok(Self(text))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A blob as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// Its bytes.
    pub size: u64,
    /// Tells this blob from whatever takes its place.
    pub tag: String,
}

/// Where a client brings a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upload {
    /// To this URL, without any other credential. Whoever has it may write the blob until it expires.
    Presigned(Presigned),
    /// To us, who write it by [`Blob::create`].
    Direct,
}

/// A request that a client makes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presigned {
    /// The HTTP method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// The headers it must carry, as they are.
    pub headers: Vec<(String, String)>,
}

/// Keeps blobs. What is written is there whole or not at all, and stays.
#[async_trait]
pub trait Blob: Send + Sync {
    /// Where a client brings a blob of this name and media type, for so long.
    ///
    /// # Errors
    /// [`PlatformError::Invalid`] for a time beyond seven days.
    async fn upload(
        &self,
        name: &BlobName,
        media_type: &str,
        expires: Duration,
    ) -> Result<Upload, PlatformError>;

    /// The blob as it is now; `None` where there is none.
    async fn stat(&self, name: &BlobName) -> Result<Option<Stat>, PlatformError>;

    /// At most `most` bytes from an offset on; fewer at the end, none behind it. `None` where there is no such blob, or
    /// another one than that with this tag.
    async fn read(
        &self,
        name: &BlobName,
        tag: &str,
        from: u64,
        most: usize,
    ) -> Result<Option<Vec<u8>>, PlatformError>;

    /// Writes a small blob, over what was there.
    async fn put(&self, name: &BlobName, bytes: Vec<u8>) -> Result<(), PlatformError>;

    /// Begins a blob of any size, which takes the place of what was there once it is finished.
    async fn create(&self, name: &BlobName) -> Result<Box<dyn BlobWriter>, PlatformError>;

    /// The URL where whoever has it can fetch the blob for so long, as a file of this name; `None` where we hand it out
    /// ourselves.
    ///
    /// # Errors
    /// As [`Blob::upload`].
    async fn download(
        &self,
        name: &BlobName,
        file_name: &str,
        expires: Duration,
    ) -> Result<Option<String>, PlatformError>;

    /// Removes a blob; one that is not there is no error.
    async fn delete(&self, name: &BlobName) -> Result<(), PlatformError>;
}

/// A blob that is being written. Dropped before it is finished, it was never there.
#[async_trait]
pub trait BlobWriter: Send {
    /// Adds bytes.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), PlatformError>;

    /// Puts the blob in its place.
    async fn finish(self: Box<Self>) -> Result<(), PlatformError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["a", "imports/0a/file.csv", "a-b_c.d/e"] {
            assert_eq!(BlobName::new(name).unwrap().as_str(), name);
        }
        for name in
            ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", ".a", "a/.b", "A", "a b", "a\\b", "é", "a\0"]
        {
            assert!(matches!(BlobName::new(name), Err(PlatformError::Invalid(_))), "{name:?}");
        }
        assert!(BlobName::new("a".repeat(200)).is_ok());
        assert!(matches!(BlobName::new("a".repeat(201)), Err(PlatformError::TooLarge { .. })));
    }
}
