//! Is the container runtime there, is its network, which cgroup driver does it use: asked every few seconds.
//! Source: spec 08 §2.5, §3.5, §14.1.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cri::proto as p;
use crate::cri::{CriError, Runtime};
use crate::doors::CgroupDriver;

/// Pause between checks of a healthy runtime.
const POLL: Duration = Duration::from_secs(5);
/// Pause while the runtime or its network is missing: pods wait for it.
const POLL_WAITING: Duration = Duration::from_secs(1);
/// A runtime silent for this long is down.
const DOWN_AFTER: Duration = Duration::from_secs(30);

/// What is known of the runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// No check has succeeded yet.
    Unknown,
    /// It answers.
    Up(RuntimeFacts),
    /// It has stopped answering.
    Down,
}

/// A runtime that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeFacts {
    pub name: String,
    pub version: String,
    pub cgroup_driver: Option<CgroupDriver>,
    pub handlers: Vec<(String, bool, bool)>,
    /// The runtime's complaint about itself.
    pub runtime_error: Option<String>,
    /// Why pods without the host's network cannot start.
    pub network_error: Option<String>,
}

impl Health {
    /// Facts of a runtime that can start containers.
    pub fn usable(&self) -> Option<&RuntimeFacts> {
        match self {
            Self::Up(facts) if facts.runtime_error.is_none() => Some(facts),
            Self::Up(_) | Self::Unknown | Self::Down => None,
        }
    }

    /// Why pods cannot run, as the node's condition says it; empty when they can.
    pub fn complaints(&self) -> Vec<String> {
        match self {
            Self::Unknown => vec!["container runtime status check may not have completed yet".to_owned()],
            Self::Down => vec!["container runtime is down".to_owned()],
            Self::Up(facts) => [&facts.runtime_error, &facts.network_error].into_iter().flatten().cloned().collect(),
        }
    }
}

/// Checks until `stop`, publishing changes only.
pub async fn run(runtime: Runtime, health: watch::Sender<Health>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = check_forever(&runtime, &health) => {}
    }
}

async fn check_forever(runtime: &Runtime, health: &watch::Sender<Health>) {
    let mut last_good: Option<Instant> = None;
    let mut driver = None;
    loop {
        let pause = match check(runtime, &mut driver).await {
            Ok(facts) => {
                last_good = Some(Instant::now());
                let waiting = facts.runtime_error.is_some() || facts.network_error.is_some();
                publish(health, Health::Up(facts));
                if waiting { POLL_WAITING } else { POLL }
            }
            Err(error) => {
                driver = None; // another runtime may come back
                if last_good.is_some_and(|at| at.elapsed() > DOWN_AFTER) {
                    publish(health, Health::Down);
                }
                tracing::debug!(%error, "runtime check failed");
                POLL_WAITING
            }
        };
        tokio::time::sleep(pause).await;
    }
}

fn publish(health: &watch::Sender<Health>, now: Health) {
    health.send_if_modified(|current| {
        if *current == now {
            return false;
        }
        match (&now, now.complaints().as_slice()) {
            (Health::Up(facts), []) => {
                info!(runtime = facts.name, version = facts.version, "container runtime ready");
            }
            (_, problems) => warn!(error = problems.join("; "), "container runtime not ready"),
        }
        *current = now;
        true
    });
}

/// `driver` remembers the static answers between checks.
async fn check(runtime: &Runtime, known: &mut Option<Static>) -> Result<RuntimeFacts, CriError> {
    let facts = match known.take() {
        Some(facts) => facts,
        None => Static::ask(runtime).await?,
    };
    let status = runtime.status(false).await?;
    let condition = |kind: &str| {
        let conditions = status.status.as_ref().map_or(&[][..], |status| status.conditions.as_slice());
        let found = conditions.iter().find(|condition| condition.r#type == kind);
        let text = |reason: &str, message: &str| format!("{kind}={} reason:{reason} message:{message}", false);
        match found {
            Some(condition) if condition.status => None,
            Some(condition) => Some(text(&condition.reason, &condition.message)),
            None => Some(text("", "condition missing")),
        }
    };
    let answer = RuntimeFacts {
        name: facts.name.clone(),
        version: facts.version.clone(),
        cgroup_driver: facts.driver,
        handlers: status.runtime_handlers.iter().map(handler).collect(),
        runtime_error: condition("RuntimeReady").map(|text| format!("container runtime not ready: {text}")),
        network_error: condition("NetworkReady").map(|text| format!("container runtime network not ready: {text}")),
    };
    *known = Some(facts);
    Ok(answer)
}

fn handler(handler: &p::RuntimeHandler) -> (String, bool, bool) {
    let features = handler.features.clone().unwrap_or_default();
    (handler.name.clone(), features.recursive_read_only_mounts, features.user_namespaces)
}

/// What does not change while the runtime runs.
struct Static {
    name: String,
    version: String,
    driver: Option<CgroupDriver>,
}

impl Static {
    async fn ask(runtime: &Runtime) -> Result<Self, CriError> {
        let version = runtime.version().await?;
        let driver = match runtime.runtime_config().await {
            Ok(config) => config.linux.map(|linux| match linux.cgroup_driver() {
                p::RuntimeCgroupDriver::Systemd => CgroupDriver::Systemd,
                p::RuntimeCgroupDriver::Cgroupfs => CgroupDriver::Cgroupfs,
            }),
            // containerd before 2.0 does not answer but shows its configuration.
            Err(_) => driver_of_config(runtime.status(true).await?.info.get("config")),
        };
        Ok(Self { name: version.runtime_name, version: version.runtime_version, driver })
    }
}

/// Reads `SystemdCgroup` of the default runtime from containerd's configuration in a verbose status.
fn driver_of_config(config: Option<&String>) -> Option<CgroupDriver> {
    let config: Value = serde_json::from_str(config?).ok()?;
    let containerd = config.get("containerd")?;
    let name = containerd.get("defaultRuntimeName")?.as_str()?;
    let systemd = containerd.get("runtimes")?.get(name)?.get("options")?.get("SystemdCgroup")?.as_bool()?;
    Some(if systemd { CgroupDriver::Systemd } else { CgroupDriver::Cgroupfs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_is_read_from_the_configuration_of_older_containerd() {
        let config = |systemd: bool| {
            format!(
                r#"{{"containerd":{{"defaultRuntimeName":"runc","runtimes":{{"runc":{{"options":{{"SystemdCgroup":{systemd}}}}}}}}}}}"#
            )
        };
        assert_eq!(driver_of_config(Some(&config(true))), Some(CgroupDriver::Systemd));
        assert_eq!(driver_of_config(Some(&config(false))), Some(CgroupDriver::Cgroupfs));
        assert_eq!(driver_of_config(Some(&"{}".to_owned())), None);
    }

    #[test]
    fn complaints_read_as_node_conditions_do() {
        assert!(Health::Unknown.complaints()[0].contains("may not have completed"));
        let facts = RuntimeFacts {
            name: "containerd".to_owned(),
            version: "1".to_owned(),
            cgroup_driver: None,
            handlers: Vec::new(),
            runtime_error: None,
            network_error: Some("container runtime network not ready: x".to_owned()),
        };
        assert_eq!(Health::Up(facts).complaints(), ["container runtime network not ready: x"]);
    }
}
