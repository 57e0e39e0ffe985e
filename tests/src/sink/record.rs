//! What was taken.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use memchr::memchr;
use tokio::time::Instant;

use super::options::Keep;

/// A message taken for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Envelope sender.
    pub from: String,
    /// Envelope recipient.
    pub to: String,
    /// The header of that name, without angle brackets; empty if there is none.
    pub message_id: String,
    /// The message, dots undone, with [`Keep::Messages`].
    pub message: Option<Vec<u8>>,
    /// When it had come in whole.
    pub at: Instant,
}

#[derive(Debug)]
pub(super) struct Record {
    keep: Keep,
    received: Mutex<Vec<Received>>,
    log: Option<Mutex<BufWriter<File>>>,
    seen: Mutex<HashSet<String>>,
    second: Mutex<(u64, u64)>,
    started: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    pub(super) fn new(keep: Keep, log: Option<&Path>) -> io::Result<Self> {
        let log = match log {
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path)?;
                Some(Mutex::new(BufWriter::with_capacity(64 * 1024, file)))
            }
            None => None,
        };
        Ok(Self {
            keep,
            received: Mutex::default(),
            log,
            seen: Mutex::default(),
            second: Mutex::default(),
            started: Instant::now(),
        })
    }

    /// Records a message (dot-stuffed) for each of its recipients.
    pub(super) fn take(&self, from: &str, recipients: &[String], wire: &[u8]) {
        if self.keep == Keep::Nothing && self.log.is_none() {
            return;
        }
        let id = message_id(wire);
        if let Some(log) = &self.log {
            let mut log = lock(log);
            for to in recipients {
                // A full disk shows when the log is read: lines are missing there.
                let _ = log
                    .write_all(to.as_bytes())
                    .and_then(|()| log.write_all(b"\t"))
                    .and_then(|()| log.write_all(id))
                    .and_then(|()| log.write_all(b"\n"));
            }
        }
        if self.keep != Keep::Nothing {
            let message = (self.keep == Keep::Messages).then(|| undo_dots(wire));
            let at = Instant::now();
            let mut received = lock(&self.received);
            for to in recipients {
                received.push(Received {
                    from: from.to_owned(),
                    to: to.clone(),
                    message_id: String::from_utf8_lossy(id).into_owned(),
                    message: message.clone(),
                    at,
                });
            }
        }
    }

    pub(super) fn all(&self) -> Vec<Received> {
        lock(&self.received).clone()
    }

    pub(super) fn flush(&self) {
        if let Some(log) = &self.log {
            let _ = lock(log).flush();
        }
    }

    /// Whether this recipient is named for the first time.
    pub(super) fn is_new(&self, recipient: &str) -> bool {
        lock(&self.seen).insert(recipient.to_owned())
    }

    /// Counts one message in this second of the sink's life; whether it is within `limit`.
    pub(super) fn is_within(&self, limit: u64) -> bool {
        let now = self.started.elapsed().as_secs();
        let (second, count) = &mut *lock(&self.second);
        if *second != now {
            (*second, *count) = (now, 0);
        }
        *count += 1;
        *count <= limit
    }
}

/// The Message-ID of a message, without angle brackets.
fn message_id(message: &[u8]) -> &[u8] {
    const NAME: &[u8] = b"message-id:";
    let mut rest = message;
    while let Some(end) = memchr(b'\n', rest) {
        let line = &rest[..end];
        if line.trim_ascii().is_empty() {
            break;
        }
        if line.len() >= NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            // The value may be folded into the next line.
            let value = line[NAME.len()..].trim_ascii();
            let value = if value.is_empty() {
                let next = &rest[end + 1..];
                next[..memchr(b'\n', next).unwrap_or(next.len())].trim_ascii()
            } else {
                value
            };
            let value = value.strip_prefix(b"<").unwrap_or(value);
            return value.strip_suffix(b">").unwrap_or(value);
        }
        rest = &rest[end + 1..];
    }
    b""
}

fn undo_dots(wire: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(wire.len());
    for line in wire.split_inclusive(|&b| b == b'\n') {
        out.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_id_is_found_among_the_headers_only() {
        assert_eq!(message_id(b"To: a\r\nMessage-Id: <x@y>\r\n\r\nbody\r\n"), b"x@y");
        assert_eq!(message_id(b"message-id:\r\n <x@y>\r\nTo: a\r\n\r\n"), b"x@y");
        assert_eq!(message_id(b"To: a\r\n\r\nMessage-ID: <x@y>\r\n"), b"");
    }

    #[test]
    fn dots_are_undone() {
        assert_eq!(undo_dots(b"..a\r\n...\r\nb.\r\n"), b".a\r\n..\r\nb.\r\n");
    }
}
