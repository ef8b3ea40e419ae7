//! `/stats/summary`: what the node, its pods and their containers use, read on demand. Source: spec 08 §15.3.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cgroups::{self, usage};
use crate::doors::Settings;
use crate::host;

/// A summary younger than this is given out again.
const CACHE: Duration = Duration::from_secs(10);

/// Makes summaries; keeps the last one for a while and as the base of cpu rates.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    last: Mutex<Option<(Instant, Arc<Value>)>>,
}

impl Sampler {
    pub(super) fn summary(&self, settings: &Settings, pods: &[Arc<Pod>]) -> Arc<Value> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((taken, summary)) = &*last
            && now.duration_since(*taken) < CACHE
        {
            return Arc::clone(summary);
        }
        let before = last.take();
        let before = before.as_ref().map(|(taken, summary)| (now.duration_since(*taken), summary.as_ref()));
        let summary = Arc::new(summarize(settings, pods, before));
        *last = Some((now, Arc::clone(&summary)));
        summary
    }
}

fn summarize(settings: &Settings, pods: &[Arc<Pod>], before: Option<(Duration, &Value)>) -> Value {
    let time = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string();
    let reader = usage::Reader::detect(cgroups::tree::MOUNT_POINT);
    let fs = host::filesystem_usage(&settings.root_dir);
    let node_before = before.map(|(age, summary)| (age, &summary["node"]));
    let mut node = json!({
        "nodeName": settings.node_name,
        "fs": {"time": time, "availableBytes": fs.available, "capacityBytes": fs.capacity, "usedBytes": fs.used,
            "inodesFree": fs.inodes_free, "inodes": fs.inodes, "inodesUsed": fs.inodes - fs.inodes_free},
    });
    let whole = host::node_usage();
    put(&mut node, whole, &time, node_before);
    let pods: Vec<Value> = pods.iter().filter_map(|pod| pod_stats(settings, pod, &reader, &time, before)).collect();
    json!({"node": node, "pods": pods})
}

/// One pod; `None` once it is over.
fn pod_stats(
    settings: &Settings,
    pod: &Pod,
    reader: &usage::Reader,
    time: &str,
    before: Option<(Duration, &Value)>,
) -> Option<Value> {
    let status = pod.status.as_ref()?;
    if !matches!(status.phase.as_deref(), Some("Running" | "Pending")) {
        return None;
    }
    let uid = pod.metadata.uid.as_deref()?;
    let qos = cgroups::qos_class(pod);
    let parent = cgroups::pod_parent(settings.cgroup_driver, &settings.cgroup_root, settings.cgroups_per_qos, qos, uid);
    let known = before.and_then(|(age, summary)| {
        let pods = summary["pods"].as_array()?;
        Some((age, pods.iter().find(|pod| pod["podRef"]["uid"] == uid)?))
    });
    let mut report = json!({"podRef": {"name": pod.metadata.name, "namespace": pod.metadata.namespace, "uid": uid},
        "startTime": status.start_time});
    if settings.cgroups_per_qos {
        put(&mut report, reader.read(&parent), time, known);
    }
    let containers = status.container_statuses.iter().flatten().filter_map(|container| {
        let running = container.state.as_ref()?.running.as_ref()?;
        let id = container.container_id.as_deref()?.split_once("://")?.1;
        let usage = reader.read_container(&parent, settings.cgroup_driver, id);
        let earlier = known.and_then(|(age, pod)| {
            let containers = pod["containers"].as_array()?;
            Some((age, containers.iter().find(|old| old["name"] == container.name)?))
        });
        let mut entry = json!({"name": container.name, "startTime": running.started_at});
        put(&mut entry, usage, time, earlier);
        Some(entry)
    });
    report["containers"] = containers.collect();
    Some(report)
}

/// Adds cpu and memory, or neither: a reader that misses one of them drops the whole pod.
fn put(stats: &mut Value, used: Option<usage::Usage>, time: &str, before: Option<(Duration, &Value)>) {
    let Some(used) = used else { return };
    let rate = before.and_then(|(age, old)| {
        let earlier = old["cpu"]["usageCoreNanoSeconds"].as_u64()?;
        let spent = u128::from(used.cpu_nanos.checked_sub(earlier)?);
        u64::try_from(spent * 1_000_000_000 / age.as_nanos().max(1)).ok()
    });
    let mut cpu = json!({"time": time, "usageCoreNanoSeconds": used.cpu_nanos});
    if let Some(rate) = rate {
        cpu["usageNanoCores"] = json!(rate);
    }
    let mut memory = json!({"time": time, "usageBytes": used.memory, "workingSetBytes": used.working_set,
        "rssBytes": used.rss});
    if let Some(limit) = used.memory_limit {
        memory["availableBytes"] = json!(limit.saturating_sub(used.working_set));
    }
    stats["cpu"] = cpu;
    stats["memory"] = memory;
}
