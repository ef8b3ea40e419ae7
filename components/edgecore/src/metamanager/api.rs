//! The agent's "API server": local first, then the cloud. Source: spec 02 §6, §7, spec 08 §2.3.

mod answers;

use std::time::Duration;

use async_trait::async_trait;
use edged::doors::{KubeApi, KubeApiError};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tracing::{debug, warn};
use wire::message::{Content, Message};
use wire::operation::Operation;
use wire::reply::{Answer, ApiStatus};
use wire::resource::{ResourceKind, ResourceRef};

use self::answers::{api_failed, call_failed, json_content, object_of, patch_content, read_object, typed, unreadable};
use super::node::Novelty;
use super::store::{ObjectVersion, Row, Write};
use super::{MetaManager, keys, tokens};
use crate::edgehub::uplink::Delivery;

/// How long the own Node may be asked for after a reconnect, before the copy on the disk has to do.
const NODE_QUERY_DEADLINE: Duration = Duration::from_secs(5);

/// Whether the cloud expects the edge to acknowledge the answer, as the peers do. Source: spec 01 §6.5.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Acknowledge {
    Yes,
    No,
}

impl MetaManager {
    /// Asks the cloud.
    async fn ask(
        &self,
        operation: Operation,
        resource: &ResourceRef,
        content: Content,
        deadline: Duration,
    ) -> Result<Delivery, KubeApiError> {
        let now = self.clock.unix_millis();
        let request = Message::new("edged", "meta", operation, resource.to_string(), content, now);
        self.uplink.call(request, deadline).await.map_err(call_failed)
    }

    async fn acknowledge(&self, reply: &Delivery) {
        reply.link.answer(reply.message.ack(self.clock.unix_millis())).await;
    }

    /// A write through the cloud that answers with the resulting object.
    async fn write_remote(
        &self,
        operation: Operation,
        resource: &ResourceRef,
        content: Content,
        acknowledge: Acknowledge,
    ) -> Result<(Box<RawValue>, Delivery), KubeApiError> {
        let reply = self.ask(operation, resource, content, self.settings.remote_query_timeout).await?;
        let object = object_of(&reply.message);
        if acknowledge == Acknowledge::Yes && object.is_err() {
            self.acknowledge(&reply).await;
        }
        Ok((object?, reply))
    }

    /// Commits what an answer holds; a failure is told to the log, the caller has its object nevertheless.
    async fn keep(&self, row: Row) -> bool {
        let key = row.key.clone();
        match self.store.write(vec![Write::Put(row)]).await {
            Ok(_) => true,
            Err(error) => {
                warn!(resource = key, %error, "cannot store an answer of the cloud");
                false
            }
        }
    }

    /// Keeps a Node that an answer brought. Returns whether it may be acknowledged.
    async fn keep_node(&self, name: &str, object: &str, link: u64) -> bool {
        let resource = ResourceRef::cluster(ResourceKind::Node, name);
        let json = typed(object, "Node", "v1");
        if self.node.judge(name, &json) == Novelty::Skip {
            self.node.keep(name, &json, false, Some(link));
            return true;
        }
        let kept = self.keep(keys::object_row(&resource.to_string(), &json, true)).await;
        self.node.keep(name, &json, kept, Some(link));
        kept
    }

    /// An object from the database, or from the cloud.
    async fn object<T: DeserializeOwned>(&self, resource: &ResourceRef) -> Result<T, KubeApiError> {
        let key = resource.to_string();
        let stored = self.store.get(key.clone()).await.unwrap_or_else(|error| {
            warn!(resource = key, %error, "cannot read the database");
            None
        });
        if let Some(object) = stored.as_deref().and_then(read_object) {
            return Ok(object);
        }
        let deadline = self.settings.remote_query_timeout;
        let reply = self.ask(Operation::Query, resource, Content::null(), deadline).await?;
        let object = match object_of(&reply.message) {
            Ok(object) => object,
            Err(error) => {
                self.acknowledge(&reply).await;
                return Err(error);
            }
        };
        let parsed = read_object(object.get()).ok_or_else(|| unreadable(resource));
        if parsed.is_err() || self.keep(keys::object_row(&key, object.get(), false)).await {
            self.acknowledge(&reply).await;
        }
        parsed
    }

    /// The own Node as the cloud has it now: one question a link.
    async fn refresh_node(&self, name: &str) -> Result<(), KubeApiError> {
        let resource = ResourceRef::cluster(ResourceKind::Node, name);
        let reply = self.ask(Operation::Query, &resource, Content::null(), NODE_QUERY_DEADLINE).await?;
        let outcome = match object_of(&reply.message) {
            Ok(object) => {
                self.keep_node(name, object.get(), reply.link.id()).await;
                Ok(())
            }
            Err(error) => {
                if matches!(error, KubeApiError::NotFound { .. }) {
                    self.forget_node(&resource, name).await;
                }
                Err(error)
            }
        };
        self.acknowledge(&reply).await;
        outcome
    }

