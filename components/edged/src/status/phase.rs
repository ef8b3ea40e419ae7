//! The phase of a pod from the states of its containers. Source: spec 08 §9.2.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

use crate::pod::{self, RestartPolicy};

use super::containers::Lists;

#[derive(Default)]
struct Counts {
    running: u32,
    waiting: u32,
    stopped: u32,
    succeeded: u32,
    unknown: u32,
}

enum Shape {
    Running,
    Exited(i32),
    /// Waiting after having run: exit code of the last run.
    WaitingAgain(i32),
    Waiting,
    Unknown,
}

fn shape(status: Option<&ContainerStatus>) -> Shape {
    let Some(status) = status else { return Shape::Unknown };
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    match status.state.as_ref() {
        Some(state) if state.running.is_some() => Shape::Running,
        Some(state) if state.terminated.is_some() => {
            Shape::Exited(state.terminated.as_ref().map_or(0, |terminated| terminated.exit_code))
        }
        Some(state) if state.waiting.is_some() => last.map_or(Shape::Waiting, |it| Shape::WaitingAgain(it.exit_code)),
        _ => Shape::Unknown,
    }
}

fn find<'a>(list: &'a [ContainerStatus], container: &Container) -> Option<&'a ContainerStatus> {
    list.iter().find(|status| status.name == container.name)
}

/// The phase. `ending`: the pod is being stopped for good.
pub fn phase(pod: &Pod, lists: &Lists, ending: bool) -> &'static str {
    let policy = pod::restart_policy(pod);
    let mut counts = Counts::default();
    let (mut pending_init, mut failed_init, mut pending_sidecar) = (false, false, false);
    for container in pod::init_containers(pod) {
        let status = find(&lists.init, container);
        let shape = shape(status);
        if pod::is_sidecar(container) {
            match shape {
                Shape::Running => {
                    counts.running += 1;
                    pending_sidecar |= status.and_then(|it| it.started) != Some(true);
                }
                Shape::Exited(_) | Shape::WaitingAgain(_) => {}
                Shape::Waiting => {
                    counts.waiting += 1;
                    pending_sidecar = true;
                }
                Shape::Unknown => {
                    counts.unknown += 1;
                    pending_sidecar = true;
                }
            }
        } else {
            match shape {
                Shape::Exited(0) => {}
                Shape::Exited(_) => failed_init = true,
                Shape::WaitingAgain(code) if code != 0 => failed_init = true,
                Shape::WaitingAgain(_) => {}
                Shape::Running | Shape::Waiting | Shape::Unknown => pending_init = true,
            }
        }
    }
    let mut ever_started = false;
    for container in pod::containers(pod) {
        match shape(find(&lists.main, container)) {
            Shape::Running => {
                counts.running += 1;
                ever_started = true;
            }
            Shape::Exited(code) => {
                counts.stopped += 1;
                counts.succeeded += u32::from(code == 0);
                ever_started = true;
            }
            Shape::WaitingAgain(_) => {
                counts.stopped += 1;
                ever_started = true;
            }
            Shape::Waiting => counts.waiting += 1,
            Shape::Unknown => counts.unknown += 1,
        }
    }
    let all_succeeded = counts.stopped == counts.succeeded;
    if failed_init && policy == RestartPolicy::Never {
        return "Failed";
    }
    if ending && counts.running == 0 {
        // Nothing will run again: what did not succeed has failed.
        let complete = counts.stopped > 0 && all_succeeded && counts.waiting == 0 && counts.unknown == 0;
        return if complete && !pending_init && !failed_init { "Succeeded" } else { "Failed" };
    }
    if pending_init || failed_init && !ever_started || (pending_sidecar && !ever_started) || counts.waiting > 0 {
        return "Pending";
    }
    if counts.running > 0 && counts.unknown == 0 {
        return "Running";
    }
    if counts.running == 0 && counts.stopped > 0 && counts.unknown == 0 {
        return match policy {
            RestartPolicy::Always => "Running",
            _ if all_succeeded => "Succeeded",
            RestartPolicy::Never => "Failed",
            RestartPolicy::OnFailure => "Running",
        };
    }
    "Pending"
}
