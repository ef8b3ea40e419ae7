//! `keadm gettoken`. stdout carries the token and nothing else: scripts do `$(keadm gettoken)`. Source: spec 05 §5.

use std::path::PathBuf;

use api::{cloudcore::CloudCoreConfig, names};
use jiff::{SignedDuration, Timestamp};
use pki::JoinToken;
use thiserror::Error;

use super::{
    cluster::{ClusterError, Clusters, KubeClusters},
    https::Address,
    kubeconfig,
};
use crate::{
    cli::gettoken::{Format, GettokenArgs},
    host::Host,
    term::{
        self,
        report::{Advice, Advise, Exit, Failure},
    },
};

/// A token that ends within this time is mentioned.
const SOON: SignedDuration = SignedDuration::from_hours(1);

/// Why there is no token.
#[derive(Debug, Error)]
pub enum TokenFailure {
    /// No kubeconfig.
    #[error("no kubeconfig was found on this host")]
    NoKubeconfig,
    /// The cluster cannot be asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// cloudcore has not made one.
    #[error("secret {}/{} is not in the cluster of {}", names::SYSTEM_NAMESPACE, names::TOKEN_SECRET, path.display())]
    NoSecret {
        /// The kubeconfig.
        path: PathBuf,
    },
    /// No address to print in the join command.
    #[error("the address of cloudcore is not known on this host")]
    NoAddress,
}

impl Advise for TokenFailure {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::NoKubeconfig => Advice::new(
                "Kubeconfig",
                "run this on the host where `keadm init` ran, or name a file with --kube-config",
            ),
            Self::Cluster(ClusterError::Kubeconfig { .. }) => {
                Advice::new("Kubeconfig", "can this user read it? Run with sudo, or name another with --kube-config")
            }
            Self::Cluster(_) => Advice::new(
                "ClusterUnreachable",
                "is cloudcore running? `systemctl status cloudcore`, or its log in /var/log/kubeedge",
            ),
            Self::NoSecret { .. } => Advice::new(
                "TokenNotReady",
                "cloudcore writes it when it starts: look at its log, or run `keadm init` first",
            ),
            Self::NoAddress => {
                Advice::new("AdvertiseAddress", "run `keadm gettoken` and put the token behind --token by hand")
            }
        }
    }
}

/// Runs `keadm gettoken`.
///
/// # Errors
/// [`TokenFailure`].
pub async fn command(args: &GettokenArgs, host: &dyn Host) -> Result<(), Failure> {
    print(args, host, &KubeClusters).await.map_err(|error| Failure::new(Exit::Failed, "failed to get token", &error))
}

async fn print(args: &GettokenArgs, host: &dyn Host, clusters: &dyn Clusters) -> Result<(), TokenFailure> {
    let path = args.kube_config.clone().or_else(|| kubeconfig::of_this_host(host)).ok_or(TokenFailure::NoKubeconfig)?;
    let token = clusters.token(&path).await?.ok_or(TokenFailure::NoSecret { path })?;
    let facts = JoinToken::parse(&token).ok();
    let expires_at = facts.as_ref().and_then(JoinToken::expires_at);
    if args.output == Some(Format::Json) {
        let answer = serde_json::json!({
            "token": token,
            "expiresAt": expires_at.map(|at| at.to_string()),
            "caHash": facts.as_ref().map(JoinToken::ca_hash),
        });
        term::data(&answer.to_string());
    } else if args.print_join_command {
        let config = kubeconfig::cloudcore_config(host).ok_or(TokenFailure::NoAddress)?;
        term::data(&join_command(&config, &token).ok_or(TokenFailure::NoAddress)?);
    } else {
        term::data(&token);
    }
    if expires_at.is_some_and(|at| at.duration_since(Timestamp::now()) < SOON) {
        term::note("warning: this token ends in less than an hour");
    }
    Ok(())
}

/// The command that makes another host a node of this cloud.
pub fn join_command(config: &CloudCoreConfig, token: &str) -> Option<String> {
    let hub = &config.modules.cloud_hub;
    let host = hub.advertise_address.iter().find(|address| !address.is_empty())?.clone();
    let address = Address { host, port: u16::try_from(hub.websocket.port).ok()? };
    let mut words = vec![format!("keadm join --cloudcore-ipport={address}")];
    if hub.https.port != u32::from(names::CLOUDHUB_HTTPS_PORT) {
        words.push(format!("--certport={}", hub.https.port));
    }
    let stream = &config.modules.cloud_stream;
    if stream.enable && stream.tunnel_port != u32::from(names::TUNNEL_PORT) {
        words.push(format!("--tunnelport={}", stream.tunnel_port));
    }
    words.push(format!("--token={token}"));
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_join_command_names_only_unusual_ports() {
        let mut config = CloudCoreConfig::default();
        assert_eq!(join_command(&config, "t"), None);
        config.modules.cloud_hub.advertise_address = vec!["192.0.2.7".into()];
        let usual = "keadm join --cloudcore-ipport=192.0.2.7:10000 --token=t";
        assert_eq!(join_command(&config, "t").as_deref(), Some(usual));
        config.modules.cloud_hub.advertise_address = vec!["2001:db8::1".into()];
        config.modules.cloud_hub.https.port = 30002;
        let unusual = "keadm join --cloudcore-ipport=[2001:db8::1]:10000 --certport=30002 --token=t";
        assert_eq!(join_command(&config, "t").as_deref(), Some(unusual));
    }
}