    async fn forget_node(&self, resource: &ResourceRef, name: &str) {
        let generic_key = keys::deleted_generic_key(resource, "");
        let gone = Write::Remove { key: resource.to_string(), generic_key };
        if let Err(error) = self.store.write(vec![gone]).await {
            warn!(resource = %resource, %error, "cannot forget a deleted node");
        }
        self.node.forget(name);
    }

    async fn lease_call(
        &self,
        operation: Operation,
        resource: &ResourceRef,
        content: Content,
    ) -> Result<Lease, KubeApiError> {
        // Leases stay in memory: a node that only breathes does not wear out the disk.
        let (object, reply) = self.write_remote(operation, resource, content, Acknowledge::Yes).await?;
        self.acknowledge(&reply).await;
        serde_json::from_str(object.get()).map_err(|_| unreadable(resource))
    }

    /// Keeps a status that did not reach the cloud beside its pod, where offline readers find it.
    async fn keep_patch(&self, pod: &ResourceRef, patch: String) {
        let row = Row {
            key: keys::pod_patch_key(pod),
            kind: ResourceKind::PodPatch.as_str().to_owned(),
            value: patch,
            version: ObjectVersion::default(),
            generic: None,
        };
        self.keep(row).await;
    }

    /// A token from the database whatever its age, for when the cloud cannot issue one.
    async fn stored_token(&self, namespace: &str, name: &str, request: &TokenRequest) -> Option<TokenRequest> {
        let rows = self.store.list(tokens::KIND).await.unwrap_or_default();
        let key = tokens::key(namespace, name, &request.spec);
        let exact = rows.iter().find(|(stored, _)| *stored == key).and_then(|(_, json)| tokens::read(json));
        exact.or_else(|| tokens::best_match(&rows, namespace, name, &request.spec))
    }
}

#[async_trait]
impl KubeApi for MetaManager {
    async fn config_map(&self, namespace: &str, name: &str) -> Result<ConfigMap, KubeApiError> {
        self.object(&ResourceRef::namespaced(namespace, ResourceKind::ConfigMap, name)).await
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Secret, KubeApiError> {
        self.object(&ResourceRef::namespaced(namespace, ResourceKind::Secret, name)).await
    }

    async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        request: TokenRequest,
    ) -> Result<TokenRequest, KubeApiError> {
        let key = tokens::key(namespace, name, &request.spec);
        let stored = self.store.get(key.clone()).await.ok().flatten().as_deref().and_then(tokens::read);
        if let Some(token) = stored.filter(|token| tokens::is_fresh(token, self.clock.now())) {
            return Ok(token);
        }
        let resource = ResourceRef::namespaced(namespace, ResourceKind::ServiceAccountToken, name);
        let deadline = self.settings.remote_query_timeout;
        let asked = match self.ask(Operation::Query, &resource, json_content(&request)?, deadline).await {
            Ok(reply) => {
                let issued = object_of(&reply.message).and_then(|object| {
                    tokens::read(object.get()).map(|token| (token, object)).ok_or(unreadable(&resource))
                });
                match issued {
                    Ok((token, object)) => {
                        let row = Row {
                            key,
                            kind: tokens::KIND.to_owned(),
                            value: object.get().to_owned(),
                            version: ObjectVersion::default(),
                            generic: None,
                        };
                        if self.keep(row).await {
                            self.acknowledge(&reply).await;
                        }
                        return Ok(token);
                    }
                    Err(error) => {
                        self.acknowledge(&reply).await;
                        error
                    }
                }
            }
            Err(error) => error,
        };
        if !asked.is_retryable() {
            return Err(asked); // the cluster says no: the pod or its service account is gone
        }
        self.stored_token(namespace, name, &request).await.ok_or(asked)
    }

    async fn forget_tokens(&self, pod_uid: &str) {
        let gone = Write::RemoveTokens { pod_uid: pod_uid.to_owned() };
        if let Err(error) = self.store.write(vec![gone]).await {
            warn!(pod.uid = pod_uid, %error, "cannot forget the tokens of a pod");
        }
    }

