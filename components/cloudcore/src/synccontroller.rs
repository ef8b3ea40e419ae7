//! SyncController: the records of what nodes acknowledged, kept in step with what exists. Source: spec 01 §8.
//!
//! Delivery itself needs no scan here: a connect and every change are computed from state. What is left is a slow
//! safety pass over connected nodes (it also looks after kinds nobody watches), and removing records whose node is
//! gone for good.

pub mod recorder;
pub mod records;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::edgecontroller::EdgeController;
use crate::synccontroller::recorder::Recorder;

/// Time between looks for records of departed nodes.
pub const GARBAGE_INTERVAL: Duration = Duration::from_mins(1);
/// How long a node must be gone before its records go. An edge that was away when its Node was deleted still has its
/// pods: when it registers again within this time, it gets the deletes it missed.
pub const GARBAGE_GRACE: Duration = Duration::from_hours(30 * 24);
/// Time between safety passes.
pub const SAFETY_INTERVAL: Duration = Duration::from_mins(5);
/// Pause between two nodes of a safety pass, so that it never is a stampede.
const SAFETY_STRIDE: Duration = Duration::from_millis(20);

/// See the module's text.
pub struct SyncController {
    controller: Arc<EdgeController>,
    recorder: Arc<Recorder>,
}

impl SyncController {
    /// Works on the cluster state of `controller`.
    pub fn new(controller: Arc<EdgeController>, recorder: Arc<Recorder>) -> Self {
        Self { controller, recorder }
    }

    /// Runs both passes until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = async {
                self.controller.synced().await;
                tokio::join!(self.safety(), self.garbage());
            } => {}
        }
    }

    async fn safety(&self) {
        loop {
            tokio::time::sleep(SAFETY_INTERVAL).await;
            for node in self.controller.ask(crate::edgecontroller::cluster::Cluster::connected_nodes) {
                self.controller.decide(|cluster| cluster.plan(&node));
                tokio::time::sleep(SAFETY_STRIDE).await;
            }
        }
    }

    async fn garbage(&self) {
        let mut departed = Departed::default();
        loop {
            let owners = self.controller.ask(crate::edgecontroller::cluster::Cluster::record_owners);
            for node in departed.look(owners, Instant::now()) {
                self.forget(&node).await;
            }
            tokio::time::sleep(GARBAGE_INTERVAL).await;
        }
    }

    async fn forget(&self, node: &str) {
        let records = self.controller.ask(|cluster| cluster.records_of(node));
        info!(node, records = records.len(), "removing the records of a departed node");
        for (uid, record) in records {
            if let Err(error) = self.recorder.delete(node, &uid, &record.key).await {
                warn!(node, resource = %record.key, error = %crate::chain(&error), "record not removed; trying again later");
                return;
            }
            self.controller.decide(|cluster| {
                cluster.record_gone(node, &uid);
                Vec::new()
            });
        }
    }
}

/// Since when nodes with records have been gone.
#[derive(Debug, Default)]
struct Departed(HashMap<Arc<str>, Instant>);

impl Departed {
    /// Takes in which record owners are alive; returns those gone for longer than the grace period.
    fn look(&mut self, owners: Vec<(Arc<str>, bool)>, now: Instant) -> Vec<Arc<str>> {
        let gone: Vec<Arc<str>> = owners.into_iter().filter(|(_, alive)| !alive).map(|(node, _)| node).collect();
        self.0.retain(|node, _| gone.contains(node));
        gone.into_iter()
            .filter(|node| now.duration_since(*self.0.entry(node.clone()).or_insert(now)) >= GARBAGE_GRACE)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_outlive_their_node_for_the_grace_period() {
        let (mut departed, start) = (Departed::default(), Instant::now());
        let owners = |alive| vec![(Arc::from("e1"), alive)];
        assert!(departed.look(owners(false), start).is_empty());
        assert!(departed.look(owners(true), start + GARBAGE_GRACE / 2).is_empty(), "it came back");
        assert!(departed.look(owners(false), start + GARBAGE_GRACE).is_empty(), "a new absence");
        assert_eq!(departed.look(owners(false), start + GARBAGE_GRACE * 2), [Arc::from("e1")]);
    }
}
