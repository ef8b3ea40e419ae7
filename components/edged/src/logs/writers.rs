//! The agent's side of log rotation: which logs are being written, and who is told to open them again.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use tokio_util::sync::CancellationToken;

use super::rotate::{self, LogWriters, RotationLimits, RunningLog};
use crate::cri::Runtime;
use crate::doors::Settings;
use crate::translate::container::log_path;
use crate::translate::log_directory;
use crate::view::View;

/// Takes the logs from the pods' last statuses and the reopening from CRI.
pub(crate) struct AgentLogs {
    settings: Arc<Settings>,
    runtime: Runtime,
    view: Arc<View>,
}

impl AgentLogs {
    pub(crate) fn new(settings: Arc<Settings>, runtime: Runtime, view: Arc<View>) -> Self {
        Self { settings, runtime, view }
    }

    /// Rotates until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let limits = RotationLimits {
            max_size: self.settings.container_log_max_size,
            max_files: self.settings.container_log_max_files,
            interval: self.settings.container_log_monitor_interval,
        };
        rotate::run(&self, limits, stop).await;
    }
}

#[async_trait]
impl LogWriters for AgentLogs {
    fn running(&self) -> Vec<RunningLog> {
        self.view.pods().iter().flat_map(|pod| running_logs(&self.settings, pod)).collect()
    }

    async fn reopen(&self, container_id: &str) -> Result<(), String> {
        self.runtime.reopen_container_log(container_id).await.map_err(|error| error.to_string())
    }
}

fn running_logs(settings: &Settings, pod: &Pod) -> Vec<RunningLog> {
    let Some(status) = &pod.status else { return Vec::new() };
    let lists = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    let dir = log_directory(settings, pod);
    let running = lists.into_iter().flatten().flatten().filter_map(|container| {
        container.state.as_ref()?.running.as_ref()?;
        let id = container.container_id.as_deref()?.rsplit("://").next()?;
        let attempt = u32::try_from(container.restart_count).ok()?;
        Some(RunningLog { container_id: id.to_owned(), path: dir.join(log_path(&container.name, attempt)) })
    });
    running.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_running_containers_have_a_log_to_rotate() {
        let container = |name: &str, state| {
            json!({"name": name, "image": "i", "imageID": "", "ready": true, "restartCount": 2,
                "containerID": format!("containerd://{name}-id"), "state": state})
        };
        let pod = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "status": {"containerStatuses":
            [container("a", json!({"running": {}})), container("b", json!({"terminated": {"exitCode": 0}}))]}});
        let got = running_logs(&Settings::default(), &serde_json::from_value(pod).unwrap());
        let path = "/var/log/pods/shop_web_u/a/2.log".into();
        assert_eq!(got, [RunningLog { container_id: "a-id".to_owned(), path }]);
    }
}
