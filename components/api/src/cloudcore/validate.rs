//! What must hold before any module of cloudcore starts. Source: spec 06 §6, §15 W7, W8.

use std::net::{IpAddr, SocketAddr};

use super::CloudCoreConfig;
use crate::config::{Problems, is_dns1123_subdomain};

impl CloudCoreConfig {
    /// Notes every value that no module could work with. Files are not looked at: that is for whoever opens them.
    pub fn validate(&self, problems: &mut Problems) {
        if self.common_config.monitor_server.bind_address.parse::<SocketAddr>().is_err() {
            problems.push("commonConfig.monitorServer.bindAddress", "must be IP:port");
        }
        let kube_config = &self.kube_api_config.kube_config;
        if !kube_config.is_empty() && !kube_config.starts_with('/') {
            problems.push("kubeAPIConfig.kubeConfig", "kubeconfig need abs path");
        }
        if self.modules.cloud_hub.enable {
            self.validate_hub(problems);
        }
        let controller = &self.modules.edge_controller;
        if controller.enable && controller.node_update_frequency <= 0 {
            problems.push("modules.edgeController.nodeUpdateFrequency", "NodeUpdateFrequency need > 0");
        }
        if !matches!(self.modules.iptables_manager.mode.as_str(), "internal" | "external") {
            problems.push("modules.iptablesManager.mode", "invalid value for iptablesmgr mode");
        }
        let stream = &self.modules.cloud_stream;
        if stream.enable {
            port(problems, "modules.cloudStream.tunnelPort", stream.tunnel_port);
            port(problems, "modules.cloudStream.streamPort", stream.stream_port);
        }
        let router = &self.modules.router;
        if router.enable {
            listen_ip(problems, "modules.router.address", &router.address);
            if router.port != 0 {
                port(problems, "modules.router.port", router.port);
            }
        }
        if self.control_plane.enable {
            self.validate_control_plane(problems);
        }
    }

    fn validate_hub(&self, problems: &mut Problems) {
        let hub = &self.modules.cloud_hub;
        if hub.token_refresh_duration <= 0 {
            problems.push("modules.cloudHub.tokenRefreshDuration", "TokenRefreshDuration must be positive");
        }
        if hub.edge_cert_signing_duration <= 0 {
            problems.push("modules.cloudHub.edgeCertSigningDuration", "must be at least 1 day");
        }
        if hub.keepalive_interval <= 0 {
            problems.push("modules.cloudHub.keepaliveInterval", "must be at least 1 second");
        }
        if hub.node_limit <= 0 {
            problems.push("modules.cloudHub.nodeLimit", "must be at least 1");
        }
        if hub.advertise_address.is_empty() {
            problems.push("modules.cloudHub.advertiseAddress", "AdvertiseAddress must be specified!");
        }
        for (index, address) in hub.advertise_address.iter().enumerate() {
            if address.parse::<IpAddr>().is_err() && !is_dns1123_subdomain(&address.to_lowercase()) {
                let path = format!("modules.cloudHub.advertiseAddress.{index}");
                problems.push(path, format!("\"{address}\" is neither an IP address nor a DNS name"));
            }
        }
        if hub.websocket.enable {
            listen_ip(problems, "modules.cloudHub.websocket.address", &hub.websocket.address);
            port(problems, "modules.cloudHub.websocket.port", hub.websocket.port);
        }
        if hub.quic.enable {
            listen_ip(problems, "modules.cloudHub.quic.address", &hub.quic.address);
            port(problems, "modules.cloudHub.quic.port", hub.quic.port);
        }
        listen_ip(problems, "modules.cloudHub.https.address", &hub.https.address);
        port(problems, "modules.cloudHub.https.port", hub.https.port);
        if hub.unixsocket.enable && !hub.unixsocket.address.to_lowercase().starts_with("unix://") {
            problems.push("modules.cloudHub.unixsocket.address", "unixSocketAddress must has prefix unix://");
        }
    }

    fn validate_control_plane(&self, problems: &mut Problems) {
        let plane = &self.control_plane;
        listen_ip(problems, "controlPlane.bindAddress", &plane.bind_address);
        port(problems, "controlPlane.port", plane.port.into());
        if plane.advertise_address.parse::<IpAddr>().is_err() {
            problems.push("controlPlane.advertiseAddress", "must be an IP address");
        }
        if !plane.data_dir.starts_with('/') {
            problems.push("controlPlane.dataDir", "must be an absolute path");
        }
    }
}

fn listen_ip(problems: &mut Problems, path: &str, address: &str) {
    if address.parse::<IpAddr>().is_err() {
        problems.push(path, "must be a valid IP");
    }
}

fn port(problems: &mut Problems, path: &str, port: u32) {
    if !(1..=65535).contains(&port) {
        problems.push(path, "must be a valid port, 1 to 65535");
    }
}
