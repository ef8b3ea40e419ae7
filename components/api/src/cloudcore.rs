//! `cloudcore.yaml`, `cloudcore.config.kubeedge.io/v1alpha1`. Source: spec 06 §6.

pub mod control_plane;
pub mod controllers;
pub mod hub;
mod validate;

use std::collections::BTreeMap;

use control_plane::ControlPlane;
use controllers::{DeviceController, EdgeController, IptablesManager, Router, Switch, TaskManager};
use hub::{CloudHub, CloudStream};

use crate::config::{self, ConfigError, Field as _, HostFacts, Node, Problems, Warning, WarningKind, section};

section! {
    /// The whole file.
    pub struct CloudCoreConfig {
        /// Informational; never checked (spec 06 R3).
        api_version "apiVersion" [omit]: String = "cloudcore.config.kubeedge.io/v1alpha1".into(),
        /// Informational; never checked.
        kind "kind" [omit]: String = "CloudCore".into(),
        /// Metrics listener and the tunnel port record.
        common_config "commonConfig": CommonConfig = CommonConfig::default(),
        /// How the Kubernetes API is reached.
        kube_api_config "kubeAPIConfig": KubeApiConfig = KubeApiConfig::default(),
        /// KubeEdge feature gates by name (spec 06 §10).
        feature_gates "featureGates" [omit]: BTreeMap<String, bool> = BTreeMap::new(),
        /// The modules.
        modules "modules": Modules = Modules::default(),
        /// The control plane inside cloudcore. Our extension: absent means that a cluster exists elsewhere.
        control_plane "controlPlane" [omit]: ControlPlane = ControlPlane::default(),
    }

    /// `commonConfig`.
    pub struct CommonConfig {
        /// Overwritten at start by the negotiated port.
        tunnel_port "tunnelPort" [omit]: i32 = 10350,
        /// Metrics and profiling.
        monitor_server "monitorServer": MonitorServer = MonitorServer::default(),
    }

    /// `commonConfig.monitorServer`.
    pub struct MonitorServer {
        /// `IP:port` of the HTTP server with `/metrics`; host names are refused.
        bind_address "bindAddress" [omit]: String = "127.0.0.1:9091".into(),
        /// `/debug/pprof/*` on or off.
        enable_profiling "enableProfiling" [omit]: bool = false,
    }

    /// `kubeAPIConfig`.
    pub struct KubeApiConfig {
        /// API server URL; overrides the kubeconfig's.
        master "master": String = String::new(),
        /// Absolute path of a kubeconfig; empty means in-cluster.
        kube_config "kubeConfig": String = String::new(),
        /// Accepted, without effect.
        content_type "contentType" [omit]: String = "application/vnd.kubernetes.protobuf".into(),
        /// Requests per second to the API server.
        qps "qps" [omit]: i32 = 2500,
        /// Burst of requests to the API server.
        burst "burst" [omit]: i32 = 5000,
    }

    /// `modules`.
    pub struct Modules {
        /// Edge sessions, certificates, tokens.
        cloud_hub "cloudHub": CloudHub = CloudHub::default(),
        /// `kubectl logs`, `exec` and metrics through the tunnel.
        cloud_stream "cloudStream": CloudStream = CloudStream::default(),
        /// Devices and device models.
        device_controller "deviceController": DeviceController = DeviceController::default(),
        /// List and watch for the edge's metaServer.
        dynamic_controller "dynamicController": Switch = Switch { enable: false },
        /// Pods, config maps, secrets, nodes.
        edge_controller "edgeController": EdgeController = EdgeController::default(),
        /// DNAT rules for the tunnel ports.
        iptables_manager "iptablesManager": IptablesManager = IptablesManager::default(),
        /// Message rules.
        router "router": Router = Router::default(),
        /// What each edge node has acknowledged.
        sync_controller "syncController": Switch = Switch { enable: true },
        /// Node jobs.
        task_manager "taskManager": TaskManager = TaskManager::default(),
    }
}

