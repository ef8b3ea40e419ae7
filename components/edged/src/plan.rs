//! Decides what one living pod needs now: the pod's definition and the runtime's state in, a [`Plan`] out.
//!
//! Pure and level-triggered: the same inputs give the same plan, whatever happened before. Back-off is not decided
//! here; it only delays the execution of a start. Source: spec 08 §6.1, §6.4, §6.5.

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::cri::proto::ContainerState;
use crate::observed::{PodRuntime, RuntimeContainer};
use crate::pod::{self, RestartPolicy};
use crate::{hash, images};

/// A container of the pod's definition, by list and index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerRef {
    Ephemeral(usize),
    Init(usize),
    Main(usize),
}

/// What becomes of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxPlan {
    /// The newest sandbox is good.
    Keep { id: String },
    /// A new one is needed; whatever else exists is killed first when `replace` is set.
    Create { attempt: u32, replace: bool },
    /// Nothing is left to run: stop the containers and the sandboxes.
    Stop,
}

/// Why a running container must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillCause {
    DefinitionChanged,
    LivenessFailed,
    StartupFailed,
    UnknownState,
}

/// A container to stop before anything is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill {
    pub container: ContainerRef,
    pub id: String,
    pub cause: KillCause,
    /// Text for logs and events.
    pub message: String,
}

/// What to do, in order: kills, sandbox, starts (ephemeral, then init, then main containers).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub sandbox: SandboxPlan,
    pub kill: Vec<Kill>,
    pub start: Vec<ContainerRef>,
}

/// Answers of the probes about a container of the definition with a runtime ID.
pub trait ProbeFacts {
    /// The probe of a running container that says it must be killed, if any.
    fn verdict(&self, container: &Container, id: &str) -> Option<KillCause>;
    /// Whether its startup probe has succeeded, or it has none.
    fn started(&self, container: &Container, id: &str) -> bool;
    /// Whether a container whose recorded hash differs is to be kept all the same, because an older agent that
    /// hashed differently made it from the same image.
    fn adopts(&self, container: &RuntimeContainer, image: &str) -> bool;
}

/// Whether the pod needs a new sandbox, and with which attempt number.
pub fn sandbox_needed(pod: &Pod, runtime: &PodRuntime) -> Option<u32> {
    let Some(newest) = runtime.sandboxes.first() else { return Some(0) };
    let next = Some(newest.attempt + 1);
    let several = runtime.sandboxes.iter().filter(|sandbox| sandbox.ready).count() > 1;
    let host_network = pod::host_network(pod);
    if several || !newest.ready || newest.host_network != host_network {
        return next;
    }
    if !host_network && newest.ips.is_empty() {
        return next;
    }
    None
}

/// The decision.
pub fn plan(pod: &Pod, runtime: &PodRuntime, probes: &dyn ProbeFacts) -> Plan {
    match sandbox_needed(pod, runtime) {
        Some(attempt) => plan_new_sandbox(pod, runtime, attempt),
        None => plan_in_sandbox(pod, runtime, probes),
    }
}

fn stop() -> Plan {
    Plan { sandbox: SandboxPlan::Stop, kill: Vec::new(), start: Vec::new() }
}

fn plan_new_sandbox(pod: &Pod, runtime: &PodRuntime, attempt: u32) -> Plan {
    let policy = pod::restart_policy(pod);
    if pod::is_deleting(pod) || (policy == RestartPolicy::Never && attempt != 0 && !runtime.containers.is_empty()) {
        return stop();
    }
    let wanted: Vec<ContainerRef> = pod::containers(pod)
        .iter()
        .enumerate()
        .filter(|(_, container)| {
            let newest = runtime.newest(&container.name);
            !(policy == RestartPolicy::OnFailure && newest.is_some_and(|it| it.is_exited() && it.exit_code == 0))
        })
        .map(|(index, _)| ContainerRef::Main(index))
        .collect();
    if wanted.is_empty() {
        return stop(); // every container has succeeded, so initialisation was complete
    }
    let start = if pod::init_containers(pod).is_empty() { wanted } else { vec![ContainerRef::Init(0)] };
    let replace = !runtime.sandboxes.is_empty() || runtime.containers.iter().any(RuntimeContainer::is_running);
    Plan { sandbox: SandboxPlan::Create { attempt, replace }, kill: Vec::new(), start }
}

