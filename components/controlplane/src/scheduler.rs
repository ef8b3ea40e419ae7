//! Finds a node for every pod that has none. Level-triggered: state comes from the store, decisions from pure code.
//!
//! One task owns a small view of all nodes and pods ([`facts`]); after every change it places what is pending. A pod
//! that fits nowhere gets the condition `PodScheduled=False` with the reason, and is tried again when a node or what is
//! used of one changes. Source: spec 10 §11, filters and LeastAllocated only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub mod facts;
pub mod fit;

use crate::apiserver::api::{Api, WriteContext};
use crate::apiserver::meta;
use crate::apiserver::ops::bind::set_condition;
use crate::apiserver::ops::strategy::Part;
use crate::apiserver::status::ApiError;
use crate::feed::{Feed, Seen};
use facts::{NodeFacts, PodFacts};
use fit::Used;

/// Who the scheduler is.
const IDENTITY: &str = "system:kube-scheduler";
/// How soon a placement that failed for another reason than the nodes is tried again.
const RETRY: Duration = Duration::from_secs(1);

type PodKey = (String, String);

/// What the scheduler knows.
#[derive(Default)]
struct View {
    nodes: BTreeMap<String, NodeFacts>,
    used: BTreeMap<String, Used>,
    pods: BTreeMap<PodKey, PodFacts>,
    /// Without a node, to be tried now.
    pending: BTreeSet<PodKey>,
    /// Without a node, tried in vain; back to `pending` when nodes or their use change.
    waiting: BTreeSet<PodKey>,
}

/// Places pods until `stop`.
pub async fn run(api: Arc<Api>, stop: CancellationToken) {
    let mut nodes = Feed::new(&api, "", "nodes");
    let mut pods = Feed::new(&api, "", "pods");
    let mut view = View::default();
    let (mut nodes_known, mut pods_known) = (false, false);
    loop {
        let retry = !view.pending.is_empty();
        tokio::select! {
            () = stop.cancelled() => return,
            seen = nodes.next() => view.node(seen, &mut nodes_known),
            seen = pods.next() => view.pod(seen, &mut pods_known),
            () = tokio::time::sleep(RETRY), if retry => {}
        }
        // Whatever else is known by now belongs to the same decision.
        while let Ok(seen) = tokio::time::timeout(Duration::ZERO, nodes.next()).await {
            view.node(seen, &mut nodes_known);
        }
        while let Ok(seen) = tokio::time::timeout(Duration::ZERO, pods.next()).await {
            view.pod(seen, &mut pods_known);
        }
        if nodes_known && pods_known {
            view.place(&api).await;
        }
    }
}

impl View {
    fn node(&mut self, seen: Seen, known: &mut bool) {
        match seen {
            Seen::Reset => {
                *known = false;
                self.nodes.clear();
            }
            Seen::Listed => *known = true,
            Seen::Object { name, body, .. } => match facts::node(&body) {
                // Heartbeats change nothing that matters here.
                Ok(node) if self.nodes.get(&name) == Some(&node) => return,
                Ok(node) => {
                    self.nodes.insert(name, node);
                }
                Err(error) => warn!(node = name, error = %error, "stored node is not readable"),
            },
            Seen::Gone { name, .. } => {
                self.nodes.remove(&name);
            }
        }
        self.retry_waiting();
    }

    fn pod(&mut self, seen: Seen, known: &mut bool) {
        match seen {
            Seen::Reset => {
                *known = false;
                *self = Self { nodes: std::mem::take(&mut self.nodes), ..Self::default() };
            }
            Seen::Listed => *known = true,
            Seen::Object { ns, name, body } => match facts::pod(&body) {
                Ok(pod) => self.remember((ns, name), pod),
                Err(error) => warn!(pod = name, namespace = ns, error = %error, "stored pod is not readable"),
            },
            Seen::Gone { ns, name, .. } => self.forget(&(ns, name)),
        }
    }

