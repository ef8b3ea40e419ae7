//! What others may see of the pods: the last objects and statuses, and whether the loop still turns.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::time::Instant;

use crate::pod;

/// The loop is stuck when it has not turned for so long. Source: spec 08 §3.5.
const STUCK_AFTER: Duration = Duration::from_mins(5);

struct Entry {
    pod: Arc<Pod>,
    status: Option<PodStatus>,
}

/// Shared between the loop, which writes, and the HTTP server and housekeeping, which read.
pub struct View {
    pods: Mutex<BTreeMap<String, Entry>>,
    last_turn: Mutex<Instant>,
    sources_ready: AtomicBool,
}

impl View {
    pub fn new() -> Self {
        Self {
            pods: Mutex::new(BTreeMap::new()),
            last_turn: Mutex::new(Instant::now()),
            sources_ready: AtomicBool::new(false),
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn put(&self, uid: &str, pod: Arc<Pod>) {
        let mut entries = self.entries();
        let status = entries.remove(uid).and_then(|entry| entry.status);
        entries.insert(uid.to_owned(), Entry { pod, status });
    }

    pub fn put_status(&self, uid: &str, status: &PodStatus) {
        if let Some(entry) = self.entries().get_mut(uid)
            && entry.status.as_ref() != Some(status)
        {
            entry.status = Some(status.clone());
        }
    }

    pub fn remove(&self, uid: &str) {
        self.entries().remove(uid);
    }

    /// All pods, each with the newest status known here.
    pub fn pods(&self) -> Vec<Arc<Pod>> {
        let entries = self.entries();
        let with_status = |entry: &Entry| match &entry.status {
            None => entry.pod.clone(),
            Some(status) => {
                let pod = entry.pod.as_ref();
                Arc::new(Pod { status: Some(status.clone()), metadata: pod.metadata.clone(), spec: pod.spec.clone() })
            }
        };
        entries.values().map(with_status).collect()
    }

    /// Whether the newest known statuses show this container running.
    pub fn is_running(&self, container_id: &str) -> bool {
        let entries = self.entries();
        let statuses = entries.values().filter_map(|entry| entry.status.as_ref());
        let containers = statuses.flat_map(|status| {
            let lists =
                [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
            lists.into_iter().flatten().flatten()
        });
        let same = |id: &str| id.rsplit("://").next() == Some(container_id);
        containers
            .filter(|container| container.container_id.as_deref().is_some_and(same))
            .any(|container| container.state.as_ref().is_some_and(|state| state.running.is_some()))
    }

    /// A pod by name, with the newest status known here.
    pub fn find(&self, namespace: &str, name: &str) -> Option<(Arc<Pod>, Option<PodStatus>)> {
        let entries = self.entries();
        let mut all = entries.values();
        let found = all.find(|entry| pod::name(&entry.pod) == name && pod::namespace(&entry.pod) == namespace)?;
        Some((found.pod.clone(), found.status.clone().or_else(|| found.pod.status.clone())))
    }

    pub fn len(&self) -> usize {
        self.entries().len()
    }

    pub fn knows(&self, uid: &str) -> bool {
        self.entries().contains_key(uid)
    }

    pub fn set_sources_ready(&self) {
        self.sources_ready.store(true, Ordering::Relaxed);
    }

    pub fn sources_ready(&self) -> bool {
        self.sources_ready.load(Ordering::Relaxed)
    }

    /// The loop has turned once more.
    pub fn turned(&self) {
        *self.last_turn.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub fn is_turning(&self) -> bool {
        self.last_turn.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < STUCK_AFTER
    }
}
