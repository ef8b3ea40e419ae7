//! Module life: start, health, restart with backoff, orderly stop.
//!
//! A [`Supervisor`] runs named modules until its token is cancelled. A module that fails or panics is started again
//! after a growing, jittered pause; its neighbours do not notice. Absent on purpose: dependencies between modules
//! (they hold channels to each other) and any decision to end the process.

pub mod backoff;
mod health;
mod module;

use std::time::Duration;

use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use health::{Health, ModuleHealth, State};

use crate::backoff::Backoff;
use crate::module::Module;

/// Whatever a module fails with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Some modules did not stop within the grace period and were aborted.
#[derive(Debug, Error)]
#[error("modules did not stop in time: {}", .overdue.join(", "))]
pub struct StopError {
    /// Their names, sorted.
    pub overdue: Vec<&'static str>,
}

/// Runs modules. Build it, add modules, then await [`Supervisor::run`].
pub struct Supervisor {
    modules: Vec<Module>,
    backoff: Backoff,
    health: Health,
}

impl Supervisor {
    /// A supervisor without modules; `backoff` paces restarts of each module separately.
    pub fn new(backoff: Backoff) -> Self {
        Self { modules: Vec::new(), backoff, health: Health::default() }
    }

    /// Adds a module. `start` makes one life of it: the future gets a token to stop by, and its `Ok` means that the
    /// module's work is done for good. An error or a panic, also in `start` itself, leads to another call of `start`.
    pub fn module<F, Life, E>(&mut self, name: &'static str, start: F)
    where
        F: Fn(CancellationToken) -> Life + Send + Sync + 'static,
        Life: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.health.set(name, State::Waiting);
        self.modules.push(Module::new(name, start));
    }

    /// A handle to the state of all modules, valid while and after they run.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Runs every module until `stop` is cancelled or all are done, then waits up to `grace` for them to end and
    /// aborts the rest. Dropping the future aborts all modules at once.
    ///
    /// # Errors
    /// [`StopError`] names the modules that had to be aborted.
    pub async fn run(self, stop: CancellationToken, grace: Duration) -> Result<(), StopError> {
        let mut lives = JoinSet::new();
        for module in self.modules {
            lives.spawn(module.run(self.backoff.clone(), self.health.clone(), stop.child_token()));
        }
        let all_done = async { while lives.join_next().await.is_some() {} };
        tokio::select! {
            () = all_done => return Ok(()),
            () = stop.cancelled() => {}
        }
        if timeout(grace, async { while lives.join_next().await.is_some() {} }).await.is_ok() {
            return Ok(());
        }
        lives.shutdown().await;
        Err(StopError { overdue: self.health.running() })
    }
}

#[cfg(test)]
mod tests;