    async fn create_node(&self, node: &Node) -> Result<Node, KubeApiError> {
        let name = node.metadata.name.as_deref().unwrap_or(&self.settings.node_name);
        let resource = ResourceRef::cluster(ResourceKind::Node, name);
        let content = json_content(node)?;
        let (object, reply) = self.write_remote(Operation::Insert, &resource, content, Acknowledge::Yes).await?;
        if self.keep_node(name, object.get(), reply.link.id()).await {
            self.acknowledge(&reply).await;
        }
        read_object(object.get()).ok_or_else(|| unreadable(&resource))
    }

    async fn node(&self, name: &str) -> Result<Node, KubeApiError> {
        let mut refreshed = Ok(());
        if let Some(link) = self.uplink.link()
            && !self.node.is_from_link(name, link)
        {
            refreshed = self.refresh_node(name).await;
            if let Err(error @ KubeApiError::NotFound { .. }) = refreshed {
                return Err(error);
            }
            debug!(resource = name, fresh = refreshed.is_ok(), "asked for the own node after a reconnect");
        }
        if let Some(node) = self.node.newest(name).as_deref().and_then(read_object) {
            return Ok(node);
        }
        refreshed?;
        let resource = ResourceRef::cluster(ResourceKind::Node, name);
        let stored = self.store.get(resource.to_string()).await.ok().flatten();
        match stored.as_deref().and_then(read_object) {
            Some(node) => Ok(node),
            None if self.uplink.link().is_none() => Err(KubeApiError::NotConnected),
            None => Err(KubeApiError::NotFound { message: format!("nodes \"{name}\" not found") }),
        }
    }

    async fn patch_node_status(&self, name: &str, patch: Value) -> Result<Node, KubeApiError> {
        let resource = ResourceRef::cluster(ResourceKind::NodePatch, name);
        let content = patch_content(&patch)?;
        let (object, reply) = self.write_remote(Operation::Patch, &resource, content, Acknowledge::No).await?;
        self.keep_node(name, object.get(), reply.link.id()).await;
        read_object(object.get()).ok_or_else(|| unreadable(&resource))
    }

    async fn patch_pod_status(&self, namespace: &str, name: &str, patch: Value) -> Result<Pod, KubeApiError> {
        let pod = ResourceRef::namespaced(namespace, ResourceKind::Pod, name);
        let resource = pod.with_kind(ResourceKind::PodPatch);
        let content = patch_content(&patch)?;
        match self.write_remote(Operation::Patch, &resource, content, Acknowledge::No).await {
            Ok((object, _)) => {
                let json = typed(object.get(), "Pod", "v1");
                let row = keys::object_row(&pod.to_string(), &json, true);
                let refresh = Write::Refresh { row, patch_key: keys::pod_patch_key(&pod) };
                if let Err(error) = self.store.write(vec![refresh]).await {
                    warn!(resource = %pod, %error, "cannot store an answer of the cloud");
                }
                read_object(&json).ok_or_else(|| unreadable(&resource))
            }
            Err(error) => {
                if matches!(error, KubeApiError::NotConnected) {
                    self.keep_patch(&pod, patch.to_string()).await;
                }
                Err(error)
            }
        }
    }

    async fn delete_pod(&self, namespace: &str, name: &str, uid: &str) -> Result<(), KubeApiError> {
        let resource = ResourceRef::namespaced(namespace, ResourceKind::Pod, name);
        let options = serde_json::json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}});
        let content = json_content(&options)?;
        let reply = self.ask(Operation::Delete, &resource, content, self.settings.remote_query_timeout).await?;
        match Answer::read(&reply.message.content) {
            // 404, 409: gone already, or another pod of that name. What was asked for is true.
            Answer::Ok | Answer::Object(_) | Answer::Failed(ApiStatus { code: 404 | 409, .. }) => Ok(()),
            Answer::Failed(status) => Err(api_failed(status)),
            Answer::List(_) => Err(unreadable(&resource)),
        }
    }

    async fn lease(&self, namespace: &str, name: &str) -> Result<Lease, KubeApiError> {
        let resource = ResourceRef::namespaced(namespace, ResourceKind::Lease, name);
        self.lease_call(Operation::Query, &resource, Content::null()).await
    }

    async fn create_lease(&self, lease: &Lease) -> Result<Lease, KubeApiError> {
        self.lease_call(Operation::Insert, &lease_resource(lease), json_content(lease)?).await
    }

    async fn update_lease(&self, lease: &Lease) -> Result<Lease, KubeApiError> {
        self.lease_call(Operation::Update, &lease_resource(lease), json_content(lease)?).await
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.uplink.connected()
    }
}

fn lease_resource(lease: &Lease) -> ResourceRef {
    let namespace = lease.metadata.namespace.as_deref().unwrap_or("kube-node-lease");
    ResourceRef::namespaced(namespace, ResourceKind::Lease, lease.metadata.name.as_deref().unwrap_or_default())
}
