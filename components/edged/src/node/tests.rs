//! The node as the cloud sees it, on a paused clock.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::*;
use crate::fake_api::FakeApi;

struct Lab {
    api: Arc<FakeApi>,
    runtime: watch::Sender<Option<RuntimeInfo>>,
    view: watch::Receiver<NodeView>,
    _tasks: JoinSet<()>,
}

fn ready() -> RuntimeInfo {
    RuntimeInfo { name: "containerd".to_owned(), version: "1.6.20".to_owned(), ..RuntimeInfo::default() }
}

/// Starts a node; `prepare` sets the scene first.
fn start(runtime: Option<RuntimeInfo>, prepare: impl FnOnce(&FakeApi)) -> Lab {
    let api = Arc::new(FakeApi::new());
    prepare(&api);
    // An interface without a usable address keeps these tests away from name servers.
    let settings =
        Settings { node_name: "edge-1".to_owned(), custom_interface: Some("lo".to_owned()), ..Settings::default() };
    let (runtime, runtime_info) = watch::channel(runtime);
    let (sender, view) = watch::channel(NodeView::default());
    let mut tasks = JoinSet::new();
    let shared = Arc::clone(&api) as Arc<dyn KubeApi>;
    tasks.spawn(run(Arc::new(settings), shared, runtime_info, sender, CancellationToken::new()));
    Lab { api, runtime, view, _tasks: tasks }
}

impl Lab {
    async fn after(&self, milliseconds: u64) -> Vec<String> {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        std::mem::take(&mut self.api.state().calls)
    }

    fn ready_condition(&self) -> Value {
        let node = serde_json::to_value(self.api.state().node.clone().unwrap()).unwrap();
        let conditions = node["status"]["conditions"].as_array().unwrap();
        conditions.iter().find(|c| c["type"] == "Ready").unwrap().clone()
    }

    fn last_patch(&self) -> Value {
        self.api.state().patches.last().unwrap().clone()
    }
}

fn cut(api: &FakeApi) {
    api.link.send_replace(false);
}

#[tokio::test(start_paused = true)]
async fn a_new_node_is_born_ready_and_has_a_lease_at_once() {
    let lab = start(Some(ready()), |_| {});
    assert_eq!(lab.after(1).await, ["create_node", "create_lease"]);
    assert_eq!(lab.ready_condition()["status"], "True");
    assert_eq!(lab.ready_condition()["message"], "edge is posting ready status");
    let node = lab.api.state().node.clone().unwrap();
    let labels = node.metadata.labels.unwrap();
    assert_eq!(labels["node-role.kubernetes.io/edge"], "");
    assert_eq!(labels["kubernetes.io/hostname"], "edge-1");
    let info = node.status.unwrap().node_info.unwrap();
    assert_eq!(info.container_runtime_version, "containerd://1.6.20");
    let lease = lab.api.state().lease.clone().unwrap();
    assert_eq!(lease.metadata.owner_references.unwrap()[0].uid, "node-uid");
    assert_eq!(lease.spec.unwrap().lease_duration_seconds, Some(40));
    assert!(lab.view.borrow().node.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_node_is_quiet_but_for_lease_and_heartbeat() {
    let lab = start(Some(ready()), |_| {});
    lab.after(1).await;
    assert_eq!(lab.after(60_000).await, ["update_lease"; 6]);
    let calls = lab.after(245_000).await;
    assert_eq!(calls.iter().filter(|call| *call == "patch_node_status").count(), 1);
    assert!(lab.last_patch()["status"]["conditions"][3].get("status").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_field_the_api_drops_is_not_sent_with_every_look() {
    let lab = start(None, |api| api.state().is_old = true);
    lab.after(301).await;
    let handlers = vec![k8s_openapi::api::core::v1::NodeRuntimeHandler::default()];
    lab.runtime.send_replace(Some(RuntimeInfo { handlers, ..ready() }));
    assert_eq!(lab.after(1).await, ["patch_node_status"]);
    assert_eq!(lab.after(60_000).await, ["update_lease"; 6]);
    // what somebody takes away is put back all the same
    lab.api.state().node.as_mut().unwrap().metadata.labels = None;
    lab.after(10_000).await;
    assert!(lab.last_patch()["metadata"]["labels"].is_object());
    assert_eq!(lab.after(60_000).await.iter().filter(|call| *call == "patch_node_status").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_comes_late_makes_the_node_ready_at_once() {
    let lab = start(None, |_| {});
    assert_eq!(lab.after(301).await, ["create_node", "create_lease"]);
    assert_eq!(lab.ready_condition()["message"], "container runtime is down");
    lab.runtime.send_replace(Some(ready()));
    assert_eq!(lab.after(1).await, ["patch_node_status"]);
    assert_eq!(lab.ready_condition()["status"], "True");
    let problems = vec!["container runtime network not ready".to_owned(), "x".to_owned()];
    lab.runtime.send_replace(Some(RuntimeInfo { problems, ..ready() }));
    assert_eq!(lab.after(1).await, ["patch_node_status"]);
    assert_eq!(lab.ready_condition()["message"], "[container runtime network not ready, x]");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_exists_is_brought_up_to_date() {
    let lab = start(Some(ready()), |api| {
        let node = json!({"metadata": {"name": "edge-1", "uid": "old-uid"}, "status": {"conditions": []}});
        api.state().node = Some(serde_json::from_value(node).unwrap());
    });
    assert_eq!(lab.after(1).await, ["patch_node_status", "create_lease"]);
    assert_eq!(lab.ready_condition()["status"], "True");
    assert_eq!(lab.last_patch()["metadata"]["labels"]["node-role.kubernetes.io/edge"], "");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_silent_and_ready_is_restored_with_the_first_message_after_it() {
    let lab = start(Some(ready()), |_| {});
    lab.after(1).await;
    cut(&lab.api);
    assert!(lab.after(120_000).await.is_empty());
    lab.api.link.send_replace(true);
    let mut calls = lab.after(1).await;
    calls.sort();
    assert_eq!(calls, ["patch_node_status", "update_lease"]);
    let ready = &lab.last_patch()["status"]["conditions"][3];
    assert_eq!((&ready["type"], &ready["status"]), (&json!("Ready"), &json!("True")));
}

#[tokio::test(start_paused = true)]
async fn a_node_started_offline_registers_when_the_cloud_appears() {
    let lab = start(Some(ready()), cut);
    assert!(lab.after(60_000).await.is_empty());
    lab.api.link.send_replace(true);
    assert_eq!(lab.after(1).await, ["create_node", "create_lease"]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_node_is_created_again() {
    let lab = start(Some(ready()), |_| {});
    lab.after(1).await;
    lab.api.state().node = None;
    let calls = lab.after(10_001).await;
    assert!(calls.contains(&"create_node".to_owned()), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_changed_by_others_is_read_again() {
    let lab = start(Some(ready()), |_| {});
    lab.after(1).await;
    lab.api.state().lease.as_mut().unwrap().metadata.resource_version = Some("77".to_owned());
    assert_eq!(lab.after(10_000).await, ["update_lease", "update_lease"]);
    lab.api.state().lease = None;
    assert_eq!(lab.after(10_000).await, ["update_lease", "create_lease"]);
}

#[test]
fn retries_slow_down_to_seven_seconds() {
    let delays: Vec<_> = (0..9).map(|n| retry_delay(n).as_millis()).collect();
    assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 7000, 7000]);
}
