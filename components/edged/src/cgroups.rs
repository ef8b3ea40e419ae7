//! Where a pod sits in the cgroup tree and what its limits are in cgroup terms. Pure; [`tree`] writes, [`usage`] reads.
//!
//! Source: spec 08 §8.7 (container limits, oom score), §14.1 (tree).

pub mod tree;
pub mod usage;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};

use crate::doors::CgroupDriver;
use crate::quantity::Amount;

/// Quality of service class of a pod. Source: spec 08 §9.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QosClass {
    /// Every container has cpu and memory limits equal to its requests.
    Guaranteed,
    /// Neither of the others.
    Burstable,
    /// No container asks for or is limited in cpu or memory.
    BestEffort,
}

impl QosClass {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

/// The class the API gave the pod, or else the one its containers imply.
pub fn qos_class(pod: &Pod) -> QosClass {
    match pod.status.as_ref().and_then(|status| status.qos_class.as_deref()) {
        Some("Guaranteed") => QosClass::Guaranteed,
        Some("Burstable") => QosClass::Burstable,
        Some("BestEffort") => QosClass::BestEffort,
        Some(_) | None => implied_class(pod),
    }
}

fn implied_class(pod: &Pod) -> QosClass {
    let mut any = false;
    let mut all_equal = true;
    for container in containers_of(pod) {
        let resources = container.resources.as_ref();
        for name in ["cpu", "memory"] {
            let request = effective_request(resources, name).unwrap_or_default();
            let limit = limit_of(resources, name).unwrap_or_default();
            any |= !request.is_zero() || !limit.is_zero();
            all_equal &= !limit.is_zero() && request == limit;
        }
    }
    match (any, all_equal) {
        (false, _) => QosClass::BestEffort,
        (true, true) => QosClass::Guaranteed,
        (true, false) => QosClass::Burstable,
    }
}

fn containers_of(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers))
}

/// The `limits` entry of a resource.
pub fn limit_of(resources: Option<&ResourceRequirements>, name: &str) -> Option<Amount> {
    resources?.limits.as_ref()?.get(name).map(Amount::of)
}

/// The `requests` entry of a resource, or its limit when there is no entry.
pub fn effective_request(resources: Option<&ResourceRequirements>, name: &str) -> Option<Amount> {
    let requested = resources.and_then(|r| r.requests.as_ref()).and_then(|r| r.get(name)).map(Amount::of);
    requested.or_else(|| limit_of(resources, name))
}

/// Name elements below the cgroup root for one class: `kubepods`, `kubepods/burstable`, `kubepods/besteffort`.
fn class_elements(class: QosClass) -> &'static [&'static str] {
    match class {
        QosClass::Guaranteed => &["kubepods"],
        QosClass::Burstable => &["kubepods", "burstable"],
        QosClass::BestEffort => &["kubepods", "besteffort"],
    }
}

/// On-disk path of nested cgroup names, with a leading `/`.
fn path_of(driver: CgroupDriver, elements: &[&str]) -> String {
    match driver {
        CgroupDriver::Cgroupfs => format!("/{}", elements.join("/")),
        CgroupDriver::Systemd => {
            let mut path = String::new();
            let mut name = String::new();
            for element in elements {
                if !name.is_empty() {
                    name.push('-');
                }
                name.push_str(&element.replace('-', "_"));
                path.push('/');
                path.push_str(&name);
                path.push_str(".slice");
            }
            path
        }
    }
}

fn with_root<'a>(root: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    root.split('/').filter(|part| !part.is_empty()).chain(rest.iter().copied()).collect()
}

/// The cgroup of one QoS class, or the whole `kubepods` one for [`QosClass::Guaranteed`].
pub fn class_path(driver: CgroupDriver, cgroup_root: &str, class: QosClass) -> String {
    path_of(driver, &with_root(cgroup_root, class_elements(class)))
}

/// `cgroup_parent` of a pod's sandbox. With `per_qos` off it is the cgroup root itself, empty when that is unset.
///
/// Source: spec 08 §14.1, Annex C.
pub fn pod_parent(driver: CgroupDriver, cgroup_root: &str, per_qos: bool, class: QosClass, uid: &str) -> String {
    if !per_qos {
        return cgroup_root.to_owned();
    }
    let leaf = format!("pod{uid}");
    let mut elements = with_root(cgroup_root, class_elements(class));
    elements.push(&leaf);
    path_of(driver, &elements)
}

/// Limits in the units of `linux.resources`. Source: spec 08 §8.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CgroupLimits {
    /// Relative cpu weight, 2 to 262144.
    pub cpu_shares: i64,
    /// Microseconds of cpu per period; 0 is no quota.
    pub cpu_quota: i64,
    /// Period in microseconds; 0 when quotas are switched off.
    pub cpu_period: i64,
    /// Bytes; 0 is no limit.
    pub memory_limit: i64,
}

