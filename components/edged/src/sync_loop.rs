//! The one loop that decides which pod is looked at when. It owns all pods of the node; a pass of a pod borrows the
//! pod's memory and brings it back.
//!
//! | stage | entered when | next |
//! |---|---|---|
//! | running | the pod appears | stopping |
//! | stopping | deleted, removed, ended by itself, or unknown to everybody | finished |
//! | finished | nothing runs, volumes are unmounted | cleaning, when the API has dropped the pod |
//! | cleaning | the pod is gone from the API | the pod is forgotten |
//!
//! A pass is due on a change of the pod, of the runtime (its fingerprint differs from what the pod's last pass saw),
//! of a probe, of a ConfigMap or Secret, or at the time its last pass asked for. Source: spec 08 §3, §5.2.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, error, info, info_span};

use crate::doors::{ObjectChange, PodUpdate};
use crate::health::Health;
use crate::node::NodeView;
use crate::pleg::{Listed, Nudge, Snapshot};
use crate::pod;
use crate::probes::ProbeUpdate;
use crate::status::reporter::Note;
use crate::view::View;
use crate::volumes;
use crate::worker::{self, Agent, Goal, Interrupt, Memory, Outcome};

/// Grace of a pod nobody knows. Source: spec 08 §5.2.
const ORPHAN_GRACE: Duration = Duration::from_secs(1);

/// What comes in.
pub struct Inputs {
    pub updates: mpsc::Receiver<PodUpdate>,
    pub changes: broadcast::Receiver<ObjectChange>,
    pub probes: mpsc::Receiver<ProbeUpdate>,
    pub snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    pub health: watch::Receiver<Health>,
    pub node: watch::Receiver<NodeView>,
}

/// The loop.
pub struct SyncLoop {
    agent: Arc<Agent>,
    view: Arc<View>,
    nudge: Nudge,
    slots: BTreeMap<String, Slot>,
    passes: JoinSet<(Memory, Outcome)>,
    running: HashMap<Id, String>,
    sources_ready: bool,
    /// Addresses of the node that the pods' statuses were computed with.
    node_ips: Vec<IpAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Stopping { grace: Duration },
    Finished,
    Cleaning,
}

struct Slot {
    pod: Arc<Pod>,
    stage: Stage,
    /// Gone from the API (or never there): no status is wanted any more.
    removed: bool,
    /// The same UID came back after its removal: run it again when this one is gone.
    reborn: Option<Arc<Pod>>,
    /// Lent to the pass while one runs.
    memory: Option<Memory>,
    due: Option<Instant>,
    /// Something changed during the pass.
    dirty: bool,
    /// The runtime changed during the pass, by the pass or by others.
    recheck: bool,
    interrupt: Interrupt,
    last_pass: Option<Instant>,
}

impl Slot {
    fn new(pod: Arc<Pod>, stage: Stage, removed: bool) -> Self {
        Self {
            pod,
            stage,
            removed,
            reborn: None,
            memory: Some(Memory::default()),
            due: Some(Instant::now()),
            dirty: false,
            recheck: false,
            interrupt: Interrupt::default(),
            last_pass: None,
        }
    }

    /// Look at it now, or right after the pass that runs.
    fn wake(&mut self) {
        self.dirty = true;
        self.due = Some(Instant::now());
    }

    /// Like [`Slot::wake`], and the pass that runs must not wait for anything any more.
    fn interrupt(&mut self) {
        self.interrupt.any.cancel();
        self.wake();
    }

    /// Stops the pod within `grace`; a pod that is stopping already can only be hurried.
    fn stop(&mut self, grace: Duration) {
        match self.stage {
            Stage::Running => {}
            Stage::Stopping { grace: current } if grace < current => {}
            Stage::Stopping { .. } | Stage::Finished | Stage::Cleaning => return,
        }
        self.stage = Stage::Stopping { grace };
        self.interrupt.stop.cancel();
        self.interrupt();
    }

    fn goal(&self) -> Option<Goal> {
        match self.stage {
            Stage::Running => Some(Goal::Run),
            Stage::Stopping { grace } => Some(Goal::Stop { grace, report: !self.removed }),
            Stage::Finished => None,
            Stage::Cleaning => Some(Goal::Clean),
        }
    }
}

impl SyncLoop {
    /// A loop without pods.
    pub fn new(agent: Arc<Agent>, view: Arc<View>, nudge: Nudge) -> Self {
        Self {
            agent,
            view,
            nudge,
            slots: BTreeMap::new(),
            passes: JoinSet::new(),
            running: HashMap::new(),
            sources_ready: false,
            node_ips: Vec::new(),
        }
    }

