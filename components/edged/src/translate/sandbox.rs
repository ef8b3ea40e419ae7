//! The sandbox of a pod. Source: spec 08 §8.2.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use crate::cri::proto as p;
use crate::doors::{CgroupDriver, Settings};
use crate::{cgroups, labels, pod};

use super::{log_directory, security};

/// Annotations the agent adds to every pod; other programs read them from the sandbox.
const CONFIG_SOURCE: &str = "kubernetes.io/config.source";
const CONFIG_SEEN: &str = "kubernetes.io/config.seen";

/// What of a sandbox is not in the pod's spec.
#[derive(Debug, Clone)]
pub struct SandboxFacts {
    /// Host name; empty for a pod in the host's network.
    pub hostname: String,
    pub dns: p::DnsConfig,
    pub cgroup_driver: CgroupDriver,
    /// When the agent first saw the pod.
    pub seen: jiff::Timestamp,
}

/// Builds the configuration; the same inputs give the same one, as `CreateContainer` needs.
pub fn sandbox_config(pod: &Pod, attempt: u32, facts: &SandboxFacts, settings: &Settings) -> p::PodSandboxConfig {
    let mut labels: BTreeMap<String, String> = pod.metadata.labels.clone().unwrap_or_default();
    labels.insert(labels::POD_NAME.to_owned(), pod::name(pod).to_owned());
    labels.insert(labels::POD_NAMESPACE.to_owned(), pod::namespace(pod).to_owned());
    labels.insert(labels::POD_UID.to_owned(), pod::uid(pod).to_owned());
    let mut annotations: BTreeMap<String, String> = pod.metadata.annotations.clone().unwrap_or_default();
    annotations.entry(CONFIG_SOURCE.to_owned()).or_insert_with(|| "api".to_owned());
    annotations.entry(CONFIG_SEEN.to_owned()).or_insert_with(|| facts.seen.to_string());
    p::PodSandboxConfig {
        metadata: Some(p::PodSandboxMetadata {
            name: pod::name(pod).to_owned(),
            uid: pod::uid(pod).to_owned(),
            namespace: pod::namespace(pod).to_owned(),
            attempt,
        }),
        hostname: if pod::host_network(pod) { String::new() } else { facts.hostname.clone() },
        log_directory: log_directory(settings, pod).to_string_lossy().into_owned(),
        dns_config: Some(facts.dns.clone()),
        port_mappings: port_mappings(pod),
        labels,
        annotations,
        linux: Some(linux(pod, facts, settings)),
    }
}

fn port_mappings(pod: &Pod) -> Vec<p::PortMapping> {
    let ports = pod::containers(pod).iter().flat_map(|container| container.ports.iter().flatten());
    ports
        .map(|port| p::PortMapping {
            protocol: match port.protocol.as_deref() {
                Some("UDP") => p::Protocol::Udp,
                Some("SCTP") => p::Protocol::Sctp,
                _ => p::Protocol::Tcp,
            }
            .into(),
            container_port: port.container_port,
            host_port: port.host_port.unwrap_or(0),
            host_ip: port.host_ip.clone().unwrap_or_default(),
        })
        .collect()
}

fn linux(pod: &Pod, facts: &SandboxFacts, settings: &Settings) -> p::LinuxPodSandboxConfig {
    let class = cgroups::qos_class(pod);
    let context = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let sysctls = context.and_then(|context| context.sysctls.as_deref()).unwrap_or(&[]);
    let limits = cgroups::pod_limits(pod, settings.cpu_cfs_quota, settings.cpu_cfs_quota_period);
    p::LinuxPodSandboxConfig {
        cgroup_parent: cgroups::pod_parent(
            facts.cgroup_driver,
            &settings.cgroup_root,
            settings.cgroups_per_qos,
            class,
            pod::uid(pod),
        ),
        security_context: Some(p::LinuxSandboxSecurityContext {
            namespace_options: Some(security::namespace_options(pod)),
            selinux_options: context.and_then(|context| context.se_linux_options.as_ref()).map(security::selinux),
            run_as_user: context.and_then(|context| context.run_as_user).map(security::int64),
            // The runtime refuses a group without a user.
            run_as_group: context
                .filter(|context| context.run_as_user.is_some())
                .and_then(|context| context.run_as_group)
                .map(security::int64),
            supplemental_groups: security::supplemental_groups(pod),
            privileged: security::any_privileged(pod),
            seccomp: Some(p::SecurityProfile {
                profile_type: p::ProfileType::RuntimeDefault.into(),
                localhost_ref: String::new(),
            }),
        }),
        sysctls: sysctls.iter().map(|sysctl| (sysctl.name.clone(), sysctl.value.clone())).collect(),
        overhead: Some(p::LinuxContainerResources::default()),
        resources: Some(super::cpu_and_memory(limits)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(spec: &serde_json::Value) -> p::PodSandboxConfig {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web-0", "namespace": "shop", "uid": "0a1b2c3d-0000-4000-8000-000000000001",
                         "labels": {"app": "web"}, "annotations": {"note": "x"}},
            "spec": spec,
        }))
        .unwrap();
        let facts = SandboxFacts {
            hostname: "web-0".to_owned(),
            dns: p::DnsConfig::default(),
            cgroup_driver: CgroupDriver::Cgroupfs,
            seen: jiff::Timestamp::UNIX_EPOCH,
        };
        sandbox_config(&pod, 2, &facts, &Settings::default())
    }

    #[test]
    fn identity_is_in_metadata_and_labels() {
        let config = config(&json!({"containers": [{"name": "a"}]}));
        let metadata = config.metadata.unwrap();
        assert_eq!((metadata.name.as_str(), metadata.attempt), ("web-0", 2));
        assert_eq!(config.labels["io.kubernetes.pod.uid"], "0a1b2c3d-0000-4000-8000-000000000001");
        assert_eq!(config.labels["app"], "web");
        assert_eq!(config.annotations["note"], "x");
        assert_eq!(config.annotations["kubernetes.io/config.source"], "api");
        assert_eq!(config.log_directory, "/var/log/pods/shop_web-0_0a1b2c3d-0000-4000-8000-000000000001");
        let parent = config.linux.unwrap().cgroup_parent;
        assert_eq!(parent, "/kubepods/besteffort/pod0a1b2c3d-0000-4000-8000-000000000001");
    }

    #[test]
    fn host_network_has_no_hostname_and_the_node_namespace() {
        let config = config(&json!({"hostNetwork": true, "hostPID": true, "containers": [{"name": "a"}]}));
        assert_eq!(config.hostname, "");
        let options = config.linux.unwrap().security_context.unwrap().namespace_options.unwrap();
        assert_eq!((options.network(), options.pid()), (p::NamespaceMode::Node, p::NamespaceMode::Node));
        assert_eq!(options.ipc(), p::NamespaceMode::Pod);
    }

    #[test]
    fn every_declared_port_is_mapped_even_without_host_port() {
        let ports = json!([{"containerPort": 80}, {"containerPort": 53, "hostPort": 5353, "protocol": "UDP"}]);
        let mapped = config(&json!({"containers": [{"name": "a", "ports": ports}]})).port_mappings;
        let shown: Vec<_> = mapped.iter().map(|m| (m.container_port, m.host_port, m.protocol())).collect();
        assert_eq!(shown, [(80, 0, p::Protocol::Tcp), (53, 5353, p::Protocol::Udp)]);
    }
}
