//! What kinds do differently when they are created or changed. Source: spec 10 §2.5, §4.1, §4.2, §4.5.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    apiserver::{api::WriteContext, meta},
    semantics::resources::ResourceInfo,
    store::Durability,
};

/// Heartbeats and events may lose five seconds; everything else may not.
pub fn durability(info: &ResourceInfo) -> Durability {
    if info.is("coordination.k8s.io", "leases") || info.is("", "events") {
        Durability::Relaxed
    } else {
        Durability::Full
    }
}

/// Fields of a new object that are the server's.
pub fn prepare_create(info: &ResourceInfo, object: &mut Value, context: &WriteContext, now: Timestamp) {
    // An agent registers its Node with the status it has.
    if info.has_status
        && !info.is("", "nodes")
        && let Some(map) = object.as_object_mut()
    {
        map.remove("status");
    }
    match (info.group.as_ref(), info.plural.as_ref()) {
        ("", "pods") => {
            object["status"] = json!({"phase": "Pending", "qosClass": qos_class(object)});
        }
        ("", "namespaces") => {
            let name = meta::name(object).to_owned();
            object["status"] = json!({"phase": "Active"});
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            let metadata = meta::metadata_mut(object);
            let labels = metadata.entry("labels").or_insert_with(|| json!({}));
            if let Some(labels) = labels.as_object_mut() {
                labels.insert("kubernetes.io/metadata.name".into(), name.into());
            }
        }
        ("", "persistentvolumes" | "persistentvolumeclaims") => object["status"] = json!({"phase": "Pending"}),
        ("certificates.k8s.io", "certificatesigningrequests") => {
            let user = &context.user;
            object["spec"]["username"] = user.name.as_str().into();
            object["spec"]["groups"] = json!(user.groups);
            if !user.uid.is_empty() {
                object["spec"]["uid"] = user.uid.as_str().into();
            }
            if !user.extra.is_empty() {
                object["spec"]["extra"] = json!(user.extra);
            }
        }
        ("batch", "jobs") => prepare_job(object),
        _ => {}
    }
    let _ = now;
}