/// Weight for a number of thousandths of a core.
pub fn shares(milli: u64) -> i64 {
    if milli == 0 {
        return 2;
    }
    (signed(milli).saturating_mul(1024) / 1000).clamp(2, 262_144)
}

/// Quota for a limit in thousandths of a core.
fn quota(milli: u64, period: i64) -> i64 {
    if milli == 0 {
        return 0;
    }
    (signed(milli).saturating_mul(period) / 1000).max(1000)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Limits of one container. `cfs_period` is used only when `cfs_quota` is on.
pub fn container_limits(
    resources: Option<&ResourceRequirements>,
    cfs_quota: bool,
    cfs_period: Duration,
) -> CgroupLimits {
    let period = i64::try_from(cfs_period.as_micros()).unwrap_or(100_000);
    let cpu_limit = limit_of(resources, "cpu").map_or(0, Amount::milli);
    CgroupLimits {
        cpu_shares: shares(effective_request(resources, "cpu").map_or(0, Amount::milli)),
        cpu_quota: if cfs_quota { quota(cpu_limit, period) } else { 0 },
        cpu_period: if cfs_quota { period } else { 0 },
        memory_limit: limit_of(resources, "memory").map_or(0, |limit| signed(limit.units())),
    }
}

/// Limits of a whole pod: sums over its containers (or its largest init container, if that is more), plus overhead.
/// A quota or memory limit exists only if every container has one.
pub fn pod_limits(pod: &Pod, cfs_quota: bool, cfs_period: Duration) -> CgroupLimits {
    let period = i64::try_from(cfs_period.as_micros()).unwrap_or(100_000);
    let cpu_limit = pod_sum(pod, "cpu", limit_of);
    let memory_limit = pod_sum(pod, "memory", limit_of);
    let cpu_request = pod_sum(pod, "cpu", |r, n| Some(effective_request(r, n).unwrap_or_default()));
    CgroupLimits {
        cpu_shares: shares(cpu_request.map_or(0, Amount::milli)),
        cpu_quota: if cfs_quota { cpu_limit.map_or(0, |limit| quota(limit.milli(), period)) } else { 0 },
        cpu_period: if cfs_quota { period } else { 0 },
        memory_limit: memory_limit.map_or(0, |limit| signed(limit.units())),
    }
}

type Pick = fn(Option<&ResourceRequirements>, &str) -> Option<Amount>;

/// What the pod needs of one resource at its peak; `None` when one container has no value.
fn pod_sum(pod: &Pod, name: &str, pick: Pick) -> Option<Amount> {
    let spec = pod.spec.as_ref()?;
    let mut steady = Amount::ZERO;
    for container in &spec.containers {
        steady = steady.plus(pick(container.resources.as_ref(), name)?);
    }
    let mut sidecars = Amount::ZERO;
    let mut peak = Amount::ZERO;
    for container in spec.init_containers.iter().flatten() {
        let amount = pick(container.resources.as_ref(), name)?;
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars = sidecars.plus(amount);
            peak = peak.max(sidecars);
        } else {
            peak = peak.max(sidecars.plus(amount));
        }
    }
    let overhead = spec.overhead.as_ref().and_then(|o| o.get(name)).map_or(Amount::ZERO, Amount::of);
    let total = steady.plus(sidecars).max(peak);
    if total.is_zero() {
        return Some(Amount::ZERO);
    }
    Some(total.plus(overhead))
}

/// Score of a container that must survive as long as the node's own services.
const GUARANTEED_SCORE: i64 = -997;

/// `oom_score_adj` of a container on a machine with `memory_capacity` bytes. Source: spec 08 §8.7.
pub fn oom_score_adj(pod: &Pod, container: &Container, memory_capacity: u64) -> i64 {
    let own = plain_score(pod, container, memory_capacity);
    if container.restart_policy.as_deref() != Some("Always") {
        return own;
    }
    // A sidecar must not be killed before the containers that depend on it.
    let regular = pod.spec.iter().flat_map(|spec| &spec.containers).map(|c| plain_score(pod, c, memory_capacity)).min();
    regular.map_or(own, |lowest| own.min(lowest))
}

