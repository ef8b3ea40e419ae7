//! The certificate is the identity: with its own, an edge cannot read or write anything of another.
//!
//! A malicious edge is played by the test: it holds the real certificate and key of node e12 and goes for all that
//! belongs to node e13. Every request is also made for e12's own objects, so that a refusal is about the target and
//! not about the wording.

mod demands;
mod session;
mod thief;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::host::{Host, Init};
use crate::site::{Cloud, RUNNING, Site};
use thief::Thief;

/// The malicious node.
const A: &str = "e12";
/// Its victim.
const B: &str = "e13";
/// What no message to A may hold: the value of B's Secret, in the clear and as Kubernetes spells it.
const SECRET_OF_B: &str = "only-for-e13";
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(3);

#[test]
#[ignore = "needs: root, containerd"]
fn a_certificate_of_one_edge_opens_nothing_of_another() {
    let mut site = Site::new(Cloud::Embedded);
    site.host("c12", Init::Plain);
    for name in [A, B] {
        site.host(name, Init::Plain);
    }
    site.init(0);
    for (index, name) in [(1, A), (2, B)] {
        site.join(index, 0);
        site.at(0).apply(&belongings(name));
        site.pod_is_running(0, &format!("pod-{name}"), RUNNING * 2);
    }
    let thief = Thief::new(&site);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");

    runtime.block_on(thief.poses_as_another_node());
    site.node_is_ready(0, B, Duration::from_secs(1));
    // From here on nothing but the thief can change anything of B; and A's own link does not take the thief's place.
    site.at(1).cut();
    site.at(2).cut();
    std::thread::sleep(Duration::from_millis(200));
    let before = state(site.at(0));
    let mut holes = runtime.block_on(async {
        let mut session = thief.session().await;
        session.asks_for_its_own(&site).await;
        session.asks_for_what_is_not_its_own(&site).await;
        session.makes_pods_that_refer_to_others().await;
        session.speaks_as_somebody_else(&site).await;
        session.rewrites_events(&site).await;
        thief.asks_for_a_certificate_of_another_node(&site).await;
        thief.asks_the_api_server(&site).await;
        session.holes
    });
    let after = state(site.at(0));
    holes.extend(before.difference(&after).map(|object| format!("gone or changed: {object}")));
    holes.extend(after.difference(&before).map(|object| format!("new or changed: {object}")));
    assert!(holes.is_empty(), "{}", holes.join("\n"));
}

/// A pod with ConfigMap, Secret and service account of its own, and an event about it.
fn belongings(node: &str) -> String {
    format!(
        r#"apiVersion: v1
kind: ServiceAccount
metadata: {{name: robot-{node}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: config-{node}}}
data: {{greeting: "only-for-{node}"}}
---
apiVersion: v1
kind: Secret
metadata: {{name: secret-{node}}}
stringData: {{password: "only-for-{node}"}}
---
apiVersion: v1
kind: Event
metadata: {{name: event-{node}, namespace: default}}
involvedObject: {{apiVersion: v1, kind: Pod, namespace: default, name: pod-{node}}}
source: {{component: edged, host: {node}}}
reason: Told
message: as it was
type: Normal
---
apiVersion: v1
kind: Pod
metadata: {{name: pod-{node}}}
spec:
  nodeName: {node}
  serviceAccountName: robot-{node}
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: docker.io/library/busybox:latest
    imagePullPolicy: IfNotPresent
    command: [/bin/sleep, "1000000"]
    volumeMounts: [{{name: s, mountPath: /s}}, {{name: c, mountPath: /c}}]
  volumes: [{{name: s, secret: {{secretName: secret-{node}}}}}, {{name: c, configMap: {{name: config-{node}}}}}]
"#
    )
}

/// Everything that A has no business with, an object a line, with its resourceVersion.
fn state(cloud: &Host) -> BTreeSet<String> {
    let kinds = "nodes,leases,pods,secrets,configmaps,serviceaccounts,events,certificatesigningrequests,\
                 objectsyncs.reliablesyncs.kubeedge.io";
    let text = cloud.kubectl(&["get", kinds, "-A", "-o", "json"]).ok();
    let list: Value = serde_json::from_str(&text).expect("JSON");
    list["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|object| !is_of(A, object))
        .map(|object| format!("{} {} {object}", object["kind"], object["metadata"]["name"]))
        .collect()
}

/// Whether it is the node's own: its Node and Lease, its pod, events about them, records of its deliveries.
fn is_of(node: &str, object: &Value) -> bool {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let about = object["involvedObject"]["name"].as_str().unwrap_or_default();
    let pod = format!("pod-{node}");
    match object["kind"].as_str().unwrap_or_default() {
        "Node" | "Lease" => name == node,
        "Pod" => name == pod,
        "Event" => about == node || about == pod,
        "ObjectSync" => name.starts_with(&format!("{node}.")),
        _ => false,
    }
}
