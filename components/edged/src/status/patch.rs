//! The strategic-merge patch from the API's status of a pod to ours. Source: spec 08 §9.7, annex C.

use k8s_openapi::api::core::v1::{PodCondition, PodStatus};
use serde_json::{Map, Value, json};

/// Scalar fields of the status: changed ones are set, removed ones become `null`.
const SCALARS: [&str; 8] =
    ["phase", "reason", "message", "hostIP", "podIP", "startTime", "qosClass", "nominatedNodeName"];

/// Lists without a merge key, replaced as a whole.
const WHOLE_LISTS: [&str; 3] = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"];

/// Lists merged by `ip`.
const IP_LISTS: [&str; 2] = ["podIPs", "hostIPs"];

/// The patch that turns `from` into `to`, or `None` when nothing differs.
pub fn patch(uid: &str, from: &PodStatus, to: &PodStatus) -> Option<Value> {
    let (Ok(Value::Object(from_json)), Ok(Value::Object(to_json))) =
        (serde_json::to_value(from), serde_json::to_value(to))
    else {
        return None;
    };
    let mut status = Map::new();
    for field in SCALARS.into_iter().chain(WHOLE_LISTS) {
        let (old, new) = (from_json.get(field), to_json.get(field));
        if old != new {
            status.insert(field.to_owned(), new.cloned().unwrap_or(Value::Null));
        }
    }
    conditions(from.conditions.as_deref().unwrap_or(&[]), to.conditions.as_deref().unwrap_or(&[]), &mut status);
    for field in IP_LISTS {
        ips(field, &from_json, &to_json, &mut status);
    }
    if status.is_empty() {
        return None;
    }
    Some(json!({"metadata": {"uid": uid}, "status": status}))
}

fn conditions(from: &[PodCondition], to: &[PodCondition], status: &mut Map<String, Value>) {
    let mut changed = Vec::new();
    for condition in to {
        let old = from.iter().find(|old| old.type_ == condition.type_);
        if old == Some(condition) {
            continue;
        }
        let Ok(mut entry) = serde_json::to_value(condition) else { continue };
        for (field, had) in [
            ("reason", old.is_some_and(|old| old.reason.is_some())),
            ("message", old.is_some_and(|old| old.message.is_some())),
            ("lastProbeTime", old.is_some_and(|old| old.last_probe_time.is_some())),
        ] {
            if had && entry.get(field).is_none() {
                entry[field] = Value::Null;
            }
        }
        changed.push(entry);
    }
    let gone = from.iter().filter(|old| to.iter().all(|new| new.type_ != old.type_));
    changed.extend(gone.map(|old| json!({"$patch": "delete", "type": old.type_})));
    if changed.is_empty() {
        return;
    }
    let order: Vec<Value> = to.iter().map(|condition| json!({"type": condition.type_})).collect();
    status.insert("$setElementOrder/conditions".to_owned(), Value::Array(order));
    status.insert("conditions".to_owned(), Value::Array(changed));
}

fn ips(field: &str, from: &Map<String, Value>, to: &Map<String, Value>, status: &mut Map<String, Value>) {
    let list = |object: &Map<String, Value>| object.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let (old, new) = (list(from), list(to));
    if old == new || new.is_empty() {
        return;
    }
    if old.is_empty() {
        // A plain list, as the peers send it: Kubernetes before 1.29 drops `hostIPs` in that form, but answers 500 to a
        // directive about a field that it does not know.
        status.insert(field.to_owned(), Value::Array(new));
        return;
    }
    let mut entries: Vec<Value> = new.iter().filter(|entry| !old.contains(entry)).cloned().collect();
    let gone = old.iter().filter(|entry| !new.contains(entry));
    entries.extend(gone.map(|entry| json!({"$patch": "delete", "ip": entry["ip"]})));
    status.insert(format!("$setElementOrder/{field}"), Value::Array(new));
    status.insert(field.to_owned(), Value::Array(entries));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(json: Value) -> PodStatus {
        serde_json::from_value(json).unwrap()
    }

    const UID: &str = "0a1b2c3d-0000-4000-8000-000000000001";

    #[test]
    fn equal_statuses_need_no_patch() {
        let one = status(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}));
        assert_eq!(patch(UID, &one, &one), None);
    }

    #[test]
    fn only_changed_conditions_are_sent_with_the_order_of_all() {
        let from = status(json!({"phase": "Pending", "conditions": [
            {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "x",
             "lastTransitionTime": "2025-03-01T08:15:00Z"},
            {"type": "PodScheduled", "status": "True"}]}));
        let to = status(json!({"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2025-03-01T08:15:31Z"},
            {"type": "PodScheduled", "status": "True"}]}));
        let expected = json!({"metadata": {"uid": UID}, "status": {
            "$setElementOrder/conditions": [{"type": "Ready"}, {"type": "PodScheduled"}],
            "conditions": [{"lastTransitionTime": "2025-03-01T08:15:31Z", "message": null, "reason": null,
                            "status": "True", "type": "Ready"}],
            "phase": "Running"}});
        assert_eq!(patch(UID, &from, &to), Some(expected));
    }

    #[test]
    fn container_lists_are_replaced_and_removed_scalars_are_null() {
        let from = status(json!({"reason": "Evicted", "containerStatuses": []}));
        let to = status(json!({"containerStatuses": [{"name": "a", "image": "i", "imageID": "", "ready": true,
                                                      "restartCount": 0}]}));
        let patch = patch(UID, &from, &to).unwrap();
        assert_eq!(patch["status"]["reason"], Value::Null);
        assert_eq!(patch["status"]["containerStatuses"][0]["name"], "a");
    }

    #[test]
    fn a_first_address_is_a_plain_list() {
        let to = status(json!({"hostIPs": [{"ip": "192.0.2.1"}]}));
        let expected = json!({"metadata": {"uid": UID}, "status": {"hostIPs": [{"ip": "192.0.2.1"}]}});
        assert_eq!(patch(UID, &PodStatus::default(), &to), Some(expected));
    }

    #[test]
    fn replaced_address_deletes_the_old_one() {
        let from = status(json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}));
        let to = status(json!({"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}]}));
        let expected = json!([{"ip": "10.0.0.2"}, {"$patch": "delete", "ip": "10.0.0.1"}]);
        assert_eq!(patch(UID, &from, &to).unwrap()["status"]["podIPs"], expected);
    }
}
