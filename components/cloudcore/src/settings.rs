//! What cloudcore runs with, in real units. Source: spec 06 §6.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use api::cloudcore::CloudCoreConfig;
use api::config::Problems;
use pki::San;

use crate::cloudhub::identity::PairFiles;

/// Everything `run` needs beside the API server.
#[derive(Debug, Clone)]
pub struct CloudCoreSettings {
    /// Where edges connect.
    pub websocket: SocketAddr,
    /// Where edges enrol.
    pub https: SocketAddr,
    /// Metrics and health.
    pub monitor: SocketAddr,
    /// Sessions of this instance.
    pub node_limit: usize,
    /// Longest silence of a node.
    pub keepalive: Duration,
    /// Longest time a node may take to accept a piece of a message.
    pub write_timeout: Duration,
    /// CA pair on this host, if any.
    pub ca_files: PairFiles,
    /// Server pair on this host, if any.
    pub server_files: PairFiles,
    /// Names and addresses that edges dial.
    pub sans: Vec<San>,
    /// The address of this instance, for the annotation `cloudcore` of its nodes. Empty: not annotated.
    pub instance: String,
    /// Life of node certificates, days.
    pub edge_certificate_days: u32,
    /// Time between join tokens; each lives twice as long.
    pub token_refresh: Duration,
    /// Whether edges before v1.16 are believed, whose certificates do not name them. Off by default: any of them can
    /// claim to be any node.
    pub legacy_certificates: bool,
    /// Heartbeats in reports of edges before v1.12 that are older are brought up to date, seconds.
    pub node_update_frequency: i64,
    /// The API server's CA as PEM, answered to nodes that ask; empty when unknown.
    pub api_server_ca: String,
}

impl CloudCoreSettings {
    /// Reads the file's values.
    ///
    /// # Errors
    /// [`Problems`] with every mistake, under its YAML path.
    pub fn from_config(config: &CloudCoreConfig) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        config.validate(&mut problems);
        let hub = &config.modules.cloud_hub;
        let sans: Vec<San> =
            hub.advertise_address.iter().chain(&hub.dns_names).filter_map(|name| San::parse(name)).collect();
        let websocket = listen(&hub.websocket.address, hub.websocket.port);
        let https = listen(&hub.https.address, hub.https.port);
        let monitor = config.common_config.monitor_server.bind_address.parse().ok();
        problems.into_result()?;
        Ok(Self {
            websocket,
            https,
            monitor: monitor.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9091))),
            node_limit: positive(hub.node_limit) as usize,
            keepalive: Duration::from_secs(positive(hub.keepalive_interval).into()),
            write_timeout: Duration::from_secs(positive(hub.write_timeout).into()),
            ca_files: PairFiles { cert: path(&hub.tls_ca_file), key: path(&hub.tls_ca_key_file) },
            server_files: PairFiles { cert: path(&hub.tls_cert_file), key: path(&hub.tls_private_key_file) },
            sans,
            instance: hub.advertise_address.iter().find(|text| !text.trim().is_empty()).cloned().unwrap_or_default(),
            edge_certificate_days: positive(hub.edge_cert_signing_duration),
            token_refresh: Duration::from_hours(positive(hub.token_refresh_duration).into()),
            legacy_certificates: hub.legacy_certificates,
            node_update_frequency: config.modules.edge_controller.node_update_frequency.into(),
            api_server_ca: String::new(),
        })
    }
}

fn path(text: &str) -> PathBuf {
    PathBuf::from(text)
}

/// `validate` has refused everything else.
fn positive(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(1).max(1)
}

fn listen(address: &str, port: u32) -> SocketAddr {
    let ip: IpAddr = address.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
    SocketAddr::new(ip, u16::try_from(port).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(yaml: &str) -> CloudCoreConfig {
        CloudCoreConfig::from_yaml_over_defaults(yaml).expect("valid").0
    }

    #[test]
    fn defaults_have_the_peers_ports_and_times() {
        let config =
            config("modules:\n  cloudHub:\n    advertiseAddress: [192.0.2.7]\n    dnsNames: [cloud.example]\n");
        let settings = CloudCoreSettings::from_config(&config).expect("valid");
        assert_eq!(settings.websocket.to_string(), "0.0.0.0:10000");
        assert_eq!(settings.https.to_string(), "0.0.0.0:10002");
        assert_eq!(settings.monitor.to_string(), "127.0.0.1:9091");
        assert_eq!(settings.keepalive, Duration::from_secs(30));
        assert_eq!(settings.token_refresh, Duration::from_hours(12));
        assert_eq!(settings.sans.len(), 2);
        assert_eq!(settings.instance, "192.0.2.7");
        assert!(!settings.legacy_certificates);
        let yaml = "modules: {cloudHub: {advertiseAddress: [192.0.2.7], legacyCertificates: true}}";
        assert!(CloudCoreSettings::from_config(&self::config(yaml)).expect("valid").legacy_certificates);
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let mut config = CloudCoreConfig::default();
        config.modules.cloud_hub.node_limit = 0;
        config.modules.cloud_hub.websocket.port = 100_000;
        config.common_config.monitor_server.bind_address = "localhost".to_owned();
        let problems = CloudCoreSettings::from_config(&config).expect_err("mistakes");
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        for path in [
            "commonConfig.monitorServer.bindAddress",
            "modules.cloudHub.websocket.port",
            "modules.cloudHub.nodeLimit",
            "modules.cloudHub.advertiseAddress",
        ] {
            assert!(paths.contains(&path), "{path} is missing in {paths:?}");
        }
    }
}
