//! Other node agents on this host, which share the container runtime, the directories and the cgroups with us.

use std::path::Path;

use api::names::KUBELET_DIR;
use edgecore::neighbours::{KUBELET_PORT, NODE_AGENTS};

use crate::host::Host;

/// What an agent leaves on a host while it is stopped.
const TRACES: [&str; 3] =
    ["/etc/kubernetes/kubelet.conf", "/var/lib/rancher/k3s/agent/kubelet.kubeconfig", "/var/lib/rancher/rke2/agent"];

/// An agent that runs, in words. Not only ours to see: a kubelet in a container manages this host, too.
pub fn running(host: &dyn Host) -> Option<String> {
    let processes = host.processes();
    if let Some(agent) = processes.iter().find(|process| NODE_AGENTS.contains(&process.name.as_str())) {
        return Some(format!("{} is running on this host (pid {})", agent.name, agent.pid));
    }
    let owner = host.port_owner(KUBELET_PORT).filter(|owner| !owner.starts_with("edgecore "))?;
    Some(format!("{owner} listens on port {KUBELET_PORT}, which is a kubelet's"))
}

/// An agent that runs or is installed, in words.
pub fn installed(host: &dyn Host) -> Option<String> {
    let config = format!("{KUBELET_DIR}/config.yaml");
    let trace = || {
        let path = [config.as_str()].into_iter().chain(TRACES).find(|path| host.kind(Path::new(path)).is_some())?;
        Some(format!("{path} shows that this host is a Kubernetes node"))
    };
    running(host).or_else(trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Process, recording::RecordingHost};

    #[test]
    fn agents_are_known_by_name_by_port_and_by_what_they_leave() {
        assert_eq!(installed(&RecordingHost::default()), None);
        let mut host = RecordingHost::default();
        host.processes.push(Process { pid: 7, name: "k3s-agent".into(), ..Process::default() });
        assert_eq!(running(&host).as_deref(), Some("k3s-agent is running on this host (pid 7)"));
        let mut host = RecordingHost::default();
        host.ports.insert(KUBELET_PORT, "snap-thing (pid 9)".into());
        assert_eq!(running(&host).as_deref(), Some("snap-thing (pid 9) listens on port 10250, which is a kubelet's"));
        host.ports.insert(KUBELET_PORT, "edgecore (pid 9)".into());
        assert_eq!(running(&host), None);
        let host = RecordingHost::default().with_file("/var/lib/rancher/rke2/agent", "");
        assert_eq!(running(&host), None);
        assert!(installed(&host).is_some());
    }
}
