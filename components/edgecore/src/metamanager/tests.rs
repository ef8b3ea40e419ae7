//! MetaManager against the recorded traffic of a real cloud, and against what the recordings do not show.
//!
//! `vectors/downstream-*.jsonl` hold what the Go cloud pushed to the Go edge (releases 1.23 and 1.9.5) and how that edge
//! acknowledged it; `vectors/calls-v1.23.jsonl` one request of each kind with its answer and acknowledgement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use edged::doors::{KubeApi, KubeApiError, ObjectKind};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::Node;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tempfile::TempDir;
use wire::message::{Content, Message};
use wire::operation::Operation;

use super::store::StoreThreads;
use super::*;
use crate::edgehub::uplink::Lanes;

const DOWNSTREAM: &str = include_str!("vectors/downstream-v1.23.jsonl");
const DOWNSTREAM_V1_9: &str = include_str!("vectors/downstream-v1.9.jsonl");
const CALLS: &str = include_str!("vectors/calls-v1.23.jsonl");

struct Bench {
    meta: MetaManager,
    threads: StoreThreads,
    uplink: Uplink,
    dir: TempDir,
}

/// The cloud's end of one link.
struct Cloud {
    lanes: Arc<Lanes>,
    answers: mpsc::Receiver<Message>,
}

impl Bench {
    async fn new() -> Self {
        Self::in_dir(TempDir::new().expect("a directory")).await
    }

    async fn in_dir(dir: TempDir) -> Self {
        let (store, threads) = Store::open(dir.path().join("edge.db")).expect("opens");
        let uplink = Uplink::new();
        let settings =
            MetaManagerSettings { node_name: "go-edge".into(), remote_query_timeout: Duration::from_mins(1) };
        let clock = WallClock::from_fn(|| "2026-11-20T22:30:00Z".parse().expect("a date"));
        let meta = MetaManager::new(settings, store, uplink.clone(), clock).await.expect("reads the database");
        Self { meta, threads, uplink, dir }
    }

    /// Power off and on again.
    async fn restart(self) -> Self {
        let Self { meta, threads, dir, .. } = self;
        drop(meta);
        threads.join();
        Self::in_dir(dir).await
    }

    async fn push(&self, cloud: &Cloud, message: Message) {
        self.meta.take(vec![Delivery { message, link: Arc::clone(&cloud.lanes) }]).await;
    }

    async fn row(&self, key: &str) -> Option<String> {
        self.meta.store.get(key.to_owned()).await.expect("reads")
    }
}

impl Cloud {
    fn new(id: u64) -> Self {
        let (lanes, answers) = Lanes::new(id);
        Self { lanes, answers }
    }

    /// Takes the next request and answers it with `content`.
    async fn answer(&self, content: Content) -> Message {
        let request = self.lanes.next_request(|| std::future::ready(())).await;
        let mut reply = request.response(content, 0);
        reply.route.source = "edgecontroller".into();
        reply.route.group = "resource".into();
        assert!(self.lanes.deliver(reply).is_none(), "the caller waits");
        request
    }

    fn ack(&mut self) -> Option<Message> {
        self.answers.try_recv().ok()
    }
}

fn content(json: &Value) -> Content {
    Content::json(json).expect("JSON")
}

fn push(operation: Operation, resource: &str, json: &Value) -> Message {
    Message::new("edgecontroller", "resource", operation, resource, content(json), 0)
}

fn decode(raw: &RawValue) -> Message {
    Message::decode(raw.get().as_bytes()).expect("a recorded message")
}

#[derive(Deserialize)]
struct Recorded<'a> {
    dir: &'a str,
    #[serde(borrow)]
    message: &'a RawValue,
}

#[tokio::test]
async fn recorded_pushes_are_stored_and_acknowledged_as_by_the_peer() {
    let bench = Bench::new().await;
    let mut expected = replay(&bench, DOWNSTREAM).await;
    let node = expected.remove("null/node/go-edge").expect("the node was pushed");
    assert_eq!(bench.meta.node.newest("go-edge").as_deref(), Some(node.as_str()));
    assert!(bench.row("null/node/go-edge").await.is_some());
    check_rows(&bench, &expected).await;
}

