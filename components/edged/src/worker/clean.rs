//! Removes what is no longer needed in the runtime and on disk. Source: spec 08 §12.4, §12.5.

use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use tracing::{debug, info};

use crate::observed::{PodRuntime, RuntimeContainer, observe};
use crate::{pod, translate};

use super::start::link_name;
use super::{Agent, Outcome, PassError};

/// Removes everything of a pod that is gone from the API and stopped: containers, sandboxes, logs, directory.
pub async fn clean(agent: &Agent, pod: &Pod) -> Result<Outcome, PassError> {
    let observed = observe(&agent.runtime, pod::uid(pod)).await?;
    for container in &observed.containers {
        remove(agent, pod, container).await?;
    }
    for sandbox in &observed.sandboxes {
        agent.runtime.stop_pod_sandbox(&sandbox.id).await?;
        agent.runtime.remove_pod_sandbox(&sandbox.id).await?;
    }
    agent.volumes.teardown(pod::uid(pod)).await?;
    let logs = translate::log_directory(&agent.settings, pod);
    // A name from the runtime's labels must not lead out of the log directory.
    if logs.parent() == Some(agent.settings.pod_logs_dir.as_path()) {
        let _ = tokio::fs::remove_dir_all(&logs).await;
    }
    info!("pod removed");
    Ok(Outcome::Gone)
}

async fn remove(agent: &Agent, pod: &Pod, container: &RuntimeContainer) -> Result<(), PassError> {
    agent.runtime.remove_container(&container.id).await?;
    let link = agent.settings.container_logs_dir.join(link_name(pod, &container.name, &container.id));
    let _ = std::fs::remove_file(link);
    remove_logs(&container.log_path);
    Ok(())
}

/// The log and its rotated pieces.
fn remove_logs(log: &Path) {
    let (Some(dir), Some(name)) = (log.parent(), log.file_name().and_then(|name| name.to_str())) else { return };
    for file in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if file.file_name().to_str().is_some_and(|it| it.starts_with(name)) {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// Keeps of each container of a living pod the newest and so many dead ones, and of the sandboxes the newest.
pub async fn prune(agent: &Agent, pod: &Pod, observed: &PodRuntime) {
    let Some(keep) = agent.settings.max_per_pod_container_count else { return };
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    let oldest = jiff::Timestamp::now().as_nanosecond()
        - i128::try_from(agent.settings.minimum_gc_age.as_nanos()).unwrap_or(i128::MAX);
    let mut names: Vec<&str> = observed.containers.iter().map(|container| container.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        // The newest is the current state even when it is dead; what it replaced is history.
        let history = observed.named(name).skip(1).filter(|container| !container.is_running());
        for container in history.skip(keep).filter(|container| i128::from(container.created_at) <= oldest) {
            if let Err(error) = remove(agent, pod, container).await {
                debug!(container.id = container.id, %error, "dead container not removed");
            }
        }
    }
    let in_use = |id: &str| observed.containers.iter().any(|container| container.sandbox_id == id);
    for sandbox in observed.sandboxes.iter().skip(1).filter(|sandbox| !sandbox.ready && !in_use(&sandbox.id)) {
        // A sandbox that is not stopped keeps its address, and some runtimes do not remove it then.
        let stopped = agent.runtime.stop_pod_sandbox(&sandbox.id).await;
        let removed = if stopped.is_ok() { agent.runtime.remove_pod_sandbox(&sandbox.id).await } else { stopped };
        if let Err(error) = removed {
            debug!(sandbox.id = sandbox.id, %error, "dead sandbox not removed");
        }
    }
}

/// Before a new sandbox the init containers run again: their records would say otherwise.
pub async fn remove_init_containers(agent: &Agent, pod: &Pod, observed: &PodRuntime) -> Result<(), PassError> {
    for definition in pod::init_containers(pod) {
        for container in observed.named(&definition.name) {
            agent.runtime.remove_container(&container.id).await?;
        }
    }
    Ok(())
}
