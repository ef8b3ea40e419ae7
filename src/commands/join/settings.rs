//! What was typed, as it is meant.

use std::{
    io::Read as _,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use api::config::{Node, is_dns1123_subdomain, node_name};

use super::error::JoinError;
use crate::{
    cli::join::JoinArgs,
    commands::{https::Address, strvals},
    host::Host,
};

/// Where the node's certificates go on a host that is the cloud, too: cloudcore uses the usual places.
pub const BESIDE_CLOUD_CERT_DIR: &str = "/etc/kubeedge/edge";
/// Longest token file, bytes.
const MAX_TOKEN: u64 = 64 * 1024;

/// Everything that `keadm join` needs to know.
#[derive(Debug, Clone)]
pub struct JoinSettings {
    /// The hub.
    pub cloud: Address,
    /// Port of the certificate server.
    pub cert_port: u16,
    /// Port of the stream tunnel.
    pub tunnel_port: u16,
    /// Port of the QUIC hub.
    pub quic_port: u16,
    /// The token as typed; checked later, because a host that has joined needs none.
    pub token: Option<TokenText>,
    /// Node name.
    pub node: String,
    /// Node address.
    pub node_ip: Option<IpAddr>,
    /// Interface whose address is reported.
    pub interface: Option<String>,
    /// What was asked for; the runtime's by default.
    pub cgroup_driver: Option<String>,
    /// What was asked for; searched by default.
    pub runtime_endpoint: Option<String>,
    /// Labels of the node.
    pub labels: Vec<(String, String)>,
    /// Whether the edge taint is set.
    pub taint: bool,
    /// Directory of the certificates when it is not the usual one.
    pub cert_dir: Option<PathBuf>,
    /// Built-in broker, external broker, or as it is.
    pub mqtt: Option<bool>,
    /// Further values.
    pub overrides: Node,
    /// Only tell.
    pub dry_run: bool,
    /// How long to wait for the node; zero means not.
    pub wait: Duration,
    /// Program to run before.
    pub pre_run: Option<PathBuf>,
    /// What the operator should know about flags without effect.
    pub remarks: Vec<String>,
}

/// The token as typed. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenText(pub String);

impl std::fmt::Debug for TokenText {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenText")
    }
}

impl JoinSettings {
    /// Makes sense of the flags.
    ///
    /// # Errors
    /// What makes no sense, all of it.
    pub fn from_args(args: JoinArgs, host: &dyn Host) -> Result<Self, Vec<JoinError>> {
        let mut errors = Vec::new();
        let cloud = Address::parse(&args.cloudcore_ipport);
        if cloud.is_none() {
            errors.push(JoinError::ServerAddress { text: args.cloudcore_ipport.clone() });
        }
        if args.hub_protocol != "websocket" {
            errors.push(JoinError::Protocol { text: args.hub_protocol.clone() });
        }
        if let Some(driver) =
            args.cgroupdriver.as_deref().filter(|driver| !matches!(*driver, "cgroupfs" | "systemd" | ""))
        {
            errors.push(JoinError::CgroupDriver { text: driver.to_owned() });
        }
        let node = args.edgenode_name.clone().unwrap_or_else(|| node_name(&host.facts().host_name));
        if !is_dns1123_subdomain(&node) || node == "default-edge-node" {
            errors.push(JoinError::NodeName { suggestion: suggestion(&node), name: node.clone() });
        }
        let node_ip = args.edgenode_ip.as_deref().map(|text| (text, text.parse()));
        if let Some((text, Err(_))) = &node_ip {
            errors.push(JoinError::NodeIp { text: (*text).to_owned() });
        }
        if let Some(name) = args.interfacename.as_deref().filter(|name| host.interface_address(name).is_none()) {
            errors.push(JoinError::Interface { name: name.to_owned() });
        }
        let overrides = strvals::parse(&args.set).unwrap_or_else(|error| {
            errors.push(JoinError::Set(error));
            Node::map()
        });
        let token = token(&args).unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        let beside_cloud = host.kind(Path::new(api::names::CLOUDCORE_CONFIG_FILE)).is_some();
        let typed_dir = Some(args.cert_path.clone()).filter(|dir| dir != Path::new("/etc/kubeedge/certs"));
        let (Some(cloud), true) = (cloud, errors.is_empty()) else { return Err(errors) };
        let (runtime_endpoint, remarks) = legacy(&args);
        Ok(Self {
            cloud,
            cert_port: args.certport,
            tunnel_port: args.tunnelport,
            quic_port: args.quicport,
            token,
            node,
            node_ip: node_ip.and_then(|(_, ip)| ip.ok()),
            interface: args.interfacename,
            cgroup_driver: args.cgroupdriver.filter(|driver| !driver.is_empty()),
            runtime_endpoint,
            labels: args.labels.iter().filter_map(|label| split_label(label)).collect(),
            taint: args.with_edge_taint,
            cert_dir: typed_dir.or_else(|| beside_cloud.then(|| BESIDE_CLOUD_CERT_DIR.into())),
            mqtt: args.with_mqtt,
            overrides,
            dry_run: args.dry_run,
            wait: if args.no_wait { Duration::ZERO } else { Duration::from_secs(args.timeout) },
            pre_run: args.pre_run,
            remarks,
        })
    }
}

