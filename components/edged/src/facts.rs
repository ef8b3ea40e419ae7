//! What a pod may learn about itself and its node: the inputs of env, downward API and cgroup arithmetic.

use std::net::IpAddr;

/// What the node can give to pods, in plain units. Source: spec 08 §13.2 (allocatable).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeResources {
    /// Allocatable cpu in thousandths of a core.
    pub cpu_milli: u64,
    /// Allocatable memory in bytes.
    pub memory: u64,
    /// Allocatable ephemeral storage in bytes.
    pub ephemeral_storage: u64,
    /// Memory capacity of the machine in bytes (oom score, spec 08 §8.7).
    pub memory_capacity: u64,
}

/// Facts about one pod that are not in its spec.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodFacts {
    /// Name of this node.
    pub node_name: String,
    /// Addresses of this node, primary first.
    pub host_ips: Vec<IpAddr>,
    /// Addresses of the pod, primary first; empty before the sandbox runs.
    pub pod_ips: Vec<IpAddr>,
    /// What the node can give.
    pub resources: NodeResources,
    /// Variables every container gets unless it sets them itself ([`crate::doors::Settings::service_env`]).
    pub service_env: Vec<(String, String)>,
}