const DEFAULT_HEADER: &str = "\
# With --defaultconfig flag, users can easily get a default full config file as reference, with all fields (and field descriptions) included and default values set. 
# Users can modify/create their own configs accordingly as reference. 
# Because it is a full configuration, it is more suitable for advanced users.
";

const MIN_HEADER: &str = "\
# With --minconfig , you can easily used this configurations as reference.
# It's useful to users who are new to KubeEdge, and you can modify/create your own configs accordingly. 
# This configuration is suitable for beginners.
";

/// The three comment lines of `--defaultconfig`, an empty line, the YAML and two newlines (spec 06 §1).
pub(crate) fn printed_default(node: &Node) -> String {
    format!("{DEFAULT_HEADER}\n{}\n\n", node.to_yaml())
}

/// The same for `--minconfig`.
pub(crate) fn printed_min(node: &Node) -> String {
    format!("{MIN_HEADER}\n{}\n\n", node.to_yaml())
}

impl CloudCoreConfig {
    /// The defaults on a given host: only `advertiseAddress` depends on it.
    pub fn defaults(host: &HostFacts) -> Self {
        let mut config = Self::default();
        config.modules.cloud_hub.advertise_address = host.default_route_ip.iter().map(ToString::to_string).collect();
        config
    }

    /// What `--defaultconfig` prints.
    pub fn default_config(host: &HostFacts) -> String {
        printed_default(&Self::defaults(host).print())
    }

    /// What `--minconfig` prints. Every listed module is switched on; the Go program prints `enable: false` for the
    /// hub, and a cloudcore started from that does nothing (spec 05 §9.3).
    pub fn min_config(host: &HostFacts) -> String {
        let mut config = Self::defaults(host);
        config.modules.cloud_hub.node_limit = 1000;
        printed_min(&config.print().pick(&[
            "apiVersion",
            "kind",
            "modules.cloudHub.advertiseAddress",
            "modules.cloudHub.enable",
            "modules.cloudHub.https",
            "modules.cloudHub.nodeLimit",
            "modules.cloudHub.tlsCAFile",
            "modules.cloudHub.tlsCAKeyFile",
            "modules.cloudHub.tlsCertFile",
            "modules.cloudHub.tlsPrivateKeyFile",
            "modules.cloudHub.unixsocket",
            "modules.cloudHub.websocket",
            "modules.iptablesManager",
            "modules.router",
        ]))
    }

    /// Reads a file over host-independent defaults.
    ///
    /// # Errors
    /// As [`Self::from_yaml`].
    pub fn from_yaml_over_defaults(text: &str) -> Result<(Self, Vec<Warning>), ConfigError> {
        Self::from_yaml(text, &HostFacts::default())
    }

    /// Reads a file over the defaults of `host` and checks it.
    ///
    /// # Errors
    /// [`ConfigError::Yaml`] for text that is not YAML, [`ConfigError::Invalid`] with all problems at once.
    pub fn from_yaml(text: &str, host: &HostFacts) -> Result<(Self, Vec<Warning>), ConfigError> {
        let node = Node::parse(text)?;
        let mut config = Self::defaults(host);
        let mut warnings = config::overlay(&mut config, &node)?;
        let mut problems = Problems::default();
        config.validate(&mut problems);
        problems.into_result().map_err(ConfigError::Invalid)?;
        if !config.modules.cloud_hub.enable {
            warnings.push(Warning {
                path: "modules.cloudHub.enable".into(),
                kind: WarningKind::Suspicious { reason: "is false: no edge node can connect to this cloudcore" },
            });
        }
        Ok((config, warnings))
    }

    /// Lays further values over this configuration, as `--set` does. The result is not checked yet.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the values that are of the wrong kind.
    pub fn apply(&mut self, node: &Node) -> Result<Vec<Warning>, ConfigError> {
        config::overlay(self, node)
    }

    /// The configuration as a full file, in the printed layout.
    pub fn to_yaml(&self) -> String {
        self.print().to_yaml()
    }
}

#[cfg(test)]
mod tests;
