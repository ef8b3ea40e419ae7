//! One cloud, its edges and a Kubernetes API in memory: the way of a pod down and of its status up, over real
//! sockets.

#[path = "story/edge.rs"]
mod edge;
#[path = "story/fake_api.rs"]
mod fake_api;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cloudcore::cloudhub::identity::PairFiles;
use cloudcore::settings::CloudCoreSettings;
use cloudcore::{Addresses, CloudCoreError};
use edge::{Edge, Enrolled, eventually, https};
use fake_api::FakeApi;
use pki::San;
use pki::tls::{client_config, client_config_unverified};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::message::{Content, Message};

struct Cloud {
    api: FakeApi,
    addresses: Addresses,
    stop: CancellationToken,
    lives: JoinSet<Result<(), CloudCoreError>>,
}

fn settings() -> CloudCoreSettings {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let none = PairFiles { cert: PathBuf::new(), key: PathBuf::new() };
    CloudCoreSettings {
        websocket: any,
        https: any,
        monitor: any,
        node_limit: 2,
        keepalive: Duration::from_secs(30),
        write_timeout: Duration::from_secs(5),
        ca_files: none.clone(),
        server_files: none,
        sans: vec![San::Ip([127, 0, 0, 1].into())],
        instance: "127.0.0.1".to_owned(),
        edge_certificate_days: 365,
        token_refresh: Duration::from_hours(1),
        legacy_certificates: false,
        node_update_frequency: 10,
        api_server_ca: "PEM".to_owned(),
    }
}

impl Cloud {
    async fn start(api: FakeApi) -> Self {
        let (ready, started) = oneshot::channel();
        let stop = CancellationToken::new();
        let mut lives = JoinSet::new();
        lives.spawn(cloudcore::run(settings(), api.client(), ready, stop.clone()));
        let addresses = tokio::time::timeout(Duration::from_secs(10), started).await.expect("in time").expect("ready");
        Self { api, addresses, stop, lives }
    }

    async fn stop(mut self) -> FakeApi {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(8), self.lives.join_next()).await;
        ended.expect("in time").expect("one life").expect("no panic").expect("in order");
        self.api
    }

    fn token(&self) -> String {
        let secret = self.api.get("secrets/kubeedge/tokensecret").expect("a token secret");
        let bytes: k8s_openapi::ByteString =
            serde_json::from_value(secret["data"]["tokendata"].clone()).expect("base64");
        String::from_utf8(bytes.0).expect("ASCII")
    }

    async fn join(&self, node: &str) -> Enrolled {
        Enrolled::join(self.addresses.https, node, &self.token()).await
    }

    async fn monitor(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.addresses.monitor).await.expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("writes");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("reads");
        answer
    }

    /// The version recorded as acknowledged, for an object of `node`.
    fn recorded(&self, node: &str, key: &str) -> Option<String> {
        let object = self.api.get(key)?;
        let (uid, namespace) = (object["metadata"]["uid"].as_str()?.to_owned(), key.split('/').nth(1)?);
        let record = self.api.get(&format!("objectsyncs/{namespace}/{node}.{uid}"))?;
        record["status"]["objectResourceVersion"].as_str().map(str::to_owned)
    }
}

fn pod(node: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"nodeName": node, "serviceAccountName": "sa",
        "containers": [{"name": "c", "image": "i", "envFrom": [{"configMapRef": {"name": "cm"}}]}]}})
}

fn edge_node() -> Content {
    let node =
        json!({"metadata": {"name": "e1", "labels": {"node-role.kubernetes.io/edge": ""}}, "spec": {}, "status": {}});
    Content::json(&node).expect("JSON")
}

fn content(message: &Message) -> Value {
    serde_json::from_str(message.content.get()).expect("JSON")
}

fn version(value: &Value) -> String {
    value["metadata"]["resourceVersion"].as_str().expect("a version").to_owned()
}

