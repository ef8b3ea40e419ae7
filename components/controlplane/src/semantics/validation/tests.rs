use serde_json::json;

use super::*;
use crate::semantics::decode::{FieldValidation, decode_value};
use crate::semantics::defaults::apply_defaults;
use crate::semantics::resources::builtin;

fn resource(plural: &str) -> ResourceInfo {
    builtin().iter().find(|row| row.plural == plural).map(ResourceInfo::from).unwrap()
}

/// Decodes, names and defaults an object as a create request would.
fn prepared(plural: &str, mut object: Value) -> Value {
    let info = resource(plural);
    let metadata = object.as_object_mut().unwrap().entry("metadata").or_insert_with(|| json!({}));
    let metadata = metadata.as_object_mut().unwrap();
    metadata.entry("name").or_insert_with(|| json!("x"));
    if info.namespaced {
        metadata.entry("namespace").or_insert_with(|| json!("default"));
    }
    metadata.entry("resourceVersion").or_insert_with(|| json!("7"));
    let mut object = decode_value(object, &info, FieldValidation::Strict).unwrap().object;
    apply_defaults(&info, &mut object);
    object
}

fn valid(plural: &str, object: Value) {
    assert_eq!(validate_create(&resource(plural), &prepared(plural, object)), Ok(()));
}

fn complaint(plural: &str, object: Value) -> String {
    validate_create(&resource(plural), &prepared(plural, object)).unwrap_err().to_string()
}

fn change(plural: &str, old: Value, new: Value) -> Result<(), String> {
    let (old, new) = (prepared(plural, old), prepared(plural, new));
    validate_update(&resource(plural), &old, &new).map_err(|invalid| invalid.to_string())
}

fn pod(container: &Value) -> Value {
    let mut container = container.clone();
    let map = container.as_object_mut().unwrap();
    map.entry("name").or_insert_with(|| json!("c"));
    map.entry("image").or_insert_with(|| json!("nginx"));
    json!({"spec": {"containers": [container]}})
}

