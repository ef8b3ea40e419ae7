//! What must hold before any module of edgecore starts. Source: spec 06 §7, texts as there.

use super::EdgeCoreConfig;
use crate::config::{Problems, is_dns1123_subdomain};

impl EdgeCoreConfig {
    /// Notes every value that no module could work with. Nothing on the host is looked at.
    pub fn validate(&self, problems: &mut Problems) {
        if self.database.data_source.is_empty() {
            problems.push("database.dataSource", "must name the SQLite file");
        }
        if self.modules.edged.enable {
            self.validate_edged(problems);
        }
        let hub = &self.modules.edge_hub;
        if hub.enable {
            if hub.websocket.enable == hub.quic.enable {
                problems.push(
                    "modules.edgeHub.websocket.enable",
                    "websocket.enable and quic.enable cannot be true and false at the same time",
                );
            }
            if hub.heartbeat <= 0 {
                problems.push("modules.edgeHub.heartbeat", "must be at least 1 second");
            }
            if hub.message_qps < 0 {
                problems.push("modules.edgeHub.messageQPS", "MessageQPS must not be a negative number");
            }
            if hub.message_burst < 0 {
                problems.push("modules.edgeHub.messageBurst", "MessageBurst must not be a negative number");
            }
        }
        let bus = &self.modules.event_bus;
        if bus.enable && bus.mqtt_mode > 2 {
            problems.push("modules.eventBus.mqttMode", "Mode need in [0,2] range");
        }
    }

    fn validate_edged(&self, problems: &mut Problems) {
        let edged = &self.modules.edged;
        let kubelet = &edged.tailored_kubelet_config;
        let at = |key: &str| format!("modules.edged.tailoredKubeletConfig.{key}");
        if !is_dns1123_subdomain(&edged.hostname_override) {
            problems.push(
                "modules.edged.hostnameOverride",
                format!("HostnameOverride: Invalid value \"{}\", must be a DNS-1123 name", edged.hostname_override),
            );
        }
        if !matches!(kubelet.cgroup_driver.as_str(), "cgroupfs" | "systemd") {
            problems.push(at("cgroupDriver"), "CGroupDriver value error, must be cgroupfs or systemd");
        }
        if !(-1000..=1000).contains(&kubelet.oom_score_adj) {
            problems.push(at("oomScoreAdj"), "must be from -1000 to 1000");
        }
        let (low, high) = (kubelet.image_gc_low_threshold_percent, kubelet.image_gc_high_threshold_percent);
        if !(0..=100).contains(&low) || !(0..=100).contains(&high) || low >= high {
            problems.push(at("imageGCLowThresholdPercent"), "must be below imageGCHighThresholdPercent, both 0 to 100");
        }
        if !(kubelet.memory_throttling_factor > 0.0 && kubelet.memory_throttling_factor <= 1.0) {
            problems.push(at("memoryThrottlingFactor"), "must be above 0 and at most 1");
        }
        if kubelet.max_parallel_image_pulls.is_some_and(|most| most > 1) && kubelet.serialize_image_pulls {
            problems.push(at("maxParallelImagePulls"), "above 1 needs serializeImagePulls: false");
        }
        if !kubelet.container_runtime_endpoint.starts_with("unix://") {
            problems.push(at("containerRuntimeEndpoint"), "must start with unix://");
        }
    }
}
