//! From the file as written to the settings as meant. Source: spec 06 §7, spec 08 §2.6.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use api::config::duration::GoDuration;
use api::edgecore::EdgeCoreConfig;
use api::edgecore::hub::EdgeHub;
use edged::doors::{CgroupDriver, Settings as EdgedSettings};
use k8s_openapi::api::core::v1::Taint;
use thiserror::Error;

use super::{AddressError, CredentialFiles, EdgeCoreSettings, EdgeHubSettings, JoinTokenText, ServerAddress};

/// Why a valid configuration file cannot be run.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// A field that should name a server does not.
    #[error("{field} names no server")]
    Address {
        /// YAML path.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: AddressError,
    },
    /// Only QUIC is switched on. The peers' QUIC is not IETF QUIC, and only websocket is spoken here.
    #[error("modules.edgeHub.websocket.enable is false: only the websocket link is available")]
    WebsocketOff,
    /// A field that should hold an IP address does not.
    #[error("{field} holds {value:?}, which is no IP address")]
    Ip {
        /// YAML path.
        field: &'static str,
        /// What it holds.
        value: String,
    },
    /// A number is outside what the field can mean.
    #[error("{field} is {value}, outside its range")]
    Range {
        /// YAML path.
        field: &'static str,
        /// What it holds.
        value: String,
    },
}

impl EdgeCoreSettings {
    /// Settings from a file that [`EdgeCoreConfig::validate`] accepts. `kubelet_version` is what the node reports,
    /// `v<kubernetes>-kubeedge-v<release>`.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn from_config(config: &EdgeCoreConfig, kubelet_version: &str) -> Result<Self, SettingsError> {
        let modules = &config.modules;
        let timeout = modules.meta_manager.remote_query_timeout;
        Ok(Self {
            node_name: modules.edged.hostname_override.clone(),
            database: PathBuf::from(&config.database.data_source),
            remote_query_timeout: seconds(timeout.max(1)),
            edge_hub: modules.edge_hub.enable.then(|| edge_hub(&modules.edge_hub)).transpose()?,
            edged: modules.edged.enable.then(|| edged(config, kubelet_version)).transpose()?,
            check_environment: !modules.meta_manager.meta_server.enable,
        })
    }
}

fn edge_hub(hub: &EdgeHub) -> Result<EdgeHubSettings, SettingsError> {
    if !hub.websocket.enable {
        return Err(SettingsError::WebsocketOff);
    }
    let servers = |field, text: &str, port| {
        ServerAddress::parse_list(text, port).map_err(|source| SettingsError::Address { field, source })
    };
    Ok(EdgeHubSettings {
        servers: servers("modules.edgeHub.websocket.server", &hub.websocket.server, None)?,
        certificate_servers: servers("modules.edgeHub.httpServer", &hub.http_server, Some(443))?,
        project_id: hub.project_id.clone(),
        heartbeat: seconds(hub.heartbeat.max(1)),
        message_qps: hub.message_qps.max(0).unsigned_abs(),
        message_burst: hub.message_burst.max(0).unsigned_abs(),
        handshake_timeout: seconds(hub.websocket.handshake_timeout.max(1)),
        write_deadline: seconds(hub.websocket.write_deadline.max(1)),
        files: CredentialFiles {
            ca: PathBuf::from(&hub.tls_ca_file),
            cert: PathBuf::from(&hub.tls_cert_file),
            key: PathBuf::from(&hub.tls_private_key_file),
        },
        token: JoinTokenText::new(&hub.token),
        bootstrap_file: PathBuf::from(api::names::BOOTSTRAP_FILE),
        rotate_certificates: hub.rotate_certificates,
    })
}

