//! What the runtime says about one pod, read afresh: the observed half of every decision.
//!
//! The runtime's labels are the only record of containers, so an observation is complete after any restart of
//! the agent, and includes what another kubelet left. Source: spec 08 §5.1, §8.5.

use std::cmp::Reverse;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::path::PathBuf;

use crate::cri::proto::{self as p, ContainerState, NamespaceMode, SandboxState};
use crate::cri::{CriError, Runtime};
use crate::files::termination;
use crate::{hash, labels};

/// One sandbox of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    pub id: String,
    pub attempt: u32,
    pub ready: bool,
    /// Nanoseconds since the epoch.
    pub created_at: i64,
    /// Known for the newest sandbox only.
    pub host_network: bool,
    /// Addresses, primary first. Known for the newest sandbox only.
    pub ips: Vec<IpAddr>,
}

/// One container of a pod, in any state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeContainer {
    pub id: String,
    pub sandbox_id: String,
    pub name: String,
    pub state: ContainerState,
    /// Nanoseconds since the epoch, as the next two; 0 is never.
    pub created_at: i64,
    pub started_at: i64,
    pub finished_at: i64,
    pub exit_code: i32,
    pub reason: String,
    pub message: String,
    /// The image's name as the runtime shows it.
    pub image: String,
    /// The name the pod asked for, if the runtime recorded it.
    pub requested_image: String,
    /// Digest or ID of the image in use.
    pub image_ref: String,
    /// Hash of the definition it was made from, 0 if unknown.
    pub hash: u32,
    pub restart_count: u32,
    /// Absolute path of the log file.
    pub log_path: PathBuf,
    /// Host file of the termination message, if one is mounted.
    pub termination_log: Option<PathBuf>,
    pub message_from_logs: bool,
    /// Grace period in seconds noted at creation, for containers whose pod object is gone.
    pub noted_grace: Option<i64>,
}

impl RuntimeContainer {
    pub fn is_running(&self) -> bool {
        self.state == ContainerState::Running
    }

    pub fn is_exited(&self) -> bool {
        self.state == ContainerState::Exited
    }
}

/// All sandboxes and containers of one pod, newest first by their numbers; the clock may have gone back between two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodRuntime {
    pub sandboxes: Vec<Sandbox>,
    pub containers: Vec<RuntimeContainer>,
}

impl PodRuntime {
    /// The newest container of that name.
    pub fn newest(&self, name: &str) -> Option<&RuntimeContainer> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// All containers of that name, newest first.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a RuntimeContainer> {
        self.containers.iter().filter(move |container| container.name == name)
    }

    /// Whether anything of the pod still runs.
    pub fn is_alive(&self) -> bool {
        self.containers.iter().any(RuntimeContainer::is_running) || self.sandboxes.iter().any(|sandbox| sandbox.ready)
    }

    /// Identity and state of everything, to notice changes.
    pub fn fingerprint(&self) -> u64 {
        let sandboxes = self.sandboxes.iter().map(|it| (it.id.as_str(), i32::from(!it.ready)));
        let containers = self.containers.iter().map(|it| (it.id.as_str(), it.state as i32));
        fingerprint(sandboxes.chain(containers))
    }

    /// Addresses of the newest sandbox, if that one is ready.
    pub fn ips(&self) -> &[IpAddr] {
        self.sandboxes.first().filter(|sandbox| sandbox.ready).map_or(&[], |sandbox| sandbox.ips.as_slice())
    }
}

/// Hash of ID–state pairs, in any order.
pub fn fingerprint<'a>(pairs: impl Iterator<Item = (&'a str, i32)>) -> u64 {
    pairs.fold(0, |sum, pair| {
        let mut hasher = DefaultHasher::new();
        pair.hash(&mut hasher);
        sum.wrapping_add(hasher.finish())
    })
}

