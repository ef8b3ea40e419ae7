//! The agent's side of what others ask of it: commands for probes, pods and logs for the HTTP server, facts for the
//! node status.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{NodeRuntimeHandler, NodeRuntimeHandlerFeatures, Pod};
use tokio::sync::watch;

use crate::cri::Runtime;
use crate::health::RuntimeFacts;
use crate::node::RuntimeInfo;
use crate::pleg::{self, Snapshot};
use crate::probes::{ContainerExec, ExecError, ExecOutput};
use crate::server;
use crate::view::View;

#[async_trait]
impl ContainerExec for Runtime {
    async fn exec_sync(
        &self,
        container_id: &str,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecOutput, ExecError> {
        match Runtime::exec_sync(self, container_id, command.to_vec(), timeout).await {
            Ok(answer) => {
                let mut output = answer.stdout;
                output.extend_from_slice(&answer.stderr);
                Ok(ExecOutput { exit_code: answer.exit_code, output })
            }
            Err(error) if error.is_deadline() => Err(ExecError::TimedOut),
            Err(error) => Err(ExecError::Failed(error.to_string())),
        }
    }
}

/// What the HTTP server reads.
pub struct Backend {
    runtime: Runtime,
    view: Arc<View>,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
}

impl Backend {
    pub fn new(runtime: Runtime, view: Arc<View>, snapshots: watch::Receiver<Option<Arc<Snapshot>>>) -> Self {
        Self { runtime, view, snapshots }
    }
}

#[async_trait]
impl server::Backend for Backend {
    fn pods(&self) -> Vec<Arc<Pod>> {
        self.view.pods()
    }

    fn sync_loop_healthy(&self) -> bool {
        let listed = self.snapshots.borrow().as_ref().map(|snapshot| snapshot.taken.elapsed());
        self.view.is_turning() && listed.is_some_and(|age| age < pleg::UNHEALTHY_AFTER)
    }

    fn is_running(&self, container_id: &str) -> bool {
        self.view.is_running(container_id)
    }

    async fn log_path(&self, container_id: &str) -> Option<PathBuf> {
        let status = self.runtime.container_status(container_id).await.ok()?;
        (!status.log_path.is_empty()).then(|| PathBuf::from(status.log_path))
    }

    fn metrics(&self, text: &mut String) {
        let running = self
            .snapshots
            .borrow()
            .as_ref()
            .map_or(0, |snapshot| snapshot.pods.values().filter(|pod| pod.alive).count());
        let _ = writeln!(
            text,
            "# HELP kubelet_running_pods Number of pods that have a running pod sandbox\n\
             # TYPE kubelet_running_pods gauge\n\
             kubelet_running_pods {running}\n\
             # HELP kubelet_desired_pods The number of pods the agent is being instructed to run\n\
             # TYPE kubelet_desired_pods gauge\n\
             kubelet_desired_pods {}",
            self.view.len()
        );
    }
}

/// The node status' view of the runtime.
pub fn runtime_info(facts: &RuntimeFacts, problems: Vec<String>) -> RuntimeInfo {
    let handler = |(name, recursive, users): &(String, bool, bool)| NodeRuntimeHandler {
        name: Some(name.clone()),
        features: Some(NodeRuntimeHandlerFeatures {
            recursive_read_only_mounts: Some(*recursive),
            user_namespaces: Some(*users),
        }),
    };
    RuntimeInfo {
        name: facts.name.clone(),
        version: facts.version.trim_start_matches('v').to_owned(),
        problems,
        handlers: facts.handlers.iter().map(handler).collect(),
    }
}