fn edged(config: &EdgeCoreConfig, kubelet_version: &str) -> Result<EdgedSettings, SettingsError> {
    let section = &config.modules.edged;
    let kubelet = &section.tailored_kubelet_config;
    let ips = |field, texts: &[String]| texts.iter().map(|text| ip(field, text)).collect::<Result<Vec<_>, _>>();
    let node_ips: Vec<_> =
        section.node_ip.split(',').map(str::trim).filter(|ip| !ip.is_empty()).map(str::to_owned).collect();
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let http_addr = match kubelet.read_only_port {
        0 => None,
        port => {
            let port = u16::try_from(port).map_err(|_| SettingsError::Range {
                field: "modules.edged.tailoredKubeletConfig.readOnlyPort",
                value: port.to_string(),
            })?;
            Some(SocketAddr::new(ip("modules.edged.tailoredKubeletConfig.address", &kubelet.address)?, port))
        }
    };
    let taints = kubelet.register_with_taints.iter().map(|taint| Taint {
        key: taint.key.clone(),
        value: text(&taint.value),
        effect: taint.effect.clone(),
        time_added: None,
    });
    let image_endpoint = match kubelet.image_service_endpoint.as_str() {
        "" => &kubelet.container_runtime_endpoint,
        endpoint => endpoint,
    };
    Ok(EdgedSettings {
        node_name: section.hostname_override.clone(),
        runtime_endpoint: kubelet.container_runtime_endpoint.clone(),
        image_endpoint: image_endpoint.to_owned(),
        runtime_request_timeout: duration(kubelet.runtime_request_timeout),
        root_dir: PathBuf::from(&section.root_directory),
        pod_logs_dir: PathBuf::from(&kubelet.pod_logs_dir),
        static_pod_path: text(&kubelet.static_pod_path).map(PathBuf::from),
        file_check_frequency: duration(kubelet.file_check_frequency),
        cgroup_driver: if kubelet.cgroup_driver == "systemd" { CgroupDriver::Systemd } else { CgroupDriver::Cgroupfs },
        cgroup_root: kubelet.cgroup_root.clone(),
        cgroups_per_qos: kubelet.cgroups_per_qos,
        http_addr,
        enable_debugging_handlers: kubelet.enable_debugging_handlers,
        streaming_connection_idle_timeout: duration(kubelet.streaming_connection_idle_timeout),
        node_ips: ips("modules.edged.nodeIP", &node_ips)?,
        custom_interface: text(&section.custom_interface_name),
        labels: section.node_labels.clone(),
        taints: taints.collect(),
        register_node: kubelet.register_node,
        register_schedulable: section.register_schedulable,
        kubelet_version: kubelet_version.to_owned(),
        node_status_update_frequency: duration(kubelet.node_status_update_frequency),
        node_status_report_frequency: duration(kubelet.node_status_report_frequency),
        node_lease_duration: seconds(kubelet.node_lease_duration_seconds.max(1)),
        node_status_max_images: usize::try_from(kubelet.node_status_max_images).ok(),
        enable_controller_attach_detach: kubelet.enable_controller_attach_detach,
        max_pods: kubelet.max_pods.max(0).unsigned_abs(),
        pods_per_core: kubelet.pods_per_core.max(0).unsigned_abs(),
        pod_pids_limit: (kubelet.pod_pids_limit > 0).then_some(kubelet.pod_pids_limit),
        cpu_cfs_quota: kubelet.cpu_cfs_quota,
        cpu_cfs_quota_period: duration(kubelet.cpu_cfs_quota_period),
        cluster_dns: ips("modules.edged.tailoredKubeletConfig.clusterDNS", &kubelet.cluster_dns)?,
        cluster_domain: kubelet.cluster_domain.clone(),
        resolv_conf: PathBuf::from(&kubelet.resolv_conf),
        sync_frequency: duration(kubelet.sync_frequency),
        seccomp_default: kubelet.seccomp_default || section.seccomp_default,
        serialize_image_pulls: kubelet.serialize_image_pulls,
        max_parallel_image_pulls: kubelet.max_parallel_image_pulls.and_then(|most| u32::try_from(most).ok()),
        registry_pull_qps: kubelet.registry_pull_qps.max(0).unsigned_abs(),
        registry_burst: kubelet.registry_burst.max(0).unsigned_abs(),
        minimum_gc_age: duration(section.minimum_gc_age),
        max_per_pod_container_count: u32::try_from(section.max_per_pod_container_count).ok(),
        max_container_count: u32::try_from(section.max_container_count).ok(),
        image_minimum_gc_age: duration(kubelet.image_minimum_gc_age),
        image_maximum_gc_age: duration(kubelet.image_maximum_gc_age),
        image_gc_high_threshold_percent: kubelet.image_gc_high_threshold_percent.max(0).unsigned_abs(),
        image_gc_low_threshold_percent: kubelet.image_gc_low_threshold_percent.max(0).unsigned_abs(),
        pod_sandbox_image: text(&section.pod_sandbox_image),
        container_log_max_size: bytes(&kubelet.container_log_max_size).ok_or_else(|| SettingsError::Range {
            field: "modules.edged.tailoredKubeletConfig.containerLogMaxSize",
            value: kubelet.container_log_max_size.clone(),
        })?,
        container_log_max_files: kubelet.container_log_max_files.max(1).unsigned_abs(),
        container_log_monitor_interval: duration(kubelet.container_log_monitor_interval),
        eviction_hard: kubelet.eviction_hard.clone(),
        system_reserved: kubelet.system_reserved.clone(),
        kube_reserved: kubelet.kube_reserved.clone(),
        oom_score_adj: Some(kubelet.oom_score_adj),
        ..EdgedSettings::default()
    })
}

