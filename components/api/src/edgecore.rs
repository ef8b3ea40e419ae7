//! `edgecore.yaml`, `edgecore.config.kubeedge.io/v1alpha2`. Files of older releases are converted while they are
//! read. Source: spec 06 §7, §9.

pub mod edged;
pub mod hub;
pub mod kubelet;
pub mod modules;
mod v1alpha1;
mod validate;

use std::collections::BTreeMap;

use modules::Modules;

use crate::{
    cloudcore::{printed_default, printed_min},
    config::{
        self, ConfigError, Field as _, HostFacts, Node, Problems, Warning, WarningKind, host_port, node_name, section,
    },
    names::{CLOUDHUB_HTTPS_PORT, CLOUDHUB_PORT, CLOUDHUB_QUIC_PORT},
};

section! {
    /// The whole file.
    pub struct EdgeCoreConfig {
        /// Informational; never checked (spec 06 R3).
        api_version "apiVersion" [omit]: String = "edgecore.config.kubeedge.io/v1alpha2".into(),
        /// Informational; never checked.
        kind "kind" [omit]: String = "EdgeCore".into(),
        /// Version that last wrote the file, with `v`.
        edgecore_version "edgecoreVersion": String = String::new(),
        /// KubeEdge feature gates by name (spec 06 §10).
        feature_gates "featureGates" [omit]: BTreeMap<String, bool> = BTreeMap::new(),
        /// Where the edge keeps what it knows.
        database "database": Database = Database::default(),
        /// The modules.
        modules "modules": Modules = Modules::default(),
    }

    /// `database`.
    pub struct Database {
        /// Accepted, without effect.
        driver_name "driverName" [omit]: String = "sqlite3".into(),
        /// Accepted, without effect.
        alias_name "aliasName" [omit]: String = "default".into(),
        /// SQLite file.
        data_source "dataSource" [omit]: String = crate::names::EDGE_DATABASE_FILE.into(),
    }
}

impl EdgeCoreConfig {
    /// The defaults on a given host: its name and its address. Source: spec 06 §4.
    pub fn defaults(host: &HostFacts) -> Self {
        let mut config = Self::default();
        config.modules.edged.hostname_override = node_name(&host.host_name);
        let hub = &mut config.modules.edge_hub;
        hub.http_server = format!("https://{}", host_port(host.local_ip, CLOUDHUB_HTTPS_PORT));
        hub.websocket.server = host_port(host.local_ip, CLOUDHUB_PORT);
        hub.quic.server = host_port(host.local_ip, CLOUDHUB_QUIC_PORT);
        config
    }

    /// What `--defaultconfig` prints.
    pub fn default_config(host: &HostFacts) -> String {
        printed_default(&Self::defaults(host).print())
    }

    /// What `--minconfig` prints. Every listed module is switched on; the Go program prints `enable: false` for
    /// edgeHub, eventBus and deviceTwin, and a node started from that never connects (spec 05 §9.3).
    pub fn min_config(host: &HostFacts) -> String {
        printed_min(&Self::defaults(host).print().pick(&[
            "apiVersion",
            "database.dataSource",
            "edgecoreVersion",
            "kind",
            "modules.deviceTwin",
            "modules.edgeHub.enable",
            "modules.edgeHub.heartbeat",
            "modules.edgeHub.httpServer",
            "modules.edgeHub.tlsCaFile",
            "modules.edgeHub.tlsCertFile",
            "modules.edgeHub.tlsPrivateKeyFile",
            "modules.edgeHub.token",
            "modules.edgeHub.websocket",
            "modules.edged",
            "modules.eventBus.enable",
            "modules.eventBus.mqttMode",
            "modules.eventBus.mqttPassword",
            "modules.eventBus.mqttPubClientID",
            "modules.eventBus.mqttQOS",
            "modules.eventBus.mqttRetain",
            "modules.eventBus.mqttServerExternal",
            "modules.eventBus.mqttServerInternal",
            "modules.eventBus.mqttSubClientID",
            "modules.eventBus.mqttUsername",
        ]))
    }

    /// Reads a file over host-independent defaults.
    ///
    /// # Errors
    /// As [`Self::from_yaml`].
    pub fn from_yaml_over_defaults(text: &str) -> Result<(Self, Vec<Warning>), ConfigError> {
        Self::from_yaml(text, &HostFacts::default())
    }

    /// Reads a file of any release over the defaults of `host` and checks it.
    ///
    /// # Errors
    /// [`ConfigError::Yaml`] for text that is not YAML, [`ConfigError::Invalid`] with all problems at once.
    pub fn from_yaml(text: &str, host: &HostFacts) -> Result<(Self, Vec<Warning>), ConfigError> {
        Self::from_node(Node::parse(text)?, host)
    }

    /// As [`Self::from_yaml`], from a parsed tree.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with all problems at once.
    pub fn from_node(mut node: Node, host: &HostFacts) -> Result<(Self, Vec<Warning>), ConfigError> {
        let mut warnings = v1alpha1::convert(&mut node);
        let mut config = Self::defaults(host);
        warnings.extend(config::overlay(&mut config, &node)?);
        let mut problems = Problems::default();
        config.validate(&mut problems);
        problems.into_result().map_err(ConfigError::Invalid)?;
        if !config.modules.edge_hub.enable {
            warnings.push(Warning {
                path: "modules.edgeHub.enable".into(),
                kind: WarningKind::Suspicious { reason: "is false: this node will never connect to the cloud" },
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
