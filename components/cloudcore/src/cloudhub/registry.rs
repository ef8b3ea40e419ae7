//! The sessions of this instance: one per node, the newest wins, their number is limited.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use thiserror::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use wire::message::Message;

use crate::cloudhub::delivery::Delivery;
use crate::cloudhub::lane::{Lane, classify};
use crate::cloudhub::session::machine::{Action, Event, Now, Session};
use crate::monitor::metrics::Metrics;

/// Why a node got no session.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{limit} nodes are connected already")]
pub struct NodeLimit {
    /// `nodeLimit`.
    pub limit: usize,
}

/// The part of a session that others may touch.
pub(crate) struct Shared {
    session: Mutex<Session>,
    pub(crate) wake: Notify,
    pub(crate) end: CancellationToken,
    metrics: Arc<Metrics>,
}

/// One session of one node. Sessions of the same node differ in their epoch.
#[derive(Clone)]
pub struct SessionHandle {
    node: Arc<str>,
    epoch: u64,
    pub(crate) shared: Arc<Shared>,
}

impl SessionHandle {
    /// The node, as its certificate names it.
    pub fn node(&self) -> &Arc<str> {
        &self.node
    }

    /// Unique among all sessions of this process.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Delivers until acknowledged. A full lane is remembered and reported once it is empty.
    pub fn offer(&self, delivery: Delivery) {
        self.step(Event::Offer(Box::new(delivery)));
    }

    /// Sends once. Dropped and counted when the lane is full.
    pub fn post(&self, message: Message) {
        debug_assert_eq!(classify(&message), Lane::NoAck, "{} needs an acknowledgement", message.route.resource);
        self.step(Event::Post(Box::new(message)));
    }

    /// Ends the session; its connection is closed.
    pub fn end(&self) {
        self.shared.end.cancel();
    }

    /// Objects and messages waiting or under way.
    pub fn depth(&self) -> usize {
        self.lock().depth()
    }

    /// Feeds the state machine and wakes the writer.
    pub(crate) fn step(&self, event: Event) -> Vec<Action> {
        let actions = self.lock().step(event, now());
        let overflows = actions.iter().filter(|action| matches!(action, Action::Overflow)).count();
        self.shared.metrics.overflows.inc_by(overflows as u64);
        self.shared.wake.notify_one();
        actions
    }

    /// What the writer has to do next.
    pub(crate) fn next(&self) -> Option<Action> {
        self.lock().step(Event::Ready, now()).pop()
    }

    fn lock(&self) -> MutexGuard<'_, Session> {
        self.shared.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All sessions.
pub struct Registry {
    sessions: Mutex<HashMap<Arc<str>, SessionHandle>>,
    epochs: AtomicU64,
    limit: usize,
    keepalive: Duration,
    metrics: Arc<Metrics>,
}

impl Registry {
    /// No sessions yet. `keepalive` is how long a node may stay silent.
    pub fn new(limit: usize, keepalive: Duration, metrics: Arc<Metrics>) -> Self {
        Self { sessions: Mutex::default(), epochs: AtomicU64::new(1), limit, keepalive, metrics }
    }

    /// Begins a session under `stop`. An older session of the same node ends and does not count for the limit.
    ///
    /// # Errors
    /// [`NodeLimit`].
    pub fn admit(&self, node: &str, stop: &CancellationToken) -> Result<SessionHandle, NodeLimit> {
        let mut sessions = self.lock();
        let known = sessions.get_key_value(node).map(|(name, _)| name.clone());
        if known.is_none() && sessions.len() >= self.limit {
            return Err(NodeLimit { limit: self.limit });
        }
        let node: Arc<str> = known.unwrap_or_else(|| node.into());
        let shared = Shared {
            session: Mutex::new(Session::new(self.keepalive, now())),
            wake: Notify::new(),
            end: stop.child_token(),
            metrics: self.metrics.clone(),
        };
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed);
        let handle = SessionHandle { node: node.clone(), epoch, shared: Arc::new(shared) };
        if let Some(older) = sessions.insert(node, handle.clone()) {
            older.end();
        }
        self.metrics.connects.inc();
        self.count(&sessions);
        Ok(handle)
    }

    /// Forgets a session that ended. Returns `false` when a newer one of the same node has taken its place.
    pub fn leave(&self, session: &SessionHandle) -> bool {
        let mut sessions = self.lock();
        let current = sessions.get(session.node()).is_some_and(|current| current.epoch == session.epoch);
        if current {
            sessions.remove(session.node());
            self.count(&sessions);
        }
        current
    }

    /// The current session of a node.
    pub fn get(&self, node: &str) -> Option<SessionHandle> {
        self.lock().get(node).cloned()
    }

    /// Whether this is still its node's session.
    pub fn is_current(&self, session: &SessionHandle) -> bool {
        self.lock().get(session.node()).is_some_and(|current| current.epoch == session.epoch)
    }

    /// Waiting objects and messages of all sessions.
    pub fn depth(&self) -> usize {
        let sessions: Vec<SessionHandle> = self.lock().values().cloned().collect();
        sessions.iter().map(SessionHandle::depth).sum()
    }

    fn count(&self, sessions: &HashMap<Arc<str>, SessionHandle>) {
        self.metrics.connected_nodes.set(i64::try_from(sessions.len()).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, SessionHandle>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Now {
    // Tokio's clock, so that paused tests pause the sessions too.
    Now { at: tokio_now(), unix_ms: Timestamp::now().as_millisecond() }
}

fn tokio_now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(limit: usize) -> Registry {
        Registry::new(limit, Duration::from_secs(30), Arc::default())
    }

    #[test]
    fn the_newest_session_wins_and_the_older_one_cannot_remove_it() {
        let (registry, stop) = (registry(1), CancellationToken::new());
        let older = registry.admit("e1", &stop).expect("below the limit");
        let newer = registry.admit("e1", &stop).expect("a reconnect does not count");
        assert!(older.shared.end.is_cancelled());
        assert!(!newer.shared.end.is_cancelled());
        assert!(!registry.leave(&older));
        assert!(registry.is_current(&newer));
        assert!(registry.leave(&newer));
        assert_eq!(registry.metrics.connected_nodes.get(), 0);
    }

    #[test]
    fn the_limit_counts_nodes() {
        let (registry, stop) = (registry(1), CancellationToken::new());
        registry.admit("e1", &stop).expect("below the limit");
        assert_eq!(registry.admit("e2", &stop).err(), Some(NodeLimit { limit: 1 }));
    }
}
