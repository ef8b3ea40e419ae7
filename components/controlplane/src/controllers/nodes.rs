//! Node life, edge first: a silent node becomes Unknown and takes no new pods, and loses none. Source: spec 10 §10.10.
//!
//! A heartbeat is a change of the node's Lease or of its Ready condition, seen with our own clock; what the node's clock
//! says never counts. Taints follow conditions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::service_accounts::account;
use crate::apiserver::api::{Api, WriteContext};
use crate::apiserver::ops::strategy::Part;
use crate::apiserver::status::ApiError;
use crate::feed::{Feed, Seen};

/// How often silence is looked for.
const MONITOR: Duration = Duration::from_secs(5);
/// The namespace of node leases.
const LEASES: &str = "kube-node-lease";
/// Conditions that a silent node no longer vouches for.
const REPORTED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// A taint that follows a condition: the key, the condition and the status of it that sets the taint.
const TAINTS: [(&str, &str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "Ready", "False"),
    ("node.kubernetes.io/unreachable", "Ready", "Unknown"),
    ("node.kubernetes.io/memory-pressure", "MemoryPressure", "True"),
    ("node.kubernetes.io/disk-pressure", "DiskPressure", "True"),
    ("node.kubernetes.io/pid-pressure", "PIDPressure", "True"),
    ("node.kubernetes.io/network-unavailable", "NetworkUnavailable", "True"),
];
/// The taint of a cordoned node.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// What is known of a node's heart.
struct Heart {
    /// Last heartbeat's text, from lease and condition.
    lease: String,
    condition: String,
    /// When either last changed, by our clock.
    beat: Instant,
    /// Whether the node was already found silent and said so.
    silent: bool,
}

impl Heart {
    fn new(now: Instant) -> Self {
        Self { lease: String::new(), condition: String::new(), beat: now, silent: false }
    }

    fn beat(&mut self, now: Instant) {
        self.beat = now;
        self.silent = false;
    }
}

/// Runs until `stop`. `grace` is how long a node may be silent.
pub async fn run(api: Arc<Api>, grace: Duration, stop: CancellationToken) {
    let mut nodes = Feed::new(&api, "", "nodes");
    let mut leases = Feed::new(&api, "coordination.k8s.io", "leases");
    let mut hearts: BTreeMap<String, Heart> = BTreeMap::new();
    let mut monitor = tokio::time::interval(MONITOR);
    monitor.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            seen = nodes.next() => match seen {
                Seen::Object { name, body, .. } => {
                    let heart = hearts.entry(name.clone()).or_insert_with(|| Heart::new(Instant::now()));
                    see_node(&api, &name, &body, heart).await
                }
                Seen::Gone { name, .. } => {
                    hearts.remove(&name);
                    Ok(())
                }
                Seen::Reset | Seen::Listed => Ok(()),
            },
            seen = leases.next() => {
                if let Seen::Object { ns, name, body } = seen && ns == LEASES && let Some(heart) = hearts.get_mut(&name) {
                    see_lease(&body, heart);
                }
                Ok(())
            }
            _ = monitor.tick() => silence(&api, &mut hearts, grace).await,
        };
        if let Err(error) = outcome {
            tracing::warn!(controller = "node-lifecycle", error = %error, "node not updated");
        }
    }
}

fn see_lease(body: &[u8], heart: &mut Heart) {
    let Ok(lease) = serde_json::from_slice::<Value>(body) else { return };
    let renewed = lease["spec"]["renewTime"].as_str().unwrap_or_default();
    if heart.lease != renewed {
        renewed.clone_into(&mut heart.lease);
        heart.beat(Instant::now());
    }
}

async fn see_node(api: &Api, name: &str, body: &[u8], heart: &mut Heart) -> Result<(), ApiError> {
    let Ok(node) = serde_json::from_slice::<Value>(body) else { return Ok(()) };
    if let Some(ready) = condition(&node, "Ready") {
        let beat = ready["lastHeartbeatTime"].as_str().unwrap_or_default();
        // Our own "Unknown" keeps the heartbeat's time, so it is no heartbeat.
        if heart.condition != beat {
            beat.clone_into(&mut heart.condition);
            heart.beat(Instant::now());
        }
    }
    if taints(&node, Timestamp::now()) == node["spec"]["taints"] {
        return Ok(());
    }
    let target = api.builtin("", "nodes", "", name).await?;
    let context = WriteContext::in_process(&account("node-controller"));
    let written = api
        .change(&context, &target, Part::Main, |node| {
            let mut node = node.clone();
            let wanted = taints(&node, Timestamp::now());
            match (wanted, node["spec"].as_object_mut()) {
                (Value::Null, Some(spec)) => {
                    spec.remove("taints");
                }
                (wanted, _) => node["spec"]["taints"] = wanted,
            }
            Ok(node)
        })
        .await;
    match written {
        Err(error) if error.code != 404 => Err(error),
        _ => Ok(()),
    }
}

