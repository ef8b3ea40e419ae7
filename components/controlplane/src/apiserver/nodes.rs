//! The way to nodes for logs, exec and the like: who knows it is asked, nobody is guessed. Source: spec 10 §9.
//!
//! The API server speaks the kubelet's HTTP interface over a byte stream that somebody else opens; with KubeEdge that is
//! cloudcore, which owns the tunnels to the edges. Nothing here dials.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{api::Api, meta, status::ApiError};

/// Port of the kubelet interface of nodes that name none.
const KUBELET_PORT: u16 = 10250;

/// A byte stream to a node.
pub trait NodeStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> NodeStream for T {}

/// The node a stream is wanted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeTarget {
    /// Node name.
    pub name: String,
    /// Its InternalIP, Hostname or ExternalIP, in this order; empty when it reports none.
    pub address: String,
    /// Port of its kubelet interface.
    pub port: u16,
}

/// An open stream and the `Host` its requests carry; KubeEdge's stream server finds the tunnel by it.
pub struct NodeLink {
    /// The bytes.
    pub stream: Box<dyn NodeStream>,
    /// `address:port` of the node.
    pub host: String,
}

/// Why there is no stream.
#[derive(Debug, Error)]
pub enum NodeRouteError {
    /// The node has no tunnel.
    #[error("node {name:?} is offline")]
    Offline {
        /// Node name.
        name: String,
        /// When the last tunnel ended, if there was one.
        since: Option<Timestamp>,
    },
    /// Opening the stream failed.
    #[error("no stream to node {name:?}")]
    Failed {
        /// Node name.
        name: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Opens streams to nodes.
#[async_trait]
pub trait NodeRoutes: Send + Sync + 'static {
    /// A stream on which the node's kubelet interface answers HTTP/1.1; encryption, if any, is inside the route.
    async fn connect(&self, node: &NodeTarget) -> Result<Box<dyn NodeStream>, NodeRouteError>;
}

/// Whoever knows the way at the moment.
#[derive(Default)]
pub struct NodeRouter {
    routes: RwLock<Option<Arc<dyn NodeRoutes>>>,
}

impl NodeRouter {
    /// From now on `routes` are asked; `None` when nobody knows the way any more.
    pub fn set(&self, routes: Option<Arc<dyn NodeRoutes>>) {
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    fn current(&self) -> Option<Arc<dyn NodeRoutes>> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Api {
    /// Opens a stream to a node; `port` overrides what the node reports.
    ///
    /// # Errors
    /// 404 for an unknown node, 503 when nobody can reach it.
    pub async fn node_stream(&self, name: &str, port: Option<u16>) -> Result<NodeLink, ApiError> {
        let node = self.get(&self.builtin("", "nodes", "", name).await?).await?.value()?;
        let unavailable = |text: String| ApiError::new(503, "ServiceUnavailable", text);
        let Some(routes) = self.routes.current() else {
            return Err(unavailable("no route to nodes is set up".into()));
        };
        let target = target_of(&node, port);
        let stream = routes.connect(&target).await.map_err(|error| {
            unavailable(match &error {
                NodeRouteError::Offline { name, since: Some(since) } => {
                    format!("edge node {name:?} is offline (no tunnel since {})", meta::time(*since))
                }
                NodeRouteError::Offline { name, since: None } => format!("edge node {name:?} is offline (no tunnel)"),
                NodeRouteError::Failed { source, .. } => format!("{error}: {source}"),
            })
        })?;
        let host = if target.address.is_empty() { &target.name } else { &target.address };
        Ok(NodeLink { stream, host: format!("{host}:{}", target.port) })
    }
}

fn target_of(node: &Value, port: Option<u16>) -> NodeTarget {
    let addresses = node["status"]["addresses"].as_array();
    let of = |kind: &str| {
        let found = addresses.into_iter().flatten().find(|address| address["type"] == kind);
        found.and_then(|address| address["address"].as_str())
    };
    let address = of("InternalIP").or_else(|| of("Hostname")).or_else(|| of("ExternalIP")).unwrap_or_default();
    let reported = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64();
    let reported = reported.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    NodeTarget {
        name: meta::name(node).to_owned(),
        address: address.to_owned(),
        port: port.or(reported).unwrap_or(KUBELET_PORT),
    }
}
