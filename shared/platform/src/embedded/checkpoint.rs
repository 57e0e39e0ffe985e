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
    if log.frames < RESTART_FRAMES {
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