fn plain_score(pod: &Pod, container: &Container, memory_capacity: u64) -> i64 {
    let critical = pod.spec.as_ref().and_then(|s| s.priority_class_name.as_deref()) == Some("system-node-critical");
    match qos_class(pod) {
        _ if critical => GUARANTEED_SCORE,
        QosClass::Guaranteed => GUARANTEED_SCORE,
        QosClass::BestEffort => 1000,
        QosClass::Burstable => {
            let request = effective_request(container.resources.as_ref(), "memory").map_or(0, Amount::units);
            let score = 1000 - i128::from(request) * 1000 / i128::from(memory_capacity.max(1));
            i64::try_from(score).unwrap_or(0).clamp(1000 + GUARANTEED_SCORE, 999)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const UID: &str = "0a1b2c3d-0000-4000-8000-000000000001";

    fn pod(containers: &serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"containers": containers}})).unwrap()
    }

    fn resources(value: serde_json::Value) -> ResourceRequirements {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn parents_are_those_of_annex_c() {
        let parent = |driver, class| pod_parent(driver, "", true, class, UID);
        assert_eq!(parent(CgroupDriver::Cgroupfs, QosClass::Guaranteed), format!("/kubepods/pod{UID}"));
        assert_eq!(parent(CgroupDriver::Cgroupfs, QosClass::BestEffort), format!("/kubepods/besteffort/pod{UID}"));
        assert_eq!(
            parent(CgroupDriver::Systemd, QosClass::Guaranteed),
            "/kubepods.slice/kubepods-pod0a1b2c3d_0000_4000_8000_000000000001.slice"
        );
        assert_eq!(
            parent(CgroupDriver::Systemd, QosClass::BestEffort),
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod0a1b2c3d_0000_4000_8000_000000000001.slice"
        );
        assert_eq!(
            pod_parent(CgroupDriver::Cgroupfs, "/edge/pods", true, QosClass::Burstable, "u"),
            "/edge/pods/kubepods/burstable/podu"
        );
        assert_eq!(pod_parent(CgroupDriver::Cgroupfs, "/edge", false, QosClass::Burstable, "u"), "/edge");
        assert_eq!(
            class_path(CgroupDriver::Systemd, "", QosClass::Burstable),
            "/kubepods.slice/kubepods-burstable.slice"
        );
    }

    #[test]
    fn cpu_conversions_are_those_of_annex_c() {
        assert_eq!(shares(100), 102);
        assert_eq!(shares(0), 2);
        assert_eq!(shares(2000), 2048);
        assert_eq!(shares(u64::MAX), 262_144);
        assert_eq!(quota(250, 100_000), 25_000);
        assert_eq!(quota(5, 100_000), 1000);
    }

    #[test]
    fn a_missing_request_is_the_limit() {
        let limits = resources(json!({"limits": {"cpu": "500m", "memory": "64Mi"}}));
        let got = container_limits(Some(&limits), true, Duration::from_millis(100));
        assert_eq!(
            got,
            CgroupLimits { cpu_shares: 512, cpu_quota: 50_000, cpu_period: 100_000, memory_limit: 64 << 20 }
        );
        let off = container_limits(Some(&limits), false, Duration::from_millis(100));
        assert_eq!((off.cpu_quota, off.cpu_period), (0, 0));
        assert_eq!(container_limits(None, true, Duration::from_millis(100)).cpu_shares, 2);
    }

    #[test]
    fn classes_follow_requests_and_limits() {
        let class = |containers| qos_class(&pod(&containers));
        assert_eq!(class(json!([{"name": "a"}])), QosClass::BestEffort);
        assert_eq!(class(json!([{"name": "a", "resources": {"requests": {"cpu": "1"}}}])), QosClass::Burstable);
        let full = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}});
        assert_eq!(class(json!([{"name": "a", "resources": full}])), QosClass::Guaranteed);
        assert_eq!(class(json!([{"name": "a", "resources": full}, {"name": "b"}])), QosClass::Burstable);
        let limits_only = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
        assert_eq!(class(json!([{"name": "a", "resources": limits_only}])), QosClass::Guaranteed);
    }

    #[test]
    fn pod_limits_need_every_container_to_have_one() {
        let limit = json!({"limits": {"cpu": "500m", "memory": "64Mi"}});
        let both = pod(&json!([{"name": "a", "resources": limit}, {"name": "b", "resources": limit}]));
        let got = pod_limits(&both, true, Duration::from_millis(100));
        assert_eq!((got.cpu_shares, got.cpu_quota, got.memory_limit), (1024, 100_000, 128 << 20));
        let one = pod(&json!([{"name": "a", "resources": limit}, {"name": "b"}]));
        let got = pod_limits(&one, true, Duration::from_millis(100));
        assert_eq!((got.cpu_shares, got.cpu_quota, got.memory_limit), (512, 0, 0));
    }

    #[test]
    fn oom_scores_follow_the_class() {
        let score = |containers: serde_json::Value| {
            let pod = pod(&containers);
            let container = pod.spec.as_ref().unwrap().containers[0].clone();
            oom_score_adj(&pod, &container, 4 << 30)
        };
        assert_eq!(score(json!([{"name": "a", "resources": {"requests": {"memory": "256Mi"}}}])), 938);
        assert_eq!(score(json!([{"name": "a", "resources": {"requests": {"memory": "1Ki"}}}])), 999);
        assert_eq!(score(json!([{"name": "a", "resources": {"requests": {"memory": "8Gi"}}}])), 3);
        assert_eq!(score(json!([{"name": "a"}])), 1000);
        assert_eq!(score(json!([{"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}])), -997);
    }
}