#[tokio::test]
async fn so_are_those_of_a_cloud_of_release_1_9() {
    let bench = Bench::new().await;
    let expected = replay(&bench, DOWNSTREAM_V1_9).await;
    check_rows(&bench, &expected).await;
}

/// Plays a recording, compares every acknowledgement, and returns what should be stored in the end.
async fn replay(bench: &Bench, recording: &str) -> BTreeMap<String, String> {
    let mut cloud = Cloud::new(1);
    let mut expected = BTreeMap::new();
    let mut pushes = BTreeMap::new();
    let mut acknowledged = 0;
    for line in recording.lines() {
        let recorded: Recorded = serde_json::from_str(line).expect("a line");
        let message = decode(recorded.message);
        if recorded.dir == "s2c" {
            match message.route.operation {
                Operation::Delete => expected.remove(&message.route.resource),
                _ => expected.insert(message.route.resource.clone(), message.content.get().to_owned()),
            };
            bench.push(&cloud, message.clone()).await;
            let ours = cloud.ack();
            pushes.insert(message.header.id, ours);
        } else {
            let parent = message.header.parent_id.clone().expect("an ack has a parent");
            let ours = pushes.remove(&parent).expect("pushed before").expect("acknowledged by us too");
            assert_eq!(ours.route, message.route, "line {line}");
            assert_eq!(ours.content.get(), message.content.get());
            assert_eq!(ours.header.parent_id, message.header.parent_id);
            acknowledged += 1;
        }
    }
    assert!(acknowledged > 3, "{acknowledged}");
    assert!(pushes.values().all(Option::is_none), "nothing is acknowledged that the peer left alone");
    assert!(cloud.ack().is_none());
    expected
}

async fn check_rows(bench: &Bench, expected: &BTreeMap<String, String>) {
    for (key, value) in expected {
        assert_eq!(bench.row(key).await.as_deref(), Some(value.as_str()), "{key}");
    }
    let pods = bench.meta.store.list("pod").await.expect("lists");
    let kept: Vec<_> = expected.keys().filter(|key| key.contains("/pod/")).collect();
    assert_eq!(pods.iter().map(|(key, _)| key).collect::<Vec<_>>(), kept);
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    request: &'a RawValue,
    #[serde(borrow)]
    answer: &'a RawValue,
    #[serde(borrow)]
    ack: Option<&'a RawValue>,
}

#[tokio::test]
async fn recorded_calls_look_the_same_and_are_acknowledged_as_by_the_peer() {
    let bench = Bench::new().await;
    for (number, line) in (0..).zip(CALLS.lines()) {
        let call: Call = serde_json::from_str(line).expect("a line");
        let (request, answer) = (decode(call.request), decode(call.answer));
        let mut cloud = Cloud::new(number);
        let standing = bench.uplink.stand(Arc::clone(&cloud.lanes));
        let name = request.route.resource.rsplit('/').next().unwrap_or_default().to_owned();
        let namespace = request.route.resource.split('/').next().unwrap_or_default().to_owned();
        let body = request.content.data().into_owned();
        let patch = || serde_json::from_str(&body).expect("a patch");
        let api = &bench.meta;
        let calling = async {
            let kind = request.route.resource.split('/').nth(1).unwrap_or_default();
            match (request.route.operation.as_str(), kind) {
                ("insert", "node") => api.create_node(&patch_as(&body)).await.map(|_| ()),
                ("patch", "nodepatch") => api.patch_node_status(&name, patch()).await.map(|_| ()),
                ("patch", "podpatch") => api.patch_pod_status(&namespace, &name, patch()).await.map(|_| ()),
                ("query", "lease") => api.lease(&namespace, &name).await.map(|_| ()),
                ("insert", "lease") => api.create_lease(&patch_as(&body)).await.map(|_| ()),
                ("update", "lease") => api.update_lease(&patch_as(&body)).await.map(|_| ()),
                ("query", "configmap") => api.config_map(&namespace, &name).await.map(|_| ()),
                ("query", "secret") => api.secret(&namespace, &name).await.map(|_| ()),
                ("query", "serviceaccounttoken") => {
                    // The peer sends an empty status with the request.
                    let mut body: Value = patch();
                    body.as_object_mut().expect("an object").remove("status");
                    api.service_account_token(&namespace, &name, patch_as(&body.to_string())).await.map(|_| ())
                }
                ("delete", "pod") => {
                    let options: Value = patch();
                    let uid = options["preconditions"]["uid"].as_str().expect("a precondition");
                    api.delete_pod(&namespace, &name, uid).await
                }
                other => panic!("{other:?}"),
            }
        };
        let (outcome, ours) = tokio::join!(calling, cloud.answer(answer.content.clone()));
        assert_eq!(ours.route, request.route);
        if request.content.get().starts_with('"') || request.route.operation == Operation::Delete {
            assert_eq!(same(&ours.content), same(&request.content));
        }
        let refused = answer.content.get().contains("ErrStatus");
        assert_eq!(outcome.is_err(), refused, "{outcome:?} for {line}");
        assert_eq!(cloud.ack().is_some(), call.ack.is_some(), "acknowledgement of {line}");
        assert!(cloud.ack().is_none());
        drop(standing);
    }
    assert_eq!(bench.meta.store.list("lease").await.expect("lists"), [], "leases never reach the disk");
    assert_eq!(bench.meta.store.list("podpatch").await.expect("lists"), [], "an acknowledged patch is not kept");
}

