//! EdgeController: keeps every connected node supplied with what it has to have, and answers its requests.
//!
//! Watches feed [`cluster::Cluster`], which owes deliveries; sessions acknowledge them. Nothing here depends on
//! having seen an event: a connect computes everything from state. Invariant: deliveries are handed to sessions while
//! the cluster state is locked, so they arrive in the order in which they were decided.

pub mod cluster;
pub mod ledger;
pub mod references;
pub mod upstream;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::cloudhub::delivery::{Fetched, Preparation, Receipt};
use crate::cloudhub::doors::{Hello, NodeDesk};
use crate::cloudhub::registry::{Registry, SessionHandle};
use crate::edgecontroller::cluster::{Cluster, Offers};
use crate::kind::{Kind, ObjectKey};
use crate::kubeapi::{ApiError, ApiPath, KubeApi, PatchKind};
use crate::names::{CLOUDCORE_ANNOTATION, STORE_GENERATION_ANNOTATION};
use crate::object::Version;
use crate::synccontroller::recorder::Recorder;
use crate::synccontroller::records::{Record, read_record, record_kind};
use crate::watch::{Change, watch};

/// Nodes whose annotations wait for an update. Full: dropped; the next change of the node or its session asks again.
const CHORE_CAPACITY: usize = 1024;
/// Attempts at one annotation update, and the pause between them. Source: spec 02 §1.3.
const CHORE_ATTEMPTS: u32 = 3;
const CHORE_PAUSE: Duration = Duration::from_secs(1);
/// Kinds whose lists must be complete before nodes are let in.
const WATCHES: usize = 6;

/// Which edge store the current session of a node speaks for.
struct StoreClaim {
    epoch: u64,
    generation: Option<String>,
    /// Whether the Node has said once during this session where it is connected. Another instance may write its own
    /// address later; writing ours again would only start a quarrel.
    announced: bool,
}

/// See the module's text.
pub struct EdgeController {
    api: KubeApi,
    registry: Arc<Registry>,
    recorder: Arc<Recorder>,
    /// The address written to the annotation `cloudcore` of connected nodes.
    instance: String,
    cluster: Mutex<Cluster>,
    stores: Mutex<HashMap<Arc<str>, StoreClaim>>,
    chores: mpsc::Sender<Arc<str>>,
    chores_due: tokio::sync::Mutex<mpsc::Receiver<Arc<str>>>,
    listed: watch::Sender<usize>,
}

impl EdgeController {
    /// Knows nothing yet. `instance` is this instance's address.
    pub fn new(api: KubeApi, registry: Arc<Registry>, recorder: Arc<Recorder>, instance: String) -> Self {
        let (chores, chores_due) = mpsc::channel(CHORE_CAPACITY);
        Self {
            api,
            registry,
            recorder,
            instance,
            cluster: Mutex::default(),
            stores: Mutex::default(),
            chores,
            chores_due: tokio::sync::Mutex::new(chores_due),
            listed: watch::Sender::new(0),
        }
    }

