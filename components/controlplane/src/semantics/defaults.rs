//! Default values of built-in and custom kinds. Source: spec 10 §2.5, §6.
//!
//! Every function fills in only what is absent, so a second run changes nothing.

mod cluster;
mod pod;
mod service;
mod workload;

use serde_json::{Map, Value, json};

use super::crd;
use super::resources::ResourceInfo;

/// Fills in what the client left out, on create and on update. Idempotent: a second run changes nothing.
pub fn apply_defaults(resource: &ResourceInfo, object: &mut Value) {
    if let Some(custom) = &resource.custom {
        if let Some(schema) = &custom.schema {
            crd::default(schema, object);
        }
        return;
    }
    let Value::Object(map) = object else { return };
    match (&*resource.storage_group, &*resource.plural) {
        ("", "pods") => pod::pod(map),
        ("", "podtemplates") => with(map, "template", pod::template),
        ("", "secrets") => cluster::secret(map),
        ("", "services") => service::service(map),
        ("", "endpoints") => service::endpoints(map),
        ("", "namespaces") => cluster::namespace(map),
        ("", "nodes") => cluster::node(map),
        ("", "persistentvolumes") => cluster::volume(map),
        ("", "persistentvolumeclaims") => cluster::claim(map),
        ("", "replicationcontrollers") => workload::replication_controller(map),
        ("apps", "deployments") => workload::deployment(map),
        ("apps", "replicasets") => workload::replica_set(map),
        ("apps", "daemonsets") => workload::daemon_set(map),
        ("apps", "statefulsets") => workload::stateful_set(map),
        ("batch", "jobs") => workload::job(map),
        ("batch", "cronjobs") => workload::cron_job(map),
        ("autoscaling", "horizontalpodautoscalers") => workload::autoscaler(map),
        ("discovery.k8s.io", "endpointslices") => service::slice(map),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => cluster::binding(map),
        ("scheduling.k8s.io", "priorityclasses") => fill(map, "preemptionPolicy", "PreemptLowerPriority"),
        ("storage.k8s.io", "storageclasses") => {
            fill(map, "reclaimPolicy", "Delete");
            fill(map, "volumeBindingMode", "Immediate");
        }
        ("storage.k8s.io", "csidrivers") => cluster::csi_driver(map),
        ("networking.k8s.io", "networkpolicies") => service::network_policy(map),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations") => cluster::webhooks(map, true),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations") => cluster::webhooks(map, false),
        ("apiextensions.k8s.io", "customresourcedefinitions") => cluster::definition(map),
        ("apiregistration.k8s.io", "apiservices") => cluster::api_service(map),
        _ => {}
    }
}

/// Sets `key` if it is absent.
fn fill(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), value.into());
    }
}

/// The object at `key`, created if absent; `None` only if it is something else than an object.
fn child<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    fill(map, key, json!({}));
    map.get_mut(key).and_then(Value::as_object_mut)
}

/// Runs `apply` on the object at `key`, if it is there.
fn with(map: &mut Map<String, Value>, key: &str, apply: impl FnOnce(&mut Map<String, Value>)) {
    if let Some(inner) = map.get_mut(key).and_then(Value::as_object_mut) {
        apply(inner);
    }
}

/// Runs `apply` on every object of the list at `key`.
fn each(map: &mut Map<String, Value>, key: &str, mut apply: impl FnMut(&mut Map<String, Value>)) {
    let items = map.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten();
    items.filter_map(Value::as_object_mut).for_each(&mut apply);
}

/// The text at `key`, empty if absent.
fn word<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
