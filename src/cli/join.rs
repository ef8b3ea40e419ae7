//! `keadm join`: the union of what every release and the KubeSphere builds accept. Source: spec 05 §2.3.

use std::path::PathBuf;

use clap::Args;

/// Flags of `keadm join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Address and port of cloudcore; IPv6 in brackets
    #[arg(short = 'e', long, value_name = "HOST:PORT", required = true)]
    pub cloudcore_ipport: String,
    /// Token that `keadm gettoken` prints on the cloud host; `-` reads it from stdin
    #[arg(short, long, value_name = "TOKEN", env = "KEADM_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// File with the token
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// Name of the node; the host name by default
    #[arg(short = 'i', long, value_name = "NAME")]
    pub edgenode_name: Option<String>,
    /// Address of the node
    #[arg(long, value_name = "IP")]
    pub edgenode_ip: Option<String>,
    /// Network interface whose address the node reports
    #[arg(long, value_name = "NAME", conflicts_with = "edgenode_ip")]
    pub interfacename: Option<String>,
    /// cgroupfs or systemd; what the container runtime uses by default
    #[arg(long, value_name = "DRIVER")]
    pub cgroupdriver: Option<String>,
    /// Socket of the container runtime; the usual places are searched by default
    #[arg(short = 'p', long, value_name = "ENDPOINT")]
    pub remote_runtime_endpoint: Option<String>,
    /// Labels of the node, comma-separated
    #[arg(short, long, value_name = "KEY=VALUE,…", value_delimiter = ',')]
    pub labels: Vec<String>,
    /// Keep pods away that do not tolerate node-role.kubernetes.io/edge:NoSchedule
    #[arg(long)]
    pub with_edge_taint: bool,
    /// Port of the certificate server
    #[arg(short = 's', long, alias = "certPort", value_name = "PORT", default_value_t = api::names::CLOUDHUB_HTTPS_PORT)]
    pub certport: u16,
    /// Port of the stream tunnel
    #[arg(long, value_name = "PORT", default_value_t = api::names::TUNNEL_PORT)]
    pub tunnelport: u16,
    /// Port of the QUIC hub
    #[arg(long, value_name = "PORT", default_value_t = api::names::CLOUDHUB_QUIC_PORT)]
    pub quicport: u16,
    /// Protocol of the link to the cloud
    #[arg(long, value_name = "PROTOCOL", default_value = "websocket")]
    pub hub_protocol: String,
    /// Directory of the node's certificates
    #[arg(long = "certPath", alias = "cert-path", value_name = "DIR", default_value = "/etc/kubeedge/certs")]
    pub cert_path: PathBuf,
    /// true: use the built-in MQTT broker; false: an external one
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub with_mqtt: Option<bool>,
    /// Override a value of edgecore.yaml, e.g. modules.edgeStream.enable=true
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Show what would be done; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not wait until the node is registered
    #[arg(long)]
    pub no_wait: bool,
    /// Seconds to wait until the node is registered
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
    /// Checks to skip by id, comma-separated, or all
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    pub ignore_preflight_errors: Vec<String>,
    /// Program to run before anything else
    #[arg(long, value_name = "FILE")]
    pub pre_run: Option<PathBuf>,
    /// Program to run after success
    #[arg(long, value_name = "FILE")]
    pub post_run: Option<PathBuf>,
    /// Accepted; this binary installs itself
    #[arg(long, value_name = "VERSION")]
    pub kubeedge_version: Option<String>,
    #[command(flatten)]
    pub legacy: LegacyJoinArgs,
}

/// Flags of older releases: accepted so that pasted commands work.
#[derive(Debug, Args)]
pub struct LegacyJoinArgs {
    /// docker means cri-dockerd
    #[arg(short = 'r', long, hide = true)]
    pub runtimetype: Option<String>,
    #[arg(long, hide = true)]
    pub region: Option<String>,
    #[arg(long, hide = true)]
    pub tarballpath: Option<String>,
    #[arg(long, hide = true)]
    pub image_repository: Option<String>,
}
