//! The certificate is the identity: with its own, an edge cannot read or write anything of another.
//!
//! A malicious edge is played by the test: it holds the real certificate and key of node e12 and goes for all that
//! belongs to node e13. Every request is also made for e12's own objects, so that a refusal is about the target and
//! not about the wording.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use pki::Identity;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use transport::client::{DialError, Endpoint, dial};
use transport::{Limits, LinkError, Receiver, Sender};
use wire::message::{Content, Message};
use wire::operation::Operation;
use wire::reply::Answer;

use crate::host::{Host, Init};
use crate::site::{Cloud, RUNNING, Site};
use crate::wait::until;

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
    let holes = runtime.block_on(async {
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
    assert!(holes.is_empty(), "not refused:\n{}", holes.join("\n"));
    let after = state(site.at(0));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after, "something was changed");
    }
    assert_eq!(before.len(), after.len());
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
fn state(cloud: &Host) -> Vec<String> {
    let kinds = "nodes,leases,pods,secrets,configmaps,serviceaccounts,events,certificatesigningrequests,\
                 objectsyncs.reliablesyncs.kubeedge.io";
    let text = cloud.kubectl(&["get", kinds, "-A", "-o", "json"]).ok();
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let mut lines: Vec<String> = list["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|object| !is_of(A, object))
        .map(|object| format!("{} {} {object}", object["kind"], object["metadata"]["name"]))
        .collect();
    lines.sort();
    lines
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

/// Who holds A's key and wants B's things.
struct Thief {
    cloud: String,
    ca: Vec<u8>,
    identity: Identity,
}

impl Thief {
    /// Steals what edgecore.yaml of A names.
    fn new(site: &Site) -> Self {
        let edge = site.at(1);
        let read = |path: &str| std::fs::read_to_string(edge.path(path)).expect(path);
        let config: serde_yaml::Value =
            serde_yaml::from_str(&read("/etc/kubeedge/config/edgecore.yaml")).expect("YAML");
        let file = |key: &str, usual: &str| config["modules"]["edgeHub"][key].as_str().unwrap_or(usual).to_owned();
        let certificate = read(&file("tlsCertFile", "/etc/kubeedge/certs/server.crt"));
        let key = read(&file("tlsPrivateKeyFile", "/etc/kubeedge/certs/server.key"));
        let ca = read(&file("tlsCaFile", "/etc/kubeedge/ca/rootCA.crt"));
        Self {
            cloud: site.at(0).address.clone(),
            ca: pki::pem::certs_from_pem(&ca).expect("PEM").swap_remove(0),
            identity: Identity::from_pem(&certificate, &key).expect("a pair"),
        }
    }

    async fn dial(&self, node: &str, headers: &[(&str, String)]) -> Result<(Sender, Receiver), DialError> {
        let endpoint = Endpoint {
            host: self.cloud.clone(),
            port: 10000,
            project_id: "e632aba927ea4ac2b575ec1603d56f10".to_owned(),
            node_name: node.to_owned(),
        };
        let tls = pki::tls::client_config(&self.ca, Some(&self.identity)).expect("TLS settings");
        let limits = Limits::default();
        dial(&endpoint, tls, headers, limits, ANSWER).await.map(transport::Connection::split)
    }

    /// A session under a name that is not in the certificate is closed before anything is sent.
    async fn poses_as_another_node(&self) {
        for node in [B, "system:node:e13", "E13", "e99", "kubernetes-admin"] {
            let mut receiver = match self.dial(node, &[]).await {
                Ok((_, receiver)) => receiver,
                Err(DialError::Name { .. }) if node.contains(':') => continue,
                Err(error) => panic!("{node}: {error:?}"),
            };
            let end = timeout(ANSWER, receiver.next()).await.expect("refused at once");
            println!("as {node}: {end:?}");
            assert!(matches!(end, Err(LinkError::ClosedByPeer { code: 1008, .. })), "{node}: {end:?}");
        }
        // A second node_id does not count.
        let (_sender, mut receiver) = self.dial(A, &[("node_id", B.to_owned())]).await.expect("A may connect");
        while let Ok(message) = timeout(Duration::from_millis(500), receiver.next()).await {
            let Ok(Some(message)) = message else { break };
            check_silent(&message);
        }
    }

    async fn session(&self) -> Session {
        let (sender, receiver) = self.dial(A, &[]).await.expect("A may connect");
        Session { sender, receiver, holes: Vec::new() }
    }

    /// One HTTPS request with A's certificate, answered with status and body.
    async fn https(&self, port: u16, ca: &[u8], head: &str, body: &[u8]) -> Result<(u16, String), std::io::Error> {
        let tls = pki::tls::client_config(ca, Some(&self.identity)).expect("TLS settings");
        let stream = TcpStream::connect((self.cloud.as_str(), port)).await?;
        let name = rustls::pki_types::ServerName::try_from(self.cloud.clone()).expect("an address");
        let mut stream = tokio_rustls::TlsConnector::from(tls).connect(name, stream).await?;
        let head = format!("{head}Host: {}:{port}\r\nContent-Length: {}\r\n\r\n", self.cloud, body.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        match timeout(ANSWER, stream.read_to_end(&mut answer)).await? {
            Err(error) if answer.is_empty() => return Err(error),
            _ => {}
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("an HTTP status");
        Ok((status, answer))
    }

    async fn asks_for_a_certificate_of_another_node(&self, site: &Site) {
        let bearer = site.token(0).split_once('.').expect("a token").1.to_owned();
        let (_, of_b) = pki::edge_request(B).expect("a request");
        let (_, of_a) = pki::edge_request(A).expect("a request");
        for (what, node, request, authorization, expected) in [
            ("its own", A, &of_a, "", 200),
            ("B's", B, &of_b, "", 401),
            ("B's in its own request", B, &of_a, "", 401),
            ("its own in B's request", A, &of_b, "", 403),
            ("B's with a token beside", B, &of_b, &bearer, 401),
        ] {
            let authorization =
                if authorization.is_empty() { String::new() } else { format!("Authorization: Bearer {bearer}\r\n") };
            let head = format!("GET /edge.crt HTTP/1.0\r\nNodeName: {node}\r\n{authorization}");
            let (status, answer) = self.https(10002, &self.ca, &head, request).await.expect("an answer");
            println!("certificate, {what}: {}", answer.lines().last().filter(|_| status != 200).unwrap_or("200"));
            assert_eq!(status, expected, "{what}: {answer}");
        }
    }

    /// Certificates for the hub mean nothing to the API server.
    async fn asks_the_api_server(&self, site: &Site) {
        let config = std::fs::read_to_string(site.at(0).path("/root/.kube/config")).expect("kubectl works");
        let config: serde_yaml::Value = serde_yaml::from_str(&config).expect("YAML");
        let ca = config["clusters"][0]["cluster"]["certificate-authority-data"].as_str().expect("a CA");
        let ca = String::from_utf8(STANDARD.decode(ca).expect("base64")).expect("PEM");
        let ca = pki::pem::certs_from_pem(&ca).expect("PEM").swap_remove(0);
        let bearer = site.token(0).split_once('.').expect("a token").1.to_owned();
        let patch = br#"{"metadata":{"annotations":{"stolen":"yes"}}}"#;
        for (method, path, body) in [
            ("GET", "/api/v1/nodes/e13", &b""[..]),
            ("GET", "/api/v1/namespaces/default/secrets/secret-e13", b""),
            ("GET", "/api/v1/secrets", b""),
            ("GET", "/api/v1/namespaces/kubeedge/secrets/casecret", b""),
            ("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/e13", b""),
            ("PATCH", "/api/v1/nodes/e13", patch),
            ("DELETE", "/api/v1/namespaces/default/pods/pod-e13", b""),
        ] {
            for authorization in ["", &format!("Authorization: Bearer {bearer}\r\n")] {
                let head = format!(
                    "{method} {path} HTTP/1.0\r\nContent-Type: application/merge-patch+json\r\n{authorization}"
                );
                let (status, answer) = self.https(6443, &ca, &head, body).await.expect("an answer");
                println!("API server, {method} {path}: {status}");
                assert!(matches!(status, 401 | 403), "{method} {path}: {answer}");
            }
        }
    }
}

/// A's session with the hub.
struct Session {
    sender: Sender,
    receiver: Receiver,
    /// What was not refused.
    holes: Vec<String>,
}

/// A request, without its sender.
struct Ask {
    operation: &'static str,
    resource: String,
    content: Value,
}

fn ask(operation: &'static str, resource: impl Into<String>, content: Value) -> Ask {
    Ask { operation, resource: resource.into(), content }
}

impl Session {
    /// Says something as the module `source`.
    async fn say(&mut self, source: &str, group: &str, ask: &Ask) -> String {
        let now = jiff::Timestamp::now().as_millisecond();
        let content = Content::json(&ask.content).expect("JSON");
        let message = Message::new(source, group, Operation::from(ask.operation), &*ask.resource, content, now);
        self.sender.send(&message).await.expect("the session lives");
        message.header.id
    }

    /// The next message, acknowledged as an honest edge does.
    async fn hear(&mut self) -> Message {
        let message = self.receiver.next().await.expect("the session lives").expect("the session lives");
        check_silent(&message);
        self.sender.send(&message.ack(message.header.timestamp)).await.expect("the session lives");
        message
    }

    /// Asks, and waits for the answer. Whatever else comes is looked through.
    async fn ask(&mut self, ask: &Ask) -> Option<Message> {
        let id = self.say("edged", "meta", ask).await;
        let answer = timeout(ANSWER, async {
            loop {
                let message = self.hear().await;
                if message.header.parent_id.as_deref() == Some(&id) {
                    return message;
                }
            }
        });
        answer.await.ok()
    }

    /// Asks for what must be refused in words. All that is not is reported together.
    async fn refused(&mut self, ask: &Ask) {
        let what = format!("{} {}", ask.operation, ask.resource);
        let Some(answer) = self.ask(ask).await else { return self.holes.push(format!("{what}: no answer")) };
        let Answer::Failed(status) = Answer::read(&answer.content) else {
            return self.holes.push(format!("{what}: granted: {}", answer.content.get()));
        };
        println!("{what}: {} {}", status.code, status.message);
        // Plain words have no code.
        let plain = answer.route.operation == Operation::Error || status.message.contains("may not do this");
        if !plain && !matches!(status.code, 400 | 403 | 405) {
            self.holes.push(format!("{what}: {status:?}"));
        }
    }

    /// The same words about its own things are granted.
    async fn asks_for_its_own(&mut self, site: &Site) {
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

    async fn asks_for_what_is_not_its_own(&mut self, site: &Site) {
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
    async fn makes_pods_that_refer_to_others(&mut self) {
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
        let Answer::Object(pod) = Answer::read(&answer.content) else { panic!("{}", answer.content.get()) };
        let pod: Value = serde_json::from_str(pod.get()).expect("JSON");
        let uid = pod["metadata"]["uid"].as_str().expect("made");
        self.refused(&ask("query", "default/serviceaccounttoken/default", token_request("mirror", uid))).await;
        let answer = self.ask(&ask("delete", "default/pod/mirror", uid.into())).await.expect("an answer");
        assert!(matches!(Answer::read(&answer.content), Answer::Ok), "{}", answer.content.get());
    }

    /// The sender's word decides where a message goes, never what is granted.
    async fn speaks_as_somebody_else(&mut self, site: &Site) {
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
    async fn rewrites_events(&mut self, site: &Site) {
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

/// No message for A holds anything of B's.
fn check_silent(message: &Message) {
    let text = message.encode();
    let encoded = STANDARD.encode(SECRET_OF_B);
    assert!(!text.contains(SECRET_OF_B) && !text.contains(&encoded), "A was told what is B's: {text}");
    assert!(!text.contains("cakeydata"), "A was told the CA's key");
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
