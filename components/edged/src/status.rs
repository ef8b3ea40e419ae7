//! The PodStatus that follows from what the runtime says. Pure. Source: spec 08 §9.

pub mod conditions;
pub mod containers;
pub mod patch;
pub mod phase;
pub mod reporter;

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, HostIP, Pod, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::observed::PodRuntime;
use crate::{cgroups, pod};

/// Bytes of all termination messages of one pod together. Source: annex B.
const MESSAGES_BUDGET: usize = 12 * 1024;

/// Why a container could not be started: what its waiting state shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailure {
    pub reason: &'static str,
    pub message: String,
}

/// What probes and gates say about running containers.
pub trait Readiness {
    /// Startup probe succeeded, or there is none.
    fn started(&self, container: &Container, id: &str) -> bool;
    /// Readiness probe succeeded, or there is none.
    fn ready(&self, container: &Container, id: &str) -> bool;
}

/// Everything a status is computed from.
pub struct Inputs<'a> {
    pub pod: &'a Pod,
    pub runtime: &'a PodRuntime,
    /// Our last status, or the API's after a restart of the agent.
    pub old: Option<&'a PodStatus>,
    pub failures: &'a BTreeMap<String, StartFailure>,
    pub readiness: &'a dyn Readiness,
    pub host_ips: &'a [IpAddr],
    /// `containerd`, `cri-o`, …: the scheme of container IDs.
    pub runtime_name: &'a str,
    pub now: Timestamp,
    /// The pod is being stopped for good: an ended pod is Succeeded or Failed whatever its restart policy.
    pub ending: bool,
}

/// Whole seconds, as the API keeps times.
pub fn seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// Computes the status.
pub fn compute(input: &Inputs<'_>) -> PodStatus {
    let pod = input.pod;
    let old = input.old;
    let mut status = old.cloned().unwrap_or_default();
    let lists = containers::statuses(input);
    let computed = phase::phase(pod, &lists, input.ending);
    let old_phase = old.map(pod::phase).unwrap_or_default();
    let phase = if matches!(old_phase, "Succeeded" | "Failed") { old_phase } else { computed };
    if phase != old_phase {
        status.reason = None;
        status.message = None;
    }
    status.phase = Some(phase.to_owned());
    status.conditions = Some(conditions::conditions(input, &lists, phase));
    status.start_time = old.and_then(|old| old.start_time.clone()).or_else(|| Some(seconds(input.now)));
    if status.qos_class.is_none() {
        status.qos_class = Some(cgroups::qos_class(pod).as_str().to_owned());
    }
    addresses(&mut status, input);
    status.init_container_statuses = some_unless_empty(lists.init);
    status.container_statuses = some_unless_empty(lists.main);
    status.ephemeral_container_statuses = some_unless_empty(lists.ephemeral);
    status
}

fn some_unless_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn addresses(status: &mut PodStatus, input: &Inputs<'_>) {
    let host = one_per_family(input.host_ips, input.host_ips.first());
    if let Some(primary) = host.first() {
        status.host_ip = Some(primary.to_string());
        status.host_ips = Some(host.iter().map(|ip| HostIP { ip: ip.to_string() }).collect());
    }
    let known = status.pod_ip.is_some();
    let ips = if pod::host_network(input.pod) {
        if known { Vec::new() } else { host }
    } else {
        one_per_family(input.runtime.ips(), input.host_ips.first())
    };
    // Without a ready sandbox the previous addresses stay: hooks and watchers still use them.
    if let Some(primary) = ips.first() {
        status.pod_ip = Some(primary.to_string());
        status.pod_ips = Some(ips.iter().map(|ip| PodIP { ip: ip.to_string() }).collect());
    }
}

/// The first address of the node's primary family, then the first of the other.
fn one_per_family(ips: &[IpAddr], primary: Option<&IpAddr>) -> Vec<IpAddr> {
    let v4 = ips.iter().find(|ip| ip.is_ipv4());
    let v6 = ips.iter().find(|ip| ip.is_ipv6());
    let ordered = if primary.is_some_and(IpAddr::is_ipv6) { [v6, v4] } else { [v4, v6] };
    ordered.into_iter().flatten().copied().collect()
}

/// Cuts termination messages to their share of the pod's budget; done when a status is sent.
pub fn cut_messages(status: &mut PodStatus) {
    let lists =
        [&mut status.init_container_statuses, &mut status.container_statuses, &mut status.ephemeral_container_statuses];
    let count: usize = lists.iter().map(|list| list.as_ref().map_or(0, Vec::len)).sum();
    let share = MESSAGES_BUDGET / count.max(1);
    for container in lists.into_iter().flatten().flatten() {
        for state in [&mut container.state, &mut container.last_state].into_iter().flatten() {
            if let Some(message) = state.terminated.as_mut().and_then(|it| it.message.as_mut()) {
                let end = (0..=share.min(message.len())).rev().find(|&end| message.is_char_boundary(end));
                message.truncate(end.unwrap_or(0));
            }
        }
    }
}

#[cfg(test)]
mod tests;
