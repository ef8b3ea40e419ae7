//! All probes of the node and what they say. No I/O; the runner drives it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::handlers::{Outcome, Question};
use super::machine::{Action, Attempt, Event, Machine, Timing};
use super::{ContainerView, PodView, ProbeKind, ProbeResult, ProbeUpdate};

/// Names one probe of the node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ProbeKey {
    pub(super) pod_uid: String,
    pub(super) container: String,
    pub(super) kind: ProbeKind,
}

/// An attempt to be made.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) key: ProbeKey,
    pub(super) generation: u64,
    pub(super) question: Question,
}

#[derive(Debug)]
struct Watched {
    id: String,
    running: bool,
    machines: Vec<Machine>,
}

#[derive(Debug)]
struct WatchedPod {
    pod: Arc<Pod>,
    pod_ip: Option<IpAddr>,
    containers: HashMap<String, Watched>,
}

#[derive(Debug)]
pub(super) struct Table {
    agent_started: Instant,
    pods: HashMap<String, WatchedPod>,
    /// News not delivered yet, the latest of each probe.
    news: BTreeMap<ProbeKey, ProbeUpdate>,
}

impl Table {
    pub(super) fn new(agent_started: Instant) -> Self {
        Self { agent_started, pods: HashMap::new(), news: BTreeMap::new() }
    }

    pub(super) fn observe(&mut self, view: &PodView, now: Instant, wall: Timestamp) {
        let Some(uid) = view.pod.metadata.uid.clone() else { return };
        if !has_probes(&view.pod) {
            return;
        }
        let entry = self.pods.entry(uid.clone()).or_insert_with(|| WatchedPod {
            pod: Arc::clone(&view.pod),
            pod_ip: None,
            containers: HashMap::new(),
        });
        entry.pod = Arc::clone(&view.pod);
        entry.pod_ip = view.pod_ip.or(entry.pod_ip);
        entry.containers.retain(|name, _| view.containers.iter().any(|container| container.name == *name));
        let mut news = Vec::new();
        for seen in &view.containers {
            let Some(spec) = find(&view.pod, &seen.name) else { continue };
            let watched = entry.containers.entry(seen.name.clone()).or_insert_with(|| Watched {
                id: String::new(),
                running: false,
                machines: machines(spec),
            });
            let is_new = watched.id != seen.container_id;
            if is_new && seen.running {
                watched.id.clone_from(&seen.container_id);
                watched.running = true;
                let up_since = started_at(seen, now, wall);
                let gated = spec.startup_probe.is_some() && !seen.seed_started;
                for machine in &mut watched.machines {
                    let seed = match machine.kind() {
                        ProbeKind::Startup => seen.seed_started.then_some(ProbeResult::Success),
                        ProbeKind::Readiness => seen.seed_ready.then_some(ProbeResult::Success),
                        ProbeKind::Liveness => None,
                    };
                    let mut not_before = up_since + machine.timing().initial_delay;
                    if up_since < self.agent_started {
                        // Containers found at the agent's start would all be asked at once.
                        let spread = self.agent_started + share(&uid, &seen.name, machine);
                        not_before = not_before.max(spread);
                    }
                    machine.step(Event::Started { not_before: not_before.max(now), gated, seed }, now);
                }
            } else if !seen.running && watched.running {
                watched.running = false;
                for machine in &mut watched.machines {
                    let action = machine.step(Event::Stopped, now);
                    news.push((seen.name.clone(), watched.id.clone(), machine.kind(), action));
                }
            }
            if view.deleting {
                for machine in &mut watched.machines {
                    machine.step(Event::Deleting, now);
                }
            }
        }
        for (container, container_id, kind, action) in news {
            let key = ProbeKey { pod_uid: uid.clone(), container, kind };
            self.publish(key, container_id, action, None);
        }
    }

    pub(super) fn forget(&mut self, pod_uid: &str) {
        self.pods.remove(pod_uid);
        self.news.retain(|key, _| key.pod_uid != pod_uid);
    }

    pub(super) fn result(&self, pod_uid: &str, container: &str, id: &str, kind: ProbeKind) -> Option<ProbeResult> {
        let watched = self.pods.get(pod_uid)?.containers.get(container)?;
        let machine = watched.machines.iter().find(|machine| machine.kind() == kind)?;
        if watched.id == id { machine.result() } else { None }
    }

