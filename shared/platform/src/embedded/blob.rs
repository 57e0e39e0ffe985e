//! The [`Blob`] port on files: one a blob, under its name in a folder.
//!
//! A blob is written under another name, brought to the disk, and then renamed, so that no crash leaves half of one.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::OpenError;
use crate::blob::{Blob, BlobName, BlobWriter, Stat, Upload};
use crate::{Clock, PlatformError, private};

/// Where blobs are written before they have their names; no blob's name begins with a dot.
const UNFINISHED: &str = ".new";
/// How much is gathered before it is written.
const BUFFER: usize = 1024 * 1024;
/// How often a blob is put in its place anew, where a folder was tidied away in between.
const TRIES: usize = 5;

/// Blobs in a folder. Clones share it.
#[derive(Debug, Clone)]
pub struct BlobFolder {
    folder: Arc<Path>,
}

impl BlobFolder {
    /// Blobs in `folder`, which is made where it is missing.
    ///
    /// # Errors
    /// [`OpenError::Folder`] where it can't be.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Folder { path: folder.to_owned(), source };
        private::make_folder(&folder.join(UNFINISHED)).map_err(refused)?;
        Ok(Self { folder: folder.into() })
    }

    /// Removes the blobs, and what was never finished, that nobody has written to for `age`. Returns how many.
    ///
    /// # Errors
    /// Where the folder can't be read, or a file not be removed.
    pub async fn remove_older_than(&self, age: Duration, clock: &dyn Clock) -> Result<usize, PlatformError> {
        let since_epoch = Duration::try_from(clock.now().as_duration()).unwrap_or_default();
        let until = SystemTime::UNIX_EPOCH + since_epoch.saturating_sub(age);
        self.run(move |folder| remove_older(folder, until)).await
    }

    fn path(&self, name: &BlobName) -> PathBuf {
        self.folder.join(name.as_str())
    }

    /// Runs `work` where it may wait for the disk.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, PlatformError> {
        let folder = Arc::clone(&self.folder);
        blocking(move || work(&folder)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, PlatformError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    done.flatten().map_err(|source| PlatformError::Unavailable {
        what: "the folder of files",
        source: Box::new(source),
    })
}

/// The result, or `None` where there is no such file.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn stat(metadata: &Metadata) -> io::Result<Stat> {
    let age = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // What takes a file's place was made beside it, so that it is another one on the disk.
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let number = 0;
    let size = metadata.len();
    Ok(Stat { size, tag: format!("{size:x}-{:x}-{number:x}", age.as_nanos()) })
}

fn remove_older(folder: &Path, until: SystemTime) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(metadata) = found(entry.metadata())? else { continue };
        let path = entry.path();
        if metadata.is_dir() {
            removed += remove_older(&path, until)?;
            if path.file_name() != Some(OsStr::new(UNFINISHED)) {
                // Only an empty one goes.
                drop(fs::remove_dir(&path));
            }
        } else if metadata.modified()? < until {
            removed += usize::from(found(fs::remove_file(&path))?.is_some());
        }
    }
    Ok(removed)
}

#[async_trait]
impl Blob for BlobFolder {
    async fn upload(&self, _: &BlobName, _: &str, _: Duration) -> Result<Upload, PlatformError> {
        Ok(Upload::Direct)
    }

    async fn stat(&self, name: &BlobName) -> Result<Option<Stat>, PlatformError> {
        let path = self.path(name);
        blocking(move || {
            let metadata = found(fs::metadata(path))?.filter(Metadata::is_file);
            metadata.as_ref().map(stat).transpose()
        })
        .await
    }

    async fn read(
        &self,
        name: &BlobName,
        tag: &str,
        from: u64,
        most: usize,
    ) -> Result<Option<Vec<u8>>, PlatformError> {
        let (path, tag) = (self.path(name), tag.to_owned());
        blocking(move || {
            let Some(mut file) = found(File::open(path))? else { return Ok(None) };
            let stat = stat(&file.metadata()?)?;
            if stat.tag != tag {
                return Ok(None);
            }
            let left = usize::try_from(stat.size.saturating_sub(from)).unwrap_or(usize::MAX);
            let mut bytes = Vec::with_capacity(most.min(left));
            file.seek(SeekFrom::Start(from))?;
            file.take(most as u64).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        })
        .await
    }

