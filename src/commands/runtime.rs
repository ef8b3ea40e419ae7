//! Which container runtime this host has, asked over CRI.

use std::path::Path;

use async_trait::async_trait;
use edged::installer;
pub use edged::installer::{InstallerError as RuntimeError, RuntimeFacts};

use crate::host::Host;

/// Sockets of the known runtimes. Source: spec 05 §18. Without those that belong to another node agent, such as the
/// containerd inside k3s: whoever means one names it.
const WELL_KNOWN: [&str; 5] = [
    "unix:///run/containerd/containerd.sock",
    "unix:///run/crio/crio.sock",
    "unix:///run/cri-dockerd.sock",
    "unix:///run/isulad.sock",
    "unix:///var/run/cri-dockerd.sock",
];

/// The runtimes of a host.
#[async_trait]
pub trait Runtimes: Send + Sync {
    /// Asks a runtime about itself.
    async fn inspect(&self, endpoint: &str) -> Result<RuntimeFacts, RuntimeError>;
    /// The ids of all pod sandboxes.
    async fn pods(&self, endpoint: &str) -> Result<Vec<String>, RuntimeError>;
    /// Stops and removes every pod sandbox of a node agent, but those with an id in `keep`; returns `namespace/name` of
    /// each. Others stay.
    async fn remove_pods(&self, endpoint: &str, keep: &[String]) -> Result<Vec<String>, RuntimeError>;
}

/// Runtimes behind real sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct CriRuntimes;

#[async_trait]
impl Runtimes for CriRuntimes {
    async fn inspect(&self, endpoint: &str) -> Result<RuntimeFacts, RuntimeError> {
        installer::inspect(endpoint).await
    }

    async fn pods(&self, endpoint: &str) -> Result<Vec<String>, RuntimeError> {
        installer::pods(endpoint).await
    }

    async fn remove_pods(&self, endpoint: &str, keep: &[String]) -> Result<Vec<String>, RuntimeError> {
        installer::remove_pods(endpoint, keep).await
    }
}

/// The well-known sockets that exist on a host; two paths to one socket count once.
pub fn candidates(host: &dyn Host) -> Vec<String> {
    let mut found: Vec<&str> = Vec::new();
    for endpoint in WELL_KNOWN {
        let canonical = |endpoint: &str| endpoint.replace("unix:///var/run/", "unix:///run/");
        let path = endpoint.trim_start_matches("unix://");
        let known = found.iter().any(|known| canonical(known) == canonical(endpoint));
        if !known && host.kind(Path::new(path)).is_some() {
            found.push(endpoint);
        }
    }
    found.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::recording::RecordingHost;

    #[test]
    fn one_socket_under_two_names_counts_once() {
        let host = RecordingHost::default()
            .with_file("/run/cri-dockerd.sock", "")
            .with_file("/var/run/cri-dockerd.sock", "")
            .with_file("/run/k3s/containerd/containerd.sock", "");
        assert_eq!(candidates(&host), ["unix:///run/cri-dockerd.sock"], "and that of another node agent does not");
    }
}
