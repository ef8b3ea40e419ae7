//! MetaManager keeps what the cloud said on the disk, and answers the agent from there.
//!
//! Two ways in: [`MetaManager::run`] takes messages from the cloud, commits what they change, tells the agent, and
//! only then acknowledges; the agent's calls ([`edged::doors::KubeApi`], in `api`) are answered from the database
//! first and from the cloud otherwise. Source: spec 02 §4 to §7.
//!
//! Absent on purpose: a queue of upstream messages. Status is computed again from present state whenever a link
//! stands, so nothing stale is ever replayed.

mod api;
pub mod keys;
pub mod node;
pub mod plan;
pub mod pods;
pub mod store;
pub mod tokens;

use std::time::Duration;

use edged::doors::{OBJECT_CHANGES_CAPACITY, ObjectChange};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use wire::resource::{ResourceKind, ResourceRef};

use self::node::{NodeCache, Novelty};
use self::plan::{Effect, Plan, Reply};
use self::pods::PodFeed;
use self::store::{Outcome, Store, StoreError, Write};
use crate::clock::WallClock;
use crate::edgehub::uplink::{Delivery, Uplink};

/// Messages from the hub waiting to be committed. Full: the link is not read, which the cloud feels.
pub const INBOX: usize = 64;

/// What MetaManager is told at start.
#[derive(Debug, Clone)]
pub struct MetaManagerSettings {
    /// This node.
    pub node_name: String,
    /// How long the cloud may take to answer a call.
    pub remote_query_timeout: Duration,
}

/// The edge's copy of what the cluster wants from this node.
pub struct MetaManager {
    settings: MetaManagerSettings,
    store: Store,
    uplink: Uplink,
    clock: WallClock,
    node: NodeCache,
    pods: PodFeed,
    changes: broadcast::Sender<ObjectChange>,
}

