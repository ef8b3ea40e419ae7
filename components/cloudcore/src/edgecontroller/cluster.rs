//! The cluster as far as edges are concerned, and what follows from each change of it. Pure: no I/O, no clock.
//!
//! Holds names, versions and references, never bodies. Every method that can owe something to a connected node
//! returns [`Offers`]; computing them again from the same state returns nothing new, so a lost or repeated event
//! does no harm.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;

use crate::cloudhub::delivery::{Body, Delivery, Payload, Receipt, StateChange};
use crate::edgecontroller::ledger::{Due, Ledger, due};
use crate::edgecontroller::references::PodFacts;
use crate::kind::{Kind, ObjectKey};
use crate::names::{CLOUDCORE_ANNOTATION, EDGE_LABEL, STORE_GENERATION_ANNOTATION};
use crate::object::{Meta, Object, Version};
use crate::synccontroller::records::Record;
use crate::watch::Name;

/// Deliveries owed to connected nodes, in order.
pub type Offers = Vec<(Arc<str>, Delivery)>;

/// What is known of a pod.
#[derive(Debug, Clone)]
pub struct Pod {
    /// Identity and version.
    pub meta: Meta,
    /// The node it is bound to.
    pub node: Option<Arc<str>>,
    /// The account it runs as.
    pub service_account: Box<str>,
    /// ConfigMaps and Secrets it refers to.
    pub configs: Box<[ObjectKey]>,
    /// Claims it mounts.
    pub claims: Box<[String]>,
}

/// What is known of a Node.
#[derive(Debug, Clone)]
pub struct Node {
    /// Identity and version.
    pub meta: Meta,
    /// Whether it carries the edge label with an empty value.
    pub edge: bool,
    /// The instance it was last connected to.
    pub cloudcore: Option<Box<str>>,
    /// The edge store its ObjectSyncs speak of.
    pub store_generation: Option<Box<str>>,
}

#[derive(Default)]
struct Bound {
    pods: HashSet<ObjectKey>,
    configs: HashMap<ObjectKey, usize>,
}

/// See the module's text.
#[derive(Default)]
pub struct Cluster {
    pods: HashMap<ObjectKey, Pod>,
    configs: HashMap<ObjectKey, Meta>,
    nodes: HashMap<Arc<str>, Node>,
    bound: HashMap<Arc<str>, Bound>,
    users: HashMap<ObjectKey, Vec<Arc<str>>>,
    records: HashMap<Arc<str>, HashMap<Arc<str>, Record>>,
    ledgers: HashMap<Arc<str>, Ledger>,
}

impl Cluster {
    /// A pod exists in this state.
    ///
    /// # Errors
    /// [`serde_json::Error`] when the object is no pod; the state is unchanged then.
    pub fn pod_applied(&mut self, object: Object) -> Result<Offers, serde_json::Error> {
        let facts = PodFacts::read(&object)?;
        let key =
            ObjectKey { kind: Kind::Pod, namespace: object.meta.namespace.clone(), name: object.meta.name.clone() };
        let mut offers = Offers::new();
        let before = self.pods.get(&key).map(|pod| pod.meta.uid.clone());
        let first_seen = before.as_ref().is_none_or(|uid| *uid != object.meta.uid);
        if before.is_some_and(|uid| uid != object.meta.uid) {
            offers.extend(self.pod_gone(&key, None));
        }
        let node = facts.node.map(|node| self.node_name(&node));
        let new_configs = self.bind(
            &key,
            Pod {
                meta: object.meta.clone(),
                node: node.clone(),
                service_account: facts.service_account.into(),
                configs: facts.configs.into(),
                claims: facts.claims.into(),
            },
        );
        let Some(node) = node.filter(|node| self.serves(node)) else { return Ok(offers) };
        for config in new_configs {
            offers.extend(self.offer_config(&node, &config, None));
        }
        let change = if first_seen && !object.meta.deleting { StateChange::Insert } else { StateChange::Update };
        let meta = object.meta.clone();
        offers.extend(self.offer(&node, &key, &meta, change, Body::Object(object)));
        Ok(offers)
    }

