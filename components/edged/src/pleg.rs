//! Notices what happens in the runtime: lists everything, keeps a fingerprint per pod, publishes each list.
//!
//! With an event stream (CRI's own, or containerd's for versions whose CRI has none) an exit is noticed at once and
//! the list is only a safety net every ten seconds; without one the list is taken every second. Nothing here decides
//! anything: a pod whose fingerprint differs from what its worker last saw is looked at by its worker.
//! Source: spec 08 §5.1.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::cri::proto::{ContainerState, SandboxState};
use crate::cri::{CriError, Runtime};
use crate::{labels, observed};

/// Interval of lists without an event stream. Source: annex B.
const RELIST: Duration = Duration::from_secs(1);
/// Interval of lists beside an event stream.
const RELIST_WITH_EVENTS: Duration = Duration::from_secs(10);
/// After an event the runtime needs a moment until its lists show it: look again at these ages of the event.
const AFTER_EVENT: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(1)];
/// Pause before an event stream that ended or was refused is opened again.
const REOPEN: Duration = Duration::from_secs(10);
/// A runtime without events says so within this time.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
/// A list older than this makes the agent unhealthy. Source: annex B.
pub const UNHEALTHY_AFTER: Duration = Duration::from_mins(3);

/// One pod in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub namespace: String,
    /// Identity and state of its sandboxes and containers.
    pub fingerprint: u64,
    /// Whether any of them runs.
    pub alive: bool,
}

/// One list of everything CRI knows that belongs to pods.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub pods: BTreeMap<String, Listed>,
    /// When the list was asked for: whatever happened before is in it.
    pub taken: Instant,
}

/// Asks for a list soon.
#[derive(Debug, Clone, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// Many nudges before the next list are one.
    pub fn now(&self) {
        self.0.notify_one();
    }
}

/// News of the event stream.
#[derive(Debug, Default)]
struct News {
    happened: Notify,
    /// Whether events are delivered now.
    live: AtomicBool,
}

/// Lists and listens until `stop`.
pub async fn run(
    runtime: Runtime,
    nudge: Nudge,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    stop: CancellationToken,
) {
    let news = News::default();
    tokio::select! {
        () = stop.cancelled() => {}
        () = list(&runtime, &nudge, &news, &snapshots) => {}
        () = listen(&runtime, &news) => {}
    }
}

async fn list(runtime: &Runtime, nudge: &Nudge, news: &News, snapshots: &watch::Sender<Option<Arc<Snapshot>>>) {
    // Time of the last event and how often was looked since; the first looks may come too early.
    let mut follow_up: Option<(Instant, usize)> = None;
    loop {
        relist(runtime, snapshots).await;
        let interval = if news.live.load(Ordering::Relaxed) { RELIST_WITH_EVENTS } else { RELIST };
        follow_up = follow_up.filter(|(_, looks)| *looks < AFTER_EVENT.len());
        let next = follow_up.map_or(Instant::now() + interval, |(since, looks)| since + AFTER_EVENT[looks]);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {
                follow_up = follow_up.map(|(since, looks)| (since, looks + 1));
            }
            () = nudge.0.notified() => {}
            () = news.happened.notified() => {
                follow_up = Some((Instant::now(), 1));
                tokio::time::sleep(AFTER_EVENT[0]).await;
            }
        }
    }
}

/// Keeps an event stream open where the runtime has one.
async fn listen(runtime: &Runtime, news: &News) {
    loop {
        match listen_once(runtime, news).await {
            Ok(()) => debug!("runtime ended the event stream"),
            Err(error) => debug!(%error, "no runtime events"),
        }
        news.live.store(false, Ordering::Relaxed);
        news.happened.notify_one(); // what was missed meanwhile
        tokio::time::sleep(REOPEN).await;
    }
}

async fn listen_once(runtime: &Runtime, news: &News) -> Result<(), CriError> {
    let name = runtime.version().await?.runtime_name;
    let opening = async {
        if name == "containerd" { runtime.containerd_exits().await } else { runtime.container_events().await }
    };
    // The answer's head comes with the first event, a refusal at once: silence for a moment is a good sign.
    let mut opening = std::pin::pin!(opening);
    let mut events = if let Ok(opened) = tokio::time::timeout(REFUSED_WITHIN, &mut opening).await {
        opened?
    } else {
        info!(runtime = name, "listening to runtime events");
        news.live.store(true, Ordering::Relaxed);
        opening.await?
    };
    news.live.store(true, Ordering::Relaxed);
    news.happened.notify_one();
    while events.next().await?.is_some() {
        news.happened.notify_one();
    }
    Ok(())
}

/// Takes one list and publishes it.
async fn relist(runtime: &Runtime, snapshots: &watch::Sender<Option<Arc<Snapshot>>>) {
    let taken = Instant::now();
    let lists = tokio::try_join!(runtime.list_pod_sandboxes(None), runtime.list_containers(None));
    let (sandboxes, containers) = match lists {
        Ok(lists) => lists,
        Err(error) => {
            debug!(%error, "runtime did not list its containers");
            return;
        }
    };
    let mut pods: BTreeMap<String, Listed> = BTreeMap::new();
    let mut add = |labels: &BTreeMap<String, String>, id: &str, state: i32, alive: bool| {
        let Some(uid) = labels.get(labels::POD_UID) else { return };
        let name = |key: &str| labels.get(key).cloned().unwrap_or_default();
        let pod = pods.entry(uid.clone()).or_insert_with(|| Listed {
            name: name(labels::POD_NAME),
            namespace: name(labels::POD_NAMESPACE),
            fingerprint: 0,
            alive: false,
        });
        pod.fingerprint = pod.fingerprint.wrapping_add(observed::fingerprint(std::iter::once((id, state))));
        pod.alive |= alive;
    };
    for sandbox in &sandboxes {
        add(&sandbox.labels, &sandbox.id, sandbox.state, sandbox.state() == SandboxState::Ready);
    }
    for container in &containers {
        add(&container.labels, &container.id, container.state, container.state() == ContainerState::Running);
    }
    snapshots.send_replace(Some(Arc::new(Snapshot { pods, taken })));
}
