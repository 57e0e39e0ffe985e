//! Moving what the write-ahead log holds into the database, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::writer::Gate;

/// After so many new frames (4 KiB each) the log is copied; the writer goes on meanwhile.
const PASSIVE_FRAMES: i32 = 2048;
/// From so many frames on the writer is held back for a moment, so that the log starts again from its beginning. Under
/// steady writing it would never be copied whole otherwise, and would grow for ever.
const RESTART_FRAMES: i32 = 8192;
/// From so many frames on (a reader held things up for long) its file is cut as well, which costs the next writes more.
const TRUNCATE_FRAMES: i32 = 65_536;

/// Watches the writer's log and starts the thread that copies it, which ends when `writer` is closed.
pub(super) fn start(
    writer: &mut Connection,
    conn: Connection,
    gate: Arc<Gate>,
) -> std::io::Result<JoinHandle<()>> {
    let (nudge, nudges) = mpsc::sync_channel::<()>(1);
    let copied = Arc::new(AtomicI32::new(0));
    let seen = Arc::clone(&copied);
    let hook = move |_: &mut rusqlite::hooks::Wal, frames: i32| {
        // Fewer frames than were copied: the log began anew.
        if frames < seen.load(Ordering::Relaxed) {
            seen.store(0, Ordering::Relaxed);
        }
        if frames - seen.load(Ordering::Relaxed) >= PASSIVE_FRAMES {
            // A full channel means that it has been told already.
            let _ = nudge.try_send(());
        }
        Ok(())
    };
    writer.wal_hook(Some(hook)).map_err(std::io::Error::other)?;
    std::thread::Builder::new().name("envoi-checkpoint".to_owned()).spawn(move || {
        while nudges.recv().is_ok() {
            match copy(&conn, &gate) {
                Ok(frames) => copied.store(frames, Ordering::Relaxed),
                Err(error) => tracing::warn!(%error, "the write-ahead log could not be copied"),
            }
        }
    })
}

/// Returns how many frames of the log are copied.
fn copy(conn: &Connection, gate: &Gate) -> rusqlite::Result<i32> {
    let log = checkpoint(conn, "PASSIVE")?;
    // Much is left: a reader holds on to an older state, as a backup does. Waiting for it would hold up each commit, for
    // nothing; once it has gone, everything is copied, and the log starts again as ever.
    if log.frames < RESTART_FRAMES || log.frames - log.copied >= PASSIVE_FRAMES {
        return Ok(log.copied);
    }
    // What is left by now is little, so the writer does not wait long.
    let _still = gate.pass();
    let log = checkpoint(conn, if log.frames < TRUNCATE_FRAMES { "RESTART" } else { "TRUNCATE" })?;
    Ok(log.copied)
}

/// Copies everything and cuts the log's file. Fails softly where a reader is in the way.
pub(super) fn truncate(conn: &Connection) -> rusqlite::Result<()> {
    checkpoint(conn, "TRUNCATE").map(|_| ())
}

/// The same, while others write: they are not held up but for what they add meanwhile.
pub(super) fn cut(conn: &Connection) -> rusqlite::Result<()> {
    checkpoint(conn, "PASSIVE")?;
    truncate(conn)
}

struct Log {
    frames: i32,
    copied: i32,
}

fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<Log> {
    conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok(Log { frames: row.get(1)?, copied: row.get(2)? })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

    use super::super::files::{self, Folder};
    use super::*;

    /// More frames than a small write has.
    const FEW: i32 = 20;

    /// A checkpointer, and the modes of the checkpoints it has tried.
    struct Recorded {
        conn: Connection,
        gate: Gate,
        tried: Arc<Mutex<Vec<String>>>,
    }

    impl Recorded {
        fn open(folder: &Folder) -> Self {
            let mut conn = files::open_checkpointer(&folder.database).unwrap();
            let tried = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&tried);
            let record = move |context: AuthContext<'_>| {
                if let AuthAction::Pragma { pragma_name: "wal_checkpoint", pragma_value: Some(mode) } =
                    context.action
                {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(mode.to_owned());
                }
                Authorization::Allow
            };
            conn.authorizer(Some(record)).unwrap();
            Self { conn, gate: Gate::default(), tried }
        }

        /// How many frames are copied by then, and what was tried for it.
        fn copy(&self) -> (i32, Vec<String>) {
            let copied = copy(&self.conn, &self.gate).unwrap();
            (copied, std::mem::take(&mut self.tried.lock().unwrap()))
        }
    }

    /// Writes at least so many frames.
    fn grow(writer: &Connection, frames: i32) {
        writer.execute("INSERT INTO big VALUES (zeroblob(?1 * 4096))", [frames]).unwrap();
    }

    /// A connection that holds on to the database as it is now, as a backup does.
    fn reader(folder: &Folder) -> Connection {
        let reader = files::open_reader(&folder.database).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM big").unwrap();
        reader
    }

    #[test]
    fn a_reader_of_an_older_state_is_not_waited_for_and_the_log_starts_again_once_it_has_gone() {
        // It began while some of the log was not in the database yet, or with a log that was copied whole.
        for is_copied in [false, true] {
            let data = tempfile::tempdir().unwrap();
            let folder = Folder::claim(data.path()).unwrap();
            let writer = folder.open_writer().unwrap();
            writer.execute_batch("CREATE TABLE big (bytes BLOB)").unwrap();
            let log = Recorded::open(&folder);
            if is_copied {
                log.copy();
            }

            let backup = reader(&folder);
            grow(&writer, RESTART_FRAMES);
            for _ in 0..3 {
                let (copied, tried) = log.copy();
                assert!(copied < FEW, "{copied}");
                assert_eq!(tried, ["PASSIVE"]);
                grow(&writer, 1);
            }

            drop(backup);
            let (copied, tried) = log.copy();
            assert!(copied > RESTART_FRAMES, "{copied}");
            assert_eq!(tried, ["PASSIVE", "RESTART"]);
            grow(&writer, 1);
            let (copied, _) = log.copy();
            assert!(copied < FEW, "it began anew: {copied}");
        }
    }

    #[test]
    fn without_a_reader_the_log_starts_again_only_when_it_is_long() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::claim(data.path()).unwrap();
        let writer = folder.open_writer().unwrap();
        writer.execute_batch("CREATE TABLE big (bytes BLOB)").unwrap();
        let log = Recorded::open(&folder);
        grow(&writer, PASSIVE_FRAMES);
        let (copied, tried) = log.copy();
        assert!(copied >= PASSIVE_FRAMES, "{copied}");
        assert_eq!(tried, ["PASSIVE"]);
        grow(&writer, RESTART_FRAMES);
        assert_eq!(log.copy().1, ["PASSIVE", "RESTART"]);
    }
}