    /// Runs until `stop` or until the pods' source has gone. Passes that run then are dropped; containers stay.
    pub async fn run(mut self, mut inputs: Inputs, stop: CancellationToken) {
        loop {
            self.view.turned();
            let next = self.start_due(&inputs.health).unwrap_or_else(far).min(far());
            tokio::select! {
                () = stop.cancelled() => return,
                update = inputs.updates.recv() => match update {
                    Some(update) => self.update(update).await,
                    None => return,
                },
                Some(ended) = self.passes.join_next_with_id() => self.settle(ended).await,
                changed = inputs.snapshots.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let snapshot = inputs.snapshots.borrow_and_update().clone();
                    if let Some(snapshot) = snapshot {
                        self.compare(&snapshot);
                    }
                }
                Some(update) = inputs.probes.recv() => self.probed(&update),
                change = inputs.changes.recv() => match change {
                    Ok(change) => self.object_changed(Some(&change)),
                    Err(RecvError::Lagged(_)) => self.object_changed(None),
                    Err(RecvError::Closed) => return,
                },
                changed = inputs.health.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.runtime_changed();
                }
                changed = inputs.node.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let ips = inputs.node.borrow_and_update().ips.clone();
                    self.node_changed(ips);
                }
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Starts the passes that are due; returns when the next one will be.
    fn start_due(&mut self, health: &watch::Receiver<Health>) -> Option<Instant> {
        health.borrow().usable()?; // the change of health wakes us
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        for (uid, slot) in &mut self.slots {
            let Some(due) = slot.due else { continue };
            if slot.memory.is_none() {
                continue;
            }
            if due > now {
                next = Some(next.map_or(due, |it| it.min(due)));
                continue;
            }
            let (Some(goal), Some(memory)) = (slot.goal(), slot.memory.take()) else { continue };
            slot.due = None;
            slot.dirty = false;
            slot.interrupt = Interrupt::default();
            let (namespace, name) = (pod::namespace(&slot.pod), pod::name(&slot.pod));
            let span = info_span!("pod", namespace, name, pod.uid = uid);
            let pass = worker::pass(self.agent.clone(), slot.pod.clone(), memory, goal, slot.interrupt.clone());
            let handle = self.passes.spawn(pass.instrument(span));
            self.running.insert(handle.id(), uid.clone());
        }
        next
    }

    async fn update(&mut self, update: PodUpdate) {
        match update {
            PodUpdate::Upsert(pod) => self.upsert(Arc::from(pod)).await,
            PodUpdate::Remove { uid } => self.remove(&uid).await,
            PodUpdate::Set(mut pods) => {
                let wanted: BTreeSet<&str> = pods.iter().map(pod::uid).collect();
                let known = self.slots.iter().filter(|(_, slot)| !slot.removed);
                let gone: Vec<String> =
                    known.filter(|(uid, _)| !wanted.contains(uid.as_str())).map(|(uid, _)| uid.clone()).collect();
                for uid in gone {
                    self.remove(&uid).await;
                }
                pods.sort_by(|a, b| a.metadata.creation_timestamp.cmp(&b.metadata.creation_timestamp));
                for pod in pods {
                    self.upsert(Arc::new(pod)).await;
                }
                if !self.sources_ready {
                    info!(pods = self.slots.len(), "pod source is ready");
                    self.sources_ready = true;
                    self.view.set_sources_ready();
                    self.nudge.now(); // orphans may be told from wanted pods now
                }
            }
        }
    }

    async fn upsert(&mut self, pod: Arc<Pod>) {
        let uid = pod::uid(&pod).to_owned();
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        if uid.is_empty() || node != Some(self.agent.settings.node_name.as_str()) {
            debug!(pod.uid = uid, node, "pod of another node ignored");
            return;
        }
        match self.slots.get_mut(&uid) {
            Some(slot) if slot.removed => {
                slot.reborn = Some(pod);
                return;
            }
            Some(slot) => {
                let changed = !pod::same_desire(&slot.pod, &pod);
                let spec_changed = slot.pod.spec != pod.spec;
                slot.pod = pod.clone();
                if changed && slot.stage == Stage::Running {
                    if spec_changed { slot.interrupt() } else { slot.wake() }
                }
            }
            None => {
                self.slots.insert(uid.clone(), Slot::new(pod.clone(), Stage::Running, false));
            }
        }
        if let Some(slot) = self.slots.get_mut(&uid).filter(|_| pod::is_deleting(&pod)) {
            slot.stop(pod::grace(&pod));
        }
        self.view.put(&uid, pod.clone());
        self.agent.reporter.tell(Note::Object(pod)).await;
    }

    async fn remove(&mut self, uid: &str) {
        let Some(slot) = self.slots.get_mut(uid) else { return };
        slot.removed = true;
        slot.reborn = None;
        let grace = pod::grace(&slot.pod);
        slot.stop(grace);
        if slot.stage == Stage::Finished {
            slot.stage = Stage::Cleaning;
            slot.wake();
        }
        self.view.remove(uid);
        self.agent.reporter.tell(Note::Forget { uid: uid.to_owned() }).await;
    }

