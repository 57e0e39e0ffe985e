//! A copy of a data folder, also beside the server that works in it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use platform::embedded::{OpenError, copy_database};
use platform::private;
use thiserror::Error;

use crate::node::FILES;
use crate::secret::SECRET;

/// Why a backup can't be made.
#[derive(Debug, Error)]
pub enum BackupError {
    /// There is something where it is to go.
    #[error("{} is there already: a backup wants a new folder", .0.display())]
    IsThere(PathBuf),
    /// The database can't be copied.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// Another file can't be copied.
    #[error("{} can't be copied", path.display())]
    File {
        /// The file, or its folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Copies what the data folder `data` holds of campaigns and people, its secret and the jobs' files into the new folder
/// `to`: a data folder as it was at one moment. It appears under its name whole or not at all. Mail in an outbox is left out.
///
/// # Errors
/// [`BackupError`]; then nothing is left behind.
pub fn backup(data: &Path, to: &Path) -> Result<(), BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::IsThere(to.to_owned()));
    }
    let unfinished = beside(to);
    let copied = copy(data, &unfinished, copy_database).and_then(|()| {
        let parent = unfinished.parent().filter(|parent| !parent.as_os_str().is_empty());
        at(to, fs::rename(&unfinished, to))?;
        at(to, File::open(parent.unwrap_or(Path::new("."))).and_then(|parent| parent.sync_all()))
    });
    if copied.is_err() {
        // What stops it from being removed is the lesser trouble.
        drop(fs::remove_dir_all(&unfinished));
    }
    copied
}

/// Where a backup is made before it gets its name.
fn beside(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.unfinished", std::process::id()));
    to.with_file_name(name)
}

fn at<T>(path: &Path, done: io::Result<T>) -> Result<T, BackupError> {
    done.map_err(|source| BackupError::File { path: path.to_owned(), source })
}

fn copy(
    data: &Path,
    to: &Path,
    copy_database: impl FnOnce(&Path, &Path) -> Result<(), OpenError>,
) -> Result<(), BackupError> {
    at(to, private::make_folder(to))?;
    // The files on both sides of the database. Before it, for the jobs that go on in it: they delete theirs when they end,
    // which may be by the time it is copied. After it, for what came in between and what it tells of already.
    let files = data.join(FILES);
    at(&files, copy_folder(&files, &to.join(FILES)))?;
    copy_database(data, to)?;
    let secret = data.join(SECRET);
    at(&secret, copy_file(&secret, &to.join(SECRET)))?;
    at(&files, copy_folder(&files, &to.join(FILES)))?;
    at(to, File::open(to).and_then(|folder| folder.sync_all()))
}

/// Copies a folder but for what has no name yet, is gone by the time it would be copied (jobs go on meanwhile), or is copied
/// already: a file is whole when it gets its name.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    private::make_folder(to)?;
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let copied = entry
            .file_type()
            .and_then(|kind| if kind.is_dir() { copy_folder(&from, &to) } else { copy_file(&from, &to) });
        match copied {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => {}
            copied => copied?,
        }
    }
    File::open(to)?.sync_all()
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut original = File::open(from)?;
    let mut copy = private::file_options().create_new(true).open(to)?;
    io::copy(&mut original, &mut copy)?;
    copy.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(data: &Path) -> Vec<(String, String)> {
        let folder = data.join(FILES).join("jobs");
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_file_is_in_the_backup_whether_it_goes_or_comes_while_the_database_is_copied() {
        let (data, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (data, to) = (data.path(), to.path().join("backup"));
        let jobs = data.join(FILES).join("jobs");
        fs::create_dir_all(&jobs).unwrap();
        fs::write(data.join(SECRET), "secret").unwrap();
        for name in ["ends", "goes-on", ".unfinished"] {
            fs::write(jobs.join(name), name).unwrap();
        }
        let meanwhile = |_: &Path, _: &Path| {
            fs::remove_file(jobs.join("ends")).unwrap();
            fs::write(jobs.join("comes"), "comes").unwrap();
            Ok(())
        };
        copy(data, &to, meanwhile).unwrap();
        let expected = ["comes", "ends", "goes-on"].map(|name| (name.to_owned(), name.to_owned()));
        assert_eq!(files(&to), expected);
        assert_eq!(fs::read_to_string(to.join(SECRET)).unwrap(), "secret");
    }

    #[test]
    fn a_data_folder_without_files_has_a_backup_without_files() {
        let (data, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(data.path().join(SECRET), "secret").unwrap();
        copy(data.path(), to.path(), |_, _| Ok(())).unwrap();
        assert_eq!(fs::read_dir(to.path().join(FILES)).unwrap().count(), 0);
    }
}
