//! Versions that are stored as another version: `events.k8s.io/v1` events and `autoscaling/v1` autoscalers.
//!
//! Fields only move and are renamed; what the other version cannot hold travels in the annotations Kubernetes uses.
//! Source: spec 10 §0 D8.

use serde_json::{Map, Value, json};

use super::resources::ResourceInfo;

/// (core v1, events.k8s.io/v1) names of the same event fields.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];
/// Annotation in which `autoscaling/v1` shows metrics it has no field for.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
/// The same for scaling behaviour.
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// Rewrites a decoded object of `resource` to the version it is stored in. Other objects only get that `apiVersion`.
pub fn to_storage(resource: &ResourceInfo, object: &mut Value) {
    if resource.group == resource.storage_group && resource.version == resource.storage_version {
        return;
    }
    let Value::Object(map) = object else { return };
    map.insert("apiVersion".to_owned(), resource.storage_api_version().into());
    match (&*resource.group, &*resource.plural) {
        ("events.k8s.io", "events") => rename(map, |(core, new)| (new, core)),
        ("autoscaling", "horizontalpodautoscalers") => autoscaler_to_v2(map),
        _ => {}
    }
}

/// Rewrites a stored object to the version `resource` serves.
pub fn from_storage(resource: &ResourceInfo, object: &mut Value) {
    if resource.group == resource.storage_group && resource.version == resource.storage_version {
        return;
    }
    let Value::Object(map) = object else { return };
    map.insert("apiVersion".to_owned(), resource.api_version().into());
    match (&*resource.group, &*resource.plural) {
        ("events.k8s.io", "events") => rename(map, |(core, new)| (core, new)),
        ("autoscaling", "horizontalpodautoscalers") => autoscaler_to_v1(map),
        _ => {}
    }
}

type Pair = (&'static str, &'static str);

fn rename(map: &mut Map<String, Value>, direction: impl Fn(Pair) -> Pair) {
    for (from, to) in EVENT_FIELDS.into_iter().map(direction) {
        if let Some(value) = map.remove(from) {
            map.insert(to.to_owned(), value);
        }
    }
}

fn cpu_metric(target: &Value) -> Value {
    json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}})
}

fn autoscaler_to_v2(map: &mut Map<String, Value>) {
    let saved: Map<String, Value> = match map.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations")) {
        Some(Value::Object(annotations)) => [METRICS, BEHAVIOR]
            .into_iter()
            .filter_map(|key| {
                let text = annotations.remove(key)?;
                let value = serde_json::from_str(text.as_str()?).ok()?;
                Some((key.to_owned(), value))
            })
            .collect(),
        _ => Map::new(),
    };
    if let Some(spec) = map.get_mut("spec").and_then(Value::as_object_mut) {
        let mut metrics = Vec::new();
        if let Some(target) = spec.remove("targetCPUUtilizationPercentage") {
            metrics.push(cpu_metric(&target));
        }
        if let Some(Value::Array(others)) = saved.get(METRICS) {
            metrics.extend(others.iter().cloned());
        }
        if !metrics.is_empty() {
            spec.insert("metrics".to_owned(), metrics.into());
        }
        if let Some(behavior) = saved.get(BEHAVIOR) {
            spec.insert("behavior".to_owned(), behavior.clone());
        }
    }
    if let Some(status) = map.get_mut("status").and_then(Value::as_object_mut)
        && let Some(current) = status.remove("currentCPUUtilizationPercentage")
    {
        let metric =
            json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": current}}});
        status.insert("currentMetrics".to_owned(), json!([metric]));
    }
}

fn autoscaler_to_v1(map: &mut Map<String, Value>) {
    let is_cpu = |metric: &Value| {
        metric["type"] == "Resource"
            && metric["resource"]["name"] == "cpu"
            && metric["resource"]["target"]["type"] == "Utilization"
    };
    let mut saved = Map::new();
    if let Some(spec) = map.get_mut("spec").and_then(Value::as_object_mut) {
        if let Some(Value::Array(mut metrics)) = spec.remove("metrics") {
            if let Some(at) = metrics.iter().position(is_cpu) {
                let target = metrics.remove(at)["resource"]["target"]["averageUtilization"].clone();
                spec.insert("targetCPUUtilizationPercentage".to_owned(), target);
            }
            if !metrics.is_empty() {
                saved.insert(METRICS.to_owned(), Value::Array(metrics).to_string().into());
            }
        }
        if let Some(behavior) = spec.remove("behavior") {
            saved.insert(BEHAVIOR.to_owned(), behavior.to_string().into());
        }
    }
    if let Some(status) = map.get_mut("status").and_then(Value::as_object_mut) {
        if let Some(Value::Array(metrics)) = status.remove("currentMetrics") {
            let cpu = metrics.iter().find(|metric| metric["resource"]["name"] == "cpu");
            if let Some(current) =
                cpu.map(|metric| &metric["resource"]["current"]["averageUtilization"]).filter(|now| now.is_i64())
            {
                status.insert("currentCPUUtilizationPercentage".to_owned(), current.clone());
            }
        }
        status.remove("conditions");
    }
    if !saved.is_empty()
        && let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut)
        && let Some(annotations) = metadata.entry("annotations").or_insert_with(|| json!({})).as_object_mut()
    {
        annotations.extend(saved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::resources::builtin;

    fn check(group: &str, version: &str, plural: &str, served: &Value, stored: &Value) {
        let row =
            builtin().iter().find(|row| (row.group, row.version, row.plural) == (group, version, plural)).unwrap();
        let info = ResourceInfo::from(row);
        let mut object = served.clone();
        to_storage(&info, &mut object);
        assert_eq!(object, *stored);
        from_storage(&info, &mut object);
        assert_eq!(object, *served);
    }

    #[test]
    fn events_keep_every_field_in_both_apis() {
        check(
            "events.k8s.io",
            "v1",
            "events",
            &json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "regarding": {"name": "p"}, "note": "n", "reportingController": "c", "eventTime": "t"}),
            &json!({"apiVersion": "v1", "kind": "Event", "involvedObject": {"name": "p"}, "message": "n", "reportingComponent": "c", "eventTime": "t"}),
        );
    }

    #[test]
    fn autoscalers_keep_what_v1_cannot_say() {
        check(
            "autoscaling",
            "v1",
            "horizontalpodautoscalers",
            &json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"annotations": {BEHAVIOR: "{\"x\":1}"}},
                "spec": {"targetCPUUtilizationPercentage": 50}}),
            &json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"annotations": {}},
                "spec": {"metrics": [cpu_metric(&json!(50))], "behavior": {"x": 1}}}),
        );
    }
}