fn ip(field: &'static str, text: &str) -> Result<IpAddr, SettingsError> {
    text.parse().map_err(|_| SettingsError::Ip { field, value: text.to_owned() })
}

fn seconds(seconds: i32) -> Duration {
    Duration::from_secs(seconds.max(0).unsigned_abs().into())
}

/// A negative duration switches a period off, as zero does.
fn duration(duration: GoDuration) -> Duration {
    duration.to_std().unwrap_or(Duration::ZERO)
}

/// Reads a Kubernetes quantity of bytes: a whole number with an optional suffix.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match &text[digits..] {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> EdgeCoreConfig {
        let mut config = EdgeCoreConfig::default();
        config.modules.edge_hub.websocket.server = "192.0.2.7:10000".to_owned();
        config.modules.edge_hub.http_server = "https://192.0.2.7:10002".to_owned();
        config.modules.edged.hostname_override = "edge1".to_owned();
        config
    }

    #[test]
    fn defaults_become_real_units() {
        let settings = EdgeCoreSettings::from_config(&config(), "v1.32.10-kubeedge-v1.23.1").expect("settings");
        let hub = settings.edge_hub.expect("edge hub");
        assert_eq!(hub.heartbeat, Duration::from_secs(15));
        assert_eq!(hub.certificate_servers[0].to_string(), "192.0.2.7:10002");
        let edged = settings.edged.expect("edged");
        assert_eq!(edged.container_log_max_size, 10 << 20);
        assert_eq!(edged.http_addr, Some(SocketAddr::from(([127, 0, 0, 1], 10350))));
        assert_eq!(edged.node_status_max_images, Some(0));
        assert_eq!(edged.max_container_count, None);
    }

    #[test]
    fn what_cannot_be_run_says_where() {
        let mut broken = config();
        broken.modules.edge_hub.websocket.server = "nowhere".to_owned();
        let error = EdgeCoreSettings::from_config(&broken, "v").expect_err("no port");
        assert_eq!(error.to_string(), "modules.edgeHub.websocket.server names no server");

        let mut broken = config();
        broken.modules.edge_hub.websocket.enable = false;
        assert!(matches!(EdgeCoreSettings::from_config(&broken, "v"), Err(SettingsError::WebsocketOff)));

        let mut alone = config();
        alone.modules.edge_hub.enable = false;
        assert!(EdgeCoreSettings::from_config(&alone, "v").expect("settings").edge_hub.is_none());
    }
}
