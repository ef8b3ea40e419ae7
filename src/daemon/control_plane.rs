//! From `controlPlane` in cloudcore.yaml to the settings of the embedded control plane.

use std::net::{AddrParseError, SocketAddr};

use api::cloudcore::CloudCoreConfig;
use controlplane::Settings;
use pki::San;

/// Settings from a file that [`CloudCoreConfig::validate`] accepts.
///
/// # Errors
/// An address that is none, which the validation has found before.
pub fn settings(config: &CloudCoreConfig) -> Result<Settings, AddrParseError> {
    let plane = &config.control_plane;
    let bind = SocketAddr::new(plane.bind_address.parse()?, plane.port);
    let mut settings = Settings::new(plane.data_dir.clone().into(), bind, plane.advertise_address.parse()?);
    settings.extra_sans = plane.dns_names.iter().filter_map(|name| San::parse(name)).collect();
    Ok(settings)
}