    async fn settle(&mut self, ended: Result<(Id, (Memory, Outcome)), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(uid) = self.running.remove(&id) else { return };
        let Some(slot) = self.slots.get_mut(&uid) else { return };
        slot.last_pass = Some(Instant::now());
        let outcome = match ended {
            Ok((_, (memory, outcome))) => {
                if let Some(status) = memory.status.as_ref().filter(|_| !slot.removed) {
                    self.view.put_status(&uid, status);
                }
                slot.memory = Some(memory);
                outcome
            }
            Err(error) => {
                // A bug in one pod's pass must not stop the others: begin again with an empty memory.
                error!(pod.uid = uid, %error, "pod pass ended abnormally");
                slot.memory = Some(Memory::default());
                Outcome::Look(Instant::now() + Duration::from_secs(10))
            }
        };
        match outcome {
            Outcome::Look(when) => {
                slot.due = Some(if slot.dirty { Instant::now() } else { when });
            }
            Outcome::Ended => {
                let grace = pod::grace(&slot.pod);
                slot.stop(grace);
                slot.due = Some(Instant::now());
            }
            Outcome::Finished if matches!(slot.stage, Stage::Stopping { .. }) => {
                slot.stage = if slot.removed { Stage::Cleaning } else { Stage::Finished };
                slot.due = slot.removed.then(Instant::now);
            }
            Outcome::Finished => slot.due = Some(Instant::now()),
            Outcome::Gone => {
                let reborn = self.slots.remove(&uid).and_then(|slot| slot.reborn);
                self.agent.reporter.tell(Note::Forget { uid }).await;
                if let Some(pod) = reborn {
                    self.upsert(pod).await;
                }
                return;
            }
        }
        if std::mem::take(&mut slot.recheck) {
            self.nudge.now();
        }
    }

    /// Compares a list of the runtime with what the passes saw.
    fn compare(&mut self, snapshot: &Snapshot) {
        for (uid, slot) in &mut self.slots {
            let listed = snapshot.pods.get(uid);
            let Some(memory) = &slot.memory else {
                slot.recheck = true;
                continue;
            };
            let Some(ended) = slot.last_pass else { continue };
            if snapshot.taken <= ended {
                self.nudge.now(); // older than what the pass saw: ask for a newer one
                continue;
            }
            if listed.map_or(0, |listed| listed.fingerprint) == memory.fingerprint {
                continue;
            }
            match slot.stage {
                Stage::Running => slot.wake(),
                Stage::Finished if listed.is_some_and(|listed| listed.alive) => {
                    slot.stage = Stage::Stopping { grace: ORPHAN_GRACE };
                    slot.wake();
                }
                Stage::Stopping { .. } | Stage::Finished | Stage::Cleaning => {}
            }
        }
        if !self.sources_ready {
            return; // who is an orphan is known only when all pods are
        }
        for (uid, listed) in &snapshot.pods {
            if !self.slots.contains_key(uid) {
                info!(pod.uid = uid, name = listed.name, namespace = listed.namespace, "stopping pod nobody knows");
                let orphan = Arc::new(fabricated(uid, listed));
                self.slots.insert(uid.clone(), Slot::new(orphan, Stage::Stopping { grace: ORPHAN_GRACE }, true));
            }
        }
    }

    fn probed(&mut self, update: &ProbeUpdate) {
        if let Some((reason, message)) = &update.event {
            debug!(pod.uid = update.pod_uid, container = update.container, reason, message, "probe");
        }
        if update.changed.is_some()
            && let Some(slot) = self.slots.get_mut(&update.pod_uid)
        {
            slot.wake();
        }
    }

    /// `None`: any object may have changed.
    fn object_changed(&mut self, change: Option<&ObjectChange>) {
        for slot in self.slots.values_mut().filter(|slot| slot.stage == Stage::Running) {
            let waits =
                slot.memory.as_ref().is_none_or(|memory| !memory.failures.is_empty() || memory.failed_passes > 0);
            let concerned = change.is_none_or(|change| {
                let near = change.namespace == pod::namespace(&slot.pod);
                near && (waits || volumes::spec::references(&slot.pod, change))
            });
            if concerned {
                slot.wake();
            }
        }
    }

    /// Statuses carry the addresses of the node.
    fn node_changed(&mut self, ips: Vec<IpAddr>) {
        if self.node_ips != ips {
            self.node_ips = ips;
            self.slots.values_mut().filter(|slot| slot.stage == Stage::Running).for_each(Slot::wake);
        }
    }

    /// The runtime or its network came back: whoever failed meanwhile is due.
    fn runtime_changed(&mut self) {
        for slot in self.slots.values_mut() {
            if slot.memory.as_ref().is_some_and(|memory| memory.failed_passes > 0) && slot.stage != Stage::Finished {
                slot.wake();
            }
        }
        self.nudge.now();
    }
}

/// A pod of which only the runtime's labels are left.
fn fabricated(uid: &str, listed: &Listed) -> Pod {
    Pod {
        metadata: ObjectMeta {
            uid: Some(uid.to_owned()),
            name: Some(listed.name.clone()),
            namespace: Some(listed.namespace.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec::default()),
        status: None,
    }
}

/// The loop turns at least so often, which shows that it can.
fn far() -> Instant {
    Instant::now() + Duration::from_mins(1)
}
