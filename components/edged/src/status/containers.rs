//! `containerStatuses` and their siblings. Source: spec 08 §9.4.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    PodStatus, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::cri::proto::ContainerState as RuntimeState;
use crate::observed::RuntimeContainer;
use crate::plan;
use crate::pod::{self, RestartPolicy};

use super::{Inputs, seconds};

const UNKNOWN_REASON: &str = "ContainerStatusUnknown";
const LOST_AT_TERMINATION: &str = "The container could not be located when the pod was terminated";
const LOST_WHILE_RUNNING: &str =
    "The container could not be located when the pod was deleted.  The container used to be Running";
/// As if killed by SIGKILL.
const UNKNOWN_EXIT_CODE: i32 = 137;

/// The three lists of a pod status.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    pub init: Vec<ContainerStatus>,
    pub main: Vec<ContainerStatus>,
    pub ephemeral: Vec<ContainerStatus>,
}

/// Builds all three lists: init containers in the order of the spec, the others by name.
pub fn statuses(input: &Inputs<'_>) -> Lists {
    let old = input.old;
    let init = pod::init_containers(input.pod)
        .iter()
        .map(|container| {
            let restarts = restarts_init(input, container);
            status(
                input,
                container,
                find(old.and_then(|it| it.init_container_statuses.as_deref()), container),
                restarts,
            )
        })
        .map(|(container, mut status)| {
            if !pod::is_sidecar(container) {
                let exited = status.state.as_ref().and_then(|state| state.terminated.as_ref());
                status.ready = exited.is_some_and(|it| it.exit_code == 0);
            }
            status
        })
        .collect();
    let mut main: Vec<ContainerStatus> = pod::containers(input.pod)
        .iter()
        .map(|container| {
            let restarts = plan::should_start(input.pod, input.runtime.newest(&container.name));
            status(input, container, find(old.and_then(|it| it.container_statuses.as_deref()), container), restarts).1
        })
        .collect();
    main.sort_by(|a, b| a.name.cmp(&b.name));
    let mut ephemeral: Vec<ContainerStatus> = pod::ephemeral_containers(input.pod)
        .iter()
        .map(pod::ephemeral_as_container)
        .map(|container| {
            let old = find(old.and_then(|it| it.ephemeral_container_statuses.as_deref()), &container);
            let never_ran = input.runtime.newest(&container.name).is_none();
            let mut status = status(input, &container, old, never_ran).1;
            status.ready = false;
            status
        })
        .collect();
    ephemeral.sort_by(|a, b| a.name.cmp(&b.name));
    Lists { init, main, ephemeral }
}

fn find<'a>(list: Option<&'a [ContainerStatus]>, container: &Container) -> Option<&'a ContainerStatus> {
    list?.iter().find(|status| status.name == container.name)
}

fn restarts_init(input: &Inputs<'_>, container: &Container) -> bool {
    let Some(newest) = input.runtime.newest(&container.name) else { return !pod::is_deleting(input.pod) };
    let failed = newest.is_exited() && newest.exit_code != 0;
    !pod::is_deleting(input.pod)
        && !newest.is_running()
        && (pod::is_sidecar(container)
            || !newest.is_exited()
            || (failed && pod::restart_policy(input.pod) != RestartPolicy::Never))
}

fn status<'c>(
    input: &Inputs<'_>,
    container: &'c Container,
    old: Option<&ContainerStatus>,
    restarts: bool,
) -> (&'c Container, ContainerStatus) {
    let mut seen = input.runtime.named(&container.name);
    let mut status = match seen.next() {
        Some(newest) => from_runtime(input, container, newest, old),
        None => unseen(input, container, old),
    };
    if let Some(previous) = seen.find(|previous| previous.is_exited()) {
        status.last_state = Some(terminated(previous, input.runtime_name));
    }
    // A container that waits for its restart shows why, and its last end as history.
    if let Some(failure) = input.failures.get(&container.name).filter(|_| restarts) {
        if status.state.as_ref().is_some_and(|state| state.terminated.is_some()) {
            status.last_state = status.state.take();
        }
        status.state = Some(waiting(failure.reason, Some(failure.message.clone())));
        status.ready = false;
        status.started = Some(false);
    }
    status.volume_mounts = volume_mounts(container);
    (container, status)
}

fn volume_mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts = container.volume_mounts.as_ref().filter(|mounts| !mounts.is_empty())?;
    let status = |mount: &k8s_openapi::api::core::v1::VolumeMount| VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only.filter(|read_only| *read_only),
        recursive_read_only: (mount.read_only == Some(true)).then(|| "Disabled".to_owned()),
    };
    Some(mounts.iter().map(status).collect())
}

fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn default_waiting(input: &Inputs<'_>) -> ContainerState {
    let first = pod::init_containers(input.pod).is_empty();
    waiting(if first { "ContainerCreating" } else { "PodInitializing" }, None)
}

/// A container the runtime does not know: never made, or lost.
fn unseen(input: &Inputs<'_>, container: &Container, old: Option<&ContainerStatus>) -> ContainerStatus {
    if let Some(old) = old.filter(|old| old.state.as_ref().is_some_and(|state| state.terminated.is_some())) {
        return ContainerStatus { ready: false, started: Some(false), ..old.clone() };
    }
    let mut status = ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(default_waiting(input)),
        restart_count: old.map_or(0, |old| old.restart_count),
        last_state: old.and_then(|old| old.last_state.clone()),
        started: Some(false),
        ..ContainerStatus::default()
    };
    let ran = old.and_then(|old| old.state.as_ref()).and_then(|state| state.running.as_ref());
    let has_history = status.last_state.as_ref().is_some_and(|state| state.terminated.is_some());
    if ran.is_some() && !has_history {
        status.last_state = Some(lost(LOST_WHILE_RUNNING, old));
        if !pod::is_deleting(input.pod) {
            status.restart_count += 1;
        }
    }
    if input.ending && ran.is_some() {
        status.state = Some(lost(LOST_AT_TERMINATION, old));
    }
    status
}

fn lost(message: &str, old: Option<&ContainerStatus>) -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code: UNKNOWN_EXIT_CODE,
        reason: Some(UNKNOWN_REASON.to_owned()),
        message: Some(message.to_owned()),
        container_id: old.and_then(|old| old.container_id.clone()),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

/// Every container that is not terminated when its pod ends is so from now on. Source: spec 08 §7.1.
pub fn terminate_all(lists: [&mut Option<Vec<ContainerStatus>>; 3]) {
    for status in lists.into_iter().flatten().flatten() {
        if status.state.as_ref().is_none_or(|state| state.terminated.is_none()) {
            let id = ContainerStatus { container_id: status.container_id.clone(), ..ContainerStatus::default() };
            status.state = Some(lost(LOST_AT_TERMINATION, Some(&id)));
        }
        status.ready = false;
        status.started = Some(false);
    }
}

/// Runtime ID of the running container of that name.
pub fn running_id(status: &PodStatus, name: &str) -> Option<String> {
    let lists = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    let found = lists.into_iter().flatten().flatten().find(|container| container.name == name)?;
    found.state.as_ref()?.running.as_ref()?;
    found.container_id.as_ref()?.rsplit("://").next().map(str::to_owned)
}

fn time(nanoseconds: i64) -> Option<Time> {
    (nanoseconds > 0).then(|| Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()).flatten().map(seconds)
}

fn terminated(container: &RuntimeContainer, runtime_name: &str) -> ContainerState {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let terminated = ContainerStateTerminated {
        exit_code: container.exit_code,
        reason: text(&container.reason),
        message: text(&container.message),
        started_at: time(container.started_at),
        finished_at: time(container.finished_at),
        container_id: Some(format!("{runtime_name}://{}", container.id)),
        signal: None,
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

fn from_runtime(
    input: &Inputs<'_>,
    container: &Container,
    newest: &RuntimeContainer,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let id = format!("{}://{}", input.runtime_name, newest.id);
    let restart_count = i32::try_from(newest.restart_count).unwrap_or(i32::MAX);
    let was_running = old.and_then(|old| old.state.as_ref()).is_some_and(|state| state.running.is_some());
    let state = match newest.state {
        RuntimeState::Running => ContainerState {
            running: Some(ContainerStateRunning { started_at: time(newest.started_at) }),
            ..ContainerState::default()
        },
        RuntimeState::Exited => terminated(newest, input.runtime_name),
        RuntimeState::Unknown if was_running => lost(LOST_AT_TERMINATION, old),
        RuntimeState::Created | RuntimeState::Unknown => {
            ContainerState { waiting: Some(ContainerStateWaiting::default()), ..ContainerState::default() }
        }
    };
    let started = newest.is_running() && input.readiness.started(container, &newest.id);
    ContainerStatus {
        name: container.name.clone(),
        image: if newest.image.is_empty() { container.image.clone().unwrap_or_default() } else { newest.image.clone() },
        image_id: newest.image_ref.clone(),
        container_id: Some(id),
        restart_count,
        // The runtime may have collected the previous container; its end is still history.
        last_state: old.filter(|old| old.restart_count == restart_count).and_then(|old| old.last_state.clone()),
        started: Some(started),
        ready: started && input.readiness.ready(container, &newest.id),
        state: Some(state),
        ..ContainerStatus::default()
    }
}
