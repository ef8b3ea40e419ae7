use serde_json::json;

use super::*;
use crate::semantics::resources::builtin;

const NOW: &str = "2026-01-02T00:00:00Z";

fn info(plural: &str) -> ResourceInfo {
    builtin().iter().find(|row| row.plural == plural).map(ResourceInfo::from).unwrap()
}

/// The default cells joined as `kubectl get` shows them.
fn line(plural: &str, mut object: Value) -> String {
    object["metadata"]["name"] = json!("x");
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T23:58:35Z");
    let row = row(&info(plural), &object, NOW.parse().unwrap());
    let shown = columns(&info(plural)).into_iter().zip(&row.cells).filter(|(column, _)| column.priority == 0);
    let text = |cell: &Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
    shown.map(|(_, cell)| text(cell)).collect::<Vec<_>>().join(" | ")
}

#[test]
fn every_kind_has_as_many_cells_as_columns() {
    for resource in builtin() {
        let info = ResourceInfo::from(resource);
        let row = row(&info, &json!({}), NOW.parse().unwrap());
        assert_eq!(columns(&info).len(), row.cells.len(), "{}", info.plural);
    }
}

#[test]
fn pods_show_what_happens_to_them() {
    let pod = |status: Value| json!({"spec": {"containers": [{}, {}]}, "status": status});
    assert_eq!(line("pods", pod(json!({"phase": "Pending"}))), "x | 0/2 | Pending | 0 | 85s");
    let running = json!({"ready": true, "restartCount": 3, "state": {"running": {}},
        "lastState": {"terminated": {"finishedAt": "2026-01-01T23:58:00Z"}}});
    let crashing = json!({"ready": false, "restartCount": 0, "state": {"waiting": {"reason": "CrashLoopBackOff"}}});
    assert_eq!(
        line("pods", pod(json!({"phase": "Running", "containerStatuses": [running, crashing]}))),
        "x | 1/2 | CrashLoopBackOff | 3 (2m ago) | 85s"
    );
    let failed = json!({"ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 3}}});
    assert_eq!(
        line("pods", pod(json!({"phase": "Failed", "containerStatuses": [failed]}))),
        "x | 0/2 | ExitCode:3 | 0 | 85s"
    );
    let mut dying = pod(json!({"phase": "Running"}));
    dying["metadata"]["deletionTimestamp"] = json!(NOW);
    assert_eq!(line("pods", dying), "x | 0/2 | Terminating | 0 | 85s");
    let init = json!({"spec": {"containers": [{}], "initContainers": [{"name": "a"}, {"name": "b"}]}, "status": {"phase": "Pending",
        "initContainerStatuses": [{"state": {"terminated": {"exitCode": 0}}}, {"state": {"running": {}}}]}});
    assert_eq!(line("pods", init), "x | 0/1 | Init:1/2 | 0 | 85s");
}

#[test]
fn finished_pods_carry_a_condition() {
    let row = row(&info("pods"), &json!({"status": {"phase": "Succeeded"}}), NOW.parse().unwrap());
    assert_eq!(row.conditions[0]["reason"], "Succeeded");
}

#[test]
fn nodes_show_roles_and_readiness() {
    let node = json!({"metadata": {"labels": {"node-role.kubernetes.io/edge": "", "node-role.kubernetes.io/agent": ""}},
        "spec": {"unschedulable": true}, "status": {"conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": "v1.32.10"}}});
    assert_eq!(line("nodes", node), "x | Ready,SchedulingDisabled | agent,edge | 85s | v1.32.10");
    assert_eq!(
        line("nodes", json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})),
        "x | NotReady | <none> | 85s | "
    );
}

#[test]
fn ordinary_kinds() {
    assert_eq!(line("configmaps", json!({"data": {"a": "1"}, "binaryData": {"b": ""}})), "x | 2 | 85s");
    assert_eq!(line("secrets", json!({"type": "Opaque", "data": {"a": ""}})), "x | Opaque | 1 | 85s");
    assert_eq!(line("namespaces", json!({"status": {"phase": "Active"}})), "x | Active | 85s");
    assert_eq!(line("leases", json!({"spec": {"holderIdentity": "n1"}})), "x | n1 | 85s");
    assert_eq!(
        line(
            "deployments",
            json!({"spec": {"replicas": 3}, "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2}})
        ),
        "x | 2/3 | 3 | 2 | 85s"
    );
    assert_eq!(
        line(
            "services",
            json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "ports": [
            {"port": 80, "protocol": "TCP"}, {"port": 443, "nodePort": 30443, "protocol": "TCP"}]}})
        ),
        "x | NodePort | 10.0.0.1 | <none> | 80/TCP,443:30443/TCP | 85s"
    );
    assert_eq!(line("roles", json!({})), "x | 2026-01-01T23:58:35Z");
    assert_eq!(
        line(
            "endpoints",
            json!({"subsets": [{"addresses": [{"ip": "1.1.1.1"}, {"ip": "2.2.2.2"}], "ports": [{"port": 80}, {"port": 81}]}]})
        ),
        "x | 1.1.1.1:80,1.1.1.1:81,2.2.2.2:80 + 1 more... | 85s"
    );
    assert_eq!(
        line(
            "jobs",
            json!({"spec": {"completions": 1}, "status": {"succeeded": 1, "startTime": "2026-01-01T00:00:00Z",
            "completionTime": "2026-01-01T00:00:07Z", "conditions": [{"type": "Complete", "status": "True"}]}})
        ),
        "x | Complete | 1/1 | 7s | 85s"
    );
    let event = json!({"type": "Warning", "reason": "Failed", "message": "no image\n", "involvedObject": {"kind": "Pod", "name": "p"},
        "lastTimestamp": "2026-01-01T23:59:55Z"});
    assert_eq!(line("events", event), "5s | Warning | Failed | pod/p | no image");
}

#[test]
fn custom_columns_follow_their_paths() {
    let definition = json!({"metadata": {"name": "ws.a.io"}, "spec": {"group": "a.io", "scope": "Cluster", "names": {"plural": "ws", "kind": "W"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}, "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status", "priority": 1},
            {"name": "Port", "type": "string", "jsonPath": ".spec.ports[0].name"},
            {"name": "All", "type": "string", "jsonPath": ".spec.ports[*].name"},
            {"name": "Note", "type": "string", "jsonPath": ".metadata.annotations.a\\.b/c"},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]}]}});
    let info = ResourceInfo::from_crd(&definition).remove(0);
    let object = json!({"metadata": {"name": "w", "creationTimestamp": "2026-01-01T23:58:35Z", "annotations": {"a.b/c": "hi"}},
        "spec": {"size": 3, "ports": [{"name": "p"}, {"name": "q"}]}, "status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]}});
    let cells = row(&info, &object, NOW.parse().unwrap()).cells;
    assert_eq!(cells, [json!("w"), json!(3), json!("True"), json!("p"), json!("p,q"), json!("hi"), json!("85s")]);
    assert_eq!(columns(&info)[2].priority, 1);
    let bare = row(&info, &json!({"metadata": {"name": "w"}}), NOW.parse().unwrap()).cells;
    assert_eq!(bare[1..6], [Value::Null, Value::Null, Value::Null, Value::Null, Value::Null]);
}
