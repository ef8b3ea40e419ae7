//! Requests of nodes: what each may ask, what the API server is asked in its name, and how the answer looks.
//! Source: spec 01 §5.10, 02 §2.2.
//!
//! Law: no request stays unanswered, and none is granted by a name that the node merely claims. The node is the
//! connection's; what belongs to it follows from the pods bound to it.

pub mod configs;
pub mod legacy;
pub mod nodes;
pub mod pods;
pub mod reply;
pub mod rights;
pub mod small;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use thiserror::Error;
use tracing::warn;
use wire::message::Message;
use wire::operation::Operation;
use wire::reply::ApiStatus;
use wire::resource::{ResourceKind, ResourceRef};

use crate::cloudhub::doors::{MessageSink, Reply};
use crate::edgecontroller::EdgeController;
use crate::kubeapi::{ApiError, KubeApi};
use crate::monitor::metrics::Metrics;

/// Why a request failed.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The node has no right to it.
    #[error("node {node} may not do this: {reason}")]
    Forbidden {
        /// Who asked.
        node: String,
        /// What speaks against it.
        reason: &'static str,
    },
    /// The content or the resource is not what the request needs.
    #[error("request is not valid: {reason}")]
    Invalid {
        /// What is missing or wrong.
        reason: &'static str,
    },
    /// Nobody handles this operation on this type.
    #[error("{operation} of {kind} is not supported")]
    Unsupported {
        /// The operation.
        operation: String,
        /// The type word.
        kind: String,
    },
    /// The API server said no, or nothing.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl RequestError {
    /// As it crosses the wire.
    pub fn status(&self) -> ApiStatus {
        let with =
            |reason: &str, code| ApiStatus { reason: reason.to_owned(), code, ..ApiStatus::internal(self.to_string()) };
        match self {
            Self::Forbidden { .. } => with("Forbidden", 403),
            Self::Invalid { .. } => with("BadRequest", 400),
            Self::Unsupported { .. } => with("MethodNotAllowed", 405),
            Self::Api(error) => error.status(),
        }
    }
}

/// One request of one node.
pub struct Request {
    /// The node, as its connection proved.
    pub node: Arc<str>,
    /// What it sent.
    pub message: Message,
    /// What it is about.
    pub resource: ResourceRef,
}

impl Request {
    /// The object's name.
    ///
    /// # Errors
    /// [`RequestError::Invalid`] when the resource has none.
    pub fn name(&self) -> Result<&str, RequestError> {
        self.resource.name.as_deref().ok_or(RequestError::Invalid { reason: "the resource has no name" })
    }

    /// The object's namespace.
    ///
    /// # Errors
    /// [`RequestError::Invalid`] when the resource is cluster-scoped.
    pub fn namespace(&self) -> Result<&str, RequestError> {
        self.resource.scope.namespace().ok_or(RequestError::Invalid { reason: "the resource has no namespace" })
    }

    /// A refusal.
    pub fn forbidden(&self, reason: &'static str) -> RequestError {
        RequestError::Forbidden { node: self.node.to_string(), reason }
    }

    /// Fails unless the name is the node's own.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn check_own_name(&self) -> Result<(), RequestError> {
        if self.name()? == &*self.node { Ok(()) } else { Err(self.forbidden("it belongs to another node")) }
    }
}

/// Answers requests; see the module's text.
pub struct Upstream {
    controller: Arc<EdgeController>,
    api: KubeApi,
    instance: String,
    /// Heartbeats of legacy node reports older than this are brought up to date, seconds.
    node_update_frequency: i64,
    metrics: Arc<Metrics>,
}

impl Upstream {
    /// `instance` is this instance's address, for the annotation of nodes it creates.
    pub fn new(
        controller: Arc<EdgeController>,
        api: KubeApi,
        instance: String,
        node_update_frequency: i64,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { controller, api, instance, node_update_frequency, metrics }
    }

    async fn answer(&self, request: &Request) -> Vec<Reply> {
        use Operation::{Delete, Insert, Patch, Query, Update};
        if let Err(error) = self.check_is_edge(request) {
            return self.refused(request, &error);
        }
        let outcome = match (&request.resource.kind, &request.message.route.operation) {
            (ResourceKind::ConfigMap | ResourceKind::Secret, Query) => self.query_config(request).await,
            (
                ResourceKind::PersistentVolume | ResourceKind::PersistentVolumeClaim | ResourceKind::VolumeAttachment,
                Query,
            ) => self.query_storage(request).await,
            (ResourceKind::ServiceAccountToken, Query) => self.query_token(request).await,
            (ResourceKind::Node, Query) => self.query_node(request).await,
            (ResourceKind::Node, Insert) => self.insert_node(request).await,
            (ResourceKind::Node, Update) => self.update_node(request).await,
            (ResourceKind::NodePatch, _) => self.patch_node_status(request).await,
            (ResourceKind::NodeStatus, Insert) => self.insert_legacy_node(request).await,
            (ResourceKind::NodeStatus, Update) => self.update_legacy_node_status(request).await,
            (ResourceKind::PodPatch, _) => self.patch_pod_status(request).await,
            (ResourceKind::Pod, Insert) => self.insert_mirror_pod(request).await,
            (ResourceKind::Pod, Delete) => self.delete_pod(request).await,
            (ResourceKind::PodStatus, Update) => self.update_legacy_pod_status(request).await,
            (ResourceKind::Lease, Insert | Update | Query) => self.lease(request).await,
            (ResourceKind::CertificateSigningRequest, Insert | Query) => self.signing_request(request).await,
            (ResourceKind::Event, Insert | Update | Patch) => {
                self.event(request).await;
                Ok(Vec::new())
            }
            (kind, operation) => Err(RequestError::Unsupported {
                operation: operation.as_str().to_owned(),
                kind: kind.as_str().to_owned(),
            }),
        };
        outcome.unwrap_or_else(|error| self.refused(request, &error))
    }

    /// A name that belongs to a node of the cluster proper is of no use to who enrolled under it.
    fn check_is_edge(&self, request: &Request) -> Result<(), RequestError> {
        let registers = matches!(request.resource.kind, ResourceKind::Node | ResourceKind::NodeStatus)
            && request.message.route.operation == Operation::Insert;
        let edge = self.controller.ask(|cluster| cluster.node(&request.node).is_none_or(|node| node.edge));
        if edge || registers { Ok(()) } else { Err(request.forbidden("its Node is not an edge node")) }
    }

    /// The answer to a request that failed, in the shape its requester reads.
    fn refused(&self, request: &Request, error: &RequestError) -> Vec<Reply> {
        if matches!(error, RequestError::Forbidden { .. }) {
            self.metrics.forbidden_requests.inc();
            warn!(node = %request.node, resource = %request.resource, error = %crate::chain(&error), "request refused");
        }
        reply::failure(request, &error.status(), unix_ms()).into_iter().map(Reply::Post).collect()
    }
}

#[async_trait]
impl MessageSink for Upstream {
    async fn accept(&self, node: &Arc<str>, message: Message) -> Vec<Reply> {
        match ResourceRef::parse(&message.route.resource) {
            Ok(resource) => self.answer(&Request { node: node.clone(), message, resource }).await,
            Err(error) => vec![Reply::Post(reply::error_text(&message, &error.to_string(), unix_ms()))],
        }
    }
}

fn unix_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
