//! Reports of edges before v1.12: whole statuses instead of patches. Source: spec 02 §2.2, §2.4, §15.2.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use wire::message::Message;
use wire::resource::ResourceKind;

use super::rights::is_uid;
use super::{Request, RequestError, Upstream, reply, unix_ms};
use crate::cloudhub::delivery::Delivery;
use crate::cloudhub::doors::Reply;
use crate::edgecontroller::references::PodFacts;
use crate::kind::{Kind, ObjectKey};
use crate::kubeapi::ApiPath;

/// Pod reports taken from one message.
const MAX_REPORTS: usize = 512;

#[derive(Deserialize)]
struct PodReport {
    #[serde(rename = "UID", default)]
    uid: String,
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "Status", default)]
    status: Value,
}

#[derive(Deserialize)]
struct NodeReport {
    #[serde(rename = "Status", default)]
    status: Value,
    #[serde(rename = "ExtendResources", default)]
    extend_resources: Option<Map<String, Value>>,
}

impl Upstream {
    pub(super) async fn insert_legacy_node(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        request.check_own_name()?;
        let node = self.new_node(request)?;
        match self.api.create(&Kind::Node, None, node.to_string()).await {
            Ok(_) => {}
            Err(error) if error.is_already_exists() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(vec![Reply::Post(node_reply(request, None))])
    }

    pub(super) async fn update_legacy_node_status(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        request.check_own_name()?;
        let report: NodeReport = request
            .message
            .content
            .parse()
            .map_err(|_| RequestError::Invalid { reason: "the content is no report" })?;
        if !report.status.is_object() {
            return Err(RequestError::Invalid { reason: "the report has no status" });
        }
        let key = ObjectKey::cluster(Kind::Node, request.node.clone());
        let object = self.api.get(&key).await?;
        let mut node: Value = object.parse().map_err(|_| RequestError::Invalid { reason: "the Node is unreadable" })?;
        merge_node_report(&mut node, report.status, Timestamp::now(), self.node_update_frequency);
        for (name, value) in report.extend_resources.into_iter().flatten() {
            set(&mut node, &["metadata", "annotations", &name], value.to_string().into());
        }
        let path = ApiPath::of(&key)?.subresource("status");
        let object = self.api.replace(&Kind::Node, path, node.to_string()).await?;
        Ok(vec![Reply::Post(node_reply(request, Some(object.meta.version.as_str())))])
    }

    pub(super) async fn update_legacy_pod_status(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        let namespace = request.namespace()?;
        let invalid = |_| RequestError::Invalid { reason: "the content is no pod report" };
        let reports: Vec<PodReport> = match &request.resource.name {
            Some(_) => vec![request.message.content.parse().map_err(invalid)?],
            None => request.message.content.parse().map_err(invalid)?,
        };
        let mut replies = Vec::new();
        for report in reports.into_iter().take(MAX_REPORTS) {
            let name = request.resource.name.clone().unwrap_or_else(|| report.name.clone());
            match self.report_pod(request, namespace, &name, &report).await {
                Ok(held) => {
                    replies.push(Reply::Post(reply::ok(&request.message, None, unix_ms())));
                    if !held {
                        // With the UID, so that only that pod goes.
                        let key = ObjectKey::namespaced(Kind::Pod, namespace, name.as_str());
                        replies.push(Reply::Deliver(Delivery::minimal_delete(key, report.uid.as_str())));
                    }
                }
                Err(error) => {
                    let content = error.status().to_content();
                    replies.push(Reply::Post(reply::plain(&request.message, content, None, unix_ms())));
                }
            }
        }
        Ok(replies)
    }

    /// Returns whether the cluster still has this pod.
    async fn report_pod(
        &self,
        request: &Request,
        namespace: &str,
        name: &str,
        report: &PodReport,
    ) -> Result<bool, RequestError> {
        if !is_uid(&report.uid) {
            return Err(RequestError::Invalid { reason: "the report names no UID" });
        }
        if !report.status.is_object() {
            return Err(RequestError::Invalid { reason: "the report has no status" });
        }
        let key = ObjectKey::namespaced(Kind::Pod, namespace, name);
        let object = match self.api.get(&key).await {
            Ok(object) if *object.meta.uid == *report.uid => object,
            Ok(_) => return Ok(false),
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let facts = PodFacts::read(&object).map_err(|_| RequestError::Invalid { reason: "the pod is unreadable" })?;
        if facts.node.as_deref() != Some(&*request.node) {
            return Err(request.forbidden("the pod is not bound to it"));
        }
        let mut pod: Value = object.parse().map_err(|_| RequestError::Invalid { reason: "the pod is unreadable" })?;
        merge_pod_report(&mut pod, report.status.clone(), Timestamp::now());
        let finished = is_finished(&pod);
        let path = ApiPath::of(&key)?.subresource("status");
        self.api.replace(&Kind::Pod, path, pod.to_string()).await?;
        if finished {
            let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": report.uid}}).to_string();
            match self.api.delete(&key, options).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(true)
    }
}

/// `"OK"` under the type word `node`. Source: spec 02 §16.1 item 4.
fn node_reply(request: &Request, version: Option<&str>) -> Message {
    let mut reply = reply::ok(&request.message, version, unix_ms());
    reply.route.resource = request.resource.with_kind(ResourceKind::Node).to_string();
    reply
}

/// Takes a reported status over, keeping what only the cluster knows. `frequency` is in seconds.
fn merge_node_report(node: &mut Value, mut status: Value, now: Timestamp, frequency: i64) {
    let stamp = now_text(now);
    for condition in conditions(&mut status) {
        let beat = condition.get("lastHeartbeatTime").and_then(Value::as_str).and_then(|t| t.parse::<Timestamp>().ok());
        if beat.is_none_or(|beat| now.duration_since(beat).as_secs() > frequency) {
            condition.insert("lastHeartbeatTime".to_owned(), stamp.clone().into());
        }
    }
    if let Some(attached) = node.pointer("/status/volumesAttached").cloned() {
        set(&mut status, &["volumesAttached"], attached);
    }
    let port = node.pointer("/status/daemonEndpoints/kubeletEndpoint/Port").and_then(Value::as_i64).unwrap_or(0);
    if port != 0 {
        set(&mut status, &["daemonEndpoints", "kubeletEndpoint", "Port"], port.into());
    }
    set(node, &["status"], status);
}

/// The conditions of a status, as far as they are objects.
fn conditions(status: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let all = status.get_mut("conditions").and_then(Value::as_array_mut);
    all.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Sets a member, replacing whatever stands in the way and is no object.
fn set(target: &mut Value, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *target = value;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    if let Some(object) = target.as_object_mut() {
        set(object.entry(*first).or_insert(Value::Null), rest, value);
    }
}

/// Takes a reported status over. Source: spec 02 §2.4 steps 3 and 4.
fn merge_pod_report(pod: &mut Value, mut status: Value, now: Timestamp) {
    let stored = pod.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    for condition in conditions(&mut status) {
        let kind = condition.get("type").cloned();
        let old = stored.iter().find(|old| old.get("type") == kind.as_ref());
        let same = old.filter(|old| old.get("status") == condition.get("status"));
        let at = same.and_then(|old| old.get("lastTransitionTime")).filter(|at| at.is_string()).cloned();
        condition.insert("lastTransitionTime".to_owned(), at.unwrap_or_else(|| now_text(now).into()));
    }
    let sticky = pod.pointer("/status/startTime").filter(|at| at.is_string()).cloned();
    if let Some(start) = sticky {
        set(&mut status, &["startTime"], start);
    } else if !status.get("startTime").is_some_and(Value::is_string) {
        set(&mut status, &["startTime"], now_text(now).into());
    }
    if let Some(containers) = status.get_mut("containerStatuses").and_then(Value::as_array_mut) {
        containers.sort_by_key(|c| c.get("name").and_then(Value::as_str).unwrap_or_default().to_owned());
    }
    set(pod, &["status"], status);
}

/// A pod that is being deleted and has nothing running can go. Source: spec 02 §2.4 step 6.
fn is_finished(pod: &Value) -> bool {
    let deleting = pod.pointer("/metadata/deletionTimestamp").is_some_and(Value::is_string);
    let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
    let containers = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    let running = containers.is_some_and(|all| all.iter().any(|c| c.pointer("/state/running").is_some()));
    deleting && matches!(phase, "Succeeded" | "Failed") && !running
}

fn now_text(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-20T23:41:50.5Z".parse().expect("a time")
    }

    #[test]
    fn a_pod_report_keeps_times_that_did_not_change() {
        let mut pod = json!({"status": {"startTime": "2026-11-20T23:00:00Z", "conditions": [
            {"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-20T23:01:00Z"}]}});
        let report = json!({"phase": "Running", "startTime": "2026-11-20T23:30:00Z",
            "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": null},
                           {"type": "Initialized", "status": "True", "lastTransitionTime": null}],
            "containerStatuses": [{"name": "b"}, {"name": "a"}]});
        merge_pod_report(&mut pod, report, now());
        assert_eq!(pod.pointer("/status/startTime"), Some(&json!("2026-11-20T23:00:00Z")));
        assert_eq!(pod.pointer("/status/conditions/0/lastTransitionTime"), Some(&json!("2026-11-20T23:01:00Z")));
        assert_eq!(pod.pointer("/status/conditions/1/lastTransitionTime"), Some(&json!("2026-11-20T23:41:50Z")));
        assert_eq!(pod.pointer("/status/containerStatuses/0/name"), Some(&json!("a")));
    }

    #[test]
    fn a_node_report_keeps_the_tunnel_port_and_refreshes_old_heartbeats() {
        let mut node = json!({"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 10351}}}});
        let report = json!({"daemonEndpoints": {"kubeletEndpoint": {"Port": 10350}}, "conditions": [
            {"type": "Ready", "lastHeartbeatTime": "2026-11-20T23:41:45Z"},
            {"type": "DiskPressure", "lastHeartbeatTime": "2026-11-20T23:00:00Z"}]});
        merge_node_report(&mut node, report, now(), 10);
        assert_eq!(node.pointer("/status/daemonEndpoints/kubeletEndpoint/Port"), Some(&json!(10351)));
        assert_eq!(node.pointer("/status/conditions/0/lastHeartbeatTime"), Some(&json!("2026-11-20T23:41:45Z")));
        assert_eq!(node.pointer("/status/conditions/1/lastHeartbeatTime"), Some(&json!("2026-11-20T23:41:50Z")));
    }

    #[test]
    fn nonsense_in_a_report_is_passed_over() {
        let nonsense = json!({"conditions": [7, "x", null, {"type": "Ready"}], "daemonEndpoints": "x",
            "containerStatuses": [1, {"name": 2}]});
        let mut node = json!({"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 10351}}}});
        merge_node_report(&mut node, nonsense.clone(), now(), 10);
        assert_eq!(node.pointer("/status/daemonEndpoints/kubeletEndpoint/Port"), Some(&json!(10351)));
        assert!(node.pointer("/status/conditions/3/lastHeartbeatTime").is_some());
        let mut pod = json!({"status": {"conditions": ["y"], "startTime": "2026-11-20T23:00:00Z"}});
        merge_pod_report(&mut pod, nonsense, now());
        assert_eq!(pod.pointer("/status/conditions/0"), Some(&json!(7)));
        for nonsense in [json!(null), json!([]), json!("x"), json!(1)] {
            merge_node_report(&mut node, nonsense.clone(), now(), 10);
            merge_pod_report(&mut pod, nonsense, now());
        }
    }

    #[test]
    fn a_pod_is_finished_when_nothing_runs_any_more() {
        let pod = |phase: &str, state: Value| {
            json!({"metadata": {"deletionTimestamp": "2026-11-20T23:42:38Z"},
                   "status": {"phase": phase, "containerStatuses": [{"state": state}]}})
        };
        assert!(is_finished(&pod("Succeeded", json!({"terminated": {}}))));
        assert!(!is_finished(&pod("Succeeded", json!({"running": {}}))));
        assert!(!is_finished(&pod("Running", json!({"terminated": {}}))));
    }
}
