//! Messages that come again long after they were handled, as from a queue of dead letters.

use platform::{Deadline, batch};

use super::{TIMEOUT, World};

impl World {
    /// Delivers every message that was ever received again, in order and as if for the first time, to a process that has
    /// seen none of them, with a sweep after it. How many there were.
    ///
    /// # Panics
    /// Where one can't be handled.
    pub async fn redrive(&self) -> usize {
        let kept = self.kept.lock().unwrap().clone();
        let process = self.boot();
        for (queue, received) in &kept {
            let event = batch::event(vec![received.clone()]);
            let deadline = Deadline::after(&*self.clock, TIMEOUT);
            let handled = self.faults.alive(process.handle(*queue, event, deadline)).await;
            assert_eq!(handled, Some(true), "{}: {}", queue.0, received.body);
        }
        assert!(self.faults.alive(process.handle_sweep()).await.is_some(), "the sweep dies");
        kept.len()
    }
}
