//! The secret that addresses are hashed under: made at the first start, kept beside the database.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use campaign::id::random_bytes;
use store::HashKey;

/// The secret of this data folder.
pub(crate) fn hash_key(folder: &Path) -> io::Result<HashKey> {
    let path = folder.join("secret.key");
    match fs::read(&path) {
        Ok(bytes) => {
            let key = bytes.try_into().map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} does not hold 32 bytes", path.display()),
                )
            })?;
            Ok(HashKey(key))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(folder, &path),
        Err(error) => Err(error),
    }
}

/// Writes a new secret under another name first, so that no crash leaves half of one.
fn create(folder: &Path, path: &Path) -> io::Result<HashKey> {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&random_bytes());
    key[16..].copy_from_slice(&random_bytes());
    let partial = folder.join("secret.key.new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&partial)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    Ok(HashKey(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_of_a_folder_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let first = hash_key(folder.path()).unwrap();
        assert_eq!(hash_key(folder.path()).unwrap().0, first.0);
        assert_ne!(first.0, [0; 32]);
    }

    #[test]
    fn a_damaged_secret_is_an_error_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret.key"), b"short").unwrap();
        assert!(hash_key(folder.path()).is_err());
        assert_eq!(fs::read(folder.path().join("secret.key")).unwrap(), b"short");
    }
}
