//! The difference between the Node the API has and the Node there is, as a strategic-merge patch. Pure.
//!
//! Lists by their merge rules: `conditions` by type with `$setElementOrder`; `addresses` is replaced as a whole, since
//! its merge key is not unique; other lists have none. Source: spec 08 §13.4, spec 02 §7.1.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeStatus};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// How much to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What has changed; nothing if only heartbeat times have.
    Changes,
    /// What has changed, and new heartbeat times.
    Heartbeat,
    /// All conditions in full: while we were away others may have written what our copy does not show.
    Conditions,
}

/// The patch from `known` to `status` with these default labels and annotations; `None`: nothing to send.
pub fn between(
    known: &Node,
    status: &NodeStatus,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
    extent: Extent,
) -> Option<Value> {
    let empty = NodeStatus::default();
    let before = known.status.as_ref().unwrap_or(&empty);
    let mut patch = Map::new();
    let mut metadata = Map::new();
    add_missing(&mut metadata, "labels", known.metadata.labels.as_ref(), labels);
    add_missing(&mut metadata, "annotations", known.metadata.annotations.as_ref(), annotations);
    let mut changes = Map::new();
    replace(&mut changes, "nodeInfo", before.node_info.as_ref(), status.node_info.as_ref());
    replace(&mut changes, "daemonEndpoints", before.daemon_endpoints.as_ref(), status.daemon_endpoints.as_ref());
    replace(&mut changes, "runtimeHandlers", before.runtime_handlers.as_ref(), status.runtime_handlers.as_ref());
    merge_map(&mut changes, "capacity", before.capacity.as_ref(), status.capacity.as_ref());
    merge_map(&mut changes, "allocatable", before.allocatable.as_ref(), status.allocatable.as_ref());
    if let Some(addresses) = &status.addresses
        && before.addresses.as_ref() != Some(addresses)
    {
        let mut list: Vec<Value> = addresses.iter().map(to_value).collect();
        list.push(json!({"$patch": "replace"}));
        changes.insert("addresses".to_owned(), Value::Array(list));
    }
    let conditions = changed_conditions(before, status, extent);
    let only_heartbeats = conditions.iter().all(|c| c.get("status").is_none());
    if metadata.is_empty() && changes.is_empty() && only_heartbeats && extent == Extent::Changes {
        return None;
    }
    if !conditions.is_empty() {
        let order = status.conditions.iter().flatten().map(|c| json!({"type": c.type_}));
        changes.insert("$setElementOrder/conditions".to_owned(), order.collect());
        changes.insert("conditions".to_owned(), Value::Array(conditions));
    }
    if !metadata.is_empty() {
        patch.insert("metadata".to_owned(), Value::Object(metadata));
    }
    patch.insert("status".to_owned(), Value::Object(changes));
    Some(Value::Object(patch))
}

/// The patch without what is new in every one: the part that says something.
pub fn substance(patch: &Value) -> Value {
    let mut patch = patch.clone();
    if let Some(conditions) = patch.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        conditions.retain(|condition| condition.get("status").is_some());
        for condition in conditions.iter_mut().filter_map(Value::as_object_mut) {
            condition.retain(|field, _| field != "lastHeartbeatTime" && field != "lastTransitionTime");
        }
    }
    patch
}

fn to_value<T: Serialize>(value: &T) -> Value {
    // Kubernetes types always have a JSON form.
    serde_json::to_value(value).unwrap_or(Value::Null)
}

fn add_missing(
    into: &mut Map<String, Value>,
    name: &str,
    known: Option<&BTreeMap<String, String>>,
    wanted: &BTreeMap<String, String>,
) {
    let missing = wanted.iter().filter(|(key, value)| known.and_then(|map| map.get(*key)) != Some(*value));
    let missing: Map<String, Value> = missing.map(|(key, value)| (key.clone(), json!(value))).collect();
    if !missing.is_empty() {
        into.insert(name.to_owned(), Value::Object(missing));
    }
}

fn replace<T: Serialize + PartialEq>(into: &mut Map<String, Value>, name: &str, old: Option<&T>, new: Option<&T>) {
    if let Some(new) = new
        && old != Some(new)
    {
        into.insert(name.to_owned(), to_value(new));
    }
}

fn merge_map<T: Serialize + PartialEq>(
    into: &mut Map<String, Value>,
    name: &str,
    old: Option<&BTreeMap<String, T>>,
    new: Option<&BTreeMap<String, T>>,
) {
    let changed = new.into_iter().flatten().filter(|(key, value)| old.and_then(|map| map.get(*key)) != Some(*value));
    let changed: Map<String, Value> = changed.map(|(key, value)| (key.clone(), to_value(value))).collect();
    if !changed.is_empty() {
        into.insert(name.to_owned(), Value::Object(changed));
    }
}