    fn remember(&mut self, key: PodKey, pod: PodFacts) {
        if self.pods.get(&key) == Some(&pod) {
            // A status report, or our own condition come back: nothing that a placement depends on.
            return;
        }
        self.forget(&key);
        if !pod.node.is_empty() && pod.active {
            let used = self.used.entry(pod.node.clone()).or_default();
            facts::add(&mut used.amounts, &pod.requests);
            for port in &pod.host_ports {
                *used.host_ports.entry(port.clone()).or_default() += 1;
            }
        } else if pod.wants_node {
            self.pending.insert(key.clone());
        }
        if pod.wants_node || (!pod.node.is_empty() && pod.active) {
            self.pods.insert(key, pod);
        }
    }

    fn forget(&mut self, key: &PodKey) {
        self.pending.remove(key);
        self.waiting.remove(key);
        let Some(pod) = self.pods.remove(key) else { return };
        if pod.node.is_empty() {
            return;
        }
        if let Some(used) = self.used.get_mut(&pod.node) {
            for (resource, amount) in &pod.requests {
                if let Some(total) = used.amounts.get_mut(resource) {
                    *total = total.saturating_sub(*amount);
                }
            }
            for port in &pod.host_ports {
                if let Some(holders) = used.host_ports.get_mut(port) {
                    *holders -= 1;
                }
            }
            used.host_ports.retain(|_, holders| *holders > 0);
        }
        self.retry_waiting();
    }

    fn retry_waiting(&mut self) {
        self.pending.append(&mut self.waiting);
    }

    async fn place(&mut self, api: &Api) {
        let mut order: Vec<PodKey> = self.pending.iter().cloned().collect();
        order.sort_by_key(|key| std::cmp::Reverse(self.pods.get(key).map_or(0, |pod| pod.priority)));
        for key in order {
            let Some(pod) = self.pods.get(&key).cloned() else { continue };
            let outcome = match self.choose(&pod) {
                Ok(node) => match bind(api, &key, &node).await {
                    Ok(()) => {
                        // Assumed until the store says the same.
                        self.remember(key.clone(), PodFacts { node, wants_node: false, ..pod });
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                Err(why) => {
                    self.pending.remove(&key);
                    self.waiting.insert(key.clone());
                    refuse(api, &key, &why).await
                }
            };
            match outcome {
                Ok(()) => {}
                Err(error) if error.code == 404 => self.forget(&key),
                Err(error) => {
                    debug!(pod = key.1, namespace = key.0, error = %error, "pod not placed");
                    self.waiting.remove(&key);
                    self.pending.insert(key);
                }
            }
        }
    }

    fn choose(&self, pod: &PodFacts) -> Result<String, String> {
        let nothing = Used::default();
        let mut best: Option<(i64, &String)> = None;
        let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
        for (name, node) in &self.nodes {
            let used = self.used.get(name).unwrap_or(&nothing);
            let against = fit::refusals(pod, node, used);
            if against.is_empty() {
                let score = fit::score(pod, node, used);
                if best.is_none_or(|(highest, _)| score > highest) {
                    best = Some((score, name));
                }
            }
            for reason in against {
                *refusals.entry(reason).or_default() += 1;
            }
        }
        best.map(|(_, name)| name.clone()).ok_or_else(|| fit::explain(self.nodes.len(), &refusals))
    }
}

async fn bind(api: &Api, key: &PodKey, node: &str) -> Result<(), ApiError> {
    let target = api.builtin("", "pods", &key.0, &key.1).await?;
    let binding = json!({"target": {"kind": "Node", "name": node}});
    api.bind(&WriteContext::in_process(IDENTITY), &target, &binding).await.map(|_| ())
}

async fn refuse(api: &Api, key: &PodKey, why: &str) -> Result<(), ApiError> {
    let target = api.builtin("", "pods", &key.0, &key.1).await?;
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why,
        "lastTransitionTime": meta::time(Timestamp::now())});
    api.change(&WriteContext::in_process(IDENTITY), &target, Part::Whole, |pod| {
        let mut pod = pod.clone();
        if pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
            set_condition(&mut pod, condition.clone());
        }
        Ok(pod)
    })
    .await
    .map(|_| ())
}
