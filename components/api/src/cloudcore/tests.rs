use super::CloudCoreConfig;
use crate::config::{ConfigError, HostFacts, WarningKind};

fn host() -> HostFacts {
    let ip = Some("192.0.2.2".parse().expect("ip"));
    HostFacts { host_name: "vm".into(), local_ip: ip, default_route_ip: ip }
}

fn problems(text: &str) -> Vec<String> {
    match CloudCoreConfig::from_yaml(text, &host()) {
        Err(ConfigError::Invalid(problems)) => problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect(),
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn defaultconfig_is_what_v1_23_prints() {
    let golden = include_str!("../../testdata/cloudcore-defaultconfig-v1.23.yaml");
    assert_eq!(CloudCoreConfig::default_config(&host()), golden);
}

#[test]
fn minconfig_is_what_v1_23_prints_but_with_the_hub_on() {
    let golden = include_str!("../../testdata/cloudcore-minconfig-v1.23.yaml");
    let expected = golden.replacen("    enable: false\n    https:", "    enable: true\n    https:", 1);
    assert_ne!(golden, expected);
    assert_eq!(CloudCoreConfig::min_config(&host()), expected);
}

#[test]
fn files_of_all_releases_load() {
    for text in [
        include_str!("../../testdata/cloudcore-defaultconfig-v1.9.yaml"),
        include_str!("../../testdata/cloudcore-minconfig-v1.9.yaml"),
        include_str!("../../testdata/cloudcore-defaultconfig-v1.23.yaml"),
        include_str!("../../testdata/cloudcore-minconfig-v1.23.yaml"),
        "{}",
        "",
    ] {
        CloudCoreConfig::from_yaml(text, &host()).expect("loads");
    }
}

#[test]
fn a_full_file_reads_back_to_itself() {
    let mut config = CloudCoreConfig::defaults(&host());
    config.control_plane.enable = true;
    config.control_plane.advertise_address = "192.0.2.2".into();
    let (again, warnings) = CloudCoreConfig::from_yaml(&config.to_yaml(), &host()).expect("loads");
    assert_eq!(again, config);
    assert_eq!(warnings, []);
}

#[test]
fn unknown_keys_warn_with_the_nearest_one() {
    let (_, warnings) =
        CloudCoreConfig::from_yaml("modules:\n  cloudHubb: {}\n  router:\n    prt: 1\n", &host()).expect("loads");
    assert_eq!(warnings[0].path, "modules.cloudHubb");
    assert_eq!(warnings[0].kind, WarningKind::UnknownKey { nearest: Some("cloudHub") });
    assert_eq!(warnings[1].path, "modules.router.prt");
}

#[test]
fn keys_match_without_regard_to_case_and_null_sections_mean_the_default() {
    let (config, warnings) =
        CloudCoreConfig::from_yaml("modules:\n  cloudhub:\n    nodelimit: 7\n    quic: null\n", &host())
            .expect("loads");
    assert_eq!(config.modules.cloud_hub.node_limit, 7);
    assert_eq!(config.modules.cloud_hub.quic.port, 10001);
    assert_eq!(warnings[0].kind, WarningKind::NullSection);
}

#[test]
fn all_problems_come_at_once_under_their_paths() {
    assert_eq!(
        problems("modules:\n  cloudHub:\n    websocket: {port: \"10000\"}\n    enable: maybe\n  router: []\n"),
        [
            "modules.cloudHub.websocket.port: expected a whole number from 0 to 4294967295, found the text \"10000\"",
            "modules.cloudHub.enable: expected true or false, found the text \"maybe\"",
            "modules.router: expected a mapping, found a list",
        ]
    );
    assert_eq!(
        problems(
            "modules: {iptablesManager: {mode: foo}, cloudHub: {tokenRefreshDuration: 0, advertiseAddress: ['']}}"
        ),
        [
            "modules.cloudHub.tokenRefreshDuration: TokenRefreshDuration must be positive",
            "modules.cloudHub.advertiseAddress.0: \"\" is neither an IP address nor a DNS name",
            "modules.iptablesManager.mode: invalid value for iptablesmgr mode",
        ]
    );
}

#[test]
fn quic_is_checked_only_when_it_is_on() {
    CloudCoreConfig::from_yaml("modules: {cloudHub: {quic: {port: 0}}}", &host()).expect("loads");
    assert_eq!(
        problems("modules: {cloudHub: {quic: {enable: true, port: 0}}}"),
        ["modules.cloudHub.quic.port: must be a valid port, 1 to 65535"]
    );
}

#[test]
fn a_disabled_hub_is_loud() {
    let golden = include_str!("../../testdata/cloudcore-minconfig-v1.23.yaml");
    let (_, warnings) = CloudCoreConfig::from_yaml(golden, &host()).expect("loads");
    assert!(warnings.iter().any(|warning| warning.path == "modules.cloudHub.enable"));
}

#[test]
fn nameless_certificates_are_refused_unless_the_file_says_so() {
    let (config, _) = CloudCoreConfig::from_yaml("{}", &host()).expect("loads");
    assert!(!config.modules.cloud_hub.legacy_certificates);
    assert!(!config.to_yaml().contains("legacyCertificates"));
    let text = "modules: {cloudHub: {legacyCertificates: true}}";
    let (config, warnings) = CloudCoreConfig::from_yaml(text, &host()).expect("loads");
    assert!(config.modules.cloud_hub.legacy_certificates);
    assert_eq!(warnings, []);
}

#[test]
fn the_control_plane_is_off_unless_the_file_says_so() {
    let (config, _) = CloudCoreConfig::from_yaml("{}", &host()).expect("loads");
    assert!(!config.control_plane.enable);
    assert!(!config.to_yaml().contains("controlPlane"));
    assert_eq!(
        problems("controlPlane: {enable: true, bindAddress: x}"),
        ["controlPlane.bindAddress: must be a valid IP", "controlPlane.advertiseAddress: must be an IP address"]
    );
}
