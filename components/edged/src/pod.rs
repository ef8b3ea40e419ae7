//! Short questions about a Pod object, answered with the API's defaults where a field is absent.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec, PodStatus};

use crate::status::conditions;

/// Default of `terminationGracePeriodSeconds`, in seconds.
const DEFAULT_GRACE: i64 = 30;
/// Ten years: as good as for ever, and no sum of times overflows.
const MAX_GRACE: Duration = Duration::from_hours(10 * 365 * 24);

/// When the containers of a pod are started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

pub fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

pub fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

pub fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or("default")
}

/// `<name>_<namespace>(<uid>)`, as events and messages write a pod.
pub fn display(pod: &Pod) -> String {
    format!("{}_{}({})", name(pod), namespace(pod), uid(pod))
}

pub fn containers(pod: &Pod) -> &[Container] {
    pod.spec.as_ref().map_or(&[], |spec| spec.containers.as_slice())
}

pub fn init_containers(pod: &Pod) -> &[Container] {
    pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or(&[])
}

pub fn ephemeral_containers(pod: &Pod) -> &[EphemeralContainer] {
    pod.spec.as_ref().and_then(|spec| spec.ephemeral_containers.as_deref()).unwrap_or(&[])
}

/// An init container with `restartPolicy: Always` runs beside the others instead of before them.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

pub fn restart_policy(pod: &Pod) -> RestartPolicy {
    match pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) {
        Some("Never") => RestartPolicy::Never,
        Some("OnFailure") => RestartPolicy::OnFailure,
        _ => RestartPolicy::Always,
    }
}

fn flag(pod: &Pod, field: impl Fn(&PodSpec) -> Option<bool>) -> bool {
    pod.spec.as_ref().and_then(field).unwrap_or(false)
}

pub fn host_network(pod: &Pod) -> bool {
    flag(pod, |spec| spec.host_network)
}

pub fn host_pid(pod: &Pod) -> bool {
    flag(pod, |spec| spec.host_pid)
}

pub fn host_ipc(pod: &Pod) -> bool {
    flag(pod, |spec| spec.host_ipc)
}

pub fn share_process_namespace(pod: &Pod) -> bool {
    flag(pod, |spec| spec.share_process_namespace)
}

pub fn is_deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Seconds a pod is given to stop, before any override. Source: spec 08 §5.2.
pub fn grace_seconds(pod: &Pod) -> i64 {
    pod.metadata
        .deletion_grace_period_seconds
        .or_else(|| pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds))
        .unwrap_or(DEFAULT_GRACE)
}

/// [`grace_seconds`] with the worker's floor of one second.
pub fn grace(pod: &Pod) -> Duration {
    grace_of(grace_seconds(pod)).max(Duration::from_secs(1))
}

/// Seconds as the API writes them, within what clocks can add: negative is none, [`MAX_GRACE`] is the most.
pub fn grace_of(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(MAX_GRACE)
}

pub fn phase(status: &PodStatus) -> &str {
    status.phase.as_deref().unwrap_or_default()
}

pub fn is_terminal(status: &PodStatus) -> bool {
    matches!(phase(status), "Succeeded" | "Failed")
}

/// Whether the API already shows the pod as Succeeded or Failed.
pub fn api_says_terminal(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(is_terminal)
}

/// The parts of a pod whose change makes another pass of its worker worthwhile: everything but what the agent itself
/// writes into the status.
pub fn same_desire(a: &Pod, b: &Pod) -> bool {
    let foreign = |pod: &Pod| pod.status.as_ref().map(conditions::foreign).unwrap_or_default();
    foreign(a) == foreign(b)
        && a.spec == b.spec
        && a.metadata.labels == b.metadata.labels
        && a.metadata.annotations == b.metadata.annotations
        && a.metadata.deletion_timestamp == b.metadata.deletion_timestamp
        && a.metadata.deletion_grace_period_seconds == b.metadata.deletion_grace_period_seconds
}

/// An ephemeral container as an ordinary one: same fields but for its target.
pub fn ephemeral_as_container(container: &EphemeralContainer) -> Container {
    Container {
        args: container.args.clone(),
        command: container.command.clone(),
        env: container.env.clone(),
        env_from: container.env_from.clone(),
        image: container.image.clone(),
        image_pull_policy: container.image_pull_policy.clone(),
        name: container.name.clone(),
        resources: container.resources.clone(),
        security_context: container.security_context.clone(),
        stdin: container.stdin,
        stdin_once: container.stdin_once,
        termination_message_path: container.termination_message_path.clone(),
        termination_message_policy: container.termination_message_policy.clone(),
        tty: container.tty,
        volume_mounts: container.volume_mounts.clone(),
        working_dir: container.working_dir.clone(),
        ..Container::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_is_bounded_on_both_sides() {
        let pod = |seconds: i64| {
            let pod = serde_json::json!({"metadata": {"uid": "u"},
                "spec": {"containers": [], "terminationGracePeriodSeconds": seconds}});
            serde_json::from_value::<Pod>(pod).unwrap()
        };
        assert_eq!(grace(&pod(-5)), Duration::from_secs(1));
        assert_eq!(grace(&pod(45)), Duration::from_secs(45));
        assert_eq!(grace(&pod(i64::MAX)), MAX_GRACE);
        assert!(std::time::Instant::now().checked_add(grace(&pod(i64::MAX))).is_some());
    }
}