/// The taints a node should have: what others set, and ours by its conditions. `null` for none.
fn taints(node: &Value, now: Timestamp) -> Value {
    let status = |kind: &str| condition(node, kind).and_then(|condition| condition["status"].as_str());
    let mut wanted: Vec<&str> = TAINTS
        .iter()
        .filter(|(_, kind, bad)| match status(kind) {
            Some(status) => status == *bad,
            // Never reported: not ready.
            None => *kind == "Ready" && *bad == "False",
        })
        .map(|(key, _, _)| *key)
        .collect();
    if node["spec"]["unschedulable"] == true {
        wanted.push(UNSCHEDULABLE);
    }
    let ours = |taint: &Value| {
        let key = taint["key"].as_str().unwrap_or_default();
        taint["effect"] == "NoSchedule" && (key == UNSCHEDULABLE || TAINTS.iter().any(|(ours, _, _)| *ours == key))
    };
    let old = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let mut new: Vec<Value> = old
        .iter()
        .filter(|taint| !ours(taint) || wanted.contains(&taint["key"].as_str().unwrap_or_default()))
        .cloned()
        .collect();
    for key in wanted {
        if !new.iter().any(|taint| taint["key"] == key && taint["effect"] == "NoSchedule") {
            let added = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            new.push(json!({"key": key, "effect": "NoSchedule", "timeAdded": added}));
        }
    }
    if new.is_empty() { Value::Null } else { new.into() }
}

async fn silence(api: &Api, hearts: &mut BTreeMap<String, Heart>, grace: Duration) -> Result<(), ApiError> {
    let now = Instant::now();
    for (name, heart) in hearts.iter_mut().filter(|(_, heart)| !heart.silent) {
        if now.duration_since(heart.beat) < grace {
            continue;
        }
        let target = api.builtin("", "nodes", "", name).await?;
        let context = WriteContext::in_process(&account("node-controller"));
        let written = api.change(&context, &target, Part::Status, |node| Ok(unknown(node, Timestamp::now()))).await;
        match written {
            Ok(_) => heart.silent = true,
            Err(error) if error.code == 404 => heart.silent = true,
            Err(error) => return Err(error),
        }
        not_ready_pods(api, &context, name).await?;
    }
    Ok(())
}

/// The node with every condition it used to report turned Unknown.
fn unknown(node: &Value, now: Timestamp) -> Value {
    let mut node = node.clone();
    let mut conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for kind in REPORTED {
        match conditions.iter_mut().find(|condition| condition["type"] == kind) {
            Some(condition) if condition["status"] == "Unknown" => {}
            Some(condition) => {
                condition["status"] = "Unknown".into();
                condition["reason"] = "NodeStatusUnknown".into();
                condition["message"] = "Kubelet stopped posting node status.".into();
                condition["lastTransitionTime"] = at.clone().into();
            }
            None => conditions.push(json!({
                "type": kind, "status": "Unknown", "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
                "lastHeartbeatTime": node["metadata"]["creationTimestamp"], "lastTransitionTime": at,
            })),
        }
    }
    node["status"]["conditions"] = conditions.into();
    node
}

/// Pods of a silent node are no longer vouched for: their Ready condition turns False, once, and nothing else.
async fn not_ready_pods(api: &Api, context: &WriteContext, node: &str) -> Result<(), ApiError> {
    for pod in crate::feed::list(api, "", "pods", None).await? {
        let ready = condition(&pod, "Ready").is_some_and(|ready| ready["status"] == "True");
        if pod["spec"]["nodeName"] != node || !ready {
            continue;
        }
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let target = api.builtin("", "pods", pod["metadata"]["namespace"].as_str().unwrap_or_default(), name).await?;
        let at = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let written = api
            .change(context, &target, Part::Status, |pod| {
                let mut pod = pod.clone();
                for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
                    if condition["type"] == "Ready" && condition["status"] == "True" {
                        condition["status"] = "False".into();
                        condition["lastTransitionTime"] = at.clone().into();
                    }
                }
                Ok(pod)
            })
            .await;
        match written {
            Err(error) if error.code != 404 => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn keys(node: &Value) -> Vec<String> {
        let taints = taints(node, NOW);
        taints.as_array().into_iter().flatten().map(|t| format!("{}:{}", t["key"], t["effect"])).collect()
    }

    #[test]
    fn taints_follow_conditions_and_leave_others_alone() {
        let ready = |status: &str| json!([{"type": "Ready", "status": status}]);
        let node = json!({"spec": {"taints": [{"key": "mine", "effect": "NoExecute"}]}, "status": {"conditions": ready("Unknown")}});
        assert_eq!(keys(&node), ["\"mine\":\"NoExecute\"", "\"node.kubernetes.io/unreachable\":\"NoSchedule\""]);
        let node = json!({"spec": {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]},
            "status": {"conditions": ready("True")}});
        assert_eq!(taints(&node, NOW), Value::Null);
        assert_eq!(keys(&json!({})), ["\"node.kubernetes.io/not-ready\":\"NoSchedule\""], "never reported");
        let node = json!({"spec": {"unschedulable": true}, "status": {"conditions": ready("True")}});
        assert_eq!(keys(&node), ["\"node.kubernetes.io/unschedulable\":\"NoSchedule\""]);
    }

    #[test]
    fn a_silent_node_is_unknown_in_everything_it_reported() {
        let node = json!({"metadata": {"creationTimestamp": "c"}, "status": {"conditions": [
            {"type": "Ready", "status": "True", "lastHeartbeatTime": "h", "reason": "EdgeReady"}]}});
        let node = unknown(&node, NOW);
        assert_eq!(node["status"]["conditions"].as_array().map(Vec::len), Some(4));
        let ready = condition(&node, "Ready").expect("kept");
        assert_eq!((&ready["status"], &ready["lastHeartbeatTime"]), (&json!("Unknown"), &json!("h")));
        assert_eq!(unknown(&node, Timestamp::MAX), node, "said once");
    }
}
