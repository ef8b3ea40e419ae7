//! The Node object: registration, status, lease.
//!
//! Two loops that share the registered Node: [`status`] registers and reports changes, [`lease`] renews the lease.
//! Both rest while the cloud is away and act at once when it is back; pods need neither.
//! Source: spec 08 §13, spec 02 §7.

pub mod lease;
pub mod object;
pub mod patch;
pub mod status;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeRuntimeHandler};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::doors::{KubeApi, Settings};
use crate::facts::NodeResources;
use crate::host::{HostFacts, NodeSize};

/// What the container runtime says about itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuntimeInfo {
    /// `containerd`, `cri-o`, ….
    pub name: String,
    /// Its version, without a leading `v`.
    pub version: String,
    /// Why pods cannot run, in the kubelet's words (`container runtime is down`, `container runtime network not
    /// ready: …`); empty: they can.
    pub problems: Vec<String>,
    /// RuntimeClass handlers.
    pub handlers: Vec<NodeRuntimeHandler>,
}

/// What the rest of the agent wants to know about the node.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeView {
    /// Addresses, primary first; pods report the first one of each family as `hostIPs`.
    pub ips: Vec<IpAddr>,
    /// What pods may have.
    pub resources: NodeResources,
    /// The Node as the API knows it, once it is registered (or known from before).
    pub node: Option<Arc<Node>>,
}

/// The view before anything was asked: resources are known, addresses and the Node object are not.
pub fn local_view(settings: &Settings) -> NodeView {
    let resources = NodeSize::new(&HostFacts::read(), settings).allocatable;
    NodeView { resources, ..NodeView::default() }
}

/// Runs until `stop`. `runtime` is `None` until the runtime has been asked; `view` gets what the agent may use.
///
/// The Node is registered as soon as the cloud is connected and the runtime has answered (or has not for
/// [`status::RUNTIME_WAIT`]). A Node that somebody deletes is created again.
pub async fn run(
    settings: Arc<Settings>,
    api: Arc<dyn KubeApi>,
    runtime: watch::Receiver<Option<RuntimeInfo>>,
    view: watch::Sender<NodeView>,
    stop: CancellationToken,
) {
    let view = Arc::new(view);
    let reporter = status::Reporter::new(Arc::clone(&settings), Arc::clone(&api), runtime, Arc::clone(&view));
    let renewer = lease::Renewer::new(&settings, api, view.subscribe());
    tokio::join!(reporter.run(stop.clone()), renewer.run(stop));
}

/// Waits for the next time: 100 ms, doubling up to 7 s. Source: spec 02 §7.1.
fn retry_delay(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.min(7)).min(Duration::from_secs(7))
}

#[cfg(test)]
mod tests;
