use super::EdgeCoreConfig;
use crate::config::{ConfigError, HostFacts, WarningKind};

fn host() -> HostFacts {
    let ip = Some("192.0.2.2".parse().expect("ip"));
    HostFacts { host_name: "vm".into(), local_ip: ip, default_route_ip: ip }
}

fn load(text: &str) -> EdgeCoreConfig {
    EdgeCoreConfig::from_yaml(text, &host()).expect("loads").0
}

fn problems(text: &str) -> Vec<String> {
    match EdgeCoreConfig::from_yaml(text, &host()) {
        Err(ConfigError::Invalid(problems)) => problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect(),
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn defaultconfig_is_what_v1_23_prints() {
    let golden = include_str!("../../testdata/edgecore-defaultconfig-v1.23.yaml");
    assert_eq!(EdgeCoreConfig::default_config(&host()), golden);
}

#[test]
fn minconfig_is_what_v1_23_prints_but_with_every_module_on() {
    let golden = include_str!("../../testdata/edgecore-minconfig-v1.23.yaml");
    let mut expected = golden.to_owned();
    for (off, on) in [
        ("    enable: false\n  edgeHub:", "    enable: true\n  edgeHub:"),
        ("  edgeHub:\n    enable: false", "  edgeHub:\n    enable: true"),
        ("  eventBus:\n    enable: false", "  eventBus:\n    enable: true"),
    ] {
        assert!(expected.contains(off), "{off}");
        expected = expected.replacen(off, on, 1);
    }
    assert_eq!(EdgeCoreConfig::min_config(&host()), expected);
}

#[test]
fn an_unedited_minconfig_is_a_working_configuration() {
    let config = load(&EdgeCoreConfig::min_config(&host()));
    assert_eq!(config, EdgeCoreConfig::defaults(&host()));
}

#[test]
fn a_full_file_reads_back_to_itself() {
    let mut config = EdgeCoreConfig::defaults(&host());
    config.modules.edged.register_schedulable = false;
    config.modules.edge_hub.rotate_certificates = false;
    config.modules.edged.node_labels.insert("site".into(), "1".into());
    let (again, warnings) = EdgeCoreConfig::from_yaml(&config.to_yaml(), &host()).expect("loads");
    assert_eq!(again, config);
    assert_eq!(warnings, []);
}

#[test]
fn maps_merge_over_the_default_map_and_lists_replace() {
    let config = load(
        "modules: {edged: {tailoredKubeletConfig: {evictionHard: {memory.available: 50Mi}, enforceNodeAllocatable: []}}}",
    );
    let kubelet = &config.modules.edged.tailored_kubelet_config;
    assert_eq!(kubelet.eviction_hard.len(), 5);
    assert_eq!(kubelet.eviction_hard["memory.available"], "50Mi");
    assert!(kubelet.enforce_node_allocatable.is_empty());
}

#[test]
fn numbers_for_text_and_yaml_1_1_spellings_are_read() {
    let config = load(
        "modules:\n  edged:\n    nodeLabels: {rack: 7}\n  edgeHub: {token: 123, rotateCertificates: no}\n  serviceBus: {port: 0o21544, timeout: 1_0}\n",
    );
    assert_eq!(config.modules.edged.node_labels["rack"], "7");
    assert_eq!(config.modules.edge_hub.token, "123");
    assert!(!config.modules.edge_hub.rotate_certificates);
    assert_eq!(config.modules.service_bus.timeout, 10);
}

#[test]
fn both_links_at_once_are_refused_with_the_known_text() {
    assert_eq!(
        problems("modules: {edgeHub: {quic: {enable: true}}}"),
        [
            "modules.edgeHub.websocket.enable: websocket.enable and quic.enable cannot be true and false at the same time"
        ]
    );
}

#[test]
fn a_plain_number_is_no_duration() {
    assert_eq!(
        problems("modules: {edged: {tailoredKubeletConfig: {syncFrequency: 60}}}"),
        [
            "modules.edged.tailoredKubeletConfig.syncFrequency: expected a duration such as 10s or 1m30s, found the number 60"
        ]
    );
}

#[test]
fn a_v1_9_file_with_user_edits_is_converted() {
    let text = include_str!("../../testdata/edgecore-defaultconfig-v1.9.yaml")
        .replace("clusterDNS: \"\"", "clusterDNS: 169.254.96.16, nonsense")
        .replace("    registerNode: true", "    registerNode: true\n    labels: {site: a}\n    taints: [{effect: NoSchedule, key: node-role.kubernetes.io/edge}]")
        .replace("runtimeType: docker", "runtimeType: remote")
        .replace("remoteRuntimeEndpoint: unix:///var/run/dockershim.sock", "remoteRuntimeEndpoint: /run/k3s/containerd/containerd.sock");
    let (config, warnings) = EdgeCoreConfig::from_yaml(&text, &host()).expect("loads");
    let edged = &config.modules.edged;
    let kubelet = &edged.tailored_kubelet_config;
    assert_eq!(edged.node_labels["site"], "a");
    assert_eq!(kubelet.register_with_taints[0].key, "node-role.kubernetes.io/edge");
    assert_eq!(kubelet.cluster_dns, ["169.254.96.16"]);
    assert_eq!(kubelet.cluster_domain, "cluster.local");
    assert_eq!(kubelet.container_runtime_endpoint, "unix:///run/k3s/containerd/containerd.sock");
    assert_eq!(kubelet.node_status_update_frequency.to_string(), "10s");
    assert_eq!(kubelet.runtime_request_timeout.to_string(), "2m0s");
    assert_eq!(kubelet.volume_stats_agg_period.to_string(), "1m0s");
    assert!(!warnings.iter().any(|warning| matches!(warning.kind, WarningKind::UnknownKey { .. })), "{warnings:?}");
}

#[test]
fn docker_of_old_files_becomes_cri_dockerd() {
    let config = load(
        include_str!("../../testdata/edgecore-minconfig-v1.9.yaml").replace("enable: false", "enable: true").as_str(),
    );
    assert_eq!(
        config.modules.edged.tailored_kubelet_config.container_runtime_endpoint,
        "unix:///var/run/cri-dockerd.sock"
    );
}

#[test]
fn a_1_16_file_keeps_its_socket() {
    let config = load("modules: {edged: {remoteRuntimeEndpoint: 'unix:///run/k3s/containerd/containerd.sock'}}");
    assert_eq!(
        config.modules.edged.tailored_kubelet_config.container_runtime_endpoint,
        "unix:///run/k3s/containerd/containerd.sock"
    );
}

#[test]
fn a_disabled_hub_is_loud() {
    let golden = include_str!("../../testdata/edgecore-minconfig-v1.23.yaml");
    let (_, warnings) = EdgeCoreConfig::from_yaml(golden, &host()).expect("loads");
    assert!(warnings.iter().any(|warning| warning.path == "modules.edgeHub.enable"));
}
