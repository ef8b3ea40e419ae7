//! The essential controllers. Each is a pass over state, repeated after every change of what it looks at, so that none
//! depends on having seen an event. Source: spec 10 §10.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub mod namespaces;
pub mod nodes;
pub mod pods;
pub mod service_accounts;

use crate::apiserver::api::Api;
use crate::feed::reconcile;

/// What the controllers of an installation may be told.
#[derive(Debug, Clone)]
pub struct ControllerSettings {
    /// How long a node may be silent before it is Unknown. Default 40 s.
    pub node_monitor_grace: Duration,
}

impl Default for ControllerSettings {
    fn default() -> Self {
        Self { node_monitor_grace: Duration::from_secs(40) }
    }
}

/// A pass that nothing triggers still runs this often.
const SAFETY: Duration = Duration::from_mins(5);

/// Runs every controller until `stop`; no task outlives the call.
pub async fn run(api: Arc<Api>, settings: ControllerSettings, stop: CancellationToken) {
    const NAMESPACES: (&str, &str) = ("", "namespaces");
    let stop = stop.child_token();
    let mut tasks = JoinSet::new();
    let sources: &'static [_] = &[NAMESPACES, ("", "serviceaccounts")];
    tasks.spawn(reconcile(api.clone(), "serviceaccount", sources, SAFETY, stop.clone(), service_accounts::accounts));
    let sources: &'static [_] = &[NAMESPACES, ("", "configmaps")];
    tasks.spawn(reconcile(api.clone(), "root-ca", sources, SAFETY, stop.clone(), service_accounts::root_ca));
    tasks.spawn(namespaces::run(api.clone(), stop.clone()));
    tasks.spawn(nodes::run(api.clone(), settings.node_monitor_grace, stop.clone()));
    tasks.spawn(pods::run(api.clone(), stop.clone()));
    while let Some(ended) = tasks.join_next().await {
        if let Err(panic) = ended {
            // The process lives on; the owner of this call decides about a restart.
            tracing::error!(error = %panic, "a controller ended");
            stop.cancel();
        }
    }
}