/// Reads the state of one pod: two filtered lists, then a status for the newest sandbox and each container.
pub async fn observe(runtime: &Runtime, uid: &str) -> Result<PodRuntime, CriError> {
    let (sandboxes, containers) =
        tokio::try_join!(runtime.list_pod_sandboxes(Some(uid)), runtime.list_containers(Some(uid)))?;
    let mut sandboxes: Vec<Sandbox> = sandboxes.into_iter().map(listed_sandbox).collect();
    sandboxes.sort_by_key(|sandbox| Reverse((sandbox.attempt, sandbox.created_at)));
    if let Some(newest) = sandboxes.first_mut() {
        match runtime.pod_sandbox_status(&newest.id).await {
            Ok(status) => detail_sandbox(newest, &status),
            Err(err) if err.is_not_found() => newest.ready = false,
            Err(err) => return Err(err),
        }
    }
    let mut observed = Vec::with_capacity(containers.len());
    for container in containers {
        match runtime.container_status(&container.id).await {
            Ok(status) => observed.push(with_last_words(observed_container(status, container.pod_sandbox_id)).await),
            Err(err) if err.is_not_found() => {} // removed since the list
            Err(err) => return Err(err),
        }
    }
    observed.sort_by_key(|container| Reverse((container.restart_count, container.created_at)));
    Ok(PodRuntime { sandboxes, containers: observed })
}

/// Adds what an exited container wrote to its termination log, or else logged. Source: spec 08 §9.4.
async fn with_last_words(container: RuntimeContainer) -> RuntimeContainer {
    let Some(file) = container.termination_log.clone().filter(|_| container.is_exited()) else { return container };
    let from_logs = container.message_from_logs && container.exit_code != 0 && container.reason != "ContainerCannotRun";
    let log = from_logs.then(|| container.log_path.clone());
    let read = tokio::task::spawn_blocking(move || termination::message(&file, log.as_deref())).await;
    let words = read.unwrap_or_default();
    match (words.is_empty(), container.message.is_empty()) {
        (true, _) => container,
        (false, true) => RuntimeContainer { message: words, ..container },
        (false, false) => RuntimeContainer { message: format!("{}: {words}", container.message), ..container },
    }
}

fn listed_sandbox(sandbox: p::PodSandbox) -> Sandbox {
    Sandbox {
        attempt: sandbox.metadata.as_ref().map_or(0, |metadata| metadata.attempt),
        ready: sandbox.state() == SandboxState::Ready,
        created_at: sandbox.created_at,
        id: sandbox.id,
        host_network: false,
        ips: Vec::new(),
    }
}

fn detail_sandbox(sandbox: &mut Sandbox, status: &p::PodSandboxStatus) {
    sandbox.ready = status.state() == SandboxState::Ready;
    sandbox.host_network = status
        .linux
        .as_ref()
        .and_then(|linux| linux.namespaces.as_ref())
        .and_then(|namespaces| namespaces.options.as_ref())
        .is_some_and(|options| options.network() == NamespaceMode::Node);
    if let Some(network) = &status.network {
        let all = std::iter::once(&network.ip).chain(network.additional_ips.iter().map(|additional| &additional.ip));
        sandbox.ips = all.filter_map(|ip| ip.parse().ok()).collect();
    }
}

fn observed_container(status: p::ContainerStatus, sandbox_id: String) -> RuntimeContainer {
    let note = |key: &str| status.annotations.get(key);
    let metadata = status.metadata.as_ref();
    let message_path = note(labels::TERMINATION_MESSAGE_PATH).filter(|path| !path.is_empty());
    let termination_log = message_path.and_then(|path| {
        status.mounts.iter().find(|mount| &mount.container_path == path).map(|mount| PathBuf::from(&mount.host_path))
    });
    RuntimeContainer {
        sandbox_id,
        name: metadata.map(|metadata| metadata.name.clone()).unwrap_or_default(),
        state: status.state(),
        created_at: status.created_at,
        started_at: status.started_at,
        finished_at: status.finished_at,
        exit_code: status.exit_code,
        image: status.image.as_ref().map(|image| image.image.clone()).unwrap_or_default(),
        requested_image: status.image.as_ref().map(|image| image.user_specified_image.clone()).unwrap_or_default(),
        hash: hash::from_annotation(note(labels::CONTAINER_HASH)),
        restart_count: note(labels::RESTART_COUNT)
            .and_then(|count| count.parse().ok())
            .or(metadata.map(|metadata| metadata.attempt))
            .unwrap_or(0),
        message_from_logs: note(labels::TERMINATION_MESSAGE_POLICY).is_some_and(|it| it == "FallbackToLogsOnError"),
        noted_grace: note(labels::POD_DELETION_GRACE)
            .or_else(|| note(labels::POD_TERMINATION_GRACE))
            .and_then(|seconds| seconds.parse().ok()),
        termination_log,
        log_path: PathBuf::from(status.log_path),
        id: status.id,
        reason: status.reason,
        message: status.message,
        image_ref: status.image_ref,
    }
}