    /// A pod is gone; `last` is its final state if a watch saw it.
    pub fn pod_gone(&mut self, key: &ObjectKey, last: Option<Object>) -> Offers {
        let Some(pod) = self.pods.get(key) else { return Offers::new() };
        if last.as_ref().is_some_and(|last| last.meta.uid != pod.meta.uid) {
            return Offers::new();
        }
        let (uid, node) = (pod.meta.uid.clone(), pod.node.clone());
        self.unbind(key);
        let Some(node) = node else { return Offers::new() };
        self.withdraw(&node, key, &uid, last).into_iter().collect()
    }

    /// A ConfigMap or Secret exists in this state.
    pub fn config_applied(&mut self, kind: &Kind, object: &Object) -> Offers {
        let key =
            ObjectKey { kind: kind.clone(), namespace: object.meta.namespace.clone(), name: object.meta.name.clone() };
        let mut offers = Offers::new();
        let before = self.configs.get(&key).map(|meta| meta.uid.clone());
        if before.as_ref().is_some_and(|uid| *uid != object.meta.uid) {
            offers.extend(self.config_gone(&key, None));
        }
        let change =
            if before.is_none() && kind == &Kind::ConfigMap { StateChange::Insert } else { StateChange::Update };
        self.configs.insert(key.clone(), object.meta.clone());
        for node in self.users.get(&key).cloned().unwrap_or_default() {
            if self.serves(&node) {
                let meta = object.meta.clone();
                offers.extend(self.offer(&node, &key, &meta, change, Body::Object(object.clone())));
            }
        }
        offers
    }

    /// A ConfigMap or Secret is gone.
    pub fn config_gone(&mut self, key: &ObjectKey, last: Option<&Object>) -> Offers {
        let Some(meta) = self.configs.get(key) else { return Offers::new() };
        if last.is_some_and(|last| last.meta.uid != meta.uid) {
            return Offers::new();
        }
        let uid = meta.uid.clone();
        self.configs.remove(key);
        let nodes: Vec<Arc<str>> = self.ledgers.keys().cloned().collect();
        nodes.into_iter().filter_map(|node| self.withdraw(&node, key, &uid, last.cloned())).collect()
    }

    /// A Node exists in this state.
    pub fn node_applied(&mut self, object: Object) -> Offers {
        let facts = NodeFacts::read(&object);
        let name = self.node_name(&object.meta.name);
        let served = self.serves(&name);
        self.nodes.insert(
            name.clone(),
            Node {
                meta: object.meta.clone(),
                edge: facts.edge,
                cloudcore: facts.cloudcore,
                store_generation: facts.store_generation,
            },
        );
        if !self.serves(&name) {
            return Offers::new();
        }
        if !served {
            return self.plan(&name);
        }
        let key = ObjectKey::cluster(Kind::Node, name.clone());
        let meta = object.meta.clone();
        self.offer(&name, &key, &meta, StateChange::Update, Body::Object(object)).into_iter().collect()
    }

    /// A Node is gone.
    pub fn node_gone(&mut self, name: &str) {
        self.nodes.remove(name);
    }

    /// A record exists, as the API server tells it. Versions only grow, so a late echo changes nothing.
    pub fn record_applied(&mut self, node: &str, uid: Arc<str>, record: Record) {
        let node = self.node_name(node);
        let records = self.records.entry(node).or_default();
        match records.get_mut(&uid) {
            Some(known) if record.version.is_newer_than(&known.version) => known.version = record.version,
            Some(_) => {}
            None => {
                records.insert(uid, record);
            }
        }
    }