    /// Runs the watches until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        let client = || self.api.client();
        {
            let (this, names) = (self.clone(), self.clone());
            let known = move || names.lock().pod_names();
            let first = self.first_list();
            tasks.spawn(watch(client(), Kind::Pod, stop.clone(), known, move |change| this.pod(change, &first)));
        }
        for kind in [Kind::ConfigMap, Kind::Secret] {
            let (this, names, listed_kind, own) = (self.clone(), self.clone(), kind.clone(), kind.clone());
            let known = move || names.lock().config_names(&listed_kind);
            let first = self.first_list();
            let apply = move |change| this.config(&own, change, &first);
            tasks.spawn(watch(client(), kind, stop.clone(), known, apply));
        }
        {
            let (this, names) = (self.clone(), self.clone());
            let known = move || names.lock().node_names();
            let first = self.first_list();
            tasks.spawn(watch(client(), Kind::Node, stop.clone(), known, move |change| this.node(change, &first)));
        }
        for namespaced in [true, false] {
            let this = self.clone();
            let first = self.first_list();
            // Records that vanish while nobody watches cost one needless delete message, no more.
            let apply = move |change| this.record(change, &first);
            tasks.spawn(watch(client(), record_kind(namespaced), stop.clone(), Vec::new, apply));
        }
        let this = self.clone();
        tasks.spawn(async move { this.run_chores(&stop).await });
        while let Some(ended) = tasks.join_next().await {
            if let Err(panic) = ended {
                // One watch less would go unnoticed: all start over.
                std::panic::resume_unwind(panic.into_panic());
            }
        }
    }

    /// Waits until every list is complete: before that, no node may be told anything. Cancel-safe.
    pub async fn synced(&self) {
        let mut listed = self.listed.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = listed.wait_for(|count| *count >= WATCHES).await;
    }

    /// Whether every list is complete.
    pub fn is_synced(&self) -> bool {
        *self.listed.borrow() >= WATCHES
    }

    /// Reads or changes the cluster state; what follows goes out before the state is unlocked.
    pub fn decide(&self, decide: impl FnOnce(&mut Cluster) -> Offers) {
        let mut cluster = self.lock();
        for (node, delivery) in decide(&mut cluster) {
            debug!(%node, resource = %delivery.key, version = %delivery.version, "delivery");
            if let Some(session) = self.registry.get(&node) {
                session.offer(delivery);
            }
        }
    }

    /// Reads the cluster state.
    pub fn ask<T>(&self, ask: impl FnOnce(&Cluster) -> T) -> T {
        ask(&self.lock())
    }

    /// A counter that fires once, when its watch has listed everything.
    fn first_list(&self) -> impl Fn() + Send + Sync + use<> {
        let listed = self.listed.clone();
        let once = std::sync::Once::new();
        move || once.call_once(|| listed.send_modify(|count| *count += 1))
    }

    fn pod(&self, change: Change, first: &impl Fn()) {
        match change {
            Change::Applied(pod) => self.decide(|cluster| {
                cluster.pod_applied(pod).unwrap_or_else(|error| {
                    warn!(error = %crate::chain(&error), "unreadable pod skipped");
                    Offers::new()
                })
            }),
            Change::Deleted(pod) => {
                let key = key_of(&Kind::Pod, &pod.meta);
                self.decide(|cluster| cluster.pod_gone(&key, Some(pod)));
            }
            Change::Vanished(name) => {
                let key = ObjectKey { kind: Kind::Pod, namespace: name.namespace, name: name.name };
                self.decide(|cluster| cluster.pod_gone(&key, None));
            }
            Change::Listed => first(),
        }
    }

    fn config(&self, kind: &Kind, change: Change, first: &impl Fn()) {
        match change {
            Change::Applied(object) => self.decide(|cluster| cluster.config_applied(kind, &object)),
            Change::Deleted(object) => {
                let key = key_of(kind, &object.meta);
                self.decide(|cluster| cluster.config_gone(&key, Some(&object)));
            }
            Change::Vanished(name) => {
                let key = ObjectKey { kind: kind.clone(), namespace: name.namespace, name: name.name };
                self.decide(|cluster| cluster.config_gone(&key, None));
            }
            Change::Listed => first(),
        }
    }

    fn node(&self, change: Change, first: &impl Fn()) {
        let gone = match change {
            Change::Applied(object) => {
                let name = object.meta.name.clone();
                self.decide(|cluster| cluster.node_applied(object));
                self.ask_for_chore(&name);
                return;
            }
            Change::Deleted(object) => object.meta.name,
            Change::Vanished(name) => name.name,
            Change::Listed => return first(),
        };
        self.decide(|cluster| {
            cluster.node_gone(&gone);
            Offers::new()
        });
        // The edge registers again at its next connect. Source: spec 01 §5.8.
        if let Some(session) = self.registry.get(&gone) {
            info!(node = %gone, "Node was deleted: ending its session");
            session.end();
        }
    }

    fn record(&self, change: Change, first: &impl Fn()) {
        let (object, exists) = match change {
            Change::Applied(object) => (object, true),
            Change::Deleted(object) => (object, false),
            Change::Vanished(_) => return,
            Change::Listed => return first(),
        };
        let Some((node, uid, record)) = read_record(&object) else { return };
        let connected = self.registry.get(&node);
        let mut cluster = self.lock();
        if exists {
            cluster.record_applied(&node, uid, record);
            return;
        }
        // What was removed on behalf of this instance is forgotten already. A node of another instance is that one's.
        let known = cluster.node(&node).and_then(|node| node.cloudcore.as_deref());
        if connected.is_none() && known.is_some_and(|instance| instance != self.instance) {
            return cluster.record_gone(&node, &uid);
        }
        let lost = cluster.record_lost(&node, &uid);
        drop(cluster);
        if let (Some(receipt), Some(session)) = (lost, connected) {
            self.recorder.book(session.node(), receipt);
        }
    }

    /// Notes that a node's annotations may need an update; only if they do, the chore is queued.
    fn ask_for_chore(&self, node: &str) {
        if self.annotations_due(node).is_some()
            && let Some(session) = self.registry.get(node)
            && self.chores.try_send(session.node().clone()).is_err()
        {
            debug!(node, "annotation update postponed");
        }
    }

    async fn run_chores(&self, stop: &CancellationToken) {
        let mut due = self.chores_due.lock().await;
        loop {
            let node = tokio::select! {
                () = stop.cancelled() => return,
                node = due.recv() => node,
            };
            let Some(node) = node else { return };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.annotate(&node) => {}
            }
        }
    }

    /// The annotations a connected node's object lacks: where it is connected, and, once it has acknowledged
    /// everything, which edge store its records speak of.
    fn annotations_due(&self, node: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
        let session = self.registry.get(node)?;
        let cluster = self.lock();
        let known = cluster.node(node)?;
        let mut due = serde_json::Map::new();
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let claim = stores.get_mut(node).filter(|claim| claim.epoch == session.epoch())?;
        claim.announced |= self.instance.is_empty() || known.cloudcore.as_deref() == Some(self.instance.as_str());
        if !claim.announced {
            due.insert(CLOUDCORE_ANNOTATION.to_owned(), self.instance.clone().into());
        }
        if session.depth() == 0 && claim.generation.as_deref() != known.store_generation.as_deref() {
            due.insert(STORE_GENERATION_ANNOTATION.to_owned(), claim.generation.clone().into());
        }
        (!due.is_empty()).then_some(due)
    }

    async fn annotate(&self, node: &Arc<str>) {
        for attempt in 1..=CHORE_ATTEMPTS {
            let Some(annotations) = self.annotations_due(node) else { return };
            let patch = serde_json::json!({"metadata": {"annotations": annotations}}).to_string();
            match self.patch_node(node, patch).await {
                Ok(()) => return,
                Err(error) => warn!(%node, error = %crate::chain(&error), attempt, "node annotations not updated"),
            }
            tokio::time::sleep(CHORE_PAUSE).await;
        }
    }

    async fn patch_node(&self, node: &str, change: String) -> Result<(), ApiError> {
        let path = ApiPath::object(&Kind::Node, None, node)?;
        let object = self.api.patch(&Kind::Node, path, PatchKind::Merge, change).await?;
        // The watch will say the same; knowing it now avoids a second patch.
        self.decide(|cluster| {
            let known = cluster.node(&object.meta.name).map(|known| &known.meta);
            let newer = known
                .is_some_and(|known| known.uid == object.meta.uid && object.meta.version.is_newer_than(&known.version));
            if newer { cluster.node_applied(object) } else { Offers::new() }
        });
        Ok(())
    }

    /// Whether the node's store is not the one its records speak of. An edge that offers none has the store the
    /// records speak of unless they speak of a named one.
    fn is_forgetful(&self, node: &str, hello: &Hello) -> bool {
        let cluster = self.lock();
        let recorded = cluster.node(node).and_then(|node| node.store_generation.as_deref());
        hello.store_generation.as_deref() != recorded
    }

    fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl NodeDesk for EdgeController {
    fn connected(&self, session: &SessionHandle, hello: &Hello) {
        let node = session.node();
        let forgetful = self.is_forgetful(node, hello);
        for stale in self.ask(|cluster| cluster.stale_node_records(node)) {
            self.acknowledged(session, stale);
        }
        if forgetful {
            debug!("the node's store is not the one on record: delivering everything again");
        }
        self.decide(|cluster| cluster.connected(node, forgetful));
        // Only now: an empty session that has been offered nothing yet proves nothing about the store.
        {
            let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
            let newer = stores.get(node).is_none_or(|claim| claim.epoch < session.epoch());
            if newer {
                let (epoch, generation) = (session.epoch(), hello.store_generation.clone());
                stores.insert(node.clone(), StoreClaim { epoch, generation, announced: false });
            }
        }
        self.ask_for_chore(node);
    }

    fn disconnected(&self, session: &SessionHandle) {
        let mut cluster = self.lock();
        // A newer session may have begun between the end of this one and now.
        if self.registry.get(session.node()).is_none() {
            cluster.disconnected(session.node());
            self.stores.lock().unwrap_or_else(PoisonError::into_inner).remove(session.node());
        }
    }

    fn acknowledged(&self, session: &SessionHandle, receipt: Receipt) {
        self.decide(|cluster| cluster.acknowledged(session.node(), &receipt));
        self.recorder.book(session.node(), receipt);
    }

    fn drained(&self, session: &SessionHandle, behind: bool) {
        if behind {
            self.decide(|cluster| cluster.replan(session.node()));
        }
        self.ask_for_chore(session.node());
    }

    async fn prepare(&self, node: &Arc<str>, preparation: &Preparation) -> Option<Fetched> {
        let Preparation { key, uid, record, fetch } = preparation;
        let mut found = Fetched::NotNeeded;
        if *fetch {
            found = match self.api.get(key).await {
                Ok(object) => Fetched::Object(object),
                Err(error) if error.is_not_found() => Fetched::Gone,
                Err(error) => {
                    warn!(%node, resource = %key, error = %crate::chain(&error), "cannot read an object to deliver");
                    return None;
                }
            };
        }
        if *record && !matches!(found, Fetched::Gone) {
            match self.recorder.ensure(node, uid, key).await {
                Ok(()) => {}
                // Everything in there is about to be deleted, which the edge has to learn: delivered off the record.
                Err(error) if error.is_namespace_terminating() => {
                    debug!(%node, resource = %key, "the namespace is going away: delivering without a record");
                }
                Err(error) => {
                    warn!(%node, resource = %key, error = %crate::chain(&error), "cannot record a delivery");
                    return None;
                }
            }
            let record = Record { key: key.clone(), version: Version::from("") };
            self.lock().record_applied(node, uid.clone(), record);
        }
        Some(found)
    }
}

fn key_of(kind: &Kind, meta: &crate::object::Meta) -> ObjectKey {
    ObjectKey { kind: kind.clone(), namespace: meta.namespace.clone(), name: meta.name.clone() }
}
