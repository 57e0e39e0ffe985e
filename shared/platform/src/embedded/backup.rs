//! A copy of the database, also while an engine has it open.

use std::path::Path;

use super::files::{self, DATABASE, OpenError};
use crate::private;

/// Copies the database of the data folder `from` into the folder `to`, where none may be. The copy is the database as it is
/// at one moment, whoever has it open and writes to it meanwhile; it holds up nobody but for the log, which is cut only
/// once it is done.
///
/// # Errors
/// [`OpenError`], where `from` holds no database of ours, or the copy can't be written.
pub fn copy_database(from: &Path, to: &Path) -> Result<(), OpenError> {
    let (database, copy) = (from.join(DATABASE), to.join(DATABASE));
    let refused = |source| OpenError::Folder { path: to.to_owned(), source };
    // SQLite takes an empty file as if there were none, and this one nobody else can read.
    let file = private::file_options().create_new(true).open(&copy).map_err(refused)?;
    let source = files::open_to_copy(&database)?;
    // The bare files can't be copied beside a writer: what was committed last lies in the log, which may begin anew.
    let name = copy.to_str().ok_or_else(|| refused(std::io::ErrorKind::InvalidFilename.into()))?;
    source.execute("VACUUM INTO ?1", [name]).map_err(OpenError::engine)?;
    // SQLite leaves it to the system when the copy comes to the disk.
    file.sync_all().map_err(refused)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::embedded::Embedded;
    use crate::{Consistency, Item, Key, SystemClock, Table, TableName, Write};

    const TABLE: TableName = TableName("people");

    fn write(n: u32) -> Vec<Write> {
        vec![Write::put(TABLE, Item::new(Key::new("p", format!("{n}"))))]
    }

    #[tokio::test]
    async fn a_copy_of_an_open_database_holds_what_is_still_in_its_log() {
        let (data, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let engine = Embedded::open(data.path(), Arc::new(SystemClock)).unwrap();
        engine.transact(write(1)).await.unwrap();
        copy_database(data.path(), copy.path()).unwrap();
        engine.transact(write(2)).await.unwrap();
        let copied = Embedded::open(copy.path(), Arc::new(SystemClock)).unwrap();
        let is_there = async |n: &str| {
            copied.get(TABLE, &Key::new("p", n), Consistency::Strong).await.unwrap().is_some()
        };
        assert!(is_there("1").await);
        assert!(!is_there("2").await, "it came later");
    }

    #[test]
    fn neither_is_a_database_written_over_nor_a_strangers_copied() {
        let (data, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(copy_database(data.path(), copy.path()).is_err(), "there is none");
        std::fs::write(data.path().join(DATABASE), "a letter, and no database at all. ".repeat(20)).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let refusal = copy_database(data.path(), elsewhere.path()).unwrap_err();
        assert!(matches!(refusal, OpenError::NotADatabase { .. }), "{refusal:?}");
        std::fs::write(copy.path().join(DATABASE), "mine").unwrap();
        assert!(copy_database(data.path(), copy.path()).is_err());
        assert_eq!(std::fs::read_to_string(copy.path().join(DATABASE)).unwrap(), "mine");
    }
}