/// Conditions to send: whole ones that changed, heartbeats of the others.
fn changed_conditions(before: &NodeStatus, status: &NodeStatus, extent: Extent) -> Vec<Value> {
    let known = before.conditions.as_deref().unwrap_or_default();
    let says = |c: &NodeCondition| (c.status.clone(), c.reason.clone(), c.message.clone());
    let mut list = Vec::new();
    for condition in status.conditions.iter().flatten() {
        let old = known.iter().find(|old| old.type_ == condition.type_);
        let changed = old.is_none_or(|old| says(old) != says(condition));
        if !changed && extent != Extent::Conditions {
            list.push(json!({"type": condition.type_, "lastHeartbeatTime": condition.last_heartbeat_time}));
            continue;
        }
        let mut whole = to_value(condition);
        if !changed && let Some(fields) = whole.as_object_mut() {
            // Whoever changed it meanwhile has set the time of that change, and it is the better one.
            fields.remove("lastTransitionTime");
        }
        list.push(whole);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        serde_json::from_value(
            json!({"metadata": {"name": "edge-1", "labels": {"a": "1"}}, "status": status_json("True")}),
        )
        .unwrap()
    }

    fn status_json(ready: &str) -> Value {
        json!({"addresses": [{"type": "InternalIP", "address": "192.0.2.7"}],
            "capacity": {"cpu": "2", "vendor.com/gpu": "1"},
            "conditions": [condition("DiskPressure", "False", "2025-01-01T00:00:00Z"),
                condition("Ready", ready, "2025-01-01T00:00:00Z")]})
    }

    fn condition(kind: &str, status: &str, at: &str) -> Value {
        json!({"type": kind, "status": status, "reason": "R", "message": "m", "lastHeartbeatTime": at, "lastTransitionTime": at})
    }

    fn patch(change: impl FnOnce(&mut NodeStatus), extent: Extent) -> Option<Value> {
        let mut status: NodeStatus = serde_json::from_value(status_json("True")).unwrap();
        status.capacity.as_mut().unwrap().remove("vendor.com/gpu"); // somebody else's
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = Some(serde_json::from_value(json!("2025-01-01T00:00:10Z")).unwrap());
        }
        change(&mut status);
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        between(&node(), &status, &labels, &BTreeMap::new(), extent)
    }

    #[test]
    fn heartbeats_alone_are_sent_only_when_asked_for() {
        assert_eq!(patch(|_| {}, Extent::Changes), None);
        let beat = |kind| json!({"type": kind, "lastHeartbeatTime": "2025-01-01T00:00:10Z"});
        let order = json!([{"type": "DiskPressure"}, {"type": "Ready"}]);
        let expected = json!({"status": {"$setElementOrder/conditions": order,
            "conditions": [beat("DiskPressure"), beat("Ready")]}});
        assert_eq!(patch(|_| {}, Extent::Heartbeat), Some(expected));
    }

    #[test]
    fn a_changed_condition_is_sent_whole() {
        let got =
            patch(|status| "False".clone_into(&mut status.conditions.as_mut().unwrap()[1].status), Extent::Changes);
        let ready = &got.unwrap()["status"]["conditions"][1];
        assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("R")));
        assert_eq!(ready["lastTransitionTime"], json!("2025-01-01T00:00:00Z"));
    }

    #[test]
    fn after_an_outage_all_conditions_are_sent_without_their_old_transition_times() {
        let got = patch(|_| {}, Extent::Conditions).unwrap();
        let ready = &got["status"]["conditions"][1];
        assert_eq!(ready["status"], json!("True"));
        assert_eq!(ready.get("lastTransitionTime"), None);
    }

    #[test]
    fn changed_addresses_replace_the_list() {
        let got =
            patch(|status| status.addresses.as_mut().unwrap()[0].address = "192.0.2.8".to_owned(), Extent::Changes);
        let expected = json!([{"type": "InternalIP", "address": "192.0.2.8"}, {"$patch": "replace"}]);
        assert_eq!(got.unwrap()["status"]["addresses"], expected);
    }

    #[test]
    fn lost_labels_and_changed_amounts_are_named_alone() {
        let mut known = node();
        known.metadata.labels = None;
        let mut status: NodeStatus = serde_json::from_value(status_json("True")).unwrap();
        status.capacity.as_mut().unwrap().insert("cpu".to_owned(), serde_json::from_value(json!("4")).unwrap());
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        let got = between(&known, &status, &labels, &BTreeMap::new(), Extent::Changes).unwrap();
        assert_eq!(got["metadata"], json!({"labels": {"a": "1"}}));
        assert_eq!(got["status"]["capacity"], json!({"cpu": "4"}));
    }
}