/// Selector and labels that tie a Job to its pods, unless the user brings his own.
fn prepare_job(job: &mut Value) {
    if job["spec"]["manualSelector"] == true {
        return;
    }
    let (uid, name) = (meta::uid(job).to_owned(), meta::name(job).to_owned());
    job["spec"]["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    let template = &mut job["spec"]["template"];
    if !template["metadata"]["labels"].is_object() {
        template["metadata"]["labels"] = json!({});
    }
    for (label, value) in [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ] {
        template["metadata"]["labels"][label] = value.as_str().into();
    }
}

/// Guaranteed, Burstable or BestEffort, from requests and limits of cpu and memory.
pub fn qos_class(pod: &Value) -> &'static str {
    let mut any = false;
    let mut guaranteed = true;
    let containers = ["containers", "initContainers"];
    for container in containers.iter().filter_map(|list| pod["spec"][list].as_array()).flatten() {
        let resources = &container["resources"];
        for resource in ["cpu", "memory"] {
            let request = resources["requests"].get(resource);
            let limit = resources["limits"].get(resource);
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// Which part of the object a write may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The object's own URL: everything but status.
    Main,
    /// `/status`.
    Status,
    /// `/finalize` of namespaces: `spec.finalizers`.
    Finalize,
    /// `/approval` of certificate requests: the Approved and Denied conditions.
    Approval,
    /// `/ephemeralcontainers` of pods.
    EphemeralContainers,
    /// A component of this server that decides everything itself (bind, scale).
    Whole,
}

/// Puts together what was submitted and what must stay, both in the storage version.
pub fn merge(info: &ResourceInfo, part: Part, old: &Value, submitted: Value) -> Value {
    match part {
        Part::Whole => submitted,
        Part::Main => {
            let mut new = submitted;
            if info.has_status {
                keep(&mut new, old, "status");
            }
            let fixed = info.is("", "namespaces") || info.is("certificates.k8s.io", "certificatesigningrequests");
            if fixed {
                keep(&mut new, old, "spec");
            }
            new
        }
        Part::Status => merge_status(info, old, &submitted),
        Part::Finalize => {
            let mut new = old.clone();
            new["spec"]["finalizers"] = submitted["spec"]["finalizers"].clone();
            if new["spec"]["finalizers"].is_null() {
                new["spec"]["finalizers"] = json!([]);
            }
            new
        }
        Part::Approval => {
            let mut new = old.clone();
            let submitted = submitted["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let is_decision = |c: &&Value| matches!(c["type"].as_str(), Some("Approved" | "Denied"));
            let others = old["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let conditions: Vec<Value> = others
                .iter()
                .filter(|c| !is_decision(c))
                .chain(submitted.iter().filter(is_decision))
                .cloned()
                .collect();
            new["status"]["conditions"] = conditions.into();
            new
        }
        Part::EphemeralContainers => {
            let mut new = old.clone();
            new["spec"]["ephemeralContainers"] = submitted["spec"]["ephemeralContainers"].clone();
            new
        }
    }
}

fn merge_status(info: &ResourceInfo, old: &Value, submitted: &Value) -> Value {
    let mut new = old.clone();
    match submitted.get("status") {
        Some(status) => new["status"] = status.clone(),
        None => {
            if let Some(map) = new.as_object_mut() {
                map.remove("status");
            }
        }
    }
    // Old agents change labels and annotations along with the status.
    let takes_metadata = info.group.is_empty() && !info.is_custom();
    if takes_metadata {
        for field in ["labels", "annotations", "finalizers"] {
            let metadata = meta::metadata_mut(&mut new);
            match submitted["metadata"].get(field) {
                Some(value) => metadata.insert(field.into(), value.clone()),
                None => metadata.remove(field),
            };
        }
    } else if info.is("apps", "deployments") && submitted["metadata"]["annotations"].is_object() {
        meta::metadata_mut(&mut new).insert("annotations".into(), submitted["metadata"]["annotations"].clone());
    }
    // The precondition travels in the submitted metadata.
    match submitted["metadata"].get("resourceVersion") {
        Some(version) => meta::metadata_mut(&mut new).insert("resourceVersion".into(), version.clone()),
        None => meta::metadata_mut(&mut new).remove("resourceVersion"),
    };
    if let Some(uid) = submitted["metadata"].get("uid") {
        meta::metadata_mut(&mut new).insert("uid".into(), uid.clone());
    }
    new
}

fn keep(new: &mut Value, old: &Value, field: &str) {
    let Some(map) = new.as_object_mut() else { return };
    match old.get(field) {
        Some(value) => map.insert(field.into(), value.clone()),
        None => map.remove(field),
    };
}

/// Whether the change raises the generation.
pub fn changes_generation(info: &ResourceInfo, old: &Value, new: &Value) -> bool {
    if !info.has_generation {
        return false;
    }
    if info.is_custom() {
        let ignored: &[&str] = if info.has_status { &["metadata", "status"] } else { &["metadata"] };
        return !same_except(old, new, ignored);
    }
    let annotations = info.is("apps", "deployments") && {
        let of = |object: &Value| object["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        of(old) != of(new)
    };
    annotations || !same_except(old, new, &["metadata", "status"])
}

fn same_except(old: &Value, new: &Value, ignored: &[&str]) -> bool {
    let fields = |object: &Value| -> Vec<(String, Value)> {
        let map = object.as_object().into_iter().flatten();
        map.filter(|(key, _)| !ignored.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    fields(old) == fields(new)
}

/// Whether a change of a node's status is nothing but a newer heartbeat.
pub fn is_heartbeat(info: &ResourceInfo, old: &Value, new: &Value) -> bool {
    if !info.is("", "nodes") {
        return false;
    }
    let quiet = |object: &Value| {
        let mut object = object.clone();
        for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
            if let Some(condition) = condition.as_object_mut() {
                condition.remove("lastHeartbeatTime");
            }
        }
        object
    };
    meta::same_content(&quiet(old), &quiet(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qos_classes() {
        let pod = |resources: Value| json!({"spec": {"containers": [{"resources": resources}]}});
        assert_eq!(qos_class(&pod(json!({}))), "BestEffort");
        assert_eq!(qos_class(&pod(json!({"requests": {"cpu": "1"}}))), "Burstable");
        let both = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(qos_class(&pod(json!({"limits": both, "requests": both}))), "Guaranteed");
        assert_eq!(qos_class(&pod(json!({"limits": {"cpu": "1"}}))), "Burstable");
    }
}
