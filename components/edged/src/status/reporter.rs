//! Brings pod statuses to the API and confirms deletions: the only writer of pod objects.
//!
//! Level-triggered: per pod it holds what the status should be and what the API last showed, and sends the
//! difference. While the cloud is away nothing is tried; on reconnect the difference is computed anew, so only the
//! newest state travels. A patch the API has acknowledged is not repeated unless one of the two sides changed.
//! Source: spec 08 §7.3, §9.7, §18.3.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::doors::{KubeApi, KubeApiError};
use crate::pod;

use super::{conditions, cut_messages, patch};

/// Notes from the workers, in notes. Full: the worker waits, which slows it to the speed of the reporter.
const NOTES_CAPACITY: usize = 64;
/// Calls to the API at a time.
const MAX_IN_FLIGHT: usize = 8;
/// A failed call is tried again after this. Source: annex B, status batch.
const RETRY: Duration = Duration::from_secs(10);
/// A call the API refuses because it has no such pod, or another one: the pod's end will be told, or the refusal was
/// of a moment and the pod is still there.
const REFUSED_RETRY: Duration = Duration::from_mins(1);
/// Changes that matter little wait this long for the next one, so that a starting pod costs one patch.
const COALESCE: Duration = Duration::from_secs(1);

/// What the reporter is told.
#[derive(Debug)]
pub enum Note {
    /// The pod object as the API last showed it.
    Object(Arc<Pod>),
    /// What the status should be. `finished`: nothing of the pod is left on this node.
    Status { pod: Arc<Pod>, status: Box<PodStatus>, finished: bool },
    /// The pod is gone from the API.
    Forget { uid: String },
}

/// Handle for the workers; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reporter {
    notes: mpsc::Sender<Note>,
}

/// The reporter's life; see [`ReporterTask::run`].
pub struct ReporterTask {
    api: Arc<dyn KubeApi>,
    notes: mpsc::Receiver<Note>,
    entries: BTreeMap<String, Entry>,
}

/// Makes the handle and the unstarted task.
pub fn new(api: Arc<dyn KubeApi>) -> (Reporter, ReporterTask) {
    let (sender, receiver) = mpsc::channel(NOTES_CAPACITY);
    (Reporter { notes: sender }, ReporterTask { api, notes: receiver, entries: BTreeMap::new() })
}

impl Reporter {
    /// Hands over a note; waits while the queue is full. After the reporter's end notes go nowhere.
    pub async fn tell(&self, note: Note) {
        let _ = self.notes.send(note).await;
    }
}

#[derive(Debug)]
struct Entry {
    pod: Arc<Pod>,
    /// The API's status of the pod, as last seen.
    api: PodStatus,
    wanted: Option<PodStatus>,
    finished: bool,
    /// What was wanted, and what the API answered, when it last acknowledged a patch.
    acknowledged: Option<Box<(PodStatus, PodStatus)>>,
    in_flight: bool,
    /// Not before this.
    due: Instant,
}

#[derive(Debug, PartialEq)]
enum Step {
    Nothing,
    Patch(Value),
    Delete,
}

/// What the API should hold: ours, with the conditions of others as the API has them now.
fn merged(api: &PodStatus, wanted: &PodStatus) -> PodStatus {
    let mut status = wanted.clone();
    let mut all = conditions::foreign(api);
    let own = wanted.conditions.iter().flatten();
    all.extend(own.filter(|condition| conditions::OWNED.contains(&condition.type_.as_str())).cloned());
    status.conditions = Some(all);
    status.nominated_node_name.clone_from(&api.nominated_node_name);
    if api.qos_class.is_some() {
        status.qos_class.clone_from(&api.qos_class);
    }
    if pod::is_terminal(api) {
        status.phase.clone_from(&api.phase); // never left again
    }
    cut_messages(&mut status);
    status
}

impl Entry {
    fn step(&self) -> Step {
        let Some(wanted) = &self.wanted else { return Step::Nothing };
        let target = merged(&self.api, wanted);
        let uid = pod::uid(&self.pod);
        if let Some(patch) = patch::patch(uid, &self.api, &target) {
            let repeated = self.acknowledged.as_ref().is_some_and(|it| it.0 == *wanted && it.1 == self.api);
            if !repeated {
                return Step::Patch(patch);
            }
        }
        if self.finished && pod::is_deleting(&self.pod) && pod::is_terminal(&self.api) {
            return Step::Delete;
        }
        Step::Nothing
    }

    /// Whether someone waits for this change: another phase, another readiness, the end of the pod.
    fn is_urgent(&self) -> bool {
        let Some(wanted) = &self.wanted else { return false };
        let ready = |status: &PodStatus| {
            status.conditions.iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True")
        };
        self.finished || wanted.phase != self.api.phase || ready(wanted) != ready(&self.api)
    }
}

struct Outcome {
    uid: String,
    result: Result<Answer, KubeApiError>,
}

enum Answer {
    Patched { wanted: Box<PodStatus>, object: Box<Pod> },
    Deleted,
}

