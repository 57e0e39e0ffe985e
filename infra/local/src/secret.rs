//! The secret that addresses are hashed under: made at the first start, kept beside the database. The database knows it
//! by a check value: under another secret the suppression list would silently suppress nobody.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use campaign::id::random_bytes;
use platform::{Platform, private};
use store::HashKey;
use store::suppression::{KeyCheck, check_key};
use thiserror::Error;

/// The secret in a data folder.
pub(crate) const SECRET: &str = "secret.key";

/// Why the secret can't be used.
#[derive(Debug, Error)]
pub enum SecretError {
    /// It can't be read or made.
    #[error("the secret beside the database can't be read or made")]
    File(#[from] io::Error),
    /// It is not the one the database was written under.
    #[error(
        "secret.key is missing or is not the one this database was written under: restore it from the same backup"
    )]
    Other,
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

/// The secret of this data folder, whose database is `platform`.
pub(crate) async fn hash_key(folder: &Path, platform: &Platform) -> Result<HashKey, SecretError> {
    let key = read_or_create(folder)?;
    match check_key(platform, &key).await? {
        KeyCheck::Same => Ok(key),
        KeyCheck::Other => Err(SecretError::Other),
    }
}

fn read_or_create(folder: &Path) -> io::Result<HashKey> {
    let path = folder.join(SECRET);
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
    let mut file = private::file_options().create(true).truncate(true).open(&partial)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    fs::File::open(folder)?.sync_all()?;
    Ok(HashKey(key))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use platform::SystemClock;
    use platform::embedded::Embedded;

    use super::*;

    #[tokio::test]
    async fn the_secret_of_a_folder_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let platform = Embedded::in_memory(Arc::new(SystemClock)).platform();
        let first = hash_key(folder.path(), &platform).await.unwrap();
        assert_eq!(hash_key(folder.path(), &platform).await.unwrap().0, first.0);
        assert_ne!(first.0, [0; 32]);
    }

    #[tokio::test]
    async fn a_lost_secret_is_an_error_and_not_a_new_secret() {
        let folder = tempfile::tempdir().unwrap();
        let platform = Embedded::in_memory(Arc::new(SystemClock)).platform();
        hash_key(folder.path(), &platform).await.unwrap();
        fs::remove_file(folder.path().join("secret.key")).unwrap();
        assert!(matches!(hash_key(folder.path(), &platform).await, Err(SecretError::Other)));
    }

    #[tokio::test]
    async fn a_damaged_secret_is_an_error_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let platform = Embedded::in_memory(Arc::new(SystemClock)).platform();
        fs::write(folder.path().join("secret.key"), b"short").unwrap();
        assert!(hash_key(folder.path(), &platform).await.is_err());
        assert_eq!(fs::read(folder.path().join("secret.key")).unwrap(), b"short");
    }
}
