//! One pass of one pod: look, decide, act, report. Passes of a pod never overlap; between passes a pod costs no task.
//!
//! | goal | what a pass does | it ends with |
//! |---|---|---|
//! | [`Goal::Run`] | brings the pod to its definition | [`Outcome::Look`] again at a time, or [`Outcome::Ended`]: nothing is left to run |
//! | [`Goal::Stop`] | stops everything, unmounts, reports the final status | [`Outcome::Finished`] |
//! | [`Goal::Clean`] | removes what is left in the runtime and on disk | [`Outcome::Gone`] |
//!
//! Every pass begins with a fresh observation of its own pod, so it never acts on state older than its last action,
//! and every pass may be interrupted and repeated. Source: spec 08 §5, §6, §7.

pub mod clean;
pub mod hooks;
pub mod run;
pub mod start;
pub mod stop;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodStatus};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::backoff::Backoff;
use crate::cgroups::tree::Tree;
use crate::cri::proto as p;
use crate::cri::{CriError, Runtime};
use crate::doors::{CgroupDriver, KubeApi, Settings};
use crate::facts::PodFacts;
use crate::health::{Health, RuntimeFacts};
use crate::images::{ImageMemory, Images};
use crate::node::NodeView;
use crate::observed::{PodRuntime, RuntimeContainer};
use crate::plan::{self, KillCause, ProbeFacts};
use crate::probes::{ContainerView, PodView, ProbeKind, Probes};
use crate::status::reporter::{Note, Reporter};
use crate::status::{self, Readiness, StartFailure};
use crate::volumes::Volumes;
use crate::{pod, worker};

/// What all passes share.
pub struct Agent {
    pub settings: Arc<Settings>,
    pub runtime: Runtime,
    pub api: Arc<dyn KubeApi>,
    pub images: Images,
    pub volumes: Volumes,
    pub probes: Probes,
    pub reporter: Reporter,
    pub node: watch::Receiver<NodeView>,
    pub health: watch::Receiver<Health>,
    pub cgroups: Tree,
}

/// What is wanted of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// It runs as defined.
    Run,
    /// It is stopped within `grace`. `report`: the API still has it and wants its final status.
    Stop { grace: Duration, report: bool },
    /// Nothing of it is left.
    Clean,
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Look again then, or when something happens.
    Look(Instant),
    /// The containers have ended for good.
    Ended,
    /// Stopped and unmounted.
    Finished,
    /// Removed.
    Gone,
}

/// What is remembered of a pod between passes; everything else is in the runtime and in the API.
#[derive(Debug, Default)]
pub struct Memory {
    /// When the pod was first seen by this process.
    pub seen: Option<Timestamp>,
    /// The last computed status.
    pub status: Option<PodStatus>,
    pub failures: BTreeMap<String, StartFailure>,
    pub backoff: Backoff,
    pub images: ImageMemory,
    /// Containers kept although an older agent hashed their definition differently.
    pub adopted: BTreeSet<String>,
    /// Whether a pass has taken over what an earlier process left.
    pub took_over: bool,
    /// Sandbox attempts below this are known to be taken in the runtime.
    pub attempt_floor: u32,
    /// Passes in a row that failed.
    pub failed_passes: u32,
    /// Fingerprint of the last observation, to tell our own changes from others.
    pub fingerprint: u64,
}

/// Ends the waits of a pass early. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    /// The pod changed or must go: what is waited for may be out of date.
    pub any: CancellationToken,
    /// The pod must go; `any` is cancelled too then.
    pub stop: CancellationToken,
}

