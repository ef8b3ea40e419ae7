//! What an API server is to the agent, made of maps: pods go in as updates, statuses come back as patches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use edged::doors::{KubeApi, KubeApiError, POD_UPDATES_CAPACITY, PodUpdate};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

/// The state of the fake cloud.
#[derive(Default)]
pub struct State {
    /// Pods by UID.
    pub pods: BTreeMap<String, Value>,
    /// ConfigMaps by name.
    pub config_maps: BTreeMap<String, ConfigMap>,
    /// Every accepted status patch, in order.
    pub patches: Vec<Value>,
    /// UIDs whose deletion was confirmed.
    pub confirmed: Vec<String>,
    updates: Option<mpsc::Sender<PodUpdate>>,
}

/// The fake cloud.
pub struct Cloud {
    state: Mutex<State>,
    /// Whether it can be reached.
    pub link: watch::Sender<bool>,
}

impl Cloud {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::default()), link: watch::Sender::new(true) })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A new connection of an agent: it is told the whole set first.
    pub fn connect(&self) -> mpsc::Receiver<PodUpdate> {
        let (sender, receiver) = mpsc::channel(POD_UPDATES_CAPACITY);
        let mut state = self.state();
        let pods = state.pods.values().map(|pod| serde_json::from_value(pod.clone()).unwrap()).collect();
        sender.try_send(PodUpdate::Set(pods)).unwrap();
        state.updates = Some(sender);
        receiver
    }

    fn tell(&self, update: PodUpdate) {
        if let Some(updates) = &self.state().updates {
            let _ = updates.try_send(update);
        }
    }

    /// Creates or changes a pod.
    pub fn put(&self, pod: Value) {
        let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
        self.state().pods.insert(uid, pod.clone());
        self.tell(PodUpdate::Upsert(Box::new(serde_json::from_value(pod).unwrap())));
    }

    /// `kubectl delete`: a deletion timestamp and a grace period.
    pub fn delete(&self, uid: &str, grace: i64) {
        let mut pod = self.state().pods[uid].clone();
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        self.put(pod);
    }

    /// The pod object is gone at once.
    pub fn force_delete(&self, uid: &str) {
        self.state().pods.remove(uid);
        self.tell(PodUpdate::Remove { uid: uid.to_owned() });
    }

    /// The status of a pod as the API has it, `Null` if the pod is gone.
    pub fn status(&self, uid: &str) -> Value {
        self.state().pods.get(uid).map_or(Value::Null, |pod| pod["status"].clone())
    }

    /// Status of the only container of a pod.
    pub fn container(&self, uid: &str) -> Value {
        self.status(uid)["containerStatuses"][0].clone()
    }

    fn online(&self) -> Result<(), KubeApiError> {
        if *self.link.borrow() { Ok(()) } else { Err(KubeApiError::NotConnected) }
    }
}

fn not_found(what: &str) -> KubeApiError {
    KubeApiError::NotFound { message: format!("{what} not found") }
}

/// Strategic merge, as far as pod statuses need it.
fn merge(status: &mut Value, patch: &Value) {
    for (key, value) in patch.as_object().unwrap() {
        if key.starts_with('$') {
            continue;
        }
        match (key.as_str(), value) {
            (_, Value::Null) => {
                status.as_object_mut().unwrap().remove(key);
            }
            ("conditions" | "podIPs" | "hostIPs", Value::Array(changed)) => {
                let merge_key = if key == "conditions" { "type" } else { "ip" };
                let list = status.as_object_mut().unwrap().entry(key).or_insert(json!([]));
                let list = list.as_array_mut().unwrap();
                for entry in changed {
                    let same = |old: &Value| old[merge_key] == entry[merge_key];
                    if entry.get("$patch").is_some() {
                        list.retain(|old| !same(old));
                    } else if let Some(old) = list.iter_mut().find(|old| same(old)) {
                        merge(old, entry);
                    } else {
                        let mut new = json!({});
                        merge(&mut new, entry);
                        list.push(new);
                    }
                }
            }
            _ => status[key] = value.clone(),
        }
    }
}

#[async_trait]
impl KubeApi for Cloud {
    async fn config_map(&self, _namespace: &str, name: &str) -> Result<ConfigMap, KubeApiError> {
        self.state().config_maps.get(name).cloned().ok_or_else(|| not_found(&format!("configmap \"{name}\"")))
    }

    async fn secret(&self, _namespace: &str, name: &str) -> Result<Secret, KubeApiError> {
        Err(not_found(&format!("secret \"{name}\"")))
    }

    async fn service_account_token(
        &self,
        _namespace: &str,
        name: &str,
        _request: TokenRequest,
    ) -> Result<TokenRequest, KubeApiError> {
        Err(not_found(&format!("serviceaccount \"{name}\"")))
    }

    async fn forget_tokens(&self, _pod_uid: &str) {}

    async fn create_node(&self, _node: &Node) -> Result<Node, KubeApiError> {
        Err(KubeApiError::NotConnected)
    }

    async fn node(&self, name: &str) -> Result<Node, KubeApiError> {
        Err(not_found(&format!("node \"{name}\"")))
    }

    async fn patch_node_status(&self, _name: &str, _patch: Value) -> Result<Node, KubeApiError> {
        Err(KubeApiError::NotConnected)
    }

    async fn patch_pod_status(&self, _namespace: &str, _name: &str, patch: Value) -> Result<Pod, KubeApiError> {
        self.online()?;
        let mut state = self.state();
        let uid = patch["metadata"]["uid"].as_str().unwrap();
        let pod = state.pods.get_mut(uid).ok_or_else(|| not_found("pod"))?;
        if pod["status"].is_null() {
            pod["status"] = json!({});
        }
        merge(&mut pod["status"], &patch["status"]);
        let pod = serde_json::from_value(pod.clone()).unwrap();
        state.patches.push(patch);
        Ok(pod)
    }

    async fn delete_pod(&self, _namespace: &str, _name: &str, uid: &str) -> Result<(), KubeApiError> {
        self.online()?;
        self.state().confirmed.push(uid.to_owned());
        self.force_delete(uid);
        Ok(())
    }

    async fn lease(&self, _namespace: &str, _name: &str) -> Result<Lease, KubeApiError> {
        Err(not_found("lease"))
    }

    async fn create_lease(&self, _lease: &Lease) -> Result<Lease, KubeApiError> {
        Err(KubeApiError::NotConnected)
    }

    async fn update_lease(&self, _lease: &Lease) -> Result<Lease, KubeApiError> {
        Err(KubeApiError::NotConnected)
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.link.subscribe()
    }
}