fn deployment(labels: &Value, selector: &Value) -> Value {
    json!({"spec": {"selector": {"matchLabels": selector}, "template": {"metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]}}}})
}

#[test]
fn names_follow_their_kind() {
    valid("configmaps", json!({"metadata": {"name": "a.b"}}));
    let text = complaint("configmaps", json!({"metadata": {"name": "Bad"}}));
    assert!(
        text.starts_with("metadata.name: Invalid value: \"Bad\": a lowercase RFC 1123 subdomain must consist of"),
        "{text}"
    );
    assert!(
        complaint("services", json!({"metadata": {"name": "1a"}, "spec": {"ports": [{"port": 80}]}}))
            .contains("DNS-1035")
    );
    valid("clusterroles", json!({"metadata": {"name": "system:node"}}));
    let nameless = json!({"metadata": {"namespace": "d"}});
    let text = validate_create(&resource("configmaps"), &nameless).unwrap_err().to_string();
    assert_eq!(text, "metadata.name: Required value: name or generateName is required");
}

#[test]
fn labels_and_annotations_are_checked() {
    let text = complaint("configmaps", json!({"metadata": {"labels": {"a b": "x"}}}));
    assert!(text.starts_with("metadata.labels: Invalid value: \"a b\": name part must consist of"), "{text}");
    let big = "x".repeat(300_000);
    let text = complaint("configmaps", json!({"metadata": {"annotations": {"a": big}}}));
    assert_eq!(text, "metadata.annotations: Too long: must have at most 262144 bytes");
}

#[test]
fn pods_need_containers_with_names_and_images() {
    valid("pods", pod(&json!({})));
    assert_eq!(complaint("pods", json!({"spec": {"containers": []}})), "spec.containers: Required value");
    assert_eq!(
        complaint("pods", json!({"spec": {"containers": [{"name": "a"}, {"name": "a", "image": "x"}]}})),
        "[spec.containers[0].image: Required value, spec.containers[1].name: Duplicate value: \"a\"]"
    );
}

#[test]
fn mounts_ports_probes_and_resources_are_checked() {
    let text = complaint("pods", pod(&json!({"volumeMounts": [{"name": "no", "mountPath": "/x"}]})));
    assert_eq!(text, "spec.containers[0].volumeMounts[0].name: Not found: \"no\"");
    let text = complaint("pods", pod(&json!({"ports": [{"containerPort": 70000}]})));
    assert_eq!(
        text,
        "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"
    );
    let text = complaint("pods", pod(&json!({"livenessProbe": {"timeoutSeconds": 1}})));
    assert_eq!(text, "spec.containers[0].livenessProbe: Required value: must specify a handler type");
    let text = complaint("pods", pod(&json!({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}})));
    assert_eq!(
        text,
        "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1"
    );
    let text =
        complaint("pods", json!({"spec": {"restartPolicy": "Sometimes", "containers": [{"name": "c", "image": "x"}]}}));
    assert_eq!(
        text,
        "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\""
    );
    let two = json!({"spec": {"containers": [{"name": "c", "image": "x"}], "volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]}});
    assert!(complaint("pods", two).contains("may not specify more than 1 volume type"));
}

#[test]
fn a_running_pod_changes_only_images_deadline_and_tolerations() {
    let old = pod(&json!({"image": "a:1"}));
    assert_eq!(change("pods", old.clone(), pod(&json!({"image": "a:2", "imagePullPolicy": "IfNotPresent"}))), Ok(()));
    let mut tolerant = old.clone();
    tolerant["spec"]["tolerations"] = json!([{"key": "k", "operator": "Exists"}]);
    assert_eq!(change("pods", old.clone(), tolerant.clone()), Ok(()));
    let text = change("pods", tolerant, old.clone()).unwrap_err();
    assert!(text.contains("existing toleration can not be modified"), "{text}");
    let text = change("pods", old, pod(&json!({"image": "a:1", "args": ["x"]}))).unwrap_err();
    assert!(text.starts_with("spec: Forbidden: pod updates may not change fields other than "), "{text}");
}

#[test]
fn deployments_select_their_own_template() {
    valid("deployments", deployment(&json!({"a": "b"}), &json!({"a": "b"})));
    let text = complaint("deployments", deployment(&json!({"a": "b"}), &json!({"a": "c"})));
    assert_eq!(
        text,
        "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`"
    );
    let text = change(
        "deployments",
        deployment(&json!({"a": "b", "c": "d"}), &json!({"a": "b"})),
        deployment(&json!({"a": "b", "c": "d"}), &json!({"c": "d"})),
    );
    assert!(text.unwrap_err().ends_with("field is immutable"));
    let mut both = deployment(&json!({"a": "b"}), &json!({"a": "b"}));
    both["spec"]["strategy"] = json!({"type": "Recreate", "rollingUpdate": {"maxSurge": 1}});
    assert!(complaint("deployments", both).contains("may not be specified when strategy `type` is 'Recreate'"));
}

#[test]
fn config_maps_and_secrets() {
    let text = complaint("configmaps", json!({"data": {"a/b": "x"}}));
    assert!(text.starts_with("data[a/b]: Invalid value: \"a/b\": a valid config key must consist of"), "{text}");
    let text = complaint("configmaps", json!({"data": {"a": "x".repeat(1_048_577)}}));
    assert_eq!(text, "[]: Too long: must have at most 1048576 bytes");
    let frozen = json!({"immutable": true, "data": {"a": "1"}});
    let text = change("configmaps", frozen.clone(), json!({"immutable": true, "data": {"a": "2"}})).unwrap_err();
    assert_eq!(text, "data: Forbidden: field is immutable when `immutable` is set");
    assert!(change("configmaps", frozen, json!({"data": {"a": "1"}})).is_err());
    let text = complaint("secrets", json!({"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}));
    assert_eq!(text, "data[tls.key]: Required value");
    let text = complaint(
        "secrets",
        json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "x"}}),
    );
    assert!(text.contains("redacted") && !text.contains("\"x\""), "{text}");
}

#[test]
fn services_keep_their_address() {
    let service = |address: &str| json!({"spec": {"clusterIP": address, "ports": [{"port": 80}]}});
    assert_eq!(complaint("services", json!({"spec": {}})), "spec.ports: Required value");
    valid("services", json!({"spec": {"clusterIP": "None"}}));
    let text = change("services", service("10.0.0.1"), service("10.0.0.2")).unwrap_err();
    assert_eq!(text, "spec.clusterIPs[0]: Invalid value: \"10.0.0.2\": may not change once set");
    let ports = json!({"spec": {"ports": [{"port": 80}, {"port": 81, "name": "b"}]}});
    assert_eq!(complaint("services", ports), "spec.ports[0].name: Required value");
}

#[test]
fn leases_need_a_version_to_change() {
    let info = resource("leases");
    let lease = prepared("leases", json!({"spec": {"leaseDurationSeconds": 40}}));
    let mut blind = lease.clone();
    blind["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let text = validate_update(&info, &lease, &blind).unwrap_err().to_string();
    assert_eq!(text, "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update");
    assert!(complaint("leases", json!({"spec": {"leaseDurationSeconds": 0}})).contains("must be greater than 0"));
}

#[test]
fn finalizers_cannot_be_added_to_a_dying_object() {
    let dying = |finalizers: &[&str]| json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers}});
    assert_eq!(change("configmaps", dying(&["a.b/c"]), dying(&[])), Ok(()));
    let text = change("configmaps", dying(&["a.b/c"]), dying(&["a.b/c", "d.e/f"])).unwrap_err();
    assert_eq!(
        text,
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"d.e/f\"}"
    );
}

#[test]
fn nodes_and_taints() {
    let taints =
        json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoSchedule"}]}});
    assert!(complaint("nodes", taints).contains("taints must be unique by key and effect pair"));
    assert!(
        change("nodes", json!({"spec": {"podCIDRs": ["10.0.0.0/24"]}}), json!({"spec": {"podCIDRs": ["10.0.1.0/24"]}}))
            .is_err()
    );
}

#[test]
fn bindings_keep_their_role() {
    let binding = |role: &str| json!({"roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [{"kind": "User", "name": "bob"}]});
    valid("clusterrolebindings", binding("view"));
    let text = change("clusterrolebindings", binding("view"), binding("admin")).unwrap_err();
    assert!(text.starts_with("roleRef: Invalid value: ") && text.ends_with("cannot change roleRef"), "{text}");
    let text = complaint("clusterroles", json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": []}]}));
    assert_eq!(text, "rules[0].verbs: Required value: verbs must contain at least one value");
}

#[test]
fn cron_jobs_need_a_schedule() {
    let cron = |schedule: &str| {
        json!({"spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "c", "image": "x"}]}}}}}})
    };
    valid("cronjobs", cron("*/5 * * * *"));
    assert_eq!(
        complaint("cronjobs", cron("bad")),
        "spec.schedule: Invalid value: \"bad\": Expected exactly 5 fields, found 1: bad"
    );
}

#[test]
fn definitions_must_be_structural() {
    let crd = |schema: Value| {
        json!({"metadata": {"name": "ws.a.io"}, "spec": {"group": "a.io", "scope": "Namespaced",
            "names": {"plural": "ws", "kind": "W"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}})
    };
    valid("customresourcedefinitions", crd(json!({"type": "object", "properties": {"spec": {"type": "object"}}})));
    assert_eq!(
        complaint(
            "customresourcedefinitions",
            crd(json!({"type": "object", "properties": {"spec": {"description": "x"}}}))
        ),
        "spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields"
    );
    let text = complaint(
        "customresourcedefinitions",
        json!({"metadata": {"name": "x"}, "spec": {"group": "a.io", "scope": "Cluster",
        "names": {"plural": "ws", "kind": "W"}, "versions": [{"name": "v1", "served": true, "storage": true}]}}),
    );
    assert!(
        text.contains("must be spec.names.plural+\".\"+spec.group") && text.contains("schemas are required"),
        "{text}"
    );
}

#[test]
fn events_live_beside_what_they_are_about() {
    valid("events", json!({"involvedObject": {"kind": "Pod", "namespace": "default"}}));
    valid("events", json!({"involvedObject": {"kind": "Node", "name": "n"}}));
    let text = complaint("events", json!({"involvedObject": {"kind": "Pod", "namespace": "shop"}}));
    assert_eq!(text, "involvedObject.namespace: Invalid value: \"shop\": does not match event.namespace");
}
