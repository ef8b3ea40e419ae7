//! Why a host cannot join, and what to do about it.

use std::{io, path::PathBuf, time::Duration};

use api::config::ConfigError;
use jiff::Timestamp;
use pki::{PkiError, TokenError, tls::TlsFailure};
use thiserror::Error;

use crate::{
    commands::{
        https::{Address, HttpsError},
        runtime::RuntimeError,
        strvals::StrvalsError,
    },
    host::HostError,
    term::report::{Advice, Advise},
};

/// Facts that stop a join.
#[derive(Debug, Error)]
pub enum JoinError {
    /// We may not change the system.
    #[error("keadm does not run as root")]
    NotRoot,
    /// `--cloudcore-ipport` is no address.
    #[error("\"{text}\" is not HOST:PORT")]
    ServerAddress {
        /// As typed.
        text: String,
    },
    /// `--hub-protocol` is unknown.
    #[error("unsupported hub of protocol: {text}")]
    Protocol {
        /// As typed.
        text: String,
    },
    /// `--cgroupdriver` is unknown.
    #[error("unsupported CGroupDriver: {text}")]
    CgroupDriver {
        /// As typed.
        text: String,
    },
    /// The node name is not one.
    #[error("\"{name}\" cannot be a node name")]
    NodeName {
        /// As typed, or the host name.
        name: String,
        /// A similar name that can.
        suggestion: Option<String>,
    },
    /// `--edgenode-ip` is no address.
    #[error("\"{text}\" is not an IP address")]
    NodeIp {
        /// As typed.
        text: String,
    },
    /// `--interfacename` has no address.
    #[error("network interface {name} does not exist or has no address")]
    Interface {
        /// As typed.
        name: String,
    },
    /// `--set` cannot be read.
    #[error("--set cannot be read")]
    Set(#[source] StrvalsError),
    /// `--set` names a key that does not exist.
    #[error("--set names an unknown key: {text}")]
    SetKey {
        /// The warning of the configuration reader.
        text: String,
    },
    /// The configuration that came out is not valid.
    #[error("the resulting configuration is not valid")]
    Config(#[source] ConfigError),
    /// The token file or stdin cannot be read.
    #[error("the token cannot be read")]
    TokenSource(#[source] io::Error),
    /// No token.
    #[error("no join token was given")]
    TokenMissing,
    /// The token has ended.
    #[error("join token expired at {at}, {ago} ago")]
    TokenExpired {
        /// Its end.
        at: Timestamp,
        /// How long ago, in words.
        ago: String,
    },
    /// The token is not one, or of another cloud.
    #[error("join token is not usable")]
    Token(#[source] TokenError),
    /// The token belongs to another CA.
    #[error("join token was made for another cloud")]
    TokenAuthority(#[source] TokenError),
    /// The cloud refuses the token.
    #[error("{address} refuses the join token: {answer}")]
    TokenRefused {
        /// Certificate server.
        address: Address,
        /// Its words.
        answer: String,
    },
    /// No connection, or no HTTPS.
    #[error(transparent)]
    Https(HttpsError),
    /// Something else answers there.
    #[error("{address} is not cloudcore: {answer}")]
    NotCloudcore {
        /// Where.
        address: Address,
        /// What it said.
        answer: String,
    },
    /// The clocks disagree.
    #[error("the clock of this host is {seconds} s {direction} the clock of {address}")]
    ClockSkew {
        /// Certificate server.
        address: Address,
        /// How much.
        seconds: i64,
        /// `ahead of` or `behind`.
        direction: &'static str,
    },
    /// TLS settings could not be made.
    #[error("the certificate of the cloud is not usable")]
    Pki(#[source] PkiError),
    /// The name is taken.
    #[error("a node named {name} already exists in the cluster")]
    NodeExists {
        /// The name.
        name: String,
    },
    /// The host belongs to another cloud, or under another name.
    #[error("this host has already joined {server} as node {node}")]
    Occupied {
        /// Hub of the configuration that is there.
        server: String,
        /// Node of the configuration that is there.
        node: String,
    },
    /// An edgecore that is not ours.
    #[error("EdgeCore is already running on this host (pid {pid})")]
    Running {
        /// Its id.
        pid: i32,
    },
    /// A kubelet, or a program that holds one.
    #[error("{agent}")]
    OtherAgent {
        /// What it is, in words.
        agent: String,
    },
    /// A port is taken.
    #[error("port {port} is in use by {owner}")]
    Port {
        /// The port.
        port: u16,
        /// Who listens.
        owner: String,
    },
    /// No socket of a container runtime.
    #[error("no container runtime was found")]
    NoRuntime,
    /// More than one.
    #[error("several container runtimes were found: {}", found.join(", "))]
    ManyRuntimes {
        /// Their sockets.
        found: Vec<String>,
    },
    /// It does not answer.
    #[error(transparent)]
    Runtime(RuntimeError),
    /// It answers that it is not ready.
    #[error("container runtime {version} is not ready: {reason}")]
    RuntimeNotReady {
        /// Name and version.
        version: String,
        /// Its words.
        reason: String,
    },
    /// The drivers differ.
    #[error("cgroup driver {asked} was asked for, but the container runtime uses {actual}")]
    CgroupMismatch {
        /// As typed.
        asked: String,
        /// The runtime's.
        actual: String,
    },
    /// A script failed.
    #[error("script {} failed", path.display())]
    Script {
        /// The program.
        path: PathBuf,
        /// How.
        #[source]
        source: io::Error,
    },
    /// The host could not be changed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// edgecore runs, but the node does not appear.
    #[error("node {node} is not registered after {} s", after.as_secs())]
    NotRegistered {
        /// The node.
        node: String,
        /// How long we waited.
        after: Duration,
        /// The last lines of edgecore.
        log: Vec<String>,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Advise for JoinError {
    fn advice(&self) -> Option<Advice> {
        const NEW_TOKEN: &str = "on the cloud host run `keadm gettoken`, then join with the new token";
        match self {
            Self::NotRoot => Advice::new("NotRoot", "run the same command with sudo"),
            Self::ServerAddress { .. } => {
                Advice::new("ServerAddress", "pass --cloudcore-ipport=IP:10000, or [IPv6]:10000")
            }
            Self::Protocol { .. } => Advice::new("HubProtocol", "leave --hub-protocol out: websocket is used"),
            Self::CgroupDriver { .. } => {
                Advice::new("CgroupDriver", "leave --cgroupdriver out: the container runtime's driver is used")
            }
            Self::NodeName { suggestion: Some(name), .. } => Advice::new(
                "NodeName",
                format!("pass a name of lower-case letters, digits, - and .: --edgenode-name={name}"),
            ),
            Self::NodeName { suggestion: None, .. } => {
                Advice::new("NodeName", "pass a name of lower-case letters, digits, - and . with --edgenode-name")
            }
            Self::NodeIp { .. } => Advice::new("NodeIP", "pass --edgenode-ip=IP, or leave it out"),
            Self::Interface { .. } => Advice::new("Interface", "`ip -brief address` lists the interfaces of this host"),
            Self::Set(_) | Self::SetKey { .. } | Self::Config(_) => Advice::new(
                "Config",
                "`edgecore --defaultconfig` prints every key; --set takes path=value, comma-separated",
            ),
            Self::TokenSource(_) | Self::TokenMissing => {
                Advice::new("TokenMissing", "on the cloud host run `keadm gettoken`, then pass the token with --token")
            }
            Self::TokenExpired { .. } => Advice::new("TokenExpired", NEW_TOKEN),
            Self::Token(_) => Advice::new("TokenFormat", "the token looks cut or line-wrapped: paste it as one line"),
            Self::TokenAuthority(_) => Advice::new(
                "TokenCAMismatch",
                "use the token of this cloud: run `keadm gettoken` on the host that --cloudcore-ipport names",
            ),
            Self::TokenRefused { .. } => Advice::new("TokenRefused", NEW_TOKEN),
            Self::Https(error) => https_advice(error),
            Self::NotCloudcore { .. } => Advice::new(
                "NotCloudcore",
                "check --cloudcore-ipport and --certport; the cloud host listens on 10000 and 10002 by default",
            ),
            Self::ClockSkew { .. } => {
                Advice::new("TimeSkew", "set the clock right, for example with chrony or systemd-timesyncd")
            }
            Self::Pki(_) => Advice::new("CloudCertificate", "look at the log of cloudcore on the cloud host"),
            Self::NodeExists { name } => Advice::new(
                "NodeExists",
                format!(
                    "choose another name with --edgenode-name, or remove the old node: `kubectl delete node {name}`"
                ),
            ),
            Self::Occupied { .. } => Advice::new("AlreadyJoined", "run `keadm reset edge` first, then join again"),
            Self::Running { .. } => Advice::new("EdgeCoreRunning", "run `keadm reset edge` first, then join again"),
            Self::OtherAgent { .. } => Advice::new(
                "KubeletRunning",
                "a host is either a Kubernetes node or an edge node: stop the other node agent, or use another host",
            ),
            Self::Port { port, .. } => {
                Advice::new("Port", format!("stop the program that listens on port {port}, then join again"))
            }
            Self::NoRuntime => Advice::new(
                "RuntimeEndpoint",
                "install containerd (for example `apt-get install containerd`), or name the socket with \
                 --remote-runtime-endpoint",
            ),
            Self::ManyRuntimes { found } => Advice::new(
                "RuntimeEndpoint",
                format!("choose one: --remote-runtime-endpoint={}", found.first().map_or("", String::as_str)),
            ),
            Self::Runtime(_) => Advice::new(
                "RuntimeEndpoint",
                "is it running? For containerd, /etc/containerd/config.toml must not list cri under disabled_plugins",
            ),
            Self::RuntimeNotReady { .. } => Advice::new("RuntimeNotReady", "look at the log of the container runtime"),
            Self::CgroupMismatch { actual, .. } => {
                Advice::new("CgroupDriver", format!("leave --cgroupdriver out, or pass --cgroupdriver={actual}"))
            }
            Self::Script { .. } => Advice::new("Script", "the output of the script is above"),
            Self::Host(_) => Advice::new("Host", "the host was put back as it was; remove the obstacle and join again"),
            Self::NotRegistered { .. } => {
                Advice::new("NotRegistered", "the last lines of edgecore are below; the host was put back as it was")
            }
            Self::Interrupted => Advice::new("Interrupted", "the host was put back as it was"),
        }
    }
}

fn https_advice(error: &HttpsError) -> Option<Advice> {
    match error {
        HttpsError::Connect { address, .. } | HttpsError::Timeout { address, .. } => Advice::new(
            "CloudUnreachable",
            format!("is cloudcore running there, and does a firewall let port {} through?", address.port),
        ),
        HttpsError::Garbled { .. } => Advice::new(
            "NotCloudcore",
            "check --cloudcore-ipport and --certport; the cloud host listens on 10000 and 10002 by default",
        ),
        HttpsError::Tls { failure, .. } => match failure {
            TlsFailure::Name(mismatch) => {
                let known = mismatch.ips.iter().map(ToString::to_string).chain(mismatch.dns.iter().cloned());
                let all: Vec<_> = known.chain([mismatch.dialled.clone()]).collect();
                Advice::new(
                    "CertificateNames",
                    format!(
                        "dial an address that the certificate names, or on the cloud host run `keadm init \
                         --advertise-address={}`",
                        all.join(",")
                    ),
                )
            }
            TlsFailure::UnknownAuthority => Advice::new(
                "CloudAuthority",
                "is the port in --cloudcore-ipport the hub's (10000 by default), and is there no proxy in between?",
            ),
            TlsFailure::Expired | TlsFailure::NotYetValid => Advice::new(
                "TimeSkew",
                "compare the clocks of both hosts; else restart cloudcore to renew its certificate",
            ),
            TlsFailure::ClientRefused { .. } | TlsFailure::NotTls | TlsFailure::Handshake(_) => Advice::new(
                "NotCloudcore",
                "check --cloudcore-ipport and --certport; the cloud host listens on 10000 and 10002 by default",
            ),
        },
    }
}
