//! Gates hold the answers of the mail service back, so that a test decides when a function learns what became of a message.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::process::GUARD;

/// The gates that are closed, by the domain of the recipients whose messages they are for.
#[derive(Debug, Clone, Default)]
pub(super) struct Gates {
    closed: Arc<Mutex<HashMap<String, Lane>>>,
}

#[derive(Debug, Clone)]
struct Lane {
    /// How many messages were taken whose answers are held.
    held: watch::Sender<usize>,
    open: watch::Receiver<bool>,
}

/// A closed gate: messages to a domain are taken, and their answers held. Dropping it opens it.
#[derive(Debug)]
pub struct Gate {
    gates: Gates,
    domain: String,
    held: watch::Receiver<usize>,
    open: watch::Sender<bool>,
}

impl Gates {
    pub(super) fn close(&self, domain: &str) -> Gate {
        let (held, reader) = watch::channel(0);
        let (open, opened) = watch::channel(false);
        let lane = Lane { held, open: opened };
        self.closed.lock().unwrap().insert(domain.to_owned(), lane);
        Gate { gates: self.clone(), domain: domain.to_owned(), held: reader, open }
    }

    /// Returns when the answer to a message to that domain may go out.
    pub(super) async fn pass(&self, domain: &str) {
        let lane = self.closed.lock().unwrap().get(domain).cloned();
        let Some(mut lane) = lane else { return };
        lane.held.send_modify(|held| *held += 1);
        // An error means that the gate is gone, which opens it.
        drop(lane.open.wait_for(|open| *open).await);
    }
}

impl Gate {
    /// Waits until the answers of so many messages are held.
    ///
    /// # Errors
    /// Where they do not come.
    pub async fn until_held(&mut self, count: usize) -> anyhow::Result<()> {
        let came = timeout(GUARD, self.held.wait_for(|held| *held >= count)).await;
        came.map(|held| held.map(drop)).with_context(|| format!("{count} messages do not come"))??;
        Ok(())
    }

    /// Lets all answers go out, those held and those to come.
    pub fn open(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.gates.closed.lock().unwrap().remove(&self.domain);
        self.open.send_replace(true);
    }
}
