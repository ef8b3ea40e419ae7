//! The ring of recent changes and who is told about them.
//!
//! The writer publishes committed changes in revision order. Watchers of a resource are woken through one
//! [`tokio::sync::watch`] channel per resource; the changes themselves stay in one ring shared by everybody. A watcher
//! that is older than the ring reads the database instead, so the ring may drop whatever does not fit.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::watch;

use super::Rk;

/// Upper bound of the bodies held by the ring, in bytes. Full: the oldest changes leave; late watchers use the database.
pub const RING_BYTES: usize = 1 << 20;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// It did not exist before.
    Create,
    /// It existed and has new content.
    Update,
    /// It is gone.
    Delete,
}

impl Op {
    pub(super) fn to_sql(self) -> i64 {
        match self {
            Self::Create => 0,
            Self::Update => 1,
            Self::Delete => 2,
        }
    }

    pub(super) fn from_sql(op: i64) -> Self {
        match op {
            0 => Self::Create,
            1 => Self::Update,
            _ => Self::Delete,
        }
    }
}

/// One committed change.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which resource.
    pub rk: Rk,
    /// Revision of the change.
    pub rev: u64,
    /// What happened.
    pub op: Op,
    /// Namespace; empty when cluster-scoped.
    pub ns: String,
    /// Object name.
    pub name: String,
    /// The object after the change; for a delete its last state carrying the revision of the delete.
    pub body: Bytes,
    /// The object before the change; absent for a create.
    pub old: Option<Bytes>,
}

impl Change {
    fn weight(&self) -> usize {
        self.body.len() + self.old.as_ref().map_or(0, Bytes::len) + self.ns.len() + self.name.len() + 128
    }
}

/// Shared by the writer and every cursor.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    latest: AtomicU64,
    ring: Mutex<Ring>,
    bells: Mutex<HashMap<Rk, watch::Sender<u64>>>,
    any: watch::Sender<u64>,
}

struct Ring {
    /// Every change with a greater revision is in `changes`.
    floor: u64,
    bytes: usize,
    changes: VecDeque<Arc<Change>>,
}

/// What the ring knows about the time after a revision.
pub enum Recent {
    /// The matching changes, oldest first, and the revision up to which the answer is complete.
    Known(Vec<Arc<Change>>, u64),
    /// The ring starts later; ask the database.
    TooOld,
}

impl Hub {
    pub fn new(base: u64) -> Self {
        let ring = Ring { floor: base, bytes: 0, changes: VecDeque::new() };
        let shared = Shared {
            latest: AtomicU64::new(base),
            ring: Mutex::new(ring),
            bells: Mutex::new(HashMap::new()),
            any: watch::Sender::new(base),
        };
        Self { shared: Arc::new(shared) }
    }

    pub fn latest(&self) -> u64 {
        self.shared.latest.load(Ordering::Acquire)
    }

    /// Appends committed changes, oldest first, and wakes the watchers of their resources.
    pub fn publish(&self, changes: Vec<Arc<Change>>) {
        let Some(newest) = changes.last().map(|change| change.rev) else { return };
        let mut woken: Vec<Rk> = changes.iter().map(|change| change.rk).collect();
        woken.sort_unstable();
        woken.dedup();
        {
            let mut ring = lock(&self.shared.ring);
            for change in changes {
                ring.bytes += change.weight();
                ring.changes.push_back(change);
            }
            while ring.bytes > RING_BYTES {
                let Some(oldest) = ring.changes.pop_front() else { break };
                ring.bytes -= oldest.weight();
                ring.floor = oldest.rev;
            }
            self.shared.latest.store(newest, Ordering::Release);
        }
        self.shared.any.send_replace(newest);
        let bells = lock(&self.shared.bells);
        for rk in woken {
            if let Some(bell) = bells.get(&rk) {
                bell.send_replace(newest);
            }
        }
    }

    /// Up to `limit` changes of `rk` after `revision` that are still in the ring.
    pub fn recent(&self, rk: Rk, revision: u64, limit: usize) -> Recent {
        let ring = lock(&self.shared.ring);
        if revision < ring.floor {
            return Recent::TooOld;
        }
        let from = ring.changes.partition_point(|change| change.rev <= revision);
        let mut found = Vec::new();
        for change in ring.changes.range(from..) {
            if change.rk == rk {
                found.push(Arc::clone(change));
                if found.len() == limit {
                    let through = change.rev;
                    return Recent::Known(found, through);
                }
            }
        }
        Recent::Known(found, self.latest().max(revision))
    }

    /// Rings whenever anything is published.
    pub fn any_change(&self) -> watch::Receiver<u64> {
        self.shared.any.subscribe()
    }

    /// Rings whenever a change of `rk` is published.
    pub fn bell(&self, rk: Rk) -> watch::Receiver<u64> {
        let mut bells = lock(&self.shared.bells);
        bells.entry(rk).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }
}

/// A panic while the lock was held cannot leave these structures half-changed in a way that matters more than
/// stopping every watcher would.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
