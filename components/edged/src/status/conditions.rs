//! The conditions the agent owns; foreign ones are kept as they are. Source: spec 08 §9.3.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, PodCondition, PodStatus};

use crate::{plan, pod};

use super::containers::Lists;
use super::{Inputs, seconds};

/// Condition types the agent writes, in the order it writes them.
pub const OWNED: [&str; 5] = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

/// The conditions of others, which the agent passes on as it received them.
pub fn foreign(status: &PodStatus) -> Vec<PodCondition> {
    let all = status.conditions.iter().flatten();
    all.filter(|condition| !OWNED.contains(&condition.type_.as_str())).cloned().collect()
}

/// Verdict about one condition: true, or false with reason and message.
struct Verdict {
    holds: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Verdict {
    const TRUE: Self = Self { holds: true, reason: None, message: None };

    fn no(reason: &'static str, message: Option<String>) -> Self {
        Self { holds: false, reason: Some(reason), message }
    }
}

/// All conditions of the pod: foreign ones first, then ours.
pub fn conditions(input: &Inputs<'_>, lists: &Lists, phase: &str) -> Vec<PodCondition> {
    let old: &[PodCondition] = input.old.and_then(|old| old.conditions.as_deref()).unwrap_or(&[]);
    let mut all = input.pod.status.as_ref().map_or_else(Vec::new, foreign);
    let containers_ready = containers_ready(input, lists, phase);
    let sandbox = Verdict { holds: plan::sandbox_needed(input.pod, input.runtime).is_none(), ..Verdict::TRUE };
    let initialized = initialized(input, lists, phase);
    let ready = ready(input, &containers_ready, &all);
    for (kind, verdict) in OWNED.into_iter().zip([sandbox, initialized, ready, containers_ready, Verdict::TRUE]) {
        all.push(condition(input, old, kind, verdict));
    }
    all
}

fn condition(input: &Inputs<'_>, old: &[PodCondition], kind: &str, verdict: Verdict) -> PodCondition {
    let status = if verdict.holds { "True" } else { "False" };
    let previous = old.iter().find(|it| it.type_ == kind && it.status == status);
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: verdict.reason.map(str::to_owned),
        message: verdict.message,
        last_transition_time: previous
            .and_then(|previous| previous.last_transition_time.clone())
            .or_else(|| Some(seconds(input.now))),
        last_probe_time: None,
        observed_generation: previous.and_then(|previous| previous.observed_generation),
    }
}

/// Sorts containers into those without status and those that do not satisfy `good`.
fn sort<'a>(
    containers: impl Iterator<Item = &'a Container>,
    statuses: &[ContainerStatus],
    good: impl Fn(&Container, &ContainerStatus) -> bool,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut unknown, mut bad) = (Vec::new(), Vec::new());
    for container in containers {
        match statuses.iter().find(|status| status.name == container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) if good(container, status) => {}
            Some(_) => bad.push(container.name.as_str()),
        }
    }
    (unknown, bad)
}

fn complaint(unknown: &[&str], bad: &[&str], word: &str) -> Option<String> {
    let part = |names: &[&str], word: &str| {
        (!names.is_empty()).then(|| format!("containers with {word} status: [{}]", names.join(" ")))
    };
    let parts: Vec<String> = [part(unknown, "unknown"), part(bad, word)].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn initialized(input: &Inputs<'_>, lists: &Lists, phase: &str) -> Verdict {
    if phase == "Succeeded" {
        return Verdict { reason: Some("PodCompleted"), ..Verdict::TRUE };
    }
    let ever_started = lists.main.iter().any(|status| {
        let ran =
            |state: &k8s_openapi::api::core::v1::ContainerState| state.running.is_some() || state.terminated.is_some();
        status.state.as_ref().is_some_and(ran) || status.last_state.as_ref().is_some_and(ran)
    });
    if ever_started {
        return Verdict::TRUE;
    }
    let (unknown, bad) = sort(pod::init_containers(input.pod).iter(), &lists.init, |container, status| {
        if pod::is_sidecar(container) { status.started == Some(true) } else { status.ready }
    });
    complaint(&unknown, &bad, "incomplete")
        .map_or(Verdict::TRUE, |message| Verdict::no("ContainersNotInitialized", Some(message)))
}

fn containers_ready(input: &Inputs<'_>, lists: &Lists, phase: &str) -> Verdict {
    match phase {
        "Succeeded" => return Verdict::no("PodCompleted", None),
        "Failed" => return Verdict::no("PodFailed", None),
        _ => {}
    }
    let sidecars = pod::init_containers(input.pod).iter().filter(|container| pod::is_sidecar(container));
    let (mut unknown, mut bad) = sort(sidecars, &lists.init, |_, status| status.ready);
    let (unknown_main, bad_main) = sort(pod::containers(input.pod).iter(), &lists.main, |_, status| status.ready);
    unknown.extend(unknown_main);
    bad.extend(bad_main);
    complaint(&unknown, &bad, "unready")
        .map_or(Verdict::TRUE, |message| Verdict::no("ContainersNotReady", Some(message)))
}

fn ready(input: &Inputs<'_>, containers: &Verdict, foreign: &[PodCondition]) -> Verdict {
    if !containers.holds {
        return Verdict { holds: false, reason: containers.reason, message: containers.message.clone() };
    }
    let gates = input.pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or(&[]);
    let complaints: Vec<String> = gates
        .iter()
        .filter_map(|gate| {
            let kind = &gate.condition_type;
            match foreign.iter().find(|condition| &condition.type_ == kind) {
                None => Some(format!("corresponding condition of pod readiness gate \"{kind}\" does not exist.")),
                Some(condition) if condition.status == "True" => None,
                Some(condition) => {
                    let status = &condition.status;
                    Some(format!("the status of pod readiness gate \"{kind}\" is not \"True\", but {status}"))
                }
            }
        })
        .collect();
    if complaints.is_empty() {
        Verdict::TRUE
    } else {
        Verdict::no("ReadinessGatesNotReady", Some(complaints.join(", ")))
    }
}
