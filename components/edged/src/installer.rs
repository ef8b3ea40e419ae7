//! What whoever installs or removes a node asks of its container runtime, before the agent runs and after it is gone.
//!
//! Opens its own connection and keeps nothing.

use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use crate::cri::proto::RuntimeCgroupDriver;
use crate::cri::{CriError, EndpointError, Runtime};
use crate::labels::POD_NAMESPACE;

/// Deadline of each question.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Deadline for stopping or removing one pod.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// What a runtime says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeFacts {
    /// Its socket, as a `unix://` URL.
    pub endpoint: String,
    /// Name and version.
    pub version: String,
    /// `cgroupfs` or `systemd`, if it told.
    pub cgroup_driver: Option<String>,
    /// Why it is not ready, in its own words.
    pub not_ready: Option<String>,
    /// Why its pod network is not ready; pods on the host network run anyway.
    pub network_not_ready: Option<String>,
}

/// Why a runtime cannot be asked.
#[derive(Debug, Clone, Error)]
pub enum InstallerError {
    /// The endpoint is no socket address.
    #[error("container runtime endpoint {endpoint:?} is not a unix:// URL or an absolute path")]
    Endpoint {
        /// As given.
        endpoint: String,
    },
    /// It does not answer, or not over CRI v1.
    #[error("container runtime at {endpoint} does not answer over CRI v1: {reason}")]
    Call {
        /// Its socket.
        endpoint: String,
        /// Its words.
        reason: String,
    },
    /// It answers, but keeps some pods.
    #[error("container runtime at {endpoint} does not remove {}", failed.join("; "))]
    Stubborn {
        /// Its socket.
        endpoint: String,
        /// `namespace/name: reason` of each pod that is still there.
        failed: Vec<String>,
    },
}

impl From<EndpointError> for InstallerError {
    fn from(error: EndpointError) -> Self {
        Self::Endpoint { endpoint: error.endpoint }
    }
}

impl InstallerError {
    fn call(endpoint: &str) -> impl Fn(CriError) -> Self {
        move |error| Self::Call { endpoint: endpoint.to_owned(), reason: error.message }
    }
}

/// Asks a runtime about itself.
///
/// # Errors
/// [`InstallerError`]; a runtime that answers but is not ready is no error.
pub async fn inspect(endpoint: &str) -> Result<RuntimeFacts, InstallerError> {
    let runtime = Runtime::new(endpoint, endpoint, ASK_TIMEOUT)?;
    let failed = InstallerError::call(endpoint);
    let version = runtime.version().await.map_err(&failed)?;
    let status = runtime.status(true).await.map_err(&failed)?;
    let cgroup_driver = match runtime.runtime_config().await.ok().and_then(|config| config.linux) {
        Some(linux) if linux.cgroup_driver == RuntimeCgroupDriver::Systemd as i32 => Some("systemd".to_owned()),
        Some(_) => Some("cgroupfs".to_owned()),
        None => status.info.get("config").and_then(|config| containerd_cgroup_driver(config)),
    };
    let conditions = status.status.map(|status| status.conditions).unwrap_or_default();
    let not_met = |kind: &str| {
        let condition = conditions.iter().find(|condition| condition.r#type == kind && !condition.status)?;
        Some(format!("{} {}", condition.reason, condition.message).trim().to_owned())
    };
    Ok(RuntimeFacts {
        endpoint: endpoint.to_owned(),
        version: format!("{} {}", version.runtime_name, version.runtime_version),
        cgroup_driver,
        not_ready: not_met("RuntimeReady"),
        network_not_ready: not_met("NetworkReady"),
    })
}

/// The ids of all pod sandboxes that a runtime has.
///
/// # Errors
/// [`InstallerError`].
pub async fn pods(endpoint: &str) -> Result<Vec<String>, InstallerError> {
    let runtime = Runtime::new(endpoint, endpoint, ASK_TIMEOUT)?;
    let sandboxes = runtime.list_pod_sandboxes(None).await.map_err(InstallerError::call(endpoint))?;
    Ok(sandboxes.into_iter().map(|sandbox| sandbox.id).collect())
}

/// Stops and removes every pod sandbox that a node agent made, ours or an earlier one's, but those whose id is in
/// `keep`; returns `namespace/name` of each. Sandboxes without a pod's labels stay. Every pod is tried, whatever became
/// of the others. Not cancel-safe: pods removed so far are gone.
///
/// # Errors
/// [`InstallerError::Stubborn`] names the pods that are still there.
pub async fn remove_pods(endpoint: &str, keep: &[String]) -> Result<Vec<String>, InstallerError> {
    let runtime = Runtime::new(endpoint, endpoint, STOP_TIMEOUT)?;
    let (mut removed, mut failed) = (Vec::new(), Vec::new());
    for sandbox in runtime.list_pod_sandboxes(None).await.map_err(InstallerError::call(endpoint))? {
        let Some(namespace) = sandbox.labels.get(POD_NAMESPACE) else { continue };
        if keep.contains(&sandbox.id) {
            continue;
        }
        let name = sandbox.metadata.as_ref().map_or("", |metadata| metadata.name.as_str());
        let pod = format!("{namespace}/{name}");
        let outcome = match runtime.stop_pod_sandbox(&sandbox.id).await {
            Ok(()) => runtime.remove_pod_sandbox(&sandbox.id).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => removed.push(pod),
            Err(error) => failed.push(format!("{pod}: {}", error.message)),
        }
    }
    if failed.is_empty() {
        Ok(removed)
    } else {
        Err(InstallerError::Stubborn { endpoint: endpoint.to_owned(), failed })
    }
}

/// containerd before 2.0 tells its cgroup driver only in its configuration: a switch per OCI runtime.
fn containerd_cgroup_driver(config: &str) -> Option<String> {
    let config: Value = serde_json::from_str(config).ok()?;
    let containerd = config.get("containerd")?;
    let default = containerd.get("defaultRuntimeName").and_then(Value::as_str).unwrap_or("runc");
    let options = containerd.get("runtimes")?.get(default)?.get("options");
    let systemd = options.and_then(|options| options.get("SystemdCgroup")).and_then(Value::as_bool);
    Some(if systemd.unwrap_or(false) { "systemd" } else { "cgroupfs" }.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_containerd_tells_its_driver_in_its_configuration() {
        let config = |value: &str| {
            format!(r#"{{"containerd":{{"defaultRuntimeName":"runc","runtimes":{{"runc":{{"options":{value}}}}}}}}}"#)
        };
        assert_eq!(containerd_cgroup_driver(&config(r#"{"SystemdCgroup":true}"#)).as_deref(), Some("systemd"));
        assert_eq!(containerd_cgroup_driver(&config("null")).as_deref(), Some("cgroupfs"));
        assert_eq!(containerd_cgroup_driver("{}"), None);
        assert_eq!(containerd_cgroup_driver("no json"), None);
    }
}
