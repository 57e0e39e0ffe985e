//! Files and folders that nobody but this system's user may read: what is kept in them is about people.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes `path` and what is missing above it, for this user alone. A folder that is there already stays as it is: whoever
/// made it has said who may read it.
///
/// # Errors
/// The system's, where the folder can't be made.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// How to open a file for writing that, where this makes it, is for this user alone.
pub fn file_options() -> OpenOptions {
    let mut options = File::options();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
