//! The pods of this node on their way to the agent.
//!
//! The feed holds what changed since the agent last took something, one entry a pod, so that a slow or restarting
//! agent never stops the link: whoever attaches next is given everything from the database first.
//! Source: spec 02 §6.2, spec 08 §3.1.

use std::sync::Mutex;

use edged::doors::PodUpdate;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::store::{Store, StoreError};

/// Pods that can be waiting, in entries. Full: the entries are dropped and the whole set is read again.
const WAITING: usize = 256;

/// Changes waiting for the agent.
pub struct PodFeed {
    node_name: String,
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    everything: bool,
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    /// The pod as JSON text.
    Upsert {
        uid: String,
        json: String,
    },
    Remove {
        uid: String,
    },
}

impl Change {
    fn uid(&self) -> &str {
        match self {
            Self::Upsert { uid, .. } | Self::Remove { uid } => uid,
        }
    }
}

impl PodFeed {
    /// A feed of the pods bound to `node_name`.
    pub fn new(node_name: String) -> Self {
        Self { node_name, waiting: Mutex::default(), wake: Notify::new() }
    }

    /// A pod was committed.
    pub fn upsert(&self, uid: String, json: String) {
        self.push(Change::Upsert { uid, json });
    }

    /// The removal of a pod was committed.
    pub fn remove(&self, uid: String) {
        self.push(Change::Remove { uid });
    }

    fn push(&self, change: Change) {
        let mut waiting = self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if waiting.everything {
            return; // the set that will be read holds this change already
        }
        waiting.changes.retain(|older| older.uid() != change.uid());
        if waiting.changes.len() == WAITING {
            waiting.changes = Vec::new();
            waiting.everything = true;
        } else {
            waiting.changes.push(change);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    fn take(&self) -> Waiting {
        std::mem::take(&mut self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Feeds one life of the agent: the whole set first, then every change, until `stop` or until the agent is gone.
    ///
    /// # Errors
    /// [`StoreError`] when the set cannot be read.
    pub async fn run(
        &self,
        store: &Store,
        agent: mpsc::Sender<PodUpdate>,
        stop: CancellationToken,
    ) -> Result<(), StoreError> {
        let mut next = Waiting { everything: true, changes: Vec::new() };
        self.take(); // what waits is part of the set
        loop {
            let sending = async {
                if next.everything {
                    return Ok::<_, StoreError>(agent.send(PodUpdate::Set(self.all(store).await?)).await.is_ok());
                }
                for change in next.changes {
                    if let Some(update) = self.update(change)
                        && agent.send(update).await.is_err()
                    {
                        return Ok(false);
                    }
                }
                Ok(true)
            };
            let alive = tokio::select! {
                sent = sending => sent?,
                () = stop.cancelled() => return Ok(()),
            };
            if !alive {
                return Ok(());
            }
            next = loop {
                let waiting = self.take();
                if waiting.everything || !waiting.changes.is_empty() {
                    break waiting;
                }
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = agent.closed() => return Ok(()),
                    () = stop.cancelled() => return Ok(()),
                }
            };
        }
    }

    /// Every stored pod of this node; unreadable rows are left out, and said so.
    async fn all(&self, store: &Store) -> Result<Vec<Pod>, StoreError> {
        let rows = store.list("pod").await?;
        Ok(rows.iter().filter_map(|(key, value)| self.ours(key, value)).collect())
    }

    fn update(&self, change: Change) -> Option<PodUpdate> {
        match change {
            Change::Upsert { uid, json } => self.ours(&uid, &json).map(|pod| PodUpdate::Upsert(Box::new(pod))),
            Change::Remove { uid } => Some(PodUpdate::Remove { uid }),
        }
    }

    fn ours(&self, what: &str, json: &str) -> Option<Pod> {
        let pod: Pod = match serde_json::from_str(json) {
            Ok(pod) => pod,
            Err(error) => {
                warn!(pod = what, %error, "stored pod is not readable");
                return None;
            }
        };
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        if node != Some(self.node_name.as_str()) || pod.metadata.uid.is_none() {
            debug!(pod = what, "pod is not bound to this node");
            return None;
        }
        Some(pod)
    }
}

#[cfg(test)]
mod tests;
