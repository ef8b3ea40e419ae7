//! How `cloudcore.yaml` and `edgecore.yaml` are read and printed. Source: spec 06 §2, §3.
//!
//! A file is parsed into a [`Node`] tree, laid over the built-in defaults field by field, and every mistake is
//! collected under its YAML path, so that one start reports all of them. Keys that no release knows are warnings.
//! There is no I/O here: what depends on the host comes in as [`HostFacts`].

pub mod duration;
mod emit;
mod field;
mod nearest;
pub mod node;
mod report;
pub(crate) mod section;

pub use field::Field;
pub use node::Node;
pub use report::{Problem, Problems, Report, Warning, WarningKind};

use std::net::IpAddr;

use thiserror::Error;

pub(crate) use section::section;

/// What the defaults of both files take from the host they are printed on. Source: spec 06 §4.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Host name as the system reports it; [`node_name`] makes it a node name.
    pub host_name: String,
    /// The address that the host name resolves to and that is local, else the default-route address.
    pub local_ip: Option<IpAddr>,
    /// Address of the interface that carries the default route.
    pub default_route_ip: Option<IpAddr>,
}

/// Why a configuration text cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The text is not YAML, or not a mapping.
    #[error("the file is not readable YAML")]
    Yaml(#[source] serde_yaml::Error),
    /// The text is YAML, but some values are not what their fields need.
    #[error("the configuration is not valid")]
    Invalid(#[source] Problems),
}

/// The name that a node gets when nobody names it: the trimmed, lower-cased host name, or `default-edge-node` when
/// that is not a DNS-1123 subdomain. Source: spec 06 §4.
pub fn node_name(host_name: &str) -> String {
    let name = host_name.trim().to_lowercase();
    if is_dns1123_subdomain(&name) { name } else { "default-edge-node".to_owned() }
}

/// Whether `name` may name a Kubernetes object: at most 253 characters; labels of `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
/// joined by dots (RFC 1123).
pub fn is_dns1123_subdomain(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        !bytes.is_empty()
            && bytes.iter().all(|byte| alphanumeric(*byte) || *byte == b'-')
            && alphanumeric(bytes[0])
            && alphanumeric(bytes[bytes.len() - 1])
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// `address:port`, with brackets around an IPv6 address; only `:port` when there is no address.
pub(crate) fn host_port(ip: Option<IpAddr>, port: u16) -> String {
    match ip {
        Some(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        Some(IpAddr::V4(ip)) => format!("{ip}:{port}"),
        None => format!(":{port}"),
    }
}

/// Lays `node` over `target` and gathers what was noticed on the way.
pub(crate) fn overlay<T: Field>(target: &mut T, node: &Node) -> Result<Vec<Warning>, ConfigError> {
    let mut report = Report::default();
    target.overlay(node, &mut report);
    report.finish().map_err(ConfigError::Invalid)
}

#[cfg(test)]
mod tests;
