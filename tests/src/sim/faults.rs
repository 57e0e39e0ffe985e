//! Faults: which call of a run goes wrong, and how.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use platform::PlatformError;
use tokio::sync::Notify;

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing and says so.
    FailBefore,
    /// It does its work and says that it failed.
    FailAfter,
    /// The process dies before the call has done anything.
    CrashBefore,
    /// The process dies when the call has done its work, before it hears of it.
    CrashAfter,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::FailBefore, Self::FailAfter, Self::CrashBefore, Self::CrashAfter];
}

/// Counts the calls of a run and spoils one of them.
#[derive(Debug)]
pub struct Faults {
    calls: AtomicUsize,
    /// The number of the call to spoil, from 0, and how.
    plan: Mutex<Option<(usize, Fault)>>,
    killed: AtomicBool,
    dead: Notify,
}

impl Faults {
    /// Spoils this call, or none.
    pub fn new(plan: Option<(usize, Fault)>) -> Self {
        Self {
            calls: AtomicUsize::new(0),
            plan: Mutex::new(plan),
            killed: AtomicBool::new(false),
            dead: Notify::new(),
        }
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether the fault was met.
    pub fn is_spent(&self) -> bool {
        self.plan.lock().unwrap().is_none()
    }

    /// The fault of the call that begins now, if it is the one.
    fn next(&self) -> Option<Fault> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut plan = self.plan.lock().unwrap();
        let (_, fault) = plan.filter(|(number, _)| *number == call)?;
        *plan = None;
        Some(fault)
    }

    /// Makes a call, or spoils it.
    pub async fn call<T, E: From<PlatformError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if self.killed.load(Ordering::Relaxed) {
            return self.die().await;
        }
        match self.next() {
            None => work.await,
            Some(Fault::FailBefore) => Err(unavailable().into()),
            Some(Fault::FailAfter) => {
                drop(work.await);
                Err(unavailable().into())
            }
            Some(Fault::CrashBefore) => self.die().await,
            Some(Fault::CrashAfter) => {
                drop(work.await);
                self.die().await
            }
        }
    }

    /// The process dies at its next call, for work that can't wait.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Relaxed);
    }

    /// The process ends here: nothing after this runs.
    pub async fn die<T>(&self) -> T {
        self.killed.store(false, Ordering::Relaxed);
        self.dead.notify_one();
        std::future::pending().await
    }

    /// Runs a part of the process until it ends or the process dies; `None` where it died.
    pub async fn alive<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.dead.notified() => None,
            done = work => Some(done),
        }
    }
}

fn unavailable() -> PlatformError {
    PlatformError::Unavailable { what: "the engine", source: "as the simulation wants it".into() }
}
