//! The step at which a connection breaks.

use std::sync::atomic::Ordering;

use super::{
    options::{Fault, FaultKind, Queued},
    session::{Ended, Session},
};

impl Session {
    /// One step of the protocol is made. If it is the one that the fault is set for, the connection is over.
    pub(super) async fn step(&mut self) -> Result<(), Ended> {
        let Some(Fault { step, kind, queued }) = self.shared.options.fault else {
            return Ok(());
        };
        if self.shared.steps.fetch_add(1, Ordering::Relaxed) != step {
            return Ok(());
        }
        self.shared.counts.faults.fetch_add(1, Ordering::Relaxed);
        match queued {
            Queued::Sent => self.flush().await?,
            // A server that says 421 has said what it had to say before.
            Queued::Lost if kind == FaultKind::Say421 => self.flush().await?,
            Queued::Lost => self.out.clear(),
        }
        match kind {
            FaultKind::Reset => self.reset(),
            FaultKind::Close => {}
            FaultKind::Say421 => {
                self.reply("421 4.3.2 closing");
                self.flush().await?;
            }
            FaultKind::SayNonsense => {
                self.reply("what was that");
                self.flush().await?;
            }
            FaultKind::Stall => std::future::pending().await,
        }
        Err(Ended)
    }

    /// Whether the fault is a polite one.
    pub(super) fn says_421(&self) -> bool {
        matches!(self.shared.options.fault, Some(Fault { kind: FaultKind::Say421, .. }))
    }
}