    async fn put(&self, name: &BlobName, bytes: Vec<u8>) -> Result<(), PlatformError> {
        let place = self.path(name);
        self.run(move |folder| {
            let mut unfinished = Unfinished::new(folder)?;
            unfinished.file.write_all(&bytes)?;
            unfinished.finish(&place)
        })
        .await
    }

    async fn create(&self, name: &BlobName) -> Result<Box<dyn BlobWriter>, PlatformError> {
        let unfinished = self.run(Unfinished::new).await?;
        let place = self.path(name);
        Ok(Box::new(FileWriter { unfinished: Some(unfinished), place, buffer: Vec::new() }))
    }

    async fn download(&self, _: &BlobName, _: &str, _: Duration) -> Result<Option<String>, PlatformError> {
        Ok(None)
    }

    async fn delete(&self, name: &BlobName) -> Result<(), PlatformError> {
        let path = self.path(name);
        blocking(move || found(fs::remove_file(path)).map(|_| ())).await
    }
}

/// A file without its name yet, removed where it never gets one.
struct Unfinished {
    path: PathBuf,
    file: File,
    folder: PathBuf,
}

impl Unfinished {
    fn new(folder: &Path) -> io::Result<Self> {
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(io::Error::other)?;
        let path = folder.join(UNFINISHED).join(format!("{:032x}", u128::from_be_bytes(name)));
        // Uploads are lists of people.
        let file = private::file_options().create_new(true).open(&path)?;
        Ok(Self { file, path, folder: folder.to_owned() })
    }

    fn finish(self, place: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        let parent = place.parent().unwrap_or(&self.folder);
        for attempt in 1.. {
            private::make_folder(parent)?;
            match fs::rename(&self.path, place) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < TRIES => {}
                renamed => {
                    renamed?;
                    break;
                }
            }
        }
        // The name is safe once every folder above it is.
        for folder in parent.ancestors().take_while(|folder| folder.starts_with(&self.folder)) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Once it has its name there is nothing here; an error is for the tidying.
        drop(fs::remove_file(&self.path));
    }
}

struct FileWriter {
    /// `None` only after a write has failed.
    unfinished: Option<Unfinished>,
    place: PathBuf,
    buffer: Vec<u8>,
}

impl FileWriter {
    async fn flush(&mut self) -> Result<Unfinished, PlatformError> {
        let broken = || PlatformError::Invalid("a write of this blob has failed before".to_owned());
        let mut unfinished = self.unfinished.take().ok_or_else(broken)?;
        let buffer = std::mem::take(&mut self.buffer);
        blocking(move || {
            unfinished.file.write_all(&buffer)?;
            Ok(unfinished)
        })
        .await
    }
}

#[async_trait]
impl BlobWriter for FileWriter {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), PlatformError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.unfinished = Some(self.flush().await?);
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), PlatformError> {
        let unfinished = self.flush().await?;
        let place = std::mem::take(&mut self.place);
        blocking(move || unfinished.finish(&place)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemClock;

    fn name(text: &str) -> BlobName {
        BlobName::new(text).unwrap()
    }

    fn files_in(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn what_is_dropped_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let files = BlobFolder::open(folder.path()).unwrap();
        let mut writer = files.create(&name("a/b")).await.unwrap();
        writer.write(&vec![1; 3 * BUFFER]).await.unwrap();
        assert_eq!(files_in(&folder.path().join(UNFINISHED)), 1);
        drop(writer);
        assert_eq!(files_in(&folder.path().join(UNFINISHED)), 0);
        assert_eq!(files.stat(&name("a/b")).await.unwrap(), None);
    }

    #[tokio::test]
    async fn old_files_go_and_younger_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let files = BlobFolder::open(folder.path()).unwrap();
        files.put(&name("old/file"), vec![1]).await.unwrap();
        files.put(&name("young"), vec![2]).await.unwrap();
        // A process that was killed in mid-upload leaves such a one.
        let left = folder.path().join(UNFINISHED).join("left");
        fs::write(&left, "half").unwrap();
        let long_ago = fs::metadata(&left).unwrap().modified().unwrap() - Duration::from_secs(3600);
        for path in [folder.path().join("old/file"), left] {
            File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
        }
        let removed = files.remove_older_than(Duration::from_secs(600), &SystemClock).await.unwrap();
        assert_eq!(removed, 2);
        assert!(files.stat(&name("young")).await.unwrap().is_some());
        assert!(!folder.path().join("old").exists() && folder.path().join(UNFINISHED).exists());
        files.put(&name("old/file"), vec![3]).await.unwrap();
    }
}