    /// A record was removed by somebody else, as with its namespace. What the node has does not change by that, so it
    /// stays known until the node acknowledged the deletion; returned when the record has to be written anew.
    pub fn record_lost(&mut self, node: &str, uid: &str) -> Option<Receipt> {
        let ledger = self.ledgers.get(node)?;
        let Some(known) = ledger.get(uid) else {
            // A late echo had brought it back: the connected node has nothing of the kind.
            self.record_gone(node, uid);
            return None;
        };
        let held = !known.gone;
        let (uid, record) = self.records.get(node)?.get_key_value(uid).filter(|_| held)?;
        let Record { key, version } = record.clone();
        Some(Receipt { key, uid: uid.clone(), version, deleted: false, answer: false })
    }

    /// A record is gone.
    pub fn record_gone(&mut self, node: &str, uid: &str) {
        if let Some(records) = self.records.get_mut(node) {
            records.remove(uid);
            if records.is_empty() {
                self.records.remove(node);
            }
        }
    }

    /// The node connected; `forgetful` when its store is not the one the records speak of.
    pub fn connected(&mut self, node: &Arc<str>, forgetful: bool) -> Offers {
        let mut ledger = Ledger::default();
        for (uid, record) in self.records.get(node).into_iter().flatten() {
            let version = if forgetful { Version::from("") } else { record.version.clone() };
            ledger.recorded(uid.clone(), record.key.clone(), version);
        }
        self.ledgers.insert(node.clone(), ledger);
        self.plan(node)
    }

    /// The node is no longer connected.
    pub fn disconnected(&mut self, node: &str) {
        self.ledgers.remove(node);
    }

    /// The node acknowledged something. An answer read before a newer state went out has overwritten that state.
    pub fn acknowledged(&mut self, node: &Arc<str>, receipt: &Receipt) -> Offers {
        if receipt.deleted {
            if let Some(ledger) = self.ledgers.get_mut(node) {
                ledger.forget(&receipt.uid);
            }
            self.record_gone(node, &receipt.uid);
            return Offers::new();
        }
        if let Some(ledger) = self.ledgers.get_mut(node) {
            ledger.acknowledged(&receipt.uid, &receipt.key, &receipt.version);
        }
        let record = Record { key: receipt.key.clone(), version: receipt.version.clone() };
        self.record_applied(node, receipt.uid.clone(), record);
        if receipt.answer { self.after_answer(node, receipt) } else { Offers::new() }
    }

    /// What the node is owed once it has this answer and nothing newer.
    fn after_answer(&mut self, node: &Arc<str>, receipt: &Receipt) -> Offers {
        let Receipt { key, uid, version, .. } = receipt;
        let Some(ledger) = self.ledgers.get_mut(node) else { return Offers::new() };
        let overwrote = ledger.get(uid).is_some_and(|known| !known.gone && known.version.is_newer_than(version));
        if overwrote {
            ledger.fell_back(uid, version.clone());
            if let Some(record) = self.records.get_mut(node).and_then(|records| records.get_mut(uid)) {
                record.version = version.clone();
            }
        }
        if !self.serves(node) {
            return Offers::new();
        }
        match &key.kind {
            Kind::ConfigMap | Kind::Secret if self.refers(node, key) => {
                self.offer_config(node, key, Some(uid)).into_iter().collect()
            }
            Kind::Other(_) if overwrote => vec![self.refresh(node, key, uid)],
            Kind::Pod | Kind::Node | Kind::ConfigMap | Kind::Secret | Kind::Other(_) => Offers::new(),
        }
    }

