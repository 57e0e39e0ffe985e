//! Messages as files: a provider for trying things out, or for a mail system that picks files up.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use platform::private;
use thiserror::Error;

use crate::{Answer, NotAccepted, Refusal};

/// The longest id, so that the file's name stays within what file systems take.
const MAX_ID_BYTES: usize = 200;

/// A folder that takes one `.eml` file a message.
///
/// A file appears under its name whole or not at all, and is named by the id alone: the same message written twice is
/// one file. Nothing is synced to the disk: a file survives the end of this process, however sudden, but perhaps not
/// that of the machine. Nobody but this user may read them.
#[derive(Debug, Clone)]
pub struct Outbox {
    folder: Arc<Path>,
}

/// The folder can't be used.
#[derive(Debug, Error)]
#[error("the outbox folder {folder} can't be used")]
pub struct OutboxError {
    folder: PathBuf,
    #[source]
    source: io::Error,
}

impl Outbox {
    /// The outbox in `folder`, which is made if it is not there, for this user alone.
    ///
    /// # Errors
    /// Where the folder can't be made.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, OutboxError> {
        let folder = folder.into();
        match private::make_folder(&folder) {
            Ok(()) => Ok(Self { folder: folder.into() }),
            Err(source) => Err(OutboxError { folder, source }),
        }
    }

    /// Writes `message` as `{id}.eml`; one written before under that id is replaced. The file's name is the provider's id.
    ///
    /// `id` is 1 to 200 of ASCII letters, digits, `-`, `_`, `.`, `=`, `+` and `@`, and starts with one of the first three kinds;
    /// any other is [`Refusal::Other`]. A failure to write is `NotAccepted`: the file is not there.
    pub async fn write(&self, id: &str, message: &[u8]) -> Answer {
        if !is_file_name(id) {
            return Answer::refused(Refusal::Other, "the id can't be a file's name");
        }
        let folder = Arc::clone(&self.folder);
        let name = format!("{id}.eml");
        let message = message.to_vec();
        match tokio::task::spawn_blocking(move || write_whole(&folder, &name, &message).map(|()| name)).await
        {
            Ok(Ok(name)) => Answer::Accepted { provider_id: Some(name) },
            Ok(Err(error)) => Answer::not_accepted(
                NotAccepted::Unreachable,
                format!("the file can't be written: {}", error.kind()),
            ),
            // The task may have died on either side of the rename.
            Err(_) => Answer::Ambiguous { detail: "writing the file was cut off".to_owned() },
        }
    }
}

fn is_file_name(id: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    id.len() <= MAX_ID_BYTES
        && id.bytes().next().is_some_and(is_plain)
        && id.bytes().all(|b| is_plain(b) || b"_.=+@".contains(&b))
}

fn write_whole(folder: &Path, name: &str, message: &[u8]) -> io::Result<()> {
    // Two writers of one message must not share a temporary file.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{name}.{}-{number}.tmp", std::process::id()));
    let written = private::file_options()
        .create(true)
        .truncate(true)
        .open(&temporary)
        .and_then(|mut file| file.write_all(message))
        .and_then(|()| fs::rename(&temporary, folder.join(name)));
    if written.is_err() {
        // Best effort: what remains is a hidden file that nobody reads.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn one_message_is_one_file_however_often_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(folder.path().join("out")).unwrap();
        let first = outbox.write("x1-1-7", b"first").await;
        assert_eq!(first, Answer::Accepted { provider_id: Some("x1-1-7.eml".into()) });
        outbox.write("x1-1-7", b"again").await;
        outbox.write("x1-1-8", b"other").await;
        assert_eq!(names(&folder.path().join("out")), ["x1-1-7.eml", "x1-1-8.eml"]);
        assert_eq!(fs::read(folder.path().join("out/x1-1-7.eml")).unwrap(), b"again");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_else_can_read_a_message() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(folder.path().join("out")).unwrap();
        outbox.write("x1", b"message").await;
        let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("out"), mode("out/x1.eml")), (0o700, 0o600));
    }

    #[tokio::test]
    async fn an_id_can_not_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(folder.path()).unwrap();
        for id in ["", "..", "../x", "/etc/x", "a/b", "a\\b", ".hidden", "a\0b", "a:b", &"x".repeat(201)] {
            let answer = outbox.write(id, b"message").await;
            assert!(matches!(answer, Answer::Refused { reason: Refusal::Other, .. }), "{id:?}: {answer:?}");
        }
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_not_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(folder.path().join("out")).unwrap();
        fs::remove_dir(folder.path().join("out")).unwrap();
        let answer = outbox.write("x1", b"message").await;
        assert!(matches!(answer, Answer::NotAccepted { cause: NotAccepted::Unreachable, .. }), "{answer:?}");
    }

    #[tokio::test]
    async fn many_writers_of_one_message_leave_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(folder.path()).unwrap();
        let message = vec![b'x'; 100_000];
        let writers = (0..16).map(|_| {
            let (outbox, message) = (outbox.clone(), message.clone());
            tokio::spawn(async move { outbox.write("same", &message).await })
        });
        for writer in writers.collect::<Vec<_>>() {
            assert!(matches!(writer.await.unwrap(), Answer::Accepted { .. }));
        }
        assert_eq!(names(folder.path()), ["same.eml"]);
        assert_eq!(fs::read(folder.path().join("same.eml")).unwrap(), message);
    }
}
