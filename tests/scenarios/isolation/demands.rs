//! What the thief demands through its session.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::time::timeout;
use wire::reply::Answer;

use super::session::{Ask, Session, ask};
use super::{A, ANSWER, B};
use crate::host::Host;
use crate::site::Site;
use crate::wait::until;

impl Session {
    /// The same words about its own things are granted.
    pub async fn asks_for_its_own(&mut self, site: &Site) {
        for ask in requests(A, &uid(site.at(0), A)) {
            if is_for_own_use(&ask) {
                let answer = self.ask(&ask).await.unwrap_or_else(|| panic!("{}: no answer", ask.resource));
                let what = format!("{} {}", ask.operation, ask.resource);
                match Answer::read(&answer.content) {
                    Answer::Ok | Answer::Object(_) => println!("{what}: granted"),
                    other => panic!("{what}: its own: {other:?}"),
                }
            }
        }
    }

    pub async fn asks_for_what_is_not_its_own(&mut self, site: &Site) {
        let (of_a, of_b) = (uid(site.at(0), A), uid(site.at(0), B));
        for ask in requests(B, &of_b) {
            self.refused(&ask).await;
        }
        // B's account for A's pod, A's account for B's pod, no pod at all, a pod's UID under another name.
        for (account, pod, uid) in [
            ("robot-e13", "pod-e12", &of_a),
            ("robot-e12", "pod-e13", &of_b),
            ("robot-e12", "pod-e12", &of_b),
            ("robot-e13", "", &String::new()),
            ("default", "pod-e12", &of_a),
        ] {
            self.refused(&ask("query", format!("default/serviceaccounttoken/{account}"), token_request(pod, uid)))
                .await;
        }
        for resource in [
            "default/secret",
            "default/configmap",
            "default/pod",
            "default/podlist",
            "null/node",
            "kube-node-lease/lease",
            "kubeedge/secret/casecret",
            "kubeedge/secret/cloudcoresecret",
            "kubeedge/secret/tokensecret",
            "default/secret/secret-e12%2f..%2fsecret-e13",
            "default/secret/..",
            "node/e13/default/secret/secret-e13",
            "node/e13/null/node/e13",
            "null/node/e12/../e13",
            "default/secret/secret-e13?",
        ] {
            self.refused(&ask("query", resource, Value::Null)).await;
        }
    }

