//! Probes of containers: startup, liveness and readiness over http, tcp, exec and gRPC.
//!
//! [`Probes`] is the handle: pod workers tell it what runs ([`Probes::observe`]) and ask what came out. [`ProbeRunner`]
//! is the one task that runs all probes of the node; it sleeps until the next one is due. What a probe does next is
//! decided by [`machine`], without clock or network. Source: spec 08 §10.

pub mod handlers;
pub mod machine;
mod runner;
mod table;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use thiserror::Error;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

pub use self::runner::ProbeRunner;
use self::table::Table;

/// What a command in a container did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code of the command.
    pub exit_code: i32,
    /// Standard output and standard error together; only the first 10 KiB are used.
    pub output: Vec<u8>,
}

/// Why a command's result is not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExecError {
    /// It ran longer than allowed.
    #[error("command timed out")]
    TimedOut,
    /// The runtime could not run it.
    #[error("{0}")]
    Failed(String),
}

/// Runs commands in containers; CRI's ExecSync.
#[async_trait]
pub trait ContainerExec: Send + Sync + 'static {
    /// Runs `command` in a running container and waits at most `timeout` for it.
    async fn exec_sync(
        &self,
        container_id: &str,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecOutput, ExecError>;
}

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// Holds the other two back until the application is up.
    Startup,
    /// Failing restarts the container.
    Liveness,
    /// Failing takes the container out of service.
    Readiness,
}

impl ProbeKind {
    /// The word in event messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// What a probe says about a container, thresholds applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeResult {
    /// Started, alive or ready.
    Success,
    /// Not started in time, to be restarted, or not ready.
    Failure,
}

/// News of one probe. Only the latest news of each probe waits to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeUpdate {
    /// `metadata.uid` of the pod.
    pub pod_uid: String,
    /// Container name.
    pub container: String,
    /// Runtime ID of the container.
    pub container_id: String,
    /// Which probe.
    pub kind: ProbeKind,
    /// The result, if it has changed: look at the pod again.
    pub changed: Option<ProbeResult>,
    /// What users should read, as (event reason, message).
    pub event: Option<(&'static str, String)>,
}

/// What runs of one pod now, as the runtime says. Level-triggered: what is not in it is not probed any more.
#[derive(Debug, Clone)]
pub struct PodView {
    /// The pod.
    pub pod: Arc<Pod>,
    /// Where its ports are reached.
    pub pod_ip: Option<IpAddr>,
    /// It is being deleted: liveness and startup probes end, readiness goes on.
    pub deleting: bool,
    /// Regular containers and sidecars that have been started.
    pub containers: Vec<ContainerView>,
}

/// One started container.
#[derive(Debug, Clone)]
pub struct ContainerView {
    /// Name in the spec.
    pub name: String,
    /// Runtime ID.
    pub container_id: String,
    /// Whether it runs.
    pub running: bool,
    /// When it was started, by the runtime's clock.
    pub started_at: Timestamp,
    /// The stored pod status says `started` for this very ID (agent restart: it is not asked again).
    pub seed_started: bool,
    /// The stored pod status says `ready` for this very ID (agent restart: it stays ready until a probe says no).
    pub seed_ready: bool,
}

/// Handle to the probes of this node; clones share everything. Calls never wait.
#[derive(Debug, Clone)]
pub struct Probes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    changed: Notify,
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probes {
    /// A handle and the task to run. News goes to `updates`; when it is full, news of the same probe coalesces.
    pub fn new(exec: Arc<dyn ContainerExec>, updates: mpsc::Sender<ProbeUpdate>) -> (Self, ProbeRunner) {
        let table = Mutex::new(Table::new(Instant::now()));
        let shared = Arc::new(Shared { table, changed: Notify::new() });
        (Self { shared: Arc::clone(&shared) }, ProbeRunner::new(shared, exec, updates))
    }

    /// Tells what runs of a pod now. Call it on every sync of the pod, with the runtime's latest answer.
    pub fn observe(&self, view: &PodView) {
        self.shared.table().observe(view, Instant::now(), Timestamp::now());
        self.shared.changed.notify_one();
    }

    /// Ends the probes of a pod.
    pub fn forget(&self, pod_uid: &str) {
        self.shared.table().forget(pod_uid);
    }

    /// Whether a running container counts as started: its startup probe has succeeded, or it has none.
    pub fn started(&self, pod_uid: &str, container: &Container, container_id: &str) -> bool {
        let result = || self.result(pod_uid, container, container_id, ProbeKind::Startup);
        container.startup_probe.is_none() || result() == Some(ProbeResult::Success)
    }

    /// Whether a running, started container counts as ready: its readiness probe says so, or it has none.
    pub fn ready(&self, pod_uid: &str, container: &Container, container_id: &str) -> bool {
        let result = || self.result(pod_uid, container, container_id, ProbeKind::Readiness);
        container.readiness_probe.is_none() || result() == Some(ProbeResult::Success)
    }

    /// The probe that wants this container restarted, if any.
    pub fn verdict(&self, pod_uid: &str, container: &Container, container_id: &str) -> Option<ProbeKind> {
        let failed =
            |kind: &ProbeKind| self.result(pod_uid, container, container_id, *kind) == Some(ProbeResult::Failure);
        [ProbeKind::Startup, ProbeKind::Liveness].into_iter().find(failed)
    }

    fn result(&self, pod_uid: &str, container: &Container, id: &str, kind: ProbeKind) -> Option<ProbeResult> {
        self.shared.table().result(pod_uid, &container.name, id, kind)
    }
}

#[cfg(test)]
mod tests;
