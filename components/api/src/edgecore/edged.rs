//! `modules.edged`: the fields beside the kubelet configuration. Source: spec 06 §7.2.

use std::collections::BTreeMap;

use super::kubelet::TailoredKubeletConfig;
use crate::config::{duration::GoDuration, section};

section! {
    /// `modules.edged`.
    pub struct Edged {
        /// Module on or off.
        enable "enable": bool = true,
        /// Send Kubernetes Events to the cloud.
        report_event "reportEvent": bool = false,
        /// The kubelet's own settings.
        tailored_kubelet_config "tailoredKubeletConfig": TailoredKubeletConfig = TailoredKubeletConfig::default(),
        /// Node name.
        hostname_override "hostnameOverride" [omit]: String = "default-edge-node".into(),
        /// Node address; empty means the source address towards the cloud.
        node_ip "nodeIP" [omit]: String = String::new(),
        /// Pause image.
        pod_sandbox_image "podSandboxImage" [omit]: String = "kubeedge/pause:3.6".into(),
        /// Cgroup of the container runtime.
        runtime_cgroups "runtimeCgroups" [omit]: String = String::new(),
        /// Kubelet root directory.
        root_directory "rootDirectory" [omit]: String = "/var/lib/kubelet".into(),
        /// Labels of the Node at registration.
        node_labels "nodeLabels" [omit]: BTreeMap<String, String> = BTreeMap::new(),
        /// Age from which a dead container may be removed.
        minimum_gc_age "minimumGCAge": GoDuration = GoDuration::default(),
        /// Dead containers kept per container.
        max_per_pod_container_count "maxPerPodContainerCount" [omit]: i32 = 1,
        /// Dead containers kept on the node; negative means any number.
        max_container_count "maxContainerCount" [omit]: i32 = -1,
        /// Whether the Node registers schedulable.
        register_schedulable "registerSchedulable" [omit]: bool = true,
        /// Namespace part of node messages.
        register_node_namespace "registerNodeNamespace" [omit]: String = "default".into(),
        /// Interface whose address replaces `nodeIP`.
        custom_interface_name "customInterfaceName" [omit]: String = String::new(),
        /// Windows only.
        windows_service "windowsService" [omit]: bool = false,
        /// Windows only.
        windows_priority_class "windowsPriorityClass" [omit]: String = String::new(),
        /// Accepted, without effect.
        experimental_mounter_path "experimentalMounterPath" [omit]: String = String::new(),
        /// Whether eviction thresholds are left out of node allocatable.
        experimental_node_allocatable_ignore_eviction_threshold
            "experimentalNodeAllocatableIgnoreEvictionThreshold" [omit]: bool = false,
        /// Seccomp `RuntimeDefault` for all workloads; twin of the kubelet setting.
        seccomp_default "seccompDefault" [omit]: bool = false,
    }
}