fn plan_in_sandbox(pod: &Pod, runtime: &PodRuntime, probes: &dyn ProbeFacts) -> Plan {
    let Some(sandbox) = runtime.sandboxes.first() else { return stop() };
    let mut plan = Plan {
        sandbox: SandboxPlan::Keep { id: sandbox.id.clone() },
        kill: Vec::new(),
        start: pod::ephemeral_containers(pod)
            .iter()
            .enumerate()
            .filter(|(_, container)| runtime.newest(&container.name).is_none())
            .map(|(index, _)| ContainerRef::Ephemeral(index))
            .collect(),
    };
    let init = plan_init(pod, runtime, probes);
    match init {
        InitPlan::Failed => return stop(),
        InitPlan::Waiting { start, kill } => {
            plan.start.extend(start);
            plan.kill.extend(kill);
            return plan;
        }
        InitPlan::Done { .. } => {}
    }
    let mut kept = 0;
    let restarts = pod::restart_policy(pod) != RestartPolicy::Never;
    let mut main = Vec::new();
    for (index, container) in pod::containers(pod).iter().enumerate() {
        let reference = ContainerRef::Main(index);
        let current = match runtime.newest(&container.name) {
            Some(current) if current.is_running() => current,
            other => {
                if should_start(pod, other) {
                    main.push(reference);
                    if let Some(unknown) = other.filter(|it| it.state == ContainerState::Unknown) {
                        plan.kill.push(kill_unknown(reference, unknown));
                    }
                }
                continue;
            }
        };
        match reason_to_kill("Container", container, current, probes) {
            None => kept += 1,
            Some((cause, mut message)) => {
                if restarts || cause == KillCause::DefinitionChanged {
                    message.push_str(", will be restarted");
                    main.push(reference);
                }
                plan.kill.push(Kill { container: reference, id: current.id.clone(), cause, message });
            }
        }
    }
    if kept == 0 && main.is_empty() {
        return stop();
    }
    if let InitPlan::Done { start, kill } = init {
        plan.start.extend(start);
        plan.kill.extend(kill);
    }
    plan.start.extend(main);
    plan
}

/// Whether a container that is not running is to be started.
pub fn should_start(pod: &Pod, newest: Option<&RuntimeContainer>) -> bool {
    if pod::is_deleting(pod) {
        return false;
    }
    let Some(newest) = newest else { return true };
    match newest.state {
        ContainerState::Running => false,
        ContainerState::Created | ContainerState::Unknown => true,
        ContainerState::Exited => match pod::restart_policy(pod) {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => newest.exit_code != 0,
            RestartPolicy::Never => false,
        },
    }
}

fn kill_unknown(container: ContainerRef, current: &RuntimeContainer) -> Kill {
    Kill {
        container,
        id: current.id.clone(),
        cause: KillCause::UnknownState,
        message: "Container is in \"unknown\" state, try killing it before restart".to_owned(),
    }
}

fn reason_to_kill(
    what: &str,
    definition: &Container,
    current: &RuntimeContainer,
    probes: &dyn ProbeFacts,
) -> Option<(KillCause, String)> {
    let name = &definition.name;
    let image = definition.image.as_deref().unwrap_or_default();
    if current.hash != hash::container_hash(name, image) && !probes.adopts(current, image) {
        return Some((KillCause::DefinitionChanged, format!("{what} {name} definition changed")));
    }
    let cause = probes.verdict(definition, &current.id)?;
    let message = match cause {
        KillCause::StartupFailed => format!("{what} {name} failed startup probe"),
        KillCause::LivenessFailed => format!("{what} {name} failed liveness probe"),
        KillCause::DefinitionChanged | KillCause::UnknownState => return None,
    };
    Some((cause, message))
}

