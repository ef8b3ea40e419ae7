//! What each module is doing, for health endpoints and reports.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a module is doing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not started yet, or pausing before the next start.
    Waiting,
    /// Alive.
    Running,
    /// Ended by itself; it will not be started again.
    Finished,
    /// Ended because everything stops.
    Stopped,
}

/// The state of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleHealth {
    /// What it is doing now.
    pub state: State,
    /// How often it had to be started again.
    pub restarts: u64,
    /// Why it last failed, outermost cause first.
    pub last_error: Option<String>,
}

/// The state of all modules of one supervisor. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, ModuleHealth>>>);

impl Health {
    /// A copy of every module's state.
    pub fn snapshot(&self) -> BTreeMap<&'static str, ModuleHealth> {
        self.lock().clone()
    }

    /// Whether every module runs, or has finished its work.
    pub fn is_healthy(&self) -> bool {
        self.lock().values().all(|module| matches!(module.state, State::Running | State::Finished))
    }

    pub(crate) fn set(&self, name: &'static str, state: State) {
        self.lock().entry(name).and_modify(|module| module.state = state).or_insert(ModuleHealth {
            state,
            restarts: 0,
            last_error: None,
        });
    }

    pub(crate) fn failed(&self, name: &'static str, error: String) {
        if let Some(module) = self.lock().get_mut(name) {
            module.state = State::Waiting;
            module.restarts += 1;
            module.last_error = Some(error);
        }
    }

    pub(crate) fn running(&self) -> Vec<&'static str> {
        self.lock().iter().filter(|(_, module)| module.state == State::Running).map(|(name, _)| *name).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, ModuleHealth>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
