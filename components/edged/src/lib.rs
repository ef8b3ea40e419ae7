//! The pod agent: kubelet behaviour over CRI, as a library. Source: spec 08.
//!
//! Pods come in through [`doors::PodUpdate`], everything else it needs from an API server goes through
//! [`doors::KubeApi`]; containers are driven over CRI v1. It knows nothing of KubeEdge, and it runs pods with no
//! API server at all.
//!
//! [`Edged::run`] is the composition: the runtime's health, the list of what runs, the loop over pods, the reporter
//! of statuses, the probes, the node's own status and the HTTP server. Nothing is remembered on disk: the runtime's
//! labels are the record of containers, so the agent may die at any instant and its successor changes nothing.

pub mod cgroups;
pub mod doors;
pub mod env;
pub mod facts;
pub mod fields;
pub mod files;
pub mod host;
pub mod installer;
pub mod logs;
pub mod node;
pub mod probes;
pub mod quantity;
pub mod server;
pub mod streams;
pub mod volumes;

mod backend;
mod backoff;
mod cri;
mod hash;
mod health;
mod housekeeping;
mod images;
mod labels;
mod observed;
mod plan;
mod pleg;
mod pod;
mod status;
mod sync_loop;
mod translate;
mod view;
mod worker;

#[cfg(test)]
mod fake_api;

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info_span};

use crate::backend::Backend;
use crate::cgroups::tree::{MOUNT_POINT, Tree};
use crate::cri::Runtime;
use crate::doors::{KubeApi, ObjectChange, PodUpdate, Settings};
use crate::health::Health;
use crate::images::Images;
use crate::logs::writers::AgentLogs;
use crate::node::RuntimeInfo;
use crate::pleg::Nudge;
use crate::probes::Probes;
use crate::status::reporter;
use crate::streams::Streams;
use crate::sync_loop::{Inputs, SyncLoop};
use crate::view::View;
use crate::volumes::Volumes;
use crate::worker::Agent;

/// Capacity of the channel of probe news, in updates. Full: news of one probe coalesce.
const PROBE_NEWS_CAPACITY: usize = 64;

/// Why the agent cannot run.
#[derive(Debug, Error)]
pub enum EdgedError {
    /// A runtime or image endpoint is no unix socket.
    #[error("container runtime endpoint {endpoint:?} is not a unix:// URL or an absolute path")]
    Endpoint {
        /// As configured.
        endpoint: String,
    },
    /// A directory the agent needs cannot be made.
    #[error("directory {} cannot be made", path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A part ended although nobody asked for it.
    #[error("{part} ended unexpectedly")]
    Ended {
        /// Which part.
        part: &'static str,
    },
    /// A part panicked.
    #[error("a part of the agent panicked")]
    Panicked(#[source] tokio::task::JoinError),
}

/// The agent, wired but not running.
pub struct Edged {
    settings: Arc<Settings>,
    api: Arc<dyn KubeApi>,
    runtime: Runtime,
    pods: mpsc::Receiver<PodUpdate>,
    changes: broadcast::Receiver<ObjectChange>,
    view: Arc<View>,
}

impl Edged {
    /// Checks the endpoints; nothing is dialled, opened or made yet.
    ///
    /// `pods` brings the desired pods, the first [`PodUpdate::Set`] makes the source ready: before it nothing that
    /// runs is stopped for being unknown. `changes` brings news of ConfigMaps and Secrets.
    ///
    /// # Errors
    /// [`EdgedError::Endpoint`].
    pub fn new(
        settings: Settings,
        api: Arc<dyn KubeApi>,
        pods: mpsc::Receiver<PodUpdate>,
        changes: broadcast::Receiver<ObjectChange>,
    ) -> Result<Self, EdgedError> {
        let runtime =
            Runtime::new(&settings.runtime_endpoint, &settings.image_endpoint, settings.runtime_request_timeout)
                .map_err(|error| EdgedError::Endpoint { endpoint: error.endpoint })?;
        Ok(Self { settings: Arc::new(settings), api, runtime, pods, changes, view: Arc::new(View::new()) })
    }

    /// Handle to exec, attach and port-forward sessions, for whoever carries them to the user.
    pub fn streams(&self) -> Streams {
        Streams::new(self.runtime.clone(), self.view.clone())
    }

