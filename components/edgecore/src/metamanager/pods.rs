//! The pods of this node on their way to the agent.
//!
//! The feed holds what changed since the agent last took something, one entry a pod, so that a slow or restarting
//! agent never stops the link: whoever attaches next is given everything from the database first.
//!
//! A set is a verdict: the agent ends what is not in it. So none is given while the database may lack pods that
//! exist, after damage or because a row is not readable; the agent gets the pods one by one then.
//! Source: spec 02 §6.2, spec 08 §3.1.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use edged::doors::PodUpdate;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::store::{Store, StoreError};

/// Pods that can be waiting, in entries. Full: the entries are dropped and the whole set is read again.
const WAITING: usize = 256;
/// After damage the cloud is taken to have sent everything when it has been silent for this long over a link.
const QUIET: Duration = Duration::from_secs(10);

/// Changes waiting for the agent.
pub struct PodFeed {
    node_name: String,
    waiting: Mutex<Waiting>,
    wake: Notify,
    heard: Mutex<Option<Instant>>,
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
        Self { node_name, waiting: Mutex::default(), wake: Notify::new(), heard: Mutex::default() }
    }

    /// The cloud sent something, whatever it was.
    pub fn heard(&self) {
        *self.last_heard() = Some(Instant::now());
    }

    fn last_heard(&self) -> MutexGuard<'_, Option<Instant>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends when a link has stood, and nothing has come over it, for [`QUIET`].
    async fn cloud_is_quiet(&self, mut connected: watch::Receiver<bool>) {
        loop {
            if connected.wait_for(|up| *up).await.is_err() {
                return std::future::pending().await; // nobody will ever connect
            }
            let mut since = Instant::now();
            loop {
                since = self.last_heard().map_or(since, |heard| heard.max(since));
                let silent_until = since + QUIET;
                tokio::select! {
                    down = connected.changed() => match down {
                        Ok(()) => break,
                        Err(_) => return std::future::pending().await,
                    },
                    () = sleep_until(silent_until) => {}
                }
                if self.last_heard().is_none_or(|heard| heard <= since) {
                    return;
                }
            }
        }
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
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
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
        std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Feeds one life of the agent: the whole set first, then every change, until `stop` or until the agent is gone.
    /// While the set is not known for sure, only the pods that are known; `connected` says whether a link stands.
    ///
    /// # Errors
    /// [`StoreError`] when the set cannot be read.
    pub async fn run(
        &self,
        store: &Store,
        connected: watch::Receiver<bool>,
        agent: mpsc::Sender<PodUpdate>,
        stop: CancellationToken,
    ) -> Result<(), StoreError> {
        let mut next = Waiting { everything: true, changes: Vec::new() };
        let mut set_was_given = false;
        let quiet = self.cloud_is_quiet(connected);
        tokio::pin!(quiet);
        self.take(); // what waits is part of the set
        loop {
            let sending = async {
                for change in next.changes {
                    if let Some(update) = self.update(change)
                        && agent.send(update).await.is_err()
                    {
                        return Ok::<_, StoreError>(false);
                    }
                }
                // A change may have made readable what was not.
                if next.everything || (!set_was_given && !store.is_incomplete()) {
                    return self.give_everything(store, &agent, &mut set_was_given).await;
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
                    () = &mut quiet, if store.is_incomplete() => {
                        store.completed().await?;
                        info!("the cloud has sent everything that the damaged database lost");
                        break Waiting { everything: true, changes: Vec::new() };
                    }
                    () = agent.closed() => return Ok(()),
                    () = stop.cancelled() => return Ok(()),
                }
            };
        }
    }

    /// The set when it is known for sure, else every pod that is known; `false` when the agent is gone.
    async fn give_everything(
        &self,
        store: &Store,
        agent: &mpsc::Sender<PodUpdate>,
        set_was_given: &mut bool,
    ) -> Result<bool, StoreError> {
        let rows = store.list("pod").await?;
        let mut pods = Vec::with_capacity(rows.len());
        let mut unreadable = 0;
        for (key, value) in &rows {
            match self.ours(key, value) {
                Ok(pod) => pods.extend(pod),
                Err(Unreadable) => unreadable += 1,
            }
        }
        if unreadable == 0 && !store.is_incomplete() {
            *set_was_given = true;
            return Ok(agent.send(PodUpdate::Set(pods)).await.is_ok());
        }
        warn!(
            unreadable,
            incomplete = store.is_incomplete(),
            "database may lack pods of this node: what runs is left alone"
        );
        for pod in pods {
            if agent.send(PodUpdate::Upsert(Box::new(pod))).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn update(&self, change: Change) -> Option<PodUpdate> {
        match change {
            Change::Upsert { uid, json } => {
                self.ours(&uid, &json).ok().flatten().map(|pod| PodUpdate::Upsert(Box::new(pod)))
            }
            Change::Remove { uid } => Some(PodUpdate::Remove { uid }),
        }
    }

    /// The pod if it is bound to this node.
    fn ours(&self, what: &str, json: &str) -> Result<Option<Pod>, Unreadable> {
        let pod: Pod = serde_json::from_str(json).map_err(|error| {
            warn!(pod = what, %error, "stored pod is not readable");
            Unreadable
        })?;
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        if node != Some(self.node_name.as_str()) || pod.metadata.uid.is_none() {
            debug!(pod = what, "pod is not bound to this node");
            return Ok(None);
        }
        Ok(Some(pod))
    }
}

/// A row that holds a pod which cannot be read.
struct Unreadable;

#[cfg(test)]
mod tests;