/// Why a pass could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    #[error("container runtime failed")]
    Runtime(#[from] CriError),
    #[error("pod directory cannot be made")]
    Directory(#[source] std::io::Error),
    #[error("{0}")]
    Volume(#[from] crate::volumes::VolumeError),
    #[error("volumes cannot be removed")]
    Removal(#[from] crate::volumes::removal::RemovalError),
    #[error("{0}")]
    File(#[from] crate::files::FileError),
    #[error("running containers after all were stopped")]
    StillRunning,
    #[error("network is not ready: {0}")]
    NoNetwork(String),
    #[error("pass was interrupted")]
    Interrupted,
}

impl PassError {
    /// When to try again after `failed` failures in a row.
    fn retry(&self, failed: u32) -> Duration {
        match self {
            Self::NoNetwork(_) => Duration::from_secs(1),
            Self::Interrupted => Duration::ZERO,
            Self::Runtime(_)
            | Self::Directory(_)
            | Self::Volume(_)
            | Self::Removal(_)
            | Self::File(_)
            | Self::StillRunning => Duration::from_secs(1 << failed.min(4)).min(Duration::from_secs(15)),
        }
    }
}

/// Makes one pass. The memory comes back with the outcome; `interrupt` ends waits early.
pub async fn pass(
    agent: Arc<Agent>,
    pod: Arc<Pod>,
    mut memory: Memory,
    goal: Goal,
    interrupt: Interrupt,
) -> (Memory, Outcome) {
    memory.seen.get_or_insert_with(Timestamp::now);
    let result = match goal {
        Goal::Run => worker::run::run(&agent, &pod, &mut memory, &interrupt).await,
        Goal::Stop { grace, report } => {
            let stopped = worker::stop::stop(&agent, &pod, &mut memory, grace, report);
            interrupt.any.run_until_cancelled(stopped).await.unwrap_or(Err(PassError::Interrupted))
        }
        Goal::Clean => worker::clean::clean(&agent, &pod).await,
    };
    let outcome = match result {
        Ok(outcome) => {
            memory.failed_passes = 0;
            outcome
        }
        Err(error) => {
            let retry_in = error.retry(memory.failed_passes);
            if !matches!(error, PassError::Interrupted) {
                memory.failed_passes += 1;
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                warn!(%error, cause, ?retry_in, "pod pass failed");
            }
            Outcome::Look(Instant::now() + retry_in)
        }
    };
    (memory, outcome)
}

impl Agent {
    fn runtime_facts(&self) -> Option<RuntimeFacts> {
        self.health.borrow().usable().cloned()
    }

    fn runtime_name(&self) -> String {
        match &*self.health.borrow() {
            Health::Up(facts) => facts.name.clone(),
            Health::Unknown | Health::Down => "containerd".to_owned(),
        }
    }

    /// The runtime's cgroup driver if it tells, else the configured one.
    fn cgroup_driver(&self) -> CgroupDriver {
        self.runtime_facts().and_then(|facts| facts.cgroup_driver).unwrap_or(self.settings.cgroup_driver)
    }

    fn facts(&self, runtime: &PodRuntime) -> PodFacts {
        let node = self.node.borrow();
        PodFacts {
            node_name: self.settings.node_name.clone(),
            host_ips: node.ips.clone(),
            pod_ips: runtime.ips().to_vec(),
            resources: node.resources,
            service_env: self.settings.service_env.clone(),
        }
    }

    /// Computes the status of what was observed. `ending`: the pod is being stopped for good.
    fn compute(&self, pod: &Pod, memory: &Memory, runtime: &PodRuntime, ending: bool) -> PodStatus {
        let host_ips = self.node.borrow().ips.clone();
        status::compute(&status::Inputs {
            pod,
            runtime,
            old: memory.status.as_ref().or(pod.status.as_ref()),
            failures: &memory.failures,
            readiness: &Gauges { agent: self, pod },
            host_ips: &host_ips,
            runtime_name: &self.runtime_name(),
            now: Timestamp::now(),
            ending,
        })
    }

    async fn report(&self, pod: &Arc<Pod>, memory: &mut Memory, status: PodStatus, finished: bool) {
        memory.status = Some(status.clone());
        self.reporter.tell(Note::Status { pod: pod.clone(), status: Box::new(status), finished }).await;
    }

    /// Tells the probes which containers there are.
    fn tell_probes(&self, pod: &Arc<Pod>, memory: &Memory, runtime: &PodRuntime, deleting: bool) {
        let stored = |name: &str, id: &str| {
            let status = pod.status.as_ref()?;
            let lists = [&status.container_statuses, &status.init_container_statuses];
            let found = lists.into_iter().flatten().flatten().find(|status| status.name == name)?;
            let same = found.container_id.as_deref().is_some_and(|it| it.ends_with(&format!("://{id}")));
            same.then_some((found.started.unwrap_or(false), found.ready))
        };
        let all = pod::containers(pod).iter().chain(pod::init_containers(pod).iter().filter(|it| pod::is_sidecar(it)));
        let containers = all
            .filter_map(|container| runtime.newest(&container.name))
            .map(|container| {
                // Right after a restart of the agent an unchanged container keeps what the API knows of it.
                let seed = stored(&container.name, &container.id).filter(|_| !memory.took_over).unwrap_or_default();
                ContainerView {
                    name: container.name.clone(),
                    container_id: container.id.clone(),
                    running: container.is_running(),
                    started_at: Timestamp::from_nanosecond(i128::from(container.started_at)).unwrap_or_default(),
                    seed_started: seed.0,
                    seed_ready: seed.1,
                }
            })
            .collect();
        let pod_ip = if pod::host_network(pod) {
            self.node.borrow().ips.first().copied()
        } else {
            runtime.ips().first().copied()
        };
        self.probes.observe(&PodView { pod: pod.clone(), pod_ip, deleting, containers });
    }
}

/// Probe answers for one pod, for the plan and for the status.
struct Gauges<'a> {
    agent: &'a Agent,
    pod: &'a Pod,
}

impl Readiness for Gauges<'_> {
    fn started(&self, container: &Container, id: &str) -> bool {
        self.agent.probes.started(pod::uid(self.pod), container, id)
    }

    fn ready(&self, container: &Container, id: &str) -> bool {
        self.agent.probes.ready(pod::uid(self.pod), container, id)
    }
}

struct Verdicts<'a> {
    gauges: Gauges<'a>,
    memory: &'a Memory,
}

impl ProbeFacts for Verdicts<'_> {
    fn verdict(&self, container: &Container, id: &str) -> Option<KillCause> {
        match self.gauges.agent.probes.verdict(pod::uid(self.gauges.pod), container, id)? {
            ProbeKind::Startup => Some(KillCause::StartupFailed),
            ProbeKind::Liveness => Some(KillCause::LivenessFailed),
            ProbeKind::Readiness => None,
        }
    }

    fn started(&self, container: &Container, id: &str) -> bool {
        self.gauges.started(container, id)
    }

    fn adopts(&self, container: &RuntimeContainer, image: &str) -> bool {
        self.memory.adopted.contains(&container.id) && plan::same_image(container, image)
    }
}

/// Seconds, for RPC deadlines and sleeps: never less than the floor of spec 08 §7.2.
pub const MIN_STOP_GRACE: Duration = Duration::from_secs(2);

/// Monotonic time of a wall-clock time of the runtime, given both clocks now; `None` is before the machine was up.
fn instant_of(nanoseconds: i64, wall: Timestamp, now: Instant) -> Option<Instant> {
    let age = wall.as_nanosecond() - i128::from(nanoseconds);
    let age = Duration::from_nanos(u64::try_from(age).unwrap_or(0)); // a clock that went back means no age
    now.checked_sub(age)
}

fn dns(config: crate::files::dns::DnsConfig) -> p::DnsConfig {
    p::DnsConfig { servers: config.servers, searches: config.searches, options: config.options }
}