async fn register(edge: &mut Edge) {
    let (reply, others) = edge.ask("insert", "null/node/e1", edge_node()).await;
    assert_eq!(content(&reply)["Err"], Value::Null);
    assert_eq!(content(&reply)["Object"]["metadata"]["annotations"]["cloudcore"], "127.0.0.1");
    if !others.iter().any(|message| message.route.resource == "null/node/e1") {
        edge.until("update", "null/node/e1").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_of_a_pod() {
    let cloud = Cloud::start(FakeApi::new()).await;
    let old = cloud.api.put("pods/default/old", pod("e1"));
    cloud.api.put("configmaps/default/cm", json!({"metadata": {}, "data": {"k": "1"}}));
    let mut edge = cloud.join("e1").await.connect(cloud.addresses.websocket, Some("g1")).await;

    // A pod bound before its node ever existed is there from the first moment.
    let message = edge.next().await;
    assert_eq!((message.route.operation.as_str(), message.route.resource.as_str()), ("update", "default/pod/old"));
    assert_eq!(message.header.resource_version.as_deref(), Some(version(&old).as_str()));
    assert_eq!(content(&message)["kind"], "Pod");
    assert!(content(&message)["metadata"].get("managedFields").is_none());
    eventually("the acknowledgement is recorded", || cloud.recorded("e1", "pods/default/old") == Some(version(&old)))
        .await;

    register(&mut edge).await;
    eventually("the store is noted", || {
        let node = cloud.api.get("nodes//e1").expect("the node");
        node["metadata"]["annotations"]["kubeedge.io/store-generation"] == "g1"
    })
    .await;

    // Down: an insert, then an update, within milliseconds of the API.
    let mut worst = Duration::ZERO;
    for round in 0..20 {
        let start = Instant::now();
        let mut web = pod("e1");
        web["metadata"]["labels"] = json!({"round": round.to_string()});
        cloud.api.put("pods/default/web", web);
        let message = edge.until(if round == 0 { "insert" } else { "update" }, "default/pod/web").await;
        worst = worst.max(start.elapsed());
        assert_eq!(content(&message)["metadata"]["labels"]["round"], round.to_string());
    }
    assert!(worst < Duration::from_millis(500), "slowest delivery took {worst:?}");

    // Up: a status patch is answered with the object, and comes back as an update.
    let uid = cloud.api.get("pods/default/web").expect("the pod")["metadata"]["uid"].clone();
    let patch = json!({"metadata": {"uid": uid}, "status": {"phase": "Running"}}).to_string();
    let (reply, others) = edge.ask("patch", "default/podpatch/web", Content::text(&patch)).await;
    assert_eq!(content(&reply)["Object"]["status"]["phase"], "Running");
    assert!(content(&reply)["Object"].get("kind").is_none());
    if others.is_empty() {
        edge.until("update", "default/pod/web").await;
    }

    // ConfigMaps on first use, then pushed.
    let (reply, _) = edge.ask("query", "default/configmap/cm", Content::null()).await;
    assert_eq!(content(&reply)["data"]["k"], "1");
    eventually("the answer is recorded", || cloud.recorded("e1", "configmaps/default/cm").is_some()).await;
    cloud.api.put("configmaps/default/cm", json!({"metadata": {}, "data": {"k": "2"}}));
    assert_eq!(content(&edge.until("update", "default/configmap/cm").await)["data"]["k"], "2");

    // A token only for its own pod.
    let token = |uid: &Value| {
        let bound = json!({"kind": "Pod", "name": "web", "uid": uid});
        Content::json(&json!({"spec": {"audiences": ["a"], "boundObjectRef": bound}})).expect("JSON")
    };
    let (reply, _) = edge.ask("query", "default/serviceaccounttoken/sa", token(&uid)).await;
    assert_eq!(content(&reply)["status"]["token"], "t");
    let (reply, _) = edge.ask("query", "default/serviceaccounttoken/sa", token(&json!("other"))).await;
    assert_eq!(content(&reply)["ErrStatus"]["reason"], "Forbidden");

    // The last word: deleted on behalf of the node, then the delete comes down with the whole pod.
    let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}});
    let request = edge.send("edged", "delete", "default/pod/web", Content::json(&options).expect("JSON")).await;
    let (mut answered, mut deleted) = (false, false);
    while !(answered && deleted) {
        let message = edge.next().await;
        answered |= message.header.parent_id.as_deref() == Some(&request.header.id) && message.content.is_ok();
        deleted |= message.route.operation.as_str() == "delete" && content(&message)["kind"] == "Pod";
    }
    let record = format!("objectsyncs/default/e1.{}", uid.as_str().expect("a uid"));
    eventually("the record is gone", || cloud.api.get(&record).is_none()).await;

    // The hub's own answer, and requests nobody knows.
    let (reply, _) = edge.ask("query", "k8s/ca.crt", Content::null()).await;
    assert_eq!(reply.content.data(), "PEM");
    let (reply, _) = edge.ask("update", "default/thing/x", Content::null()).await;
    assert_eq!(content(&reply)["ErrStatus"]["code"], 405);

    let metrics = cloud.monitor("/metrics").await;
    assert!(metrics.contains("\nKubeEdge_CloudHub_connected_nodes 1\n"), "{metrics}");
    assert!(cloud.monitor("/readyz").await.starts_with("HTTP/1.1 200"));
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_while_away_is_made_up_for_even_across_a_cloud_restart() {
    let cloud = Cloud::start(FakeApi::new()).await;
    let enrolled = cloud.join("e1").await;
    let mut edge = enrolled.connect(cloud.addresses.websocket, Some("g1")).await;
    register(&mut edge).await;
    for name in ["keep", "change", "delete"] {
        cloud.api.put(&format!("pods/default/{name}"), pod("e1"));
        edge.until("insert", &format!("default/pod/{name}")).await;
    }
    let gone = cloud.api.get("pods/default/delete").expect("the pod")["metadata"]["uid"].clone();
    for name in ["keep", "change", "delete"] {
        let key = format!("pods/default/{name}");
        eventually("recorded", || cloud.recorded("e1", &key).is_some()).await;
    }
    drop(edge);
    let api = cloud.stop().await;
    let mut changed = api.get("pods/default/change").expect("the pod");
    changed["metadata"]["labels"] = json!({"new": "yes"});
    api.put("pods/default/change", changed);
    api.delete("pods/default/delete");
    api.put("pods/default/fresh", pod("e1"));

    let cloud = Cloud::start(api).await;
    let mut edge = enrolled.connect(cloud.addresses.websocket, Some("g1")).await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let message = edge.next().await;
        if message.route.resource.starts_with("default/pod/") {
            seen.push(format!("{} {}", message.route.operation.as_str(), message.route.resource));
            if message.route.operation.as_str() == "delete" {
                let minimal = json!({"metadata": {"name": "delete", "namespace": "default", "uid": gone}});
                assert_eq!(content(&message), minimal);
                assert_eq!(message.header.resource_version, None);
            }
        }
    }
    seen.sort();
    assert_eq!(seen, ["delete default/pod/delete", "update default/pod/change", "update default/pod/fresh"]);
    edge.is_quiet().await;
    drop(edge);

    // The same node with an empty store gets everything again, the unchanged pod too.
    let mut edge = enrolled.connect(cloud.addresses.websocket, Some("g2")).await;
    for _ in 0..4 {
        edge.next().await;
    }
    eventually("the new store is noted", || {
        let node = cloud.api.get("nodes//e1").expect("the node");
        node["metadata"]["annotations"]["kubeedge.io/store-generation"] == "g2"
    })
    .await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_can_do_nothing_to_another_node() {
    let cloud = Cloud::start(FakeApi::new()).await;
    let (one, two) = (cloud.join("e1").await, cloud.join("e2").await);
    cloud.api.put("pods/default/theirs", pod("e2"));
    cloud.api.put("configmaps/default/cm", json!({"metadata": {}, "data": {}}));
    cloud.api.put("nodes//e2", json!({"metadata": {"labels": {"node-role.kubernetes.io/edge": ""}}}));
    let mut edge = one.connect(cloud.addresses.websocket, None).await;

    let patch = Content::text(r#"{"status":{"phase":"Failed"}}"#);
    let lease = json!({"metadata": {"name": "e2", "namespace": "kube-node-lease"}, "spec": {}});
    let lease = Content::json(&lease).expect("JSON");
    let attempts = [
        ("patch", "default/podpatch/theirs", patch.clone(), "/Err/ErrStatus/reason"),
        ("delete", "default/pod/theirs", Content::text("uid"), "/ErrStatus/reason"),
        ("query", "default/configmap/cm", Content::null(), "/ErrStatus/reason"),
        ("query", "kubeedge/secret/casecret", Content::null(), "/ErrStatus/reason"),
        ("patch", "null/nodepatch/e2", patch, "/Err/ErrStatus/reason"),
        ("insert", "null/node/e3", edge_node(), "/Err/ErrStatus/reason"),
        ("query", "null/node/e2", Content::null(), "/ErrStatus/reason"),
        ("insert", "kube-node-lease/lease/e2", lease, "/Err/ErrStatus/reason"),
    ];
    for (operation, resource, body, reason) in attempts {
        let (reply, _) = edge.ask(operation, resource, body).await;
        assert_eq!(content(&reply).pointer(reason), Some(&json!("Forbidden")), "{operation} {resource}");
    }
    assert!(cloud.api.get("pods/default/theirs").is_some());

    // Nor can it call itself another node, at connect or at enrolment.
    assert!(one.connect_as(cloud.addresses.websocket, "e2", None).await.is_closed().await);
    let (_, csr) = pki::edge_request("e2").expect("a request");
    let mutual = client_config(&one.ca, Some(&one.identity)).expect("TLS settings");
    let request = "GET /edge.crt HTTP/1.1\r\nNodeName: e2";
    assert_eq!(https(cloud.addresses.https, request, &csr, mutual.clone()).await.0, 401);
    let request = "GET /edge.crt HTTP/1.1\r\nNodeName: e1";
    assert_eq!(https(cloud.addresses.https, request, &csr, mutual.clone()).await.0, 403);
    let (_, csr) = pki::edge_request("e1").expect("a request");
    assert_eq!(https(cloud.addresses.https, request, &csr, mutual.clone()).await.0, 200);
    assert_eq!(https(cloud.addresses.https, request, b"junk", mutual).await.0, 400);
    let unverified = || client_config_unverified().expect("TLS settings");
    assert_eq!(https(cloud.addresses.https, request, &csr, unverified()).await.0, 401);
    assert_eq!(https(cloud.addresses.https, "POST /ca.crt HTTP/1.1", b"", unverified()).await.0, 405);
    assert_eq!(https(cloud.addresses.https, "GET /x HTTP/1.1", b"", unverified()).await.0, 404);
    assert_eq!(https(cloud.addresses.https, "GET /node/e2 HTTP/1.1", b"", unverified()).await.0, 200);
    assert_eq!(https(cloud.addresses.https, "GET /node/e9 HTTP/1.1", b"", unverified()).await.0, 404);

    // The newest connection of a node wins; beyond the limit a connection is closed, not ignored.
    let mut newer = one.connect(cloud.addresses.websocket, None).await;
    assert!(edge.is_closed().await);
    let mut second = two.connect(cloud.addresses.websocket, None).await;
    second.next().await;
    let third = cloud.join("e3").await;
    assert!(third.connect(cloud.addresses.websocket, None).await.is_closed().await);
    newer.ask("query", "k8s/ca.crt", Content::null()).await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_delivered_off_the_record() {
    let cloud = Cloud::start(FakeApi::new()).await;
    let mut edge = cloud.join("e1").await.connect(cloud.addresses.websocket, None).await;
    register(&mut edge).await;
    cloud.api.break_writes(Some("objectsyncs"));
    cloud.api.put("pods/default/web", pod("e1"));
    assert!(edge.is_quiet().await, "the pod could not be recorded");
    cloud.api.break_writes(None);
    let message = edge.until("insert", "default/pod/web").await;
    assert_eq!(content(&message)["kind"], "Pod");
    eventually("recorded", || cloud.recorded("e1", "pods/default/web").is_some()).await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_goes_away_takes_records_but_no_deletes_with_it() {
    let cloud = Cloud::start(FakeApi::new()).await;
    let mut edge = cloud.join("e1").await.connect(cloud.addresses.websocket, None).await;
    register(&mut edge).await;

    // A record that somebody removes comes back while its object and its node are there.
    let web = cloud.api.put("pods/default/web", pod("e1"));
    edge.until("insert", "default/pod/web").await;
    eventually("recorded", || cloud.recorded("e1", "pods/default/web").is_some()).await;
    let record = format!("objectsyncs/default/e1.{}", web["metadata"]["uid"].as_str().expect("a uid"));
    cloud.api.delete(&record).expect("the record");
    eventually("recorded again", || cloud.recorded("e1", "pods/default/web") == Some(version(&web))).await;

    cloud.api.terminate("default");
    cloud.api.delete(&record).expect("the record");
    cloud.api.put("pods/default/late", pod("e1"));
    edge.until("insert", "default/pod/late").await;
    for name in ["web", "late"] {
        cloud.api.delete(&format!("pods/default/{name}"));
        edge.until("delete", &format!("default/pod/{name}")).await;
    }
    assert!(edge.is_quiet().await);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_is_its_uid() {
    let cloud = Cloud::start(FakeApi::new()).await;
    let mut edge = cloud.join("e1").await.connect(cloud.addresses.websocket, None).await;
    register(&mut edge).await;
    let web = cloud.api.put("pods/default/web", pod("e1"));
    edge.until("insert", "default/pod/web").await;

    for (name, uid, code) in [("web", "old", 409), ("none", "lost", 404)] {
        let patch = json!({"metadata": {"uid": uid}, "status": {"phase": "Failed"}}).to_string();
        let (reply, others) = edge.ask("patch", &format!("default/podpatch/{name}"), Content::text(&patch)).await;
        assert_eq!(content(&reply)["Err"]["ErrStatus"]["code"], code);
        let forget = match others.into_iter().find(|message| message.route.operation.as_str() == "delete") {
            Some(message) => message,
            None => edge.until("delete", &format!("default/pod/{name}")).await,
        };
        assert_eq!(content(&forget)["metadata"]["uid"], uid);
    }
    let patch = Content::text(r#"{"status":{"phase":"Running"}}"#);
    let (reply, _) = edge.ask("patch", "default/podpatch/web", patch).await;
    assert_eq!(content(&reply)["Object"]["metadata"]["uid"], web["metadata"]["uid"]);
    let (reply, _) = edge.ask("delete", "default/pod/web", Content::text("old")).await;
    assert!(reply.content.is_ok());
    assert!(cloud.api.get("pods/default/web").is_some(), "only the old one was meant");

    // Where a node is connected is said once a session: another instance has the last word.
    let mut node = cloud.api.get("nodes//e1").expect("the node");
    node["metadata"]["annotations"]["cloudcore"] = "192.0.2.9".into();
    cloud.api.put("nodes//e1", node);
    edge.until("update", "null/node/e1").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(cloud.api.get("nodes//e1").expect("the node")["metadata"]["annotations"]["cloudcore"], "192.0.2.9");
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_of_v1_9_reports_in_its_own_way() {
    let cloud = Cloud::start(FakeApi::new()).await;
    let mut edge = cloud.join("e1").await.connect(cloud.addresses.websocket, None).await;
    let (reply, _) = edge.ask("insert", "default/nodestatus/e1", edge_node()).await;
    assert_eq!((reply.route.resource.as_str(), reply.content.is_ok()), ("default/node/e1", true));
    let status = json!({"UID": "x", "Status": {"phase": "Running", "conditions": []}});
    let status = Content::json(&status).expect("JSON");
    let (reply, _) = edge.ask("update", "default/nodestatus/e1", status).await;
    assert_eq!((reply.route.resource.as_str(), reply.content.is_ok()), ("default/node/e1", true));
    assert!(reply.header.resource_version.is_some());
    assert_eq!(cloud.api.get("nodes//e1").expect("the node")["status"]["phase"], "Running");

    let web = cloud.api.put("pods/default/web", pod("e1"));
    edge.until("insert", "default/pod/web").await;
    let report = |name: &str, uid: &Value| json!({"Name": name, "UID": uid, "Status": {"phase": "Running"}});
    let report = Content::json(&report("web", &web["metadata"]["uid"])).expect("JSON");
    let (reply, _) = edge.ask("update", "default/podstatus/web", report).await;
    assert!(reply.content.is_ok());
    assert_eq!(cloud.api.get("pods/default/web").expect("the pod")["status"]["phase"], "Running");

    // A pod that the cluster does not know any more is to be forgotten, by its UID.
    let report = Content::json(&json!([{"Name": "old", "UID": "gone", "Status": {}}])).expect("JSON");
    let (reply, others) = edge.ask("update", "default/podstatus", report).await;
    assert!(reply.content.is_ok());
    let forget = match others.into_iter().find(|message| message.route.operation.as_str() == "delete") {
        Some(message) => message,
        None => edge.until("delete", "default/pod/old").await,
    };
    assert_eq!(content(&forget)["metadata"]["uid"], "gone");
    cloud.stop().await;
}

/// Resident memory of this process, KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("reads");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures memory: run alone"]
async fn idle_sessions_are_small() {
    const NODES: usize = 400;
    let api = FakeApi::new();
    let (ready, started) = oneshot::channel();
    let stop = CancellationToken::new();
    let mut lives = JoinSet::new();
    let settings = CloudCoreSettings { node_limit: 10_000, keepalive: Duration::from_hours(1), ..settings() };
    lives.spawn(cloudcore::run(settings, api.client(), ready, stop.clone()));
    let addresses = started.await.expect("ready");
    let cloud = Cloud { api, addresses, stop, lives };
    let mut enrolled = Vec::new();
    for n in 0..NODES {
        // The enrolment limit is 10 a second in the long run.
        if n >= 80 {
            tokio::time::sleep(Duration::from_millis(101)).await;
        }
        enrolled.push(cloud.join(&format!("e{n}")).await);
    }
    let before = resident();
    let mut edges = Vec::new();
    for node in &enrolled {
        edges.push(node.connect(cloud.addresses.websocket, None).await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let both = (resident() - before) / NODES;
    println!("RSS before {before} KiB, per connection (cloud and test client together) {both} KiB");
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let addr = taken.local_addr().expect("an address");
    let (ready, _started) = oneshot::channel();
    let settings = CloudCoreSettings { https: addr, ..settings() };
    let outcome = cloudcore::run(settings, FakeApi::new().client(), ready, CancellationToken::new()).await;
    match outcome {
        Err(CloudCoreError::Listen { addr: named, source, .. }) => {
            assert_eq!(named, addr);
            assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
        }
        other => panic!("{other:?}"),
    }
}