impl MetaManager {
    /// Opens the door; reads the node's own object so that it is known offline.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn new(
        settings: MetaManagerSettings,
        store: Store,
        uplink: Uplink,
        clock: WallClock,
    ) -> Result<Self, StoreError> {
        let node = NodeCache::default();
        let key = ResourceRef::cluster(ResourceKind::Node, &settings.node_name).to_string();
        if let Some(json) = store.get(key).await? {
            node.keep(&settings.node_name, &json, true, None);
        }
        let pods = PodFeed::new(settings.node_name.clone());
        let changes = broadcast::Sender::new(OBJECT_CHANGES_CAPACITY);
        Ok(Self { settings, store, uplink, clock, node, pods, changes })
    }

    /// The pods of this node, for the agent.
    pub fn pods(&self) -> &PodFeed {
        &self.pods
    }

    /// Whether a link to the cloud stands.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.uplink.connected()
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Changes of ConfigMaps and Secrets from now on.
    pub fn changes(&self) -> broadcast::Receiver<ObjectChange> {
        self.changes.subscribe()
    }

    /// Works on messages from the cloud until `stop`, in the order they came; what is queued is committed together.
    pub async fn run(&self, inbox: &mut mpsc::Receiver<Delivery>, stop: &CancellationToken) {
        let mut batch = Vec::with_capacity(INBOX);
        loop {
            tokio::select! {
                taken = inbox.recv_many(&mut batch, INBOX) => {
                    if taken == 0 {
                        return;
                    }
                }
                () = stop.cancelled() => return,
            }
            self.take(std::mem::take(&mut batch)).await;
        }
    }

    /// Commits a batch, then acts on it; when the commit fails each message stands alone.
    async fn take(&self, batch: Vec<Delivery>) {
        self.pods.heard();
        let planned: Vec<_> = batch.into_iter().map(|delivery| (self.plan(&delivery), delivery)).collect();
        match self.commit(&planned).await {
            Ok(outcomes) => {
                for ((plan, delivery), outcome) in planned.into_iter().zip(outcomes) {
                    self.finish(plan, &delivery, outcome).await;
                }
            }
            Err(error) if planned.len() == 1 => {
                for (_, delivery) in planned {
                    self.refuse(&delivery, &error).await;
                }
            }
            Err(_) => {
                for (plan, delivery) in planned {
                    let alone = [(plan, delivery)];
                    let committed = self.commit(&alone).await;
                    let [(plan, delivery)] = alone;
                    match committed {
                        Ok(mut outcomes) => self.finish(plan, &delivery, outcomes.pop().flatten()).await,
                        Err(error) => self.refuse(&delivery, &error).await,
                    }
                }
            }
        }
    }

    fn plan(&self, delivery: &Delivery) -> Plan {
        let mut plan = plan::plan(&delivery.message);
        if matches!(&plan.effect, Effect::NodeChanged { name } if *name != self.settings.node_name) {
            plan.effect = Effect::None; // only the own node is kept in memory
        }
        if let (Effect::NodeChanged { name }, Some(Write::Put(row))) = (&plan.effect, &plan.write)
            && self.node.judge(name, &row.value) == Novelty::Skip
        {
            self.node.keep(name, &row.value, false, Some(delivery.link.id()));
            plan.write = None;
            plan.effect = Effect::None;
        }
        plan
    }

    /// One outcome for each plan, `None` for those that change nothing.
    async fn commit(&self, planned: &[(Plan, Delivery)]) -> Result<Vec<Option<Outcome>>, StoreError> {
        let writes: Vec<_> = planned.iter().filter_map(|(plan, _)| plan.write.clone()).collect();
        let mut outcomes = if writes.is_empty() { Vec::new() } else { self.store.write(writes).await? }.into_iter();
        Ok(planned.iter().map(|(plan, _)| plan.write.as_ref().and_then(|_| outcomes.next())).collect())
    }

    async fn finish(&self, plan: Plan, delivery: &Delivery, outcome: Option<Outcome>) {
        let message = &delivery.message;
        debug!(msg.id = message.header.id, resource = message.route.resource, operation = %message.route.operation,
            outcome = outcome.as_ref().map(Outcome::name), "message from the cloud");
        match (plan.effect, plan.write) {
            (Effect::PodChanged, Some(Write::Put(row))) => {
                let json = match outcome {
                    Some(Outcome::Stale { stored }) => stored,
                    _ => row.value,
                };
                self.pods.upsert(row.version.uid, json);
            }
            (Effect::PodRemoved { uid }, _) => {
                let uid = match outcome {
                    Some(Outcome::Removed { uid: stored }) if uid.is_empty() => stored,
                    _ => uid,
                };
                if !uid.is_empty() {
                    self.pods.remove(uid);
                }
            }
            (Effect::ObjectChanged(change), _)
                if matches!(outcome, Some(Outcome::Written | Outcome::Removed { .. })) =>
            {
                // Nobody listens while the agent is not running; it looks at everything when it starts.
                let _ = self.changes.send(change);
            }
            (Effect::NodeChanged { name }, Some(Write::Put(row))) => {
                self.node.keep(&name, &row.value, true, Some(delivery.link.id()));
            }
            (Effect::NodeChanged { name }, _) => self.node.forget(&name),
            (Effect::None | Effect::PodChanged | Effect::ObjectChanged(_), _) => {}
        }
        if plan.answer == Reply::Unusable {
            warn!(resource = message.route.resource, "message from the cloud holds no object");
        }
        if let Some(answer) = plan::answer(message, plan.answer, self.clock.unix_millis()) {
            delivery.link.answer(answer).await;
        }
    }

    /// The change could not be committed: the cloud is told, not acknowledged, and will send it again.
    async fn refuse(&self, delivery: &Delivery, error: &StoreError) {
        let message = &delivery.message;
        warn!(msg.id = message.header.id, resource = message.route.resource, %error, "cannot store a message");
        let answer = message.error("metamanager", &error.to_string(), self.clock.unix_millis());
        delivery.link.answer(answer).await;
    }
}

#[cfg(test)]
mod tests;