    /// Runs until `stop`; containers keep running then. Needs neither a cloud nor a registered node.
    ///
    /// # Errors
    /// The first part that fails ends the others. All parts may be started again by running a new [`Edged`].
    pub async fn run(self, stop: CancellationToken) -> Result<(), EdgedError> {
        let Self { settings, api, runtime, pods, changes, view } = self;
        make_directories(&settings)?;
        protect_from_oom(&settings);
        let stop = stop.child_token();
        let _stop_all = stop.clone().drop_guard();

        let (health_sender, health) = watch::channel(Health::Unknown);
        let (info_sender, runtime_info) = watch::channel(None);
        let (node_sender, node) = watch::channel(node::local_view(&settings));
        let (snapshot_sender, snapshots) = watch::channel(None);
        let (news_sender, news) = mpsc::channel(PROBE_NEWS_CAPACITY);
        let (probes, probe_runner) = Probes::new(Arc::new(runtime.clone()), news_sender);
        let (reporter, reporter_task) = reporter::new(api.clone());
        let nudge = Nudge::default();
        let agent = Arc::new(Agent {
            images: Images::new(runtime.clone(), &settings),
            volumes: Volumes::new(settings.root_dir.clone(), api.clone()),
            cgroups: Tree::detect(MOUNT_POINT),
            settings: settings.clone(),
            runtime: runtime.clone(),
            api: api.clone(),
            probes,
            reporter,
            node: node.clone(),
            health: health.clone(),
        });
        let inputs = Inputs {
            updates: pods,
            changes,
            probes: news,
            snapshots: snapshots.clone(),
            health: health.clone(),
            node: node.clone(),
        };
        let backend = Arc::new(Backend::new(runtime.clone(), view.clone(), snapshots.clone()));
        let sync_loop = SyncLoop::new(agent.clone(), view.clone(), nudge.clone());

        let logs = AgentLogs::new(settings.clone(), runtime.clone(), view.clone());

        let mut parts: JoinSet<(&'static str, Result<(), EdgedError>)> = JoinSet::new();
        let token = stop.clone();
        parts.spawn(part("runtime health", health::run(runtime.clone(), health_sender, token.clone())));
        parts.spawn(part("runtime list", pleg::run(runtime, nudge, snapshot_sender, token.clone())));
        parts.spawn(part("status reporter", reporter_task.run(token.clone())));
        parts.spawn(part("probes", probe_runner.run(token.clone())));
        parts.spawn(part("pods", sync_loop.run(inputs, token.clone())));
        parts.spawn(part("housekeeping", housekeeping::run(agent, view, snapshots, token.clone())));
        parts.spawn(part("runtime info", publish_info(health, info_sender, token.clone())));
        let rotation = logs.run(token.clone());
        parts.spawn(part("log rotation", rotation));
        let http_addr = settings.http_addr;
        parts.spawn(part("node status", node::run(settings.clone(), api, runtime_info, node_sender, token.clone())));
        if let Some(addr) = http_addr {
            parts.spawn(part("http server", server::run(addr, settings, backend, token)));
        }

        let mut outcome = Ok(());
        while let Some(ended) = parts.join_next().await {
            let result = match ended {
                Ok((name, Ok(()))) if !stop.is_cancelled() => Err(EdgedError::Ended { part: name }),
                Ok((name, result)) => {
                    debug!(part = name, "part ended");
                    result
                }
                Err(panic) => Err(EdgedError::Panicked(panic)),
            };
            outcome = outcome.and(result);
            stop.cancel(); // the first one to end takes the others with it
        }
        outcome
    }
}

async fn part(name: &'static str, life: impl Future<Output = ()>) -> (&'static str, Result<(), EdgedError>) {
    life.instrument(info_span!("edged", part = name)).await;
    (name, Ok(()))
}

/// Tells the node status what the health checks found.
async fn publish_info(
    mut health: watch::Receiver<Health>,
    info: watch::Sender<Option<RuntimeInfo>>,
    stop: CancellationToken,
) {
    loop {
        let now = health.borrow_and_update().clone();
        let problems = now.complaints();
        match now {
            Health::Up(facts) => {
                info.send_replace(Some(backend::runtime_info(&facts, problems)));
            }
            Health::Down | Health::Unknown => info.send_modify(|info| {
                if let Some(info) = info {
                    info.problems = problems;
                }
            }),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = health.changed() => if changed.is_err() { return },
        }
    }
}

/// Source: spec 08 §2.5 item 3.
fn make_directories(settings: &Settings) -> Result<(), EdgedError> {
    let root = &settings.root_dir;
    let wanted = [
        (root.clone(), 0o750),
        (root.join("pods"), 0o750),
        (root.join("plugins"), 0o750),
        (root.join("plugins_registry"), 0o750),
        (root.join("pod-resources"), 0o750),
        (settings.pod_logs_dir.clone(), 0o750),
        (settings.container_logs_dir.clone(), 0o755),
    ];
    for (path, mode) in wanted {
        let made = std::fs::DirBuilder::new().recursive(true).mode(mode).create(&path);
        made.map_err(|source| EdgedError::Directory { path, source })?;
    }
    Ok(())
}

/// The agent should be the last to go when memory runs out; without the right to say so it runs all the same.
fn protect_from_oom(settings: &Settings) {
    if let Some(score) = settings.oom_score_adj
        && let Err(error) = std::fs::write("/proc/self/oom_score_adj", score.to_string())
    {
        debug!(%error, score, "oom score not set");
    }
}