fn patch_as<T: serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("an object")
}

fn same(content: &Content) -> Value {
    serde_json::from_str(&content.data()).expect("JSON")
}

fn config_map(version: &str) -> Value {
    serde_json::json!({"kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {"name": "web", "namespace": "prod", "uid": "c", "resourceVersion": version}, "data": {"k": version}})
}

#[tokio::test]
async fn a_fetched_configmap_is_there_after_a_restart_without_cloud() {
    let bench = Bench::new().await;
    assert!(matches!(bench.meta.config_map("prod", "web").await, Err(KubeApiError::NotConnected)));
    let mut cloud = Cloud::new(1);
    let standing = bench.uplink.stand(Arc::clone(&cloud.lanes));
    let (found, _) = tokio::join!(bench.meta.config_map("prod", "web"), cloud.answer(content(&config_map("1"))));
    assert_eq!(found.expect("found").metadata.uid.as_deref(), Some("c"));
    assert!(cloud.ack().is_some());
    drop(standing);

    let bench = bench.restart().await;
    assert_eq!(bench.meta.config_map("prod", "web").await.expect("stored").metadata.uid.as_deref(), Some("c"));

    let mut changes = bench.meta.changes();
    let cloud = Cloud::new(2);
    bench.push(&cloud, push(Operation::Update, "prod/configmap/web", &config_map("2"))).await;
    let change = changes.try_recv().expect("the agent hears of it");
    assert_eq!((change.kind, change.namespace.as_str(), change.name.as_str()), (ObjectKind::ConfigMap, "prod", "web"));
    bench.push(&cloud, push(Operation::Update, "prod/configmap/web", &config_map("2"))).await;
    assert!(changes.try_recv().is_err(), "the same version again is no change");
}

#[tokio::test]
async fn a_missing_secret_is_not_found_and_leaves_nothing_behind() {
    let bench = Bench::new().await;
    let cloud = Cloud::new(1);
    let _standing = bench.uplink.stand(Arc::clone(&cloud.lanes));
    let missing = wire::reply::ApiStatus::not_found("secret", "tls").to_content();
    let (answer, _) = tokio::join!(bench.meta.secret("prod", "tls"), cloud.answer(missing));
    assert!(matches!(answer, Err(KubeApiError::NotFound { message }) if message == "secret \"tls\" not found"));
    assert_eq!(bench.row("prod/secret/tls").await, None);
}

#[tokio::test]
async fn a_row_poisoned_by_a_peer_counts_as_absent() {
    let bench = Bench::new().await;
    let poison = keys::object_row("prod/secret/tls", r#"{"ErrStatus":{"reason":"NotFound","code":404}}"#, false);
    bench.meta.store.write(vec![Write::Put(poison)]).await.expect("commits");
    assert!(matches!(bench.meta.secret("prod", "tls").await, Err(KubeApiError::NotConnected)));
}

fn node(version: u32, ready: &str) -> Value {
    serde_json::json!({"kind": "Node", "apiVersion": "v1",
        "metadata": {"name": "go-edge", "uid": "n", "resourceVersion": version.to_string()},
        "status": {"conditions": [{"type": "Ready", "status": ready,
            "lastHeartbeatTime": format!("2026-11-20T22:{:02}:00Z", version % 60)}]}})
}

fn ready(node: &Node) -> Option<String> {
    Some(node.status.as_ref()?.conditions.as_ref()?.first()?.status.clone())
}

#[tokio::test]
async fn a_node_that_only_breathes_writes_nothing() {
    let bench = Bench::new().await;
    let mut cloud = Cloud::new(1);
    bench.push(&cloud, push(Operation::Update, "null/node/go-edge", &node(1, "True"))).await;
    assert!(cloud.ack().is_some());
    let log = bench.dir.path().join("edge.db-wal");
    let before = std::fs::metadata(&log).expect("a log").len();
    for version in 2..60 {
        bench.push(&cloud, push(Operation::Update, "null/node/go-edge", &node(version, "True"))).await;
        assert!(cloud.ack().is_some(), "but every version is acknowledged");
    }
    assert_eq!(std::fs::metadata(&log).expect("a log").len(), before);
    let newest = bench.meta.node("go-edge").await.expect("known");
    assert_eq!(newest.metadata.resource_version.as_deref(), Some("59"));

    bench.push(&cloud, push(Operation::Update, "null/node/go-edge", &node(60, "Unknown"))).await;
    assert!(std::fs::metadata(&log).expect("a log").len() > before);
    let bench = bench.restart().await;
    assert_eq!(ready(&bench.meta.node("go-edge").await.expect("stored")).as_deref(), Some("Unknown"));
}

#[tokio::test]
async fn after_a_reconnect_the_node_is_what_the_cloud_says_it_is() {
    let bench = Bench::new().await;
    let cloud = Cloud::new(1);
    bench.push(&cloud, push(Operation::Update, "null/node/go-edge", &node(1, "True"))).await;

    let cloud = Cloud::new(2);
    let _standing = bench.uplink.stand(Arc::clone(&cloud.lanes));
    let (node_now, request) = tokio::join!(bench.meta.node("go-edge"), cloud.answer(content(&node(5, "Unknown"))));
    assert_eq!(request.route.operation, Operation::Query);
    assert_eq!(ready(&node_now.expect("answered")).as_deref(), Some("Unknown"));
    // Asked once a link: this would wait for ever otherwise.
    assert_eq!(ready(&bench.meta.node("go-edge").await.expect("known")).as_deref(), Some("Unknown"));
}

#[tokio::test]
async fn a_node_deleted_in_the_cluster_is_reported_so_that_it_registers_again() {
    let bench = Bench::new().await;
    let cloud = Cloud::new(1);
    bench.push(&cloud, push(Operation::Update, "null/node/go-edge", &node(1, "True"))).await;
    let cloud = Cloud::new(2);
    let _standing = bench.uplink.stand(Arc::clone(&cloud.lanes));
    let gone = wire::reply::ApiStatus::not_found("nodes", "go-edge").to_content();
    let (answer, _) = tokio::join!(bench.meta.node("go-edge"), cloud.answer(gone));
    assert!(matches!(answer, Err(KubeApiError::NotFound { .. })));
    assert_eq!(bench.row("null/node/go-edge").await, None);
}

fn token_request(uid: &str) -> TokenRequest {
    patch_as(
        &serde_json::json!({"spec": {"audiences": [], "expirationSeconds": 3607,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web-0", "uid": uid}}})
        .to_string(),
    )
}

fn issued(uid: &str, expires: &str) -> Value {
    serde_json::json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {"creationTimestamp": null},
        "spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": 3607,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web-0", "uid": uid}},
        "status": {"token": "jwt", "expirationTimestamp": expires}})
}

#[tokio::test]
async fn a_token_is_found_again_offline_and_only_by_its_pod() {
    let bench = Bench::new().await;
    let cloud = Cloud::new(1);
    let standing = bench.uplink.stand(Arc::clone(&cloud.lanes));
    let expired = issued("mine", "2026-11-20T22:00:00Z"); // half an hour ago
    let (token, _) = tokio::join!(
        bench.meta.service_account_token("prod", "sa", token_request("mine")),
        cloud.answer(content(&expired))
    );
    assert_eq!(token.expect("issued").status.expect("status").token, "jwt");
    drop(standing);

    let bench = bench.restart().await;
    let again = bench.meta.service_account_token("prod", "sa", token_request("mine")).await;
    assert!(again.is_ok(), "even an expired token beats none while the cloud is away");
    let other = bench.meta.service_account_token("prod", "sa", token_request("another")).await;
    assert!(matches!(other, Err(KubeApiError::NotConnected)));
    bench.meta.forget_tokens("mine").await;
    assert!(bench.meta.service_account_token("prod", "sa", token_request("mine")).await.is_err());
}

#[tokio::test]
async fn a_status_that_did_not_get_out_is_kept_until_one_does() {
    let bench = Bench::new().await;
    let patch = serde_json::json!({"metadata": {"uid": "u"}, "status": {"phase": "Running"}});
    let offline = bench.meta.patch_pod_status("n", "a", patch.clone()).await;
    assert!(matches!(offline, Err(KubeApiError::NotConnected)));
    assert_eq!(bench.row("n/podpatch/a").await, Some(patch.to_string()));

    let mut cloud = Cloud::new(1);
    let _standing = bench.uplink.stand(Arc::clone(&cloud.lanes));
    let pod = serde_json::json!({"metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "2"}});
    let mut stored = pod.clone();
    stored["metadata"]["resourceVersion"] = "1".into();
    bench.push(&cloud, push(Operation::Update, "n/pod/a", &stored)).await;
    assert!(cloud.ack().is_some());
    let reply = content(&serde_json::json!({"Object": pod, "Err": null}));
    let (sent, request) = tokio::join!(bench.meta.patch_pod_status("n", "a", patch.clone()), cloud.answer(reply));
    assert_eq!(sent.expect("patched").metadata.resource_version.as_deref(), Some("2"));
    assert_eq!(request.content.data(), patch.to_string(), "the patch travels as a string");
    assert_eq!(bench.row("n/podpatch/a").await, None);
    let row: Value = patch_as(&bench.row("n/pod/a").await.expect("the pod row"));
    assert_eq!((row["kind"].as_str(), row["apiVersion"].as_str()), (Some("Pod"), Some("v1")));
    assert!(cloud.ack().is_none());
}

#[tokio::test]
async fn the_answer_to_a_status_does_not_bring_back_a_deleted_pod() {
    let bench = Bench::new().await;
    let cloud = Cloud::new(1);
    let _standing = bench.uplink.stand(Arc::clone(&cloud.lanes));
    let pod = |uid: &str| serde_json::json!({"metadata": {"name": "a", "namespace": "n", "uid": uid, "resourceVersion": "1"}});
    bench.push(&cloud, push(Operation::Update, "n/pod/a", &pod("u"))).await;
    let reply = content(&serde_json::json!({"Object": pod("u"), "Err": null}));
    let patch = serde_json::json!({"metadata": {"uid": "u"}, "status": {}});
    let deleted_first = async {
        let request = cloud.lanes.next_request(|| std::future::ready(())).await;
        bench.push(&cloud, push(Operation::Delete, "n/pod/a", &pod("u"))).await;
        assert!(cloud.lanes.deliver(request.response(reply, 0)).is_none());
    };
    let (sent, ()) = tokio::join!(bench.meta.patch_pod_status("n", "a", patch), deleted_first);
    assert!(sent.is_ok());
    assert_eq!(bench.row("n/pod/a").await, None);
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_and_not_acknowledged() {
    let bench = Bench::new().await;
    let breaker = rusqlite::Connection::open(bench.dir.path().join("edge.db")).expect("opens");
    breaker
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON meta WHEN NEW.key LIKE '%bad' BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
        .expect("a trigger");
    let mut cloud = Cloud::new(1);
    let batch = ["n/configmap/good", "n/configmap/bad", "n/configmap/other"].map(|resource| Delivery {
        message: push(Operation::Update, resource, &config_map("1")),
        link: Arc::clone(&cloud.lanes),
    });
    bench.meta.take(batch.into()).await;
    let answers: Vec<_> = std::iter::from_fn(|| cloud.ack()).map(|ack| ack.route.operation).collect();
    assert_eq!(answers, [Operation::Response, Operation::Error, Operation::Response]);
    assert!(bench.row("n/configmap/other").await.is_some());
}
