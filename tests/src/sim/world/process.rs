//! The process that does the work, which may die.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use delivery::{Delivery, Settings};
use platform::{Deadline, Platform, QueueName};
use store::ledger::{Tenancy, Worker};
use store::{HashKey, Store, tables};

use super::{TIMEOUT, World};
use crate::sim::ports::{Commits, FaultyPorts};
use crate::sim::provider::{Email, Line, Postman, Push, Sms, Webhook};

/// What is thrown away when the process dies.
pub struct Process {
    activate: activate::Context,
    fanout: fanout::Context,
    email: Delivery<Postman<Email>>,
    sms: Delivery<Postman<Sms>>,
    push: Delivery<Postman<Push>>,
    webhook: Delivery<Postman<Webhook>>,
}

impl World {
    /// Ports whose calls may go wrong or be interrupted.
    pub fn platform(&self) -> Platform {
        let commits = match self.options.tenancy {
            Tenancy::Shared => Commits::InTwoSteps,
            Tenancy::Sole => Commits::InOneStep,
        };
        let ports = || FaultyPorts { engine: self.engine.clone(), faults: self.faults.clone(), commits };
        Platform {
            table: Arc::new(ports()),
            queue: Arc::new(ports()),
            scheduler: Arc::new(ports()),
            clock: self.clock.clone(),
        }
    }

    /// Starts a process.
    pub fn boot(&self) -> Process {
        let store = Store::new(self.platform(), HashKey([7; 32]));
        let worker = Worker::new(self.options.tenancy);
        Process {
            activate: activate::Context { store: store.clone(), sweep_every: Duration::from_secs(60) },
            fanout: fanout::Context { store: store.clone(), worker },
            email: self.deliver(&store, worker),
            sms: self.deliver(&store, worker),
            push: self.deliver(&store, worker),
            webhook: self.deliver(&store, worker),
        }
    }

    fn deliver<L: Line>(&self, store: &Store, worker: Worker) -> Delivery<Postman<L>> {
        let postman = Postman {
            line: PhantomData,
            provider: self.provider_of(L::CHANNEL).clone(),
            faults: self.faults.clone(),
            clock: self.clock.clone(),
        };
        let settings = Settings { window: self.options.window, ..Settings::default() };
        Delivery::new(store.clone(), worker, postman, settings)
    }
}

impl Process {
    /// Handles an event and says whether every message of it was handled.
    pub async fn handle(
        &self,
        queue: QueueName,
        event: aws_lambda_events::sqs::SqsEvent,
        deadline: Deadline,
    ) -> bool {
        let response = match queue {
            tables::WAKE_UP => activate::handle(&self.activate, event, deadline).await,
            tables::FAN_OUT => fanout::handle(&self.fanout, event, deadline).await,
            tables::DELIVER_SMS | tables::DELIVER_SMS_PRIORITY => self.sms.handle(event, deadline).await.0,
            tables::DELIVER_PUSH | tables::DELIVER_PUSH_PRIORITY => self.push.handle(event, deadline).await.0,
            tables::DELIVER_WEBHOOK | tables::DELIVER_WEBHOOK_PRIORITY => {
                self.webhook.handle(event, deadline).await.0
            }
            _ => self.email.handle(event, deadline).await.0,
        };
        response.batch_item_failures.is_empty()
    }

    /// Sweeps. One that fails is followed by another.
    pub async fn handle_sweep(&self) {
        let deadline = Deadline::after(&*self.activate.store.platform.clock, TIMEOUT);
        drop(activate::sweep(&self.activate, deadline).await);
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}
