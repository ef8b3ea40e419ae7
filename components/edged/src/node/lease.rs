//! Renews the node's lease while the cloud is connected, at once after a reconnect. Source: spec 08 §13.4, spec 02 §7.4.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{NodeView, retry_delay};
use crate::doors::{KubeApi, KubeApiError, Settings};

/// Where node leases live.
const NAMESPACE: &str = "kube-node-lease";
/// Immediate tries of one renewal.
const TRIES: u32 = 5;

/// Keeps one lease alive.
pub struct Renewer {
    api: Arc<dyn KubeApi>,
    node_name: String,
    duration: Duration,
    view: watch::Receiver<NodeView>,
    lease: Option<Lease>,
}

impl Renewer {
    /// For the node of `settings`; the Node itself is taken from `view` once it is registered.
    pub fn new(settings: &Settings, api: Arc<dyn KubeApi>, view: watch::Receiver<NodeView>) -> Self {
        let (node_name, duration) = (settings.node_name.clone(), settings.node_lease_duration);
        Self { api, node_name, duration, view, lease: None }
    }

    /// Renews every quarter of the lease's duration until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut connected = self.api.connected();
        let mut failures = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                ended = connected.wait_for(|up| *up) => if ended.is_err() { return },
            }
            let Some(node) = self.registered(&stop).await else { return };
            let started = Instant::now();
            let next = match self.renew(&node).await {
                Ok(()) => {
                    failures = 0;
                    started + self.duration / 4
                }
                Err(error) => {
                    warn!(node = self.node_name, error = %error, "node lease not renewed");
                    failures += 1;
                    started + retry_delay(failures)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
                // Away now: do not wait for the timer when the cloud is back.
                _ = connected.wait_for(|up| !*up) => {}
            }
        }
    }

    /// The Node that owns the lease; without it a lease would never be collected.
    async fn registered(&mut self, stop: &CancellationToken) -> Option<Arc<Node>> {
        tokio::select! {
            () = stop.cancelled() => None,
            found = self.view.wait_for(|view| view.node.is_some()) => found.ok()?.node.clone(),
        }
    }

    async fn renew(&mut self, node: &Node) -> Result<(), KubeApiError> {
        let mut last = KubeApiError::NotConnected;
        for _ in 0..TRIES {
            let answer = match self.lease.take() {
                Some(known) => self.api.update_lease(&self.renewed(known, node)).await,
                None => match self.api.lease(NAMESPACE, &self.node_name).await {
                    Ok(found) => self.api.update_lease(&self.renewed(found, node)).await,
                    Err(KubeApiError::NotFound { .. }) => {
                        self.api.create_lease(&self.renewed(Lease::default(), node)).await
                    }
                    Err(error) => Err(error),
                },
            };
            match answer {
                Ok(lease) => {
                    self.lease = Some(lease);
                    return Ok(());
                }
                Err(KubeApiError::NotConnected) => return Err(KubeApiError::NotConnected),
                // Another copy is newer, it is gone, or it came into being meanwhile: look again.
                Err(error) => {
                    debug!(node = self.node_name, error = %error, "node lease asked for again");
                    last = error;
                }
            }
        }
        Err(last)
    }

    fn renewed(&self, lease: Lease, node: &Node) -> Lease {
        let owner = OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: self.node_name.clone(),
            uid: node.metadata.uid.clone().unwrap_or_default(),
            block_owner_deletion: None,
            controller: None,
        };
        let metadata = ObjectMeta {
            name: Some(self.node_name.clone()),
            namespace: Some(NAMESPACE.to_owned()),
            owner_references: Some(vec![owner]),
            ..lease.metadata
        };
        let spec = LeaseSpec {
            holder_identity: Some(self.node_name.clone()),
            lease_duration_seconds: Some(i32::try_from(self.duration.as_secs()).unwrap_or(40)),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..lease.spec.unwrap_or_default()
        };
        Lease { metadata, spec: Some(spec) }
    }
}