impl ReporterTask {
    /// Serves until `stop`; calls in flight are dropped then, to be repeated by the next run.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut connected = self.api.connected();
        let mut calls: JoinSet<Outcome> = JoinSet::new();
        loop {
            let online = *connected.borrow_and_update();
            let next = if online { self.send_due(&mut calls) } else { None };
            tokio::select! {
                () = stop.cancelled() => return,
                note = self.notes.recv() => match note {
                    Some(note) => self.take(note),
                    None => return,
                },
                Some(ended) = calls.join_next() => match ended {
                    Ok(outcome) => self.settle(outcome),
                    Err(error) => {
                        warn!(%error, "status call ended abnormally");
                        self.entries.values_mut().for_each(|entry| entry.in_flight = false);
                    }
                },
                changed = connected.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = Instant::now();
                    self.entries.values_mut().for_each(|entry| entry.due = now);
                }
                () = sleep_until(next) => {}
            }
        }
    }

    fn take(&mut self, note: Note) {
        let now = Instant::now();
        match note {
            Note::Forget { uid } => {
                self.entries.remove(&uid);
            }
            Note::Object(pod) => {
                let entry = self.entry(&pod, now);
                entry.api = pod.status.clone().unwrap_or_default();
                entry.pod = pod;
                entry.due = entry.due.min(now + COALESCE); // read again: what was refused is tried again
            }
            Note::Status { pod, status, finished } => {
                let entry = self.entry(&pod, now);
                entry.wanted = Some(*status);
                entry.finished = finished;
                if entry.is_urgent() {
                    entry.due = entry.due.min(now);
                } else if entry.due <= now {
                    entry.due = now + COALESCE;
                }
            }
        }
    }

    fn entry(&mut self, pod: &Arc<Pod>, now: Instant) -> &mut Entry {
        self.entries.entry(pod::uid(pod).to_owned()).or_insert_with(|| Entry {
            pod: pod.clone(),
            api: pod.status.clone().unwrap_or_default(),
            wanted: None,
            finished: false,
            acknowledged: None,
            in_flight: false,
            due: now,
        })
    }

    /// Starts the calls that are due; returns when the next one will be.
    fn send_due(&mut self, calls: &mut JoinSet<Outcome>) -> Option<Instant> {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        for (uid, entry) in &mut self.entries {
            if entry.in_flight {
                continue;
            }
            if entry.due > now {
                if entry.wanted.is_some() {
                    next = Some(next.map_or(entry.due, |it| it.min(entry.due)));
                }
                continue;
            }
            if calls.len() >= MAX_IN_FLIGHT {
                return None; // a finished call brings us back
            }
            let step = entry.step();
            if step == Step::Nothing {
                continue;
            }
            entry.in_flight = true;
            let call = Call {
                api: self.api.clone(),
                uid: uid.clone(),
                namespace: pod::namespace(&entry.pod).to_owned(),
                name: pod::name(&entry.pod).to_owned(),
            };
            let wanted = entry.wanted.clone().unwrap_or_default();
            calls.spawn(call.make(step, wanted));
        }
        next
    }

    fn settle(&mut self, outcome: Outcome) {
        let Some(entry) = self.entries.get_mut(&outcome.uid) else { return };
        entry.in_flight = false;
        match outcome.result {
            Ok(Answer::Patched { wanted, object }) => {
                entry.api = object.status.clone().unwrap_or_default();
                entry.acknowledged = Some(Box::new((*wanted, entry.api.clone())));
                entry.due = Instant::now();
            }
            Ok(Answer::Deleted) => {
                self.entries.remove(&outcome.uid);
            }
            Err(KubeApiError::NotFound { .. } | KubeApiError::Conflict { .. }) => {
                // Most likely the pod is gone and [`Note::Forget`] is on its way. If not, its status is still owed.
                debug!(pod.uid = outcome.uid, retry_in = ?REFUSED_RETRY, "pod is unknown to the API");
                entry.acknowledged = None;
                entry.due = Instant::now() + REFUSED_RETRY;
            }
            Err(error) => {
                debug!(pod.uid = outcome.uid, %error, retry_in = ?RETRY, "status not delivered");
                entry.due = Instant::now() + RETRY;
            }
        }
    }
}

async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

struct Call {
    api: Arc<dyn KubeApi>,
    uid: String,
    namespace: String,
    name: String,
}

impl Call {
    async fn make(self, step: Step, wanted: PodStatus) -> Outcome {
        let Self { api, uid, namespace, name } = self;
        let result = match step {
            Step::Patch(patch) => api
                .patch_pod_status(&namespace, &name, patch)
                .await
                .map(|object| Answer::Patched { wanted: Box::new(wanted), object: Box::new(object) }),
            Step::Delete => api.delete_pod(&namespace, &name, &uid).await.map(|()| Answer::Deleted),
            Step::Nothing => unreachable!("only steps that call the API are made into calls"),
        };
        Outcome { uid, result }
    }
}

#[cfg(test)]
mod tests;
