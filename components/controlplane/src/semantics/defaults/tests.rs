use serde_json::json;

use super::*;
use crate::semantics::resources::builtin;
use crate::semantics::validation::validate_create;

fn defaulted(plural: &str, mut object: Value) -> Value {
    let info = builtin().iter().find(|row| row.plural == plural).map(ResourceInfo::from).unwrap();
    apply_defaults(&info, &mut object);
    let mut again = object.clone();
    apply_defaults(&info, &mut again);
    assert_eq!(object, again, "defaulting is idempotent");
    object
}

#[test]
fn pods_get_the_values_users_see() {
    let pod = defaulted(
        "pods",
        json!({"spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": "1"}}, "livenessProbe": {"httpGet": {"port": 80}},
            "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]}],
            "volumes": [{"name": "a"}, {"name": "b", "configMap": {"name": "c"}}, {"name": "h", "hostPath": {"path": "/"}}]}}),
    );
    assert_eq!(
        pod["spec"],
        json!({"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30,
            "schedulerName": "default-scheduler", "securityContext": {}, "enableServiceLinks": true,
            "containers": [{"name": "c", "image": "nginx", "imagePullPolicy": "Always",
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
                "livenessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1,
                    "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
                "env": [{"name": "N", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}}]}],
            "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "c", "defaultMode": 420}},
                {"name": "h", "hostPath": {"path": "/", "type": ""}}]})
    );
    assert_eq!(pod["status"]["phase"], "Pending");
}

#[test]
fn deployments_get_a_strategy_and_their_templates_no_pod_only_values() {
    let object = defaulted(
        "deployments",
        json!({"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "x:1", "resources": {"limits": {"cpu": "1"}}}]}}}}),
    );
    let spec = &object["spec"];
    assert_eq!(spec["replicas"], 1);
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
    );
    let template = &spec["template"]["spec"];
    assert!(template.get("enableServiceLinks").is_none());
    assert!(template["containers"][0]["resources"].get("requests").is_none());
    let zero = defaulted("deployments", json!({"spec": {"replicas": 0, "strategy": {"type": "Recreate"}}}));
    assert_eq!(zero["spec"]["replicas"], 0);
    assert_eq!(zero["spec"]["strategy"], json!({"type": "Recreate"}));
}

#[test]
fn secrets_swallow_string_data() {
    let secret = defaulted("secrets", json!({"stringData": {"a": "hi", "b": ""}, "data": {"a": "eA=="}}));
    assert_eq!(secret, json!({"type": "Opaque", "data": {"a": "aGk=", "b": ""}}));
}

#[test]
fn namespaces_are_active_and_labelled() {
    let namespace = defaulted("namespaces", json!({"metadata": {"name": "shop"}}));
    assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], "shop");
    assert_eq!(
        (&namespace["spec"]["finalizers"], &namespace["status"]["phase"]),
        (&json!(["kubernetes"]), &json!("Active"))
    );
}

#[test]
fn services_get_protocols_and_target_ports() {
    let service = defaulted("services", json!({"spec": {"type": "NodePort", "ports": [{"port": 80}]}}));
    assert_eq!(
        service["spec"],
        json!({"type": "NodePort", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "externalTrafficPolicy": "Cluster",
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]})
    );
}

#[test]
fn a_job_selects_its_own_pods() {
    let job = defaulted(
        "jobs",
        json!({"metadata": {"name": "j", "namespace": "d", "uid": "u-1"}, "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]}}}}),
    );
    assert_eq!(job["spec"]["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}));
    assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "j");
    assert_eq!((&job["spec"]["completions"], &job["spec"]["parallelism"]), (&json!(1), &json!(1)));
    let info = builtin().iter().find(|row| row.plural == "jobs").map(ResourceInfo::from).unwrap();
    assert_eq!(validate_create(&info, &job), Ok(()));
}
