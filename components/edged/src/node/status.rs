//! Registers the node and reports its status when it changes, and now and then when it does not.
//!
//! Source: spec 08 §13.1, §13.4, spec 02 §7.1.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::object::{self, Ingredients};
use super::patch::{self, Extent};
use super::{NodeView, RuntimeInfo, retry_delay};
use crate::doors::{KubeApi, KubeApiError, Settings};
use crate::host::{HostFacts, NodeSize, addresses};

/// How long a registration waits for a runtime that has not answered yet, so that the node is born Ready.
pub const RUNTIME_WAIT: Duration = Duration::from_millis(300);

/// Reports one node.
pub struct Reporter {
    settings: Arc<Settings>,
    api: Arc<dyn KubeApi>,
    runtime: watch::Receiver<Option<RuntimeInfo>>,
    view: Arc<watch::Sender<NodeView>>,
    host: HostFacts,
    /// The Node as last read or answered; `None` until it is known to exist.
    node: Option<Node>,
    last_report: Option<Instant>,
    /// What the API did not take although it acknowledged it (a field it does not know): not worth a patch of its own.
    refused: Option<Value>,
}

impl Reporter {
    /// What it needs; nothing is asked yet.
    pub fn new(
        settings: Arc<Settings>,
        api: Arc<dyn KubeApi>,
        runtime: watch::Receiver<Option<RuntimeInfo>>,
        view: Arc<watch::Sender<NodeView>>,
    ) -> Self {
        Self { settings, api, runtime, view, host: HostFacts::read(), node: None, last_report: None, refused: None }
    }

    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.report_forever() => {}
        }
    }

    async fn report_forever(&mut self) {
        let mut connected = self.api.connected();
        // What others wrote while the link was down is not in our copy.
        let mut after_outage = true;
        let mut failures = 0;
        self.refresh_view().await;
        let up = self.runtime.wait_for(Option::is_some);
        let _ = tokio::time::timeout(RUNTIME_WAIT, up).await;
        loop {
            self.runtime.mark_unchanged();
            self.refresh_view().await;
            let mut wait = self.settings.node_status_update_frequency;
            if *connected.borrow_and_update() {
                match self.report(after_outage).await {
                    Ok(()) => {
                        after_outage = false;
                        failures = 0;
                    }
                    Err(error) => {
                        warn!(node = self.settings.node_name, error = %error, "node status not reported");
                        failures += 1;
                        wait = retry_delay(failures);
                    }
                }
            }
            let changed = tokio::select! {
                () = tokio::time::sleep(wait) => Ok(()),
                changed = self.runtime.changed() => changed,
                changed = connected.changed() => {
                    // Down, up, or both since the last look.
                    after_outage = true;
                    failures = 0;
                    changed
                }
            };
            if changed.is_err() {
                return; // the agent is going down
            }
        }
    }

    /// One report: registers if need be, then patches if there is something to say.
    async fn report(&mut self, after_outage: bool) -> Result<(), KubeApiError> {
        let (known, created) = match self.known().await? {
            Some(known) => (known, false),
            None => self.register().await?,
        };
        let extent = if created {
            // A server that takes no status with a new Node gets it right away.
            Extent::Changes
        } else if after_outage {
            Extent::Conditions
        } else if self.last_report.is_none_or(|last| last.elapsed() >= self.settings.node_status_report_frequency) {
            Extent::Heartbeat
        } else {
            Extent::Changes
        };
        let patch = self.difference(&known, extent);
        let quiet =
            |patch: &Value| extent == Extent::Changes && self.refused.as_ref() == Some(&patch::substance(patch));
        let Some(patch) = patch.filter(|patch| !quiet(patch)) else {
            self.learn(known);
            return Ok(());
        };
        match self.api.patch_node_status(&self.settings.node_name, patch).await {
            Ok(answer) => {
                self.last_report = Some(Instant::now());
                self.refused = self.difference(&answer, Extent::Changes).as_ref().map(patch::substance);
                self.learn(answer);
                Ok(())
            }
            Err(KubeApiError::NotFound { .. }) => {
                info!(node = self.settings.node_name, "node is gone from the API, registering it again");
                self.register().await.map(|_| ())
            }
            Err(error) => Err(error),
        }
    }

    /// The Node as the API has it, as far as this side of the link knows.
    async fn known(&mut self) -> Result<Option<Node>, KubeApiError> {
        match self.api.node(&self.settings.node_name).await {
            Ok(node) => Ok(Some(node)),
            Err(KubeApiError::NotFound { .. }) => Ok(None),
            Err(error) => {
                debug!(node = self.settings.node_name, error = %error, "node not read");
                // A node that was never seen may not exist: registering finds out.
                Ok(self.node.clone())
            }
        }
    }

    /// Creates the Node, or finds the one that exists already; says which.
    async fn register(&mut self) -> Result<(Node, bool), KubeApiError> {
        if !self.settings.register_node {
            let message = "waiting for the node to be registered by others".to_owned();
            return Err(KubeApiError::NotFound { message });
        }
        let node = {
            let runtime = self.runtime.borrow();
            let ips = self.view.borrow().ips.clone();
            object::node(self.ingredients(runtime.as_ref(), &ips))
        };
        match self.api.create_node(&node).await {
            Ok(created) => {
                info!(node = self.settings.node_name, "node registered");
                self.last_report = Some(Instant::now());
                self.learn(created.clone());
                Ok((created, true))
            }
            Err(KubeApiError::AlreadyExists | KubeApiError::Forbidden { .. }) => {
                Ok((self.api.node(&self.settings.node_name).await?, false))
            }
            Err(error) => Err(error),
        }
    }

    /// What is to be sent to somebody who knows `known`.
    fn difference(&self, known: &Node, extent: Extent) -> Option<Value> {
        let runtime = self.runtime.borrow();
        let ips = self.view.borrow().ips.clone();
        let of = self.ingredients(runtime.as_ref(), &ips);
        let status = object::status(of, known.status.as_ref());
        let labels = object::default_labels(&self.settings, &self.host);
        let annotations = object::default_annotations(&self.settings);
        patch::between(known, &status, &labels, &annotations, extent)
    }

    fn ingredients<'a>(&'a self, runtime: Option<&'a RuntimeInfo>, ips: &'a [std::net::IpAddr]) -> Ingredients<'a> {
        let size = NodeSize::new(&self.host, &self.settings);
        Ingredients { settings: &self.settings, host: &self.host, size, ips, runtime, now: Timestamp::now() }
    }

    fn learn(&mut self, node: Node) {
        let shared = Arc::new(node.clone());
        self.view.send_if_modified(|view| {
            let news = view.node.as_ref() != Some(&shared);
            view.node = Some(shared);
            news
        });
        self.node = Some(node);
    }

    /// Addresses may change while the agent runs; the rest of the view is what the machine is.
    async fn refresh_view(&mut self) {
        let known = self.view.borrow().ips.clone();
        let local = addresses::local();
        let still_there = !known.is_empty() && known.iter().all(|ip| local.iter().any(|l| l.ip == *ip));
        let ips = if still_there { known } else { addresses::node_ips(&self.settings).await };
        let resources = NodeSize::new(&self.host, &self.settings).allocatable;
        self.view.send_if_modified(|view| {
            let ips = if ips.is_empty() { view.ips.clone() } else { ips };
            let news = view.ips != ips || view.resources != resources;
            view.ips = ips;
            view.resources = resources;
            news
        });
    }
}
