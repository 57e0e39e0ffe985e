//! Faults: which call of a run goes wrong, and how.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
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

    const fn is_before(self) -> bool {
        matches!(self, Self::FailBefore | Self::CrashBefore)
    }
}

/// What happens from outside before a call, which it is told the number of.
#[derive(Clone)]
struct Interruption(Arc<dyn Fn(usize) -> BoxFuture<'static, ()> + Send + Sync>);

impl fmt::Debug for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interruption")
    }
}

/// Counts the calls of a run and spoils one of them.
#[derive(Debug)]
pub struct Faults {
    calls: AtomicUsize,
    /// Which of them only read.
    reads: Mutex<BTreeSet<usize>>,
    /// The number of the call to spoil, from 0, and how.
    plan: Mutex<Option<(usize, Fault)>>,
    /// Calls of which each fails.
    failing: Mutex<Range<usize>>,
    killed: AtomicBool,
    dead: Notify,
    interruption: Mutex<Option<Interruption>>,
}

impl Faults {
    /// Spoils this call, or none.
    pub fn new(plan: Option<(usize, Fault)>) -> Self {
        Self {
            calls: AtomicUsize::new(0),
            reads: Mutex::default(),
            plan: Mutex::new(plan),
            failing: Mutex::default(),
            killed: AtomicBool::new(false),
            dead: Notify::new(),
            interruption: Mutex::new(None),
        }
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Every fault that could have come over one of the calls there were. What only reads has done nothing, whether it
    /// fails before or after it: that is one fault.
    pub fn points(&self) -> Vec<(usize, Fault)> {
        let reads = self.reads.lock().unwrap();
        let of_call = |call| {
            let is_read = reads.contains(&call);
            Fault::ALL
                .into_iter()
                .filter(move |fault| !is_read || fault.is_before())
                .map(move |fault| (call, fault))
        };
        (0..self.calls()).flat_map(of_call).collect()
    }

    /// Counts anew from here, and spoils this call or none.
    pub fn begin(&self, plan: Option<(usize, Fault)>) {
        self.calls.store(0, Ordering::Relaxed);
        self.reads.lock().unwrap().clear();
        *self.plan.lock().unwrap() = plan;
    }

    /// After `spared` calls more, so many fail, one after the other: an outage of the engine.
    pub fn fail_calls(&self, spared: usize, count: usize) {
        let first = self.calls() + spared;
        *self.failing.lock().unwrap() = first..first + count;
    }

    /// Whether the fault was met.
    pub fn is_spent(&self) -> bool {
        self.plan.lock().unwrap().is_none()
    }

    /// Has something happen from outside before each call, such as an operator's command in the middle of a claim.
    pub fn interrupt(&self, with: impl Fn(usize) -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        *self.interruption.lock().unwrap() = Some(Interruption(Arc::new(with)));
    }

    /// The fault of a call, if it is the one.
    fn of(&self, call: usize) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap();
        let (_, fault) = plan.filter(|(number, _)| *number == call)?;
        *plan = None;
        Some(fault)
    }

    /// Makes a call that only reads, or spoils it.
    pub async fn read<T, E: From<PlatformError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if !self.killed.load(Ordering::Relaxed) {
            self.reads.lock().unwrap().insert(self.calls());
        }
        self.call(work).await
    }

    /// Makes a call, or spoils it.
    pub async fn call<T, E: From<PlatformError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if self.killed.load(Ordering::Relaxed) {
            return self.die().await;
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let interruption = self.interruption.lock().unwrap().clone();
        if let Some(Interruption(with)) = interruption {
            with(call).await;
        }
        if self.failing.lock().unwrap().contains(&call) {
            return Err(unavailable().into());
        }
        match self.of(call) {
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