    /// Everything the connected node is owed right now. Deletes come first, configuration before the pods using it.
    pub fn plan(&mut self, node: &Arc<str>) -> Offers {
        let Some(ledger) = self.ledgers.get(node) else { return Offers::new() };
        let known: Vec<(Arc<str>, ObjectKey)> =
            ledger.iter().map(|(uid, known)| (uid.clone(), known.key.clone())).collect();
        let mut deletes = Offers::new();
        let mut offers = Offers::new();
        let mut recreated = Vec::new();
        let serves = self.serves(node);
        for (uid, key) in known {
            match &key.kind {
                Kind::Pod => {
                    let held =
                        self.pods.get(&key).is_some_and(|pod| pod.meta.uid == uid && pod.node.as_deref() == Some(node));
                    if !held {
                        deletes.extend(self.withdraw(node, &key, &uid, None));
                    }
                }
                Kind::ConfigMap | Kind::Secret => {
                    if self.configs.get(&key).is_none_or(|meta| meta.uid != uid) {
                        let withdrawn = self.withdraw(node, &key, &uid, None);
                        if withdrawn.is_some() && serves && self.refers(node, &key) && self.configs.contains_key(&key) {
                            recreated.push(key.clone());
                        }
                        deletes.extend(withdrawn);
                    } else if serves && self.refers(node, &key) {
                        offers.extend(self.offer_config(node, &key, Some(&uid)));
                    }
                }
                Kind::Other(_) if serves => offers.push(self.refresh(node, &key, &uid)),
                Kind::Node | Kind::Other(_) => {}
            }
        }
        // Edges keep objects by name: the deletion of the old one takes whatever they have of the new one with it.
        for key in recreated {
            let Some(live) = self.configs.get(&key).cloned() else { continue };
            offers.retain(|(_, delivery)| delivery.uid != live.uid);
            if let Some(ledger) = self.ledgers.get_mut(node) {
                ledger.fell_back(&live.uid, Version::from(""));
            }
            offers.extend(self.offer(node, &key, &live, StateChange::Update, Body::Fetch));
        }
        if serves {
            if let Some(meta) = self.nodes.get(node).map(|entry| entry.meta.clone()) {
                let key = ObjectKey::cluster(Kind::Node, node.clone());
                offers.extend(self.offer(node, &key, &meta, StateChange::Update, Body::Fetch));
            }
            let pods: Vec<ObjectKey> = self.bound.get(node).into_iter().flat_map(|b| b.pods.iter().cloned()).collect();
            for key in pods {
                let Some(meta) = self.pods.get(&key).map(|pod| pod.meta.clone()) else { continue };
                offers.extend(self.offer(node, &key, &meta, StateChange::Update, Body::Fetch));
            }
        }
        deletes.extend(offers);
        deletes
    }

    /// Starts over for a connected node from its records alone, after something could not be queued.
    pub fn replan(&mut self, node: &Arc<str>) -> Offers {
        if self.ledgers.contains_key(node) { self.connected(node, false) } else { Offers::new() }
    }

    /// Records of Node objects that this node's current one replaced: nobody can deliver or delete those any more.
    pub fn stale_node_records(&self, node: &str) -> Vec<Receipt> {
        let Some(live) = self.nodes.get(node) else { return Vec::new() };
        let records = self.records.get(node).into_iter().flatten();
        let stale = records.filter(|(uid, record)| record.key.kind == Kind::Node && **uid != live.meta.uid);
        let receipt = |(uid, record): (&Arc<str>, &Record)| Receipt {
            key: record.key.clone(),
            uid: uid.clone(),
            version: record.version.clone(),
            deleted: true,
            answer: false,
        };
        stale.map(receipt).collect()
    }

