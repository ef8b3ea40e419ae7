//! The composition root: reading it shows the whole edge.

use std::sync::Arc;
use std::time::Duration;

use edged::doors::{KubeApi, ObjectChange, POD_UPDATES_CAPACITY, PodUpdate, Settings as EdgedSettings};
use supervisor::backoff::Backoff;
use supervisor::{BoxError, Supervisor};
use thiserror::Error;
use tokio::sync::{Mutex, broadcast, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::WallClock;
use crate::edgehub::EdgeHub;
use crate::edgehub::uplink::Uplink;
use crate::metamanager::store::{Store, StoreError};
use crate::metamanager::{INBOX, MetaManager, MetaManagerSettings};
use crate::neighbours;
use crate::settings::EdgeCoreSettings;

/// Waits between the lives of a module that fails.
const RESTART_MIN: Duration = Duration::from_secs(1);
const RESTART_MAX: Duration = Duration::from_secs(30);
/// How long the modules may take to stop, and the database after them.
const STOP_GRACE: Duration = Duration::from_secs(10);
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// Why edgecore cannot run, or did not end in good order.
#[derive(Debug, Error)]
pub enum EdgeCoreError {
    /// Another node agent runs on this host; both would manage the same containers.
    #[error("another node agent is running on this host: {agent}")]
    OtherAgent {
        /// What it is, in words.
        agent: String,
    },
    /// No database.
    #[error("cannot open the edge database")]
    Database(#[from] StoreError),
    /// The database thread panicked while opening.
    #[error("opening the edge database failed")]
    DatabaseTask(#[source] tokio::task::JoinError),
    /// Some modules did not stop in time.
    #[error("edgecore did not stop in good order")]
    Stop(#[from] supervisor::StopError),
}

/// What the pod agent is handed for one life.
pub struct AgentDoors {
    /// Its settings.
    pub settings: EdgedSettings,
    /// Its "API server".
    pub api: Arc<dyn KubeApi>,
    /// Its pods: the whole set first, then changes.
    pub pods: mpsc::Receiver<PodUpdate>,
    /// Changes of ConfigMaps and Secrets.
    pub changes: broadcast::Receiver<ObjectChange>,
}

/// Runs edgecore until `stop`.
///
/// Pods are started from the database alone; the cloud is looked for meanwhile and for as long as it takes. A module
/// that fails is started again beside the others.
///
/// # Errors
/// [`EdgeCoreError`] when there is no database to start from, or when a module had to be aborted at the end.
pub async fn run(settings: EdgeCoreSettings, stop: CancellationToken) -> Result<(), EdgeCoreError> {
    run_with_agent(settings, stop, async |doors: AgentDoors, stop| {
        let AgentDoors { settings, api, pods, changes } = doors;
        edged::Edged::new(settings, api, pods, changes)?.run(stop).await?;
        Ok(())
    })
    .await
}

/// As [`run`], with another pod agent: for tests, and for embedders that bring their own.
///
/// # Errors
/// As [`run`].
pub async fn run_with_agent<A, Life>(
    settings: EdgeCoreSettings,
    stop: CancellationToken,
    agent: A,
) -> Result<(), EdgeCoreError>
where
    A: Fn(AgentDoors, CancellationToken) -> Life + Send + Sync + 'static,
    Life: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    if settings.check_environment
        && let Some(agent) = neighbours::find()
    {
        return Err(EdgeCoreError::OtherAgent { agent });
    }
    let clock = WallClock::system();
    let EdgeCoreSettings { node_name, database, remote_query_timeout, edge_hub, edged, .. } = settings;

    let (store, threads) =
        spawn_blocking(move || Store::open(database)).await.map_err(EdgeCoreError::DatabaseTask)??;
    info!(node = node_name, store.generation = store.generation(), "edge database is open");
    let generation = store.generation().to_owned();
    let uplink = Uplink::new();
    let (inbox, messages) = mpsc::channel(INBOX);
    let meta_settings = MetaManagerSettings { node_name: node_name.clone(), remote_query_timeout };
    let meta = Arc::new(MetaManager::new(meta_settings, store, uplink.clone(), clock).await?);

    let mut modules = Supervisor::new(Backoff::new(RESTART_MIN, RESTART_MAX));
    let messages = Arc::new(Mutex::new(messages));
    modules.module("metamanager", {
        let meta = Arc::clone(&meta);
        move |stop| {
            let (meta, messages) = (Arc::clone(&meta), Arc::clone(&messages));
            async move {
                meta.run(&mut *messages.lock().await, &stop).await;
                Ok::<_, BoxError>(())
            }
        }
    });
    if let Some(settings) = edged {
        let meta = Arc::clone(&meta);
        let agent = Arc::new(agent);
        modules.module("edged", move |stop| {
            let (meta, agent, settings) = (Arc::clone(&meta), Arc::clone(&agent), settings.clone());
            async move {
                let (updates, pods) = mpsc::channel(POD_UPDATES_CAPACITY);
                let changes = meta.changes();
                let api: Arc<dyn KubeApi> = Arc::clone(&meta) as Arc<dyn KubeApi>;
                let feed = async {
                    let life = meta.pods().run(meta.store(), meta.connected(), updates, stop.clone());
                    life.await.map_err(BoxError::from)
                };
                let life = agent(AgentDoors { settings, api, pods, changes }, stop.clone());
                tokio::try_join!(feed, life).map(|_| ())
            }
        });
    }
    if let Some(settings) = edge_hub {
        let hub = Arc::new(EdgeHub::new(node_name, settings, generation, uplink, inbox, clock));
        modules.module("edgehub", move |stop| {
            let hub = Arc::clone(&hub);
            async move {
                hub.run(&stop).await;
                Ok::<_, BoxError>(())
            }
        });
    } else {
        info!("edgeHub is off: this node lives from its database");
    }
    drop(meta);
    let ended = modules.run(stop, STOP_GRACE).await;

    // Every handle to the database is gone now, so its threads write what is queued and end.
    if !matches!(timeout(CLOSE_GRACE, spawn_blocking(|| threads.join())).await, Ok(Ok(()))) {
        warn!("edge database did not close in time");
    }
    Ok(ended?)
}

#[cfg(test)]
mod tests;