    /// A mirror pod is the only object a node may make; it must open nothing.
    pub async fn makes_pods_that_refer_to_others(&mut self) {
        let mirror = |change: &Value| {
            let mut pod = json!({
                "metadata": {"name": "mirror", "namespace": "default",
                             "annotations": {"kubernetes.io/config.mirror": "x", "kubernetes.io/config.source": "file"}},
                "spec": {"nodeName": A, "containers": [{"name": "c", "image": "busybox"}]},
            });
            for (pointer, value) in change.as_object().expect("an object") {
                let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
                pod.pointer_mut(parent).expect("there")[key] = value.clone();
            }
            ask("insert", "default/pod/mirror", pod)
        };
        let secret = json!({"name": "secret-e13"});
        for change in [
            json!({"/spec/nodeName": B}),
            json!({"/metadata/annotations": {}}),
            json!({"/metadata/name": "other"}),
            json!({"/metadata/namespace": "kubeedge"}),
            json!({"/spec/serviceAccountName": "robot-e13"}),
            json!({"/spec/serviceAccount": "robot-e13"}),
            json!({"/spec/imagePullSecrets": [secret]}),
            json!({"/spec/volumes": [{"name": "v", "secret": {"secretName": "secret-e13"}}]}),
            json!({"/spec/volumes": [{"name": "v", "configMap": secret}]}),
            json!({"/spec/volumes": [{"name": "v", "projected": {"sources": [{"secret": secret}]}}]}),
            json!({"/spec/volumes": [{"name": "v", "projected": {"sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}]}}]}),
            json!({"/spec/volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "claim"}}]}),
            json!({"/spec/volumes": [{"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": secret}}]}),
            json!({"/spec/containers": [{"name": "c", "image": "busybox", "envFrom": [{"secretRef": secret}]}]}),
            json!({"/spec/initContainers": [{"name": "i", "image": "busybox", "env": [
                {"name": "X", "valueFrom": {"secretKeyRef": {"name": "secret-e13", "key": "password"}}}]}]}),
            json!({"/spec/ephemeralContainers": [{"name": "e", "image": "busybox", "envFrom": [{"secretRef": secret}]}]}),
        ] {
            println!("mirror pod with {change}");
            let holes = self.holes.len();
            self.refused(&mirror(&change)).await;
            if self.holes.len() > holes {
                self.holes.push(format!("  that was a mirror pod with {change}"));
            }
        }
        // One that refers to nothing is fine, and gets no token: it has no account.
        let answer = self.ask(&mirror(&json!({}))).await.expect("an answer");
        let Answer::Object(pod) = Answer::read(&answer.content) else {
            return self.holes.push(format!("a plain mirror pod: {}", answer.content.get()));
        };
        let pod: Value = serde_json::from_str(pod.get()).expect("JSON");
        let uid = pod["metadata"]["uid"].as_str().expect("made");
        self.refused(&ask("query", "default/serviceaccounttoken/default", token_request("mirror", uid))).await;
        let answer = self.ask(&ask("delete", "default/pod/mirror", uid.into())).await.expect("an answer");
        assert!(matches!(Answer::read(&answer.content), Answer::Ok), "{}", answer.content.get());
    }

    /// The sender's word decides where a message goes, never what is granted.
    pub async fn speaks_as_somebody_else(&mut self, site: &Site) {
        let uid_of_b = uid(site.at(0), B);
        for (source, group) in [
            ("edgecontroller", "resource"),
            ("cloudhub", "resource"),
            ("devicecontroller", "twin"),
            ("synccontroller", "resource"),
            ("metaserver", "dynamiccontroller"),
            ("twin", "resource"),
            ("router", "user"),
            ("metaManager", "resource"),
        ] {
            for ask in requests(B, &uid_of_b) {
                self.say(source, group, &ask).await;
            }
        }
        // Answers to questions nobody asked.
        for operation in ["response", "error"] {
            let said = ask(operation, "default/secret/secret-e13", json!({"data": {"password": "c3RvbGVu"}}));
            self.say("edged", "meta", &said).await;
        }
        // Whatever comes of it has come when a later question is answered, and some more time has passed.
        self.ask(&ask("query", "null/node/e12", Value::Null)).await.expect("the session lives");
        while let Ok(message) = timeout(Duration::from_millis(700), self.hear()).await {
            let answer = Answer::read(&message.content);
            let about_b = message.route.resource.contains(B);
            if about_b && !matches!(answer, Answer::Failed(_)) {
                self.holes.push(message.encode());
            }
        }
    }

    /// Events have no answers; those of others stay as they are.
    pub async fn rewrites_events(&mut self, site: &Site) {
        let about = |node: &str| json!({"kind": "Pod", "namespace": "default", "name": format!("pod-{node}")});
        let event = |name: &str, about: &Value| {
            json!({"metadata": {"name": name, "namespace": "default"}, "involvedObject": about, "message": "stolen",
                   "reason": "Stolen", "type": "Normal"})
        };
        let patch = json!({"message": "stolen"}).to_string();
        for content in [event("event-e13", &about(A)), event("event-e13", &about(B))] {
            self.say("edged", "meta", &ask("insert", "default/event/event-e13", content.clone())).await;
            self.say("edged", "meta", &ask("update", "default/event/event-e13", content.clone())).await;
            let change = json!({"event": content, "patchData": patch});
            self.say("edged", "meta", &ask("patch", "default/event/event-e13", change)).await;
        }
        self.say("edged", "meta", &ask("insert", "default/event/forged", event("forged", &about(B)))).await;
        // Its own come through; by then the others have been looked at, too.
        let mut own =
            json!({"event": event("event-e12", &about(A)), "patchData": json!({"message": "mine"}).to_string()});
        own["event"]["message"] = "as it was".into();
        self.say("edged", "meta", &ask("patch", "default/event/event-e12", own)).await;
        until("A's own event is changed", ANSWER, || {
            let path = "jsonpath={.message}";
            let text = site.at(0).kubectl(&["get", "event", "event-e12", "-o", path]).result()?;
            if text == "mine" { Ok(()) } else { Err(text) }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn uid(cloud: &Host, node: &str) -> String {
    cloud.kubectl(&["get", "pod", &format!("pod-{node}"), "-o", "jsonpath={.metadata.uid}"]).ok()
}

fn token_request(pod: &str, uid: &str) -> Value {
    let bound =
        if pod.is_empty() { Value::Null } else { json!({"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}) };
    json!({"metadata": {}, "spec": {"audiences": [], "expirationSeconds": 3607, "boundObjectRef": bound}, "status": {}})
}

/// What a node asks of the cloud about itself, and what it has no business asking at all.
fn requests(node: &str, pod_uid: &str) -> Vec<Ask> {
    let stolen = json!({"metadata": {"name": node, "annotations": {"stolen": "yes"}, "labels": {"stolen": "yes"}}});
    let lease = json!({"metadata": {"name": node, "namespace": "kube-node-lease"},
                       "spec": {"holderIdentity": A, "leaseDurationSeconds": 40}});
    let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": pod_uid}});
    let pod_patch = json!({"metadata": {"uid": pod_uid}, "status": {"reason": "Stolen"}}).to_string();
    let node_patch = json!({"metadata": {"annotations": {"stolen": "yes"}},
                            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Stolen"}]}})
    .to_string();
    let report = json!({"UID": pod_uid, "Name": format!("pod-{node}"), "Status": {"phase": "Failed"}});
    let data = json!({"metadata": {"name": format!("secret-{node}"), "namespace": "default"}, "data": {}});
    let request = |signer: &str| {
        let (_, der) = pki::edge_request(node).expect("a request");
        let pem = format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
            STANDARD.encode(der)
        );
        json!({"metadata": {"name": "csr-stolen"},
               "spec": {"request": STANDARD.encode(pem), "signerName": signer, "usages": ["digital signature"]}})
    };
    vec![
        ask("query", format!("null/node/{node}"), Value::Null),
        ask("query", format!("default/node/{node}"), Value::Null),
        ask("patch", format!("null/nodepatch/{node}"), node_patch.into()),
        ask("query", format!("kube-node-lease/lease/{node}"), Value::Null),
        ask("query", format!("default/configmap/config-{node}"), Value::Null),
        ask("query", format!("default/secret/secret-{node}"), Value::Null),
        ask(
            "query",
            format!("default/serviceaccounttoken/robot-{node}"),
            token_request(&format!("pod-{node}"), pod_uid),
        ),
        ask("patch", format!("default/podpatch/pod-{node}"), pod_patch.into()),
        ask("update", format!("null/node/{node}"), stolen.clone()),
        // Not for own use in this story: these would change or end what the story goes on with, or nobody may.
        ask("insert", format!("null/node/{node}"), stolen.clone()),
        ask("insert", format!("default/nodestatus/{node}"), stolen.clone()),
        ask(
            "update",
            format!("default/nodestatus/{node}"),
            json!({"Status": {}, "ExtendResources": {"stolen": "yes"}}),
        ),
        ask("patch", format!("null/node/{node}"), stolen.to_string().into()),
        ask("delete", format!("null/node/{node}"), Value::Null),
        ask("insert", format!("kube-node-lease/lease/{node}"), lease.clone()),
        ask("update", format!("kube-node-lease/lease/{node}"), lease),
        ask("delete", format!("kube-node-lease/lease/{node}"), Value::Null),
        ask("update", format!("default/podstatus/pod-{node}"), report.clone()),
        ask("update", "default/podstatus", json!([report])),
        ask("query", format!("default/pod/pod-{node}"), Value::Null),
        ask("update", format!("default/pod/pod-{node}"), json!({})),
        ask("patch", format!("default/pod/pod-{node}"), json!({}).to_string().into()),
        ask("delete", format!("default/pod/pod-{node}"), options),
        ask("delete", format!("default/pod/pod-{node}"), pod_uid.into()),
        ask("delete", format!("default/pod/pod-{node}"), json!({})),
        ask("insert", format!("default/secret/secret-{node}"), data.clone()),
        ask("update", format!("default/secret/secret-{node}"), data.clone()),
        ask("patch", format!("default/secret/secret-{node}"), data.to_string().into()),
        ask("delete", format!("default/secret/secret-{node}"), Value::Null),
        ask("update", format!("default/configmap/config-{node}"), data.clone()),
        ask("delete", format!("default/configmap/config-{node}"), Value::Null),
        ask("query", format!("default/serviceaccountaccess/robot-{node}"), Value::Null),
        ask("insert", "null/certificatesigningrequest/csr-stolen", request("kubernetes.io/kubelet-serving")),
        ask(
            "insert",
            "null/certificatesigningrequest/csr-stolen",
            request("kubernetes.io/kube-apiserver-client-kubelet"),
        ),
        ask("insert", "null/certificatesigningrequest/csr-stolen", request("kubernetes.io/kube-apiserver-client")),
    ]
}

/// The first part of [`requests`].
fn is_for_own_use(ask: &Ask) -> bool {
    match ask.operation {
        "query" => !ask.resource.contains("/pod/") && !ask.resource.contains("serviceaccountaccess"),
        "patch" => ask.resource.contains("patch/"),
        "update" => ask.resource.starts_with("null/node/"),
        _ => false,
    }
}