    /// What is known of a pod.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Pod> {
        self.pods.get(&ObjectKey::namespaced(Kind::Pod, namespace, name))
    }

    /// What is known of a Node.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The pods bound to a node.
    pub fn pods_of(&self, node: &str) -> impl Iterator<Item = &Pod> {
        self.bound.get(node).into_iter().flat_map(|bound| &bound.pods).filter_map(|key| self.pods.get(key))
    }

    /// Whether a pod of the node refers to this ConfigMap or Secret.
    pub fn refers(&self, node: &str, key: &ObjectKey) -> bool {
        self.bound.get(node).is_some_and(|bound| bound.configs.contains_key(key))
    }

    /// Whether an ObjectSync of this object exists for the node.
    pub fn is_recorded(&self, node: &str, uid: &str) -> bool {
        self.records.get(node).is_some_and(|records| records.contains_key(uid))
    }

    /// Nodes that have records, each with whether the Node object exists or the node is connected.
    pub fn record_owners(&self) -> Vec<(Arc<str>, bool)> {
        let alive = |node: &Arc<str>| self.nodes.contains_key(node) || self.ledgers.contains_key(node);
        self.records.keys().map(|node| (node.clone(), alive(node))).collect()
    }

    /// The records of one node.
    pub fn records_of(&self, node: &str) -> Vec<(Arc<str>, Record)> {
        let records = self.records.get(node).into_iter().flatten();
        records.map(|(uid, record)| (uid.clone(), record.clone())).collect()
    }

    /// The connected nodes.
    pub fn connected_nodes(&self) -> Vec<Arc<str>> {
        self.ledgers.keys().cloned().collect()
    }

    /// Names of all pods, for comparison with a fresh list.
    pub fn pod_names(&self) -> Vec<Name> {
        self.pods.keys().map(name_of).collect()
    }

    /// Names of all ConfigMaps or Secrets.
    pub fn config_names(&self, kind: &Kind) -> Vec<Name> {
        self.configs.keys().filter(|key| &key.kind == kind).map(name_of).collect()
    }

    /// Names of all Nodes.
    pub fn node_names(&self) -> Vec<Name> {
        self.nodes.keys().map(|name| Name { namespace: None, name: name.clone() }).collect()
    }

    /// Whether the node may be given anything: it is connected, and its Node, if there is one, is an edge node.
    fn serves(&self, node: &str) -> bool {
        self.ledgers.contains_key(node) && self.nodes.get(node).is_none_or(|node| node.edge)
    }

    /// The shared spelling of a node's name.
    fn node_name(&self, name: &str) -> Arc<str> {
        let known = self.nodes.get_key_value(name).map(|(key, _)| key);
        let known = known.or_else(|| self.bound.get_key_value(name).map(|(key, _)| key));
        known.cloned().unwrap_or_else(|| name.into())
    }

    /// Enters a pod; returns the ConfigMaps and Secrets its node did not refer to before.
    fn bind(&mut self, key: &ObjectKey, pod: Pod) -> Vec<ObjectKey> {
        let before = self.pods.get(key).map(|pod| (pod.node.clone(), pod.configs.clone()));
        let mut new_configs = Vec::new();
        if let Some(node) = &pod.node {
            let bound = self.bound.entry(node.clone()).or_default();
            bound.pods.insert(key.clone());
            for config in &pod.configs {
                let count = bound.configs.entry(config.clone()).or_default();
                *count += 1;
                if *count == 1 {
                    self.users.entry(config.clone()).or_default().push(node.clone());
                    new_configs.push(config.clone());
                }
            }
        }
        let moved = before.as_ref().is_some_and(|(node, _)| *node != pod.node);
        self.pods.insert(key.clone(), pod);
        if let Some((Some(node), configs)) = before {
            self.release(&node, &configs);
            if moved && let Some(bound) = self.bound.get_mut(&node) {
                bound.pods.remove(key);
            }
        }
        new_configs
    }

    fn unbind(&mut self, key: &ObjectKey) {
        let Some(pod) = self.pods.remove(key) else { return };
        let Some(node) = pod.node else { return };
        if let Some(bound) = self.bound.get_mut(&node) {
            bound.pods.remove(key);
        }
        self.release(&node, &pod.configs);
        if self.bound.get(&node).is_some_and(|bound| bound.pods.is_empty()) {
            self.bound.remove(&node);
        }
    }

    fn release(&mut self, node: &Arc<str>, configs: &[ObjectKey]) {
        let Some(bound) = self.bound.get_mut(node) else { return };
        for config in configs {
            let Some(count) = bound.configs.get_mut(config) else { continue };
            *count -= 1;
            if *count > 0 {
                continue;
            }
            bound.configs.remove(config);
            if let Some(users) = self.users.get_mut(config) {
                users.retain(|user| user != node);
                if users.is_empty() {
                    self.users.remove(config);
                }
            }
        }
    }

    /// Offers a state if the node is owed it.
    fn offer(
        &mut self,
        node: &Arc<str>,
        key: &ObjectKey,
        live: &Meta,
        change: StateChange,
        body: Body,
    ) -> Option<(Arc<str>, Delivery)> {
        let recorded = self.is_recorded(node, &live.uid);
        let ledger = self.ledgers.get_mut(node)?;
        let change = match due(ledger.get(&live.uid), live) {
            Due::Nothing => return None,
            Due::First => change,
            Due::Newer => StateChange::Update,
        };
        ledger.offered(key, live);
        let payload = Payload::State { change, body };
        let delivery =
            Delivery { key: key.clone(), uid: live.uid.clone(), version: live.version.clone(), payload, recorded };
        Some((node.clone(), delivery))
    }

    /// Offers a ConfigMap or Secret that the node has (under `uid`, if given) in an older state. One it never had is
    /// left for the edge to ask.
    fn offer_config(&mut self, node: &Arc<str>, key: &ObjectKey, uid: Option<&str>) -> Option<(Arc<str>, Delivery)> {
        let live = self.configs.get(key)?.clone();
        if uid.is_some_and(|uid| uid != &*live.uid) || self.ledgers.get(node)?.get(&live.uid).is_none() {
            return None;
        }
        self.offer(node, key, &live, StateChange::Update, Body::Fetch)
    }

    /// Offers the deletion of something the node knows.
    fn withdraw(
        &mut self,
        node: &Arc<str>,
        key: &ObjectKey,
        uid: &Arc<str>,
        last: Option<Object>,
    ) -> Option<(Arc<str>, Delivery)> {
        if !self.ledgers.get_mut(node)?.withdraw(uid) {
            return None;
        }
        let version = last.as_ref().map_or_else(|| Version::from(""), |last| last.meta.version.clone());
        let body = last.map_or(Body::Minimal, Body::Object);
        let payload = Payload::State { change: StateChange::Delete, body };
        Some((node.clone(), Delivery { key: key.clone(), uid: uid.clone(), version, payload, recorded: true }))
    }

    /// Looks after an object of a kind that is not watched.
    fn refresh(&self, node: &Arc<str>, key: &ObjectKey, uid: &Arc<str>) -> (Arc<str>, Delivery) {
        let known = self.ledgers.get(node).and_then(|ledger| ledger.get(uid));
        let version = known.map_or_else(|| Version::from(""), |known| known.version.clone());
        let payload = Payload::State { change: StateChange::Update, body: Body::Refresh };
        (node.clone(), Delivery { key: key.clone(), uid: uid.clone(), version, payload, recorded: true })
    }
}

fn name_of(key: &ObjectKey) -> Name {
    Name { namespace: key.namespace.clone(), name: key.name.clone() }
}

struct NodeFacts {
    edge: bool,
    cloudcore: Option<Box<str>>,
    store_generation: Option<Box<str>>,
}

impl NodeFacts {
    fn read(object: &Object) -> Self {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Text {
            metadata: Metadata,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Metadata {
            labels: HashMap<String, String>,
            annotations: HashMap<String, String>,
        }
        let Text { metadata: Metadata { labels, mut annotations } } = object.parse().unwrap_or_default();
        Self {
            edge: labels.get(EDGE_LABEL).is_some_and(String::is_empty),
            cloudcore: annotations.remove(CLOUDCORE_ANNOTATION).map(Into::into),
            store_generation: annotations.remove(STORE_GENERATION_ANNOTATION).map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests;