enum InitPlan {
    /// An init container failed for good.
    Failed,
    /// Not initialised yet.
    Waiting { start: Vec<ContainerRef>, kill: Vec<Kill> },
    /// Initialised; sidecars may still need something.
    Done { start: Vec<ContainerRef>, kill: Vec<Kill> },
}

/// Walks the init containers from last to first: the last one that ever ran tells how far the pod has come.
fn plan_init(pod: &Pod, runtime: &PodRuntime, probes: &dyn ProbeFacts) -> InitPlan {
    let init = pod::init_containers(pod);
    let (mut start, mut kill) = (Vec::new(), Vec::new());
    if init.is_empty() {
        return InitPlan::Done { start, kill };
    }
    // A regular container that was ever made in this sandbox proves initialisation; an exited one does not, so that
    // a reboot runs the init containers again.
    let mut done = pod::containers(pod).iter().any(|container| {
        runtime
            .newest(&container.name)
            .is_some_and(|it| matches!(it.state, ContainerState::Created | ContainerState::Running))
    });
    // Whether a later init container has shown that everything up to here is initialised.
    let mut passed = done || exited_after_start(pod, runtime);
    done = passed;
    for (index, container) in init.iter().enumerate().rev() {
        let reference = ContainerRef::Init(index);
        let sidecar = pod::is_sidecar(container);
        let Some(current) = runtime.newest(&container.name) else {
            if passed && sidecar {
                start.push(reference);
            }
            continue;
        };
        if passed && !sidecar {
            continue;
        }
        let mut next = |start: &mut Vec<ContainerRef>| {
            if index + 1 == init.len() {
                done = true;
            } else {
                start.push(ContainerRef::Init(index + 1));
            }
        };
        match current.state {
            ContainerState::Created => start.push(reference),
            ContainerState::Running if sidecar => {
                if let Some((cause, message)) = reason_to_kill("Init container", container, current, probes) {
                    kill.push(Kill { container: reference, id: current.id.clone(), cause, message });
                    start.push(reference);
                } else if probes.started(container, &current.id) && !passed {
                    next(&mut start);
                }
            }
            ContainerState::Running => {}
            ContainerState::Exited if sidecar => start.push(reference),
            ContainerState::Exited if current.exit_code == 0 => next(&mut start),
            ContainerState::Exited => {
                if pod::restart_policy(pod) == RestartPolicy::Never {
                    return InitPlan::Failed;
                }
                start.push(reference);
            }
            ContainerState::Unknown => {
                if !sidecar && pod::restart_policy(pod) == RestartPolicy::Never {
                    return InitPlan::Failed;
                }
                kill.push(kill_unknown(reference, current));
                start.push(reference);
            }
        }
        passed = true;
    }
    if !passed {
        start.push(ContainerRef::Init(0));
    }
    if pod::is_deleting(pod) {
        start.clear();
    }
    start.reverse();
    if done { InitPlan::Done { start, kill } } else { InitPlan::Waiting { start, kill } }
}

/// A regular container that exited in the sandbox that still runs was started after initialisation, so its exit
/// does not undo it. Containers of earlier sandboxes do not count.
fn exited_after_start(pod: &Pod, runtime: &PodRuntime) -> bool {
    let Some(sandbox) = runtime.sandboxes.first() else { return false };
    pod::containers(pod).iter().any(|container| {
        runtime.newest(&container.name).is_some_and(|it| it.is_exited() && it.sandbox_id == sandbox.id)
    })
}

/// Whether a container made by an agent with another hash function still fits the definition.
pub fn same_image(container: &RuntimeContainer, image: &str) -> bool {
    let wanted = images::canonical(image);
    [&container.requested_image, &container.image].iter().any(|it| !it.is_empty() && images::canonical(it) == wanted)
}

#[cfg(test)]
mod tests;
