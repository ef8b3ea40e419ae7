//! An API made of maps, for tests.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestStatus};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::doors::{KubeApi, KubeApiError};

/// What the fake cloud holds and what it was asked.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) config_maps: BTreeMap<String, ConfigMap>,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) node: Option<Node>,
    pub(crate) pod: Option<Pod>,
    pub(crate) lease: Option<Lease>,
    pub(crate) tokens_issued: u32,
    pub(crate) token_fails: bool,
    pub(crate) token_expires: jiff::Timestamp,
    pub(crate) calls: Vec<String>,
    pub(crate) forgotten: Vec<String>,
    pub(crate) patches: Vec<Value>,
    /// Drops `runtimeHandlers` from nodes, as servers before 1.30 do.
    pub(crate) is_old: bool,
}

pub(crate) struct FakeApi {
    pub(crate) state: Mutex<State>,
    pub(crate) link: watch::Sender<bool>,
}

impl FakeApi {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State::default()), link: watch::Sender::new(true) }
    }

    pub(crate) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Stores a ConfigMap of namespace `default`.
    pub(crate) fn put_config_map(&self, name: &str, data: &[(&str, &str)]) {
        let data: BTreeMap<_, _> = data.iter().copied().collect();
        let object = serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap();
        self.state().config_maps.insert(format!("default/{name}"), object);
    }

    /// Stores a Secret of namespace `default`.
    pub(crate) fn put_secret(&self, name: &str, data: &[(&str, &str)]) {
        let bytes = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), bytes(value))).collect();
        let object = Secret { data: Some(data), ..Secret::default() };
        self.state().secrets.insert(format!("default/{name}"), object);
    }

    fn online(&self) -> Result<(), KubeApiError> {
        if *self.link.borrow() { Ok(()) } else { Err(KubeApiError::NotConnected) }
    }
}

fn not_found(kind: &str, name: &str) -> KubeApiError {
    KubeApiError::NotFound { message: format!("{kind} \"{name}\" not found") }
}

/// A merge good enough for the node patches of these tests.
fn merge(target: &mut Value, patch: &Value) {
    let (Value::Object(target), Value::Object(patch)) = (&mut *target, patch) else { return };
    for (key, value) in patch {
        if key.starts_with('$') {
            continue;
        }
        let existing = target.entry(key.clone()).or_insert(Value::Null);
        match (key.as_str(), value, &mut *existing) {
            ("conditions", Value::Array(changed), Value::Array(current)) => {
                for condition in changed {
                    match current.iter_mut().find(|c| c["type"] == condition["type"]) {
                        Some(old) => merge(old, condition),
                        None => current.push(condition.clone()),
                    }
                }
            }
            ("addresses", Value::Array(list), _) => {
                *existing = list.iter().filter(|a| a.get("$patch").is_none()).cloned().collect();
            }
            (_, Value::Object(_), Value::Object(_)) => merge(existing, value),
            _ => *existing = value.clone(),
        }
    }
}

#[async_trait]
impl KubeApi for FakeApi {
    async fn config_map(&self, namespace: &str, name: &str) -> Result<ConfigMap, KubeApiError> {
        let found = self.state().config_maps.get(&format!("{namespace}/{name}")).cloned();
        found.ok_or_else(|| not_found("configmap", name))
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Secret, KubeApiError> {
        let found = self.state().secrets.get(&format!("{namespace}/{name}")).cloned();
        found.ok_or_else(|| not_found("secret", name))
    }

    async fn service_account_token(
        &self,
        _namespace: &str,
        name: &str,
        mut request: TokenRequest,
    ) -> Result<TokenRequest, KubeApiError> {
        let mut state = self.state();
        if state.token_fails {
            return Err(KubeApiError::NotConnected);
        }
        state.tokens_issued += 1;
        let token = format!("{name}-{}", state.tokens_issued);
        request.status = Some(TokenRequestStatus { expiration_timestamp: Time(state.token_expires), token });
        Ok(request)
    }

    async fn forget_tokens(&self, pod_uid: &str) {
        self.state().forgotten.push(pod_uid.to_owned());
    }

    async fn create_node(&self, node: &Node) -> Result<Node, KubeApiError> {
        self.online()?;
        let mut state = self.state();
        state.calls.push("create_node".to_owned());
        if state.node.is_some() {
            return Err(KubeApiError::AlreadyExists);
        }
        let mut created = node.clone();
        created.metadata.uid = Some("node-uid".to_owned());
        state.node = Some(created.clone());
        Ok(created)
    }

    async fn node(&self, name: &str) -> Result<Node, KubeApiError> {
        self.state().node.clone().ok_or_else(|| not_found("nodes", name))
    }

    async fn patch_node_status(&self, name: &str, patch: Value) -> Result<Node, KubeApiError> {
        self.online()?;
        let mut state = self.state();
        state.calls.push("patch_node_status".to_owned());
        let node = state.node.clone().ok_or_else(|| not_found("nodes", name))?;
        let mut json = serde_json::to_value(&node).unwrap();
        merge(&mut json, &patch);
        state.patches.push(patch);
        let mut patched: Node = serde_json::from_value(json).unwrap();
        if state.is_old {
            patched.status.as_mut().unwrap().runtime_handlers = None;
        }
        state.node = Some(patched.clone());
        Ok(patched)
    }

    async fn patch_pod_status(&self, _namespace: &str, name: &str, patch: Value) -> Result<Pod, KubeApiError> {
        self.online()?;
        let mut state = self.state();
        let pod = state.pod.clone().ok_or_else(|| not_found("pods", name))?;
        let mut json = serde_json::to_value(&pod).unwrap();
        merge(&mut json, &patch);
        state.patches.push(patch);
        let patched: Pod = serde_json::from_value(json).unwrap();
        state.pod = Some(patched.clone());
        Ok(patched)
    }

    async fn delete_pod(&self, _namespace: &str, _name: &str, uid: &str) -> Result<(), KubeApiError> {
        self.online()?;
        self.state().calls.push(format!("delete_pod {uid}"));
        self.state().pod = None;
        Ok(())
    }

    async fn lease(&self, _namespace: &str, name: &str) -> Result<Lease, KubeApiError> {
        self.state().lease.clone().ok_or_else(|| not_found("leases", name))
    }

    async fn create_lease(&self, lease: &Lease) -> Result<Lease, KubeApiError> {
        self.online()?;
        let mut state = self.state();
        state.calls.push("create_lease".to_owned());
        if state.lease.is_some() {
            return Err(KubeApiError::AlreadyExists);
        }
        let mut stored = lease.clone();
        stored.metadata.resource_version = Some("1".to_owned());
        state.lease = Some(stored.clone());
        Ok(stored)
    }

    async fn update_lease(&self, lease: &Lease) -> Result<Lease, KubeApiError> {
        self.online()?;
        let mut state = self.state();
        state.calls.push("update_lease".to_owned());
        let Some(current) = &state.lease else { return Err(not_found("leases", "l")) };
        if current.metadata.resource_version != lease.metadata.resource_version {
            return Err(KubeApiError::Conflict { message: "the object has been modified".to_owned() });
        }
        let mut stored = lease.clone();
        let version: u64 = lease.metadata.resource_version.as_deref().unwrap_or("0").parse().unwrap();
        stored.metadata.resource_version = Some((version + 1).to_string());
        state.lease = Some(stored.clone());
        Ok(stored)
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.link.subscribe()
    }
}