    /// When the next probe is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let watched = self.pods.values().flat_map(|pod| pod.containers.values());
        watched.flat_map(|container| &container.machines).filter_map(Machine::due).min()
    }

    /// The probes to run now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Order> {
        let mut orders = Vec::new();
        for (uid, watched_pod) in &mut self.pods {
            let WatchedPod { pod, pod_ip, containers } = watched_pod;
            for (name, watched) in containers {
                for machine in &mut watched.machines {
                    if let Some(Action::Probe { generation }) = machine.step(Event::Tick, now) {
                        let key = ProbeKey { pod_uid: uid.clone(), container: name.clone(), kind: machine.kind() };
                        orders.extend(order(key, generation, pod, *pod_ip, &watched.id));
                    }
                }
            }
        }
        orders
    }

    /// Takes the outcome of an attempt; returns another attempt if one is to be made at once.
    pub(super) fn finish(&mut self, key: ProbeKey, generation: u64, outcome: &Outcome, now: Instant) -> Option<Order> {
        let watched_pod = self.pods.get_mut(&key.pod_uid)?;
        let (pod, pod_ip) = (Arc::clone(&watched_pod.pod), watched_pod.pod_ip);
        let watched = watched_pod.containers.get_mut(&key.container)?;
        let container_id = watched.id.clone();
        let machine = watched.machines.iter_mut().find(|machine| machine.kind() == key.kind)?;
        let attempt = match outcome {
            Outcome::Success { .. } => Attempt::Success,
            Outcome::Failure(_) => Attempt::Failure,
            Outcome::Error(_) => Attempt::Error,
        };
        let action = machine.step(Event::Outcome { generation, attempt }, now);
        if key.kind == ProbeKind::Startup && action == Some(Action::Publish(ProbeResult::Success)) {
            for other in &mut watched.machines {
                other.step(Event::Opened, now);
            }
        }
        if let Some(Action::Probe { generation }) = action {
            return order(key, generation, &pod, pod_ip, &container_id);
        }
        let kind = key.kind.as_str();
        let event = match outcome {
            Outcome::Success { warning: Some(text) } => Some(("ProbeWarning", format!("{kind} probe warning: {text}"))),
            Outcome::Success { warning: None } => None,
            Outcome::Failure(text) => Some(("Unhealthy", format!("{kind} probe failed: {text}"))),
            Outcome::Error(text) => Some(("Unhealthy", format!("{kind} probe errored: {text}"))),
        };
        self.publish(key, container_id, action, event);
        None
    }

    fn publish(
        &mut self,
        key: ProbeKey,
        container_id: String,
        action: Option<Action>,
        event: Option<(&'static str, String)>,
    ) {
        let changed = match action {
            Some(Action::Publish(result)) => Some(result),
            Some(Action::Probe { .. }) | None => None,
        };
        if changed.is_none() && event.is_none() {
            return;
        }
        let ProbeKey { pod_uid, container, kind } = key.clone();
        let waiting = self.news.remove(&key);
        let same = waiting.filter(|old| old.container_id == container_id);
        let (old_change, old_event) = same.map_or((None, None), |old| (old.changed, old.event));
        let (changed, event) = (changed.or(old_change), event.or(old_event));
        self.news.insert(key, ProbeUpdate { pod_uid, container, container_id, kind, changed, event });
    }

    pub(super) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    pub(super) fn take_news(&mut self) -> Option<ProbeUpdate> {
        self.news.pop_first().map(|(_, update)| update)
    }
}

fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()))
}

fn find<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    containers(pod).find(|container| container.name == name)
}

fn probe_of(container: &Container, kind: ProbeKind) -> Option<&Probe> {
    match kind {
        ProbeKind::Startup => container.startup_probe.as_ref(),
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
    }
}

const KINDS: [ProbeKind; 3] = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness];

fn has_probes(pod: &Pod) -> bool {
    containers(pod).any(|container| KINDS.iter().any(|kind| probe_of(container, *kind).is_some()))
}

fn machines(container: &Container) -> Vec<Machine> {
    KINDS.iter().filter_map(|kind| Some(Machine::new(*kind, Timing::of(probe_of(container, *kind)?)))).collect()
}

/// The container's start on our clock; a start in the future (clock step) counts as now.
fn started_at(seen: &ContainerView, now: Instant, wall: Timestamp) -> Instant {
    let age = Duration::try_from(wall.duration_since(seen.started_at)).unwrap_or_default();
    now.checked_sub(age).unwrap_or(now)
}

/// Some part of the probe's period, always the same for the same probe.
fn share(uid: &str, container: &str, machine: &Machine) -> Duration {
    let digest = Sha256::digest(format!("{uid}/{container}/{}", machine.kind().as_str()));
    machine.timing().period * u32::from(digest[0]) / 256
}

fn order(key: ProbeKey, generation: u64, pod: &Pod, pod_ip: Option<IpAddr>, id: &str) -> Option<Order> {
    let container = find(pod, &key.container)?;
    let question = Question::new(probe_of(container, key.kind)?, container, pod_ip, id);
    Some(Order { key, generation, question })
}