/// Split at the first `=`; without one the value is empty; an empty key is dropped. Source: spec 05 §2.3.
fn split_label(label: &str) -> Option<(String, String)> {
    let (key, value) = label.split_once('=').unwrap_or((label, ""));
    let key = key.trim();
    (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}

/// The runtime socket, and remarks on flags of older releases.
fn legacy(args: &JoinArgs) -> (Option<String>, Vec<String>) {
    let mut remarks = Vec::new();
    let mut endpoint = args.remote_runtime_endpoint.clone().filter(|endpoint| !endpoint.is_empty());
    if let Some(path) = endpoint.as_ref().filter(|endpoint| endpoint.starts_with('/')) {
        endpoint = Some(format!("unix://{path}"));
    }
    match args.legacy.runtimetype.as_deref() {
        Some("docker") if endpoint.is_none() => {
            endpoint = Some(api::names::CRI_DOCKERD_ENDPOINT.to_owned());
            remarks.push(format!("--runtimetype=docker is read as {}", api::names::CRI_DOCKERD_ENDPOINT));
        }
        None | Some("" | "remote") => {}
        Some(other) => remarks.push(format!("--runtimetype={other} has no effect")),
    }
    let wanted = args.kubeedge_version.as_deref().map(|version| version.trim_start_matches('v')).unwrap_or_default();
    if !wanted.is_empty() && wanted != env!("CARGO_PKG_VERSION") {
        remarks.push(format!("--kubeedge-version={wanted} has no effect: this binary installs itself"));
    }
    (endpoint, remarks)
}

fn token(args: &JoinArgs) -> Result<Option<TokenText>, JoinError> {
    let read = |mut from: Box<dyn std::io::Read>| {
        let mut text = String::new();
        from.read_to_string(&mut text).map(|_| text)
    };
    let text = match (args.token.as_deref(), &args.token_file) {
        (Some("-"), _) => read(Box::new(std::io::stdin().take(MAX_TOKEN))),
        (Some(text), _) => Ok(text.to_owned()),
        (None, Some(path)) => std::fs::File::open(path).and_then(|file| read(Box::new(file.take(MAX_TOKEN)))),
        (None, None) => return Ok(None),
    };
    let text = text.map_err(JoinError::TokenSource)?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()).map(TokenText))
}

/// The nearest valid node name.
fn suggestion(name: &str) -> Option<String> {
    let replaced: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' { c } else { '-' })
        .take(253)
        .collect();
    let trimmed = replaced.trim_matches(['-', '.']).to_owned();
    (is_dns1123_subdomain(&trimmed) && trimmed != "default-edge-node").then_some(trimmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_split_at_the_first_equals_sign() {
        assert_eq!(split_label("a=b=c"), Some(("a".into(), "b=c".into())));
        assert_eq!(split_label("a"), Some(("a".into(), String::new())));
        assert_eq!(split_label("=b"), None);
    }

    #[test]
    fn bad_node_names_come_with_a_good_one() {
        assert_eq!(suggestion("My_Host").as_deref(), Some("my-host"));
        assert_eq!(suggestion("_"), None);
    }
}
