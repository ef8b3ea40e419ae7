//! Why the cloud side cannot be set up, and what to do about it.

use std::time::Duration;

use api::config::ConfigError;
use thiserror::Error;

use crate::{
    commands::{cluster::ClusterError, strvals::StrvalsError},
    host::HostError,
    term::report::{Advice, Advise},
};

/// Facts that stop an init.
#[derive(Debug, Error)]
pub enum InitError {
    /// We may not change the system.
    #[error("keadm does not run as root")]
    NotRoot,
    /// `--advertise-address` holds something else.
    #[error("\"{text}\" is neither an IP address nor a DNS name")]
    Address {
        /// As typed.
        text: String,
    },
    /// No address at all.
    #[error("this host has no address that edge nodes could dial")]
    NoAddress,
    /// The control plane needs an IP.
    #[error("none of the advertised addresses is an IP address")]
    NoIp,
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
    /// The configuration that is there is not readable.
    #[error("the existing configuration of cloudcore cannot be read")]
    CurrentConfig(#[source] ConfigError),
    /// The configuration that is there belongs to a cloudcore in a pod.
    #[error("the existing configuration is for a cloudcore that runs inside its cluster")]
    InCluster,
    /// A change of mind about the cluster.
    #[error("this host is already set up with another Kubernetes: {current}")]
    OtherCluster {
        /// What is there.
        current: String,
    },
    /// The cluster does not answer.
    #[error(transparent)]
    Cluster(ClusterError),
    /// A cloudcore that keadm did not set up.
    #[error("CloudCore is already running on this host (pid {pid})")]
    Running {
        /// Its id.
        pid: i32,
    },
    /// A port is taken.
    #[error("port {port} is in use by {owner}")]
    Port {
        /// The port.
        port: u16,
        /// Who listens.
        owner: String,
    },
    /// The host could not be changed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// cloudcore runs, but something of it is missing.
    #[error("cloudcore is not ready after {} s: {missing}", after.as_secs())]
    NotReady {
        /// What is missing.
        missing: String,
        /// How long we waited.
        after: Duration,
        /// The last lines of cloudcore.
        log: Vec<String>,
    },
    /// A kubeconfig of the operator makes no sense.
    #[error("{path} cannot be read")]
    Kubeconfig {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: ConfigError,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Advise for InitError {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::NotRoot => Advice::new("NotRoot", "run the same command with sudo"),
            Self::Address { .. } | Self::NoAddress => {
                Advice::new("AdvertiseAddress", "pass the address that edge nodes dial: --advertise-address=IP")
            }
            Self::NoIp => Advice::new("AdvertiseAddress", "put at least one IP address into --advertise-address"),
            Self::Set(_) | Self::SetKey { .. } | Self::Config(_) => Advice::new(
                "Config",
                "`cloudcore --defaultconfig` prints every key; --set takes path=value, comma-separated",
            ),
            Self::CurrentConfig(_) => Advice::new(
                "Config",
                format!("correct {}, or run `keadm reset cloud` first", api::names::CLOUDCORE_CONFIG_FILE),
            ),
            Self::InCluster => {
                Advice::new("InCluster", "name the cluster with --kube-config, or run `keadm reset cloud` first")
            }
            Self::OtherCluster { .. } => Advice::new("OtherCluster", "run `keadm reset cloud` first, then init again"),
            Self::Cluster(ClusterError::TooOld { .. }) => Advice::new(
                "KubernetesVersion",
                "upgrade the cluster, or leave --kube-config out to use the built-in one",
            ),
            Self::Cluster(_) => Advice::new(
                "ClusterUnreachable",
                "try `kubectl --kubeconfig FILE version`; without a cluster leave --kube-config out, keadm brings its own",
            ),
            Self::Running { pid } => Advice::new(
                "CloudCoreRunning",
                format!("stop process {pid}, or run `keadm reset cloud` first, then init again"),
            ),
            Self::Port { port, .. } => {
                Advice::new("Port", format!("stop the program that listens on port {port}, then init again"))
            }
            Self::Host(_) => Advice::new("Host", "the host was put back as it was; remove the obstacle and init again"),
            Self::NotReady { .. } => {
                Advice::new("NotReady", "the last lines of cloudcore are below; the host was put back as it was")
            }
            Self::Kubeconfig { path, .. } => {
                Advice::new("Kubeconfig", format!("correct or move {path} away, then init again"))
            }
            Self::Interrupted => Advice::new("Interrupted", "the host was put back as it was"),
        }
    }
}
