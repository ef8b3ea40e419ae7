//! Builds the Node object from what is known. Pure. Source: spec 08 §13.1, §13.2, spec 02 §7.3.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus, NodeSystemInfo, Taint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::RuntimeInfo;
use crate::doors::Settings;
use crate::facts::NodeResources;
use crate::host::{HostFacts, NodeSize, hugepage_amount};
use crate::quantity::{cores, kibibytes};

const ATTACH_DETACH: &str = "volumes.kubernetes.io/controller-managed-attach-detach";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Everything a Node is made of.
#[derive(Debug, Clone, Copy)]
pub struct Ingredients<'a> {
    /// How the node is configured.
    pub settings: &'a Settings,
    /// The machine.
    pub host: &'a HostFacts,
    /// Its size.
    pub size: NodeSize,
    /// Its addresses, primary first.
    pub ips: &'a [IpAddr],
    /// The runtime, if it has answered.
    pub runtime: Option<&'a RuntimeInfo>,
    /// Now.
    pub now: Timestamp,
}

/// The Node to register.
pub fn node(of: Ingredients<'_>) -> Node {
    let settings = of.settings;
    let mut labels = default_labels(settings, of.host);
    labels.extend(settings.labels.clone());
    let mut taints = settings.taints.clone();
    if !settings.register_schedulable {
        taints.push(Taint {
            key: UNSCHEDULABLE.to_owned(),
            effect: "NoSchedule".to_owned(),
            value: None,
            time_added: None,
        });
    }
    Node {
        metadata: ObjectMeta {
            name: Some(settings.node_name.clone()),
            labels: Some(labels),
            annotations: Some(default_annotations(settings)).filter(|map| !map.is_empty()),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            taints: Some(taints).filter(|taints| !taints.is_empty()),
            unschedulable: (!settings.register_schedulable).then_some(true),
            ..NodeSpec::default()
        }),
        status: Some(status(of, None)),
    }
}

/// Labels that every node has and that are put back when somebody removes them.
pub fn default_labels(settings: &Settings, host: &HostFacts) -> BTreeMap<String, String> {
    let labels = [
        ("kubernetes.io/hostname", settings.node_name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", host.architecture),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", host.architecture),
        ("node-role.kubernetes.io/edge", ""),
        ("node-role.kubernetes.io/agent", ""),
    ];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Annotations of the node.
pub fn default_annotations(settings: &Settings) -> BTreeMap<String, String> {
    let mut annotations = settings.annotations.clone();
    if settings.enable_controller_attach_detach {
        annotations.insert(ATTACH_DETACH.to_owned(), "true".to_owned());
    }
    annotations
}

/// The status now; `before` is the one the API has, for transition times and for addresses when none is known.
pub fn status(of: Ingredients<'_>, before: Option<&NodeStatus>) -> NodeStatus {
    let addresses = if of.ips.is_empty() {
        before.and_then(|status| status.addresses.clone())
    } else {
        Some(addresses(of.ips, &of.settings.node_name))
    };
    let runtime_version = of.runtime.map_or_else(
        || {
            before
                .and_then(|status| Some(status.node_info.as_ref()?.container_runtime_version.clone()))
                .unwrap_or_default()
        },
        |runtime| format!("{}://{}", runtime.name, runtime.version),
    );
    NodeStatus {
        addresses,
        capacity: Some(resources(&of.size.capacity, of.size.pods, of.host)),
        allocatable: Some(resources(&of.size.allocatable, of.size.pods, of.host)),
        node_info: Some(NodeSystemInfo {
            architecture: of.host.architecture.to_owned(),
            boot_id: of.host.boot_id.clone(),
            container_runtime_version: runtime_version,
            kernel_version: of.host.kernel_version.clone(),
            kube_proxy_version: String::new(),
            kubelet_version: of.settings.kubelet_version.clone(),
            machine_id: of.host.machine_id.clone(),
            operating_system: "linux".to_owned(),
            os_image: of.host.os_image.clone(),
            system_uuid: of.host.system_uuid.clone(),
            ..NodeSystemInfo::default()
        }),
        daemon_endpoints: of.settings.http_addr.map(|address| NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(address.port()) }),
        }),
        runtime_handlers: of.runtime.map(|runtime| runtime.handlers.clone()).filter(|handlers| !handlers.is_empty()),
        conditions: Some(conditions(of, before)),
        ..NodeStatus::default()
    }
}

fn addresses(ips: &[IpAddr], name: &str) -> Vec<NodeAddress> {
    let internal = ips.iter().map(|ip| NodeAddress { type_: "InternalIP".to_owned(), address: ip.to_string() });
    let hostname = NodeAddress { type_: "Hostname".to_owned(), address: name.to_owned() };
    internal.chain([hostname]).collect()
}

fn resources(amounts: &NodeResources, pods: u64, host: &HostFacts) -> BTreeMap<String, Quantity> {
    let fixed = [
        ("cpu", cores(amounts.cpu_milli)),
        ("memory", kibibytes(amounts.memory)),
        ("ephemeral-storage", kibibytes(amounts.ephemeral_storage)),
        ("pods", Quantity(pods.to_string())),
    ];
    let fixed = fixed.into_iter().map(|(name, quantity)| (name.to_owned(), quantity));
    let huge = host.hugepages.iter().map(|(name, bytes)| (name.clone(), Quantity(hugepage_amount(*bytes))));
    fixed.chain(huge).collect()
}

/// The four conditions, Ready last.
fn conditions(of: Ingredients<'_>, before: Option<&NodeStatus>) -> Vec<NodeCondition> {
    let down = ["container runtime is down".to_owned()];
    let problems = of.runtime.map_or(down.as_slice(), |runtime| runtime.problems.as_slice());
    let ready = match problems {
        [] => ("Ready", "True", "EdgeReady", "edge is posting ready status".to_owned()),
        [one] => ("Ready", "False", "KubeletNotReady", one.clone()),
        several => ("Ready", "False", "KubeletNotReady", format!("[{}]", several.join(", "))),
    };
    let calm = |kind, reason, text: &str| (kind, "False", reason, text.to_owned());
    let all = [
        calm("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        calm("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        calm("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ready,
    ];
    let known = before.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let now = Time(truncated(of.now));
    let condition = |(kind, status, reason, message): (&str, &str, &str, String)| {
        let same = known.iter().find(|old| old.type_ == kind && old.status == status);
        let since = same.and_then(|old| old.last_transition_time.clone()).unwrap_or_else(|| now.clone());
        NodeCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_heartbeat_time: Some(now.clone()),
            last_transition_time: Some(since),
        }
    };
    all.into_iter().map(condition).collect()
}

/// Whole seconds: the API keeps no more.
fn truncated(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
