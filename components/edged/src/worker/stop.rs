//! Stops a pod: containers in parallel, sidecars after them, sandboxes last; then volumes, cgroup and the final
//! status. Source: spec 08 §7.1, §7.2.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::cgroups::{self, QosClass};
use crate::cri::proto::ContainerState;
use crate::observed::{PodRuntime, RuntimeContainer, observe};
use crate::plan::KillCause;
use crate::pod;
use crate::status::containers::terminate_all;

use super::{Agent, MIN_STOP_GRACE, Memory, Outcome, PassError, hooks};

/// One pass of a pod that must go.
pub async fn stop(
    agent: &Agent,
    pod: &Arc<Pod>,
    memory: &mut Memory,
    grace: Duration,
    report: bool,
) -> Result<Outcome, PassError> {
    let uid = pod::uid(pod);
    let mut observed = observe(&agent.runtime, uid).await?;
    memory.fingerprint = observed.fingerprint();
    if report {
        let status = agent.compute(pod, memory, &observed, false);
        // The end is reported when it has happened, not before. Source: spec 08 §9.7, §19 P-2.
        if !pod::is_terminal(&status) {
            agent.report(pod, memory, status, false).await;
        }
    }
    if observed.is_alive() {
        info!(?grace, "stopping pod");
        agent.tell_probes(pod, memory, &observed, true);
        kill_pod(agent, pod, &observed, grace).await?;
        observed = observe(&agent.runtime, uid).await?;
        memory.fingerprint = observed.fingerprint();
        if observed.containers.iter().any(RuntimeContainer::is_running) {
            return Err(PassError::StillRunning);
        }
    } else {
        stop_sandboxes(agent, &observed).await?;
    }
    agent.probes.forget(uid);
    let mut status = agent.compute(pod, memory, &observed, true);
    if report {
        let lists = [
            &mut status.init_container_statuses,
            &mut status.container_statuses,
            &mut status.ephemeral_container_statuses,
        ];
        terminate_all(lists);
        agent.report(pod, memory, status.clone(), false).await;
    }
    agent.volumes.teardown(uid).await?;
    remove_cgroup(agent, pod);
    if report {
        agent.report(pod, memory, status, true).await;
    }
    info!("pod stopped");
    Ok(Outcome::Finished)
}

/// Stops all containers within `grace`, then all sandboxes.
pub async fn kill_pod(agent: &Agent, pod: &Pod, observed: &PodRuntime, grace: Duration) -> Result<(), PassError> {
    let deadline = Instant::now() + grace;
    let is_sidecar = |name: &str| pod::init_containers(pod).iter().any(|it| it.name == name && pod::is_sidecar(it));
    let living = || observed.containers.iter().filter(|it| needs_stop(it));
    let regular = living().filter(|container| !is_sidecar(&container.name));
    let stopped = join_all(regular.map(|container| kill_container(agent, pod, container, grace))).await;
    stopped.into_iter().collect::<Result<Vec<()>, _>>()?;
    // Sidecars serve the others to their end, and go in reverse order.
    for definition in pod::init_containers(pod).iter().rev().filter(|it| pod::is_sidecar(it)) {
        let left = deadline.saturating_duration_since(Instant::now()).max(MIN_STOP_GRACE);
        for container in living().filter(|container| container.name == definition.name) {
            kill_container(agent, pod, container, left).await?;
        }
    }
    stop_sandboxes(agent, observed).await
}

/// A sandbox that is not ready (after a power cut) still holds its address: only stopping it gives that back. Should
/// that fail the pod goes on, and the sandbox is stopped again before it is removed.
async fn stop_sandboxes(agent: &Agent, observed: &PodRuntime) -> Result<(), PassError> {
    for sandbox in &observed.sandboxes {
        match agent.runtime.stop_pod_sandbox(&sandbox.id).await {
            Err(error) if sandbox.ready => return Err(error.into()),
            Err(error) => warn!(sandbox.id = sandbox.id, %error, "dead sandbox not stopped"),
            Ok(()) => {}
        }
    }
    Ok(())
}

fn needs_stop(container: &RuntimeContainer) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Unknown)
}

/// Grace of one container killed while its pod lives on.
pub fn container_grace(pod: &Pod, container: &RuntimeContainer, cause: Option<KillCause>) -> Duration {
    let definition = find(pod, &container.name);
    let of_probe = definition.and_then(|definition| match cause? {
        KillCause::LivenessFailed => definition.liveness_probe.as_ref(),
        KillCause::StartupFailed => definition.startup_probe.as_ref(),
        KillCause::DefinitionChanged | KillCause::UnknownState => None,
    });
    let seconds = of_probe.and_then(|probe| probe.termination_grace_period_seconds);
    pod::grace_of(seconds.unwrap_or_else(|| pod::grace_seconds(pod))).max(MIN_STOP_GRACE)
}

fn find<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    pod::containers(pod).iter().chain(pod::init_containers(pod)).find(|container| container.name == name)
}

/// preStop within the grace, then SIGTERM, then SIGKILL when the rest of the grace is over.
pub async fn kill_container(
    agent: &Agent,
    pod: &Pod,
    container: &RuntimeContainer,
    grace: Duration,
) -> Result<(), PassError> {
    let deadline = Instant::now() + grace;
    let definition = find(pod, &container.name);
    let hook =
        definition.and_then(|definition| definition.lifecycle.as_ref()?.pre_stop.as_ref().map(|it| (definition, it)));
    if let Some((definition, handler)) = hook.filter(|_| container.is_running()) {
        let pod_ip = agent.probes_ip(pod).await;
        let run = hooks::run(agent, definition, handler, &container.id, pod_ip, Some(grace));
        match tokio::time::timeout(grace, run).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(container = container.name, %error, "preStop hook failed"),
            Err(_) => warn!(container = container.name, ?grace, "preStop hook used up the grace period"),
        }
    }
    let left = deadline.saturating_duration_since(Instant::now());
    // One second is honoured as asked for; what a hook has used up is filled to the floor.
    let left = if grace < MIN_STOP_GRACE { grace } else { left.max(MIN_STOP_GRACE) };
    Ok(agent.runtime.stop_container(&container.id, left).await?)
}

impl Agent {
    /// The pod's address as last reported, for hooks of a pod that is going.
    async fn probes_ip(&self, pod: &Pod) -> Option<std::net::IpAddr> {
        if pod::host_network(pod) {
            return self.node.borrow().ips.first().copied();
        }
        let observed = observe(&self.runtime, pod::uid(pod)).await.ok()?;
        observed.ips().first().copied()
    }
}

/// The pod's cgroup.
pub fn cgroup_path(agent: &Agent, pod: &Pod) -> String {
    cgroup_of_class(agent, pod, cgroups::qos_class(pod))
}

fn cgroup_of_class(agent: &Agent, pod: &Pod, class: QosClass) -> String {
    let settings = &agent.settings;
    let driver = agent.cgroup_driver();
    cgroups::pod_parent(driver, &settings.cgroup_root, settings.cgroups_per_qos, class, pod::uid(pod))
}

/// Below every class: which one it was is not known of a pod that is gone from the API.
fn remove_cgroup(agent: &Agent, pod: &Pod) {
    if !agent.settings.cgroups_per_qos {
        return;
    }
    for class in [QosClass::Guaranteed, QosClass::Burstable, QosClass::BestEffort] {
        if let Err(error) = agent.cgroups.remove(&cgroup_of_class(agent, pod, class)) {
            tracing::debug!(%error, "pod cgroup not removed");
        }
    }
}
