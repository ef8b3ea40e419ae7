//! The `edgecore.yaml` that a join writes. Source: spec 05 §4.4, spec 06 §11.1.

use std::path::Path;

use api::{
    config::{HostFacts, Problems, WarningKind},
    edgecore::{EdgeCoreConfig, kubelet::Taint},
    names::EDGE_TAINT,
};

use super::{error::JoinError, settings::JoinSettings};
use crate::{commands::runtime::RuntimeFacts, version::VERSION};

/// The full default configuration with what the settings and the runtime say.
///
/// # Errors
/// `--set` with an unknown key, or a result that edgecore would refuse.
pub fn build(settings: &JoinSettings, runtime: &RuntimeFacts, host: &HostFacts) -> Result<EdgeCoreConfig, JoinError> {
    let mut config = EdgeCoreConfig::defaults(host);
    VERSION.clone_into(&mut config.edgecore_version);

    let hub = &mut config.modules.edge_hub;
    hub.websocket.server = settings.cloud.to_string();
    hub.http_server = format!("https://{}", settings.cloud.with_port(settings.cert_port));
    hub.quic.server = settings.cloud.with_port(settings.quic_port).to_string();
    config.modules.edge_stream.server = settings.cloud.with_port(settings.tunnel_port).to_string();
    if let Some(dir) = &settings.cert_dir {
        let file = |name: &str| Path::new(dir).join(name).display().to_string();
        hub.tls_ca_file = file("rootCA.crt");
        hub.tls_cert_file = file("server.crt");
        hub.tls_private_key_file = file("server.key");
        let stream = &mut config.modules.edge_stream;
        stream.tls_tunnel_ca_file.clone_from(&hub.tls_ca_file);
        stream.tls_tunnel_cert_file.clone_from(&hub.tls_cert_file);
        stream.tls_tunnel_private_key_file.clone_from(&hub.tls_private_key_file);
    }

    let edged = &mut config.modules.edged;
    edged.hostname_override.clone_from(&settings.node);
    edged.node_ip = settings.node_ip.map(|ip| ip.to_string()).unwrap_or_default();
    edged.custom_interface_name = settings.interface.clone().unwrap_or_default();
    edged.node_labels.extend(settings.labels.iter().cloned());
    let kubelet = &mut edged.tailored_kubelet_config;
    kubelet.container_runtime_endpoint.clone_from(&runtime.endpoint);
    kubelet.image_service_endpoint.clone_from(&runtime.endpoint);
    if let Some(driver) = settings.cgroup_driver.as_ref().or(runtime.cgroup_driver.as_ref()) {
        kubelet.cgroup_driver.clone_from(driver);
    }
    if settings.taint {
        let taint = Taint { key: EDGE_TAINT.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
        kubelet.register_with_taints.push(taint);
    }
    if let Some(built_in) = settings.mqtt {
        config.modules.event_bus.mqtt_mode = if built_in { 0 } else { 2 };
    }

    let warnings = config.apply(&settings.overrides).map_err(JoinError::Config)?;
    if let Some(unknown) = warnings.iter().find(|warning| matches!(warning.kind, WarningKind::UnknownKey { .. })) {
        return Err(JoinError::SetKey { text: unknown.to_string() });
    }
    let mut problems = Problems::default();
    config.validate(&mut problems);
    problems.into_result().map_err(|problems| JoinError::Config(api::config::ConfigError::Invalid(problems)))?;
    Ok(config)
}
