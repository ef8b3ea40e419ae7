//! Waiting until the cloud side can be used: API server, hub, join token.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use api::cloudcore::CloudCoreConfig;
use async_trait::async_trait;
use pki::tls;
use tokio::{net::TcpStream, time::Instant};

use super::{Surroundings, choice::Choice};
use crate::commands::{
    https::{self, Address},
    kubeconfig,
};

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(250);
/// Deadline of one look at the API server.
const LOOK: Duration = Duration::from_secs(3);

/// Looks at what listens on this host.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Whether the certificate server answers with a CA certificate.
    async fn certificates(&self, address: &Address) -> bool;
    /// Whether something accepts connections.
    async fn accepts(&self, address: &Address) -> bool;
}

/// This host.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalProbe;

#[async_trait]
impl Probe for LocalProbe {
    async fn certificates(&self, address: &Address) -> bool {
        let Ok(tls) = tls::client_config_unverified() else { return false };
        let answer = https::get(address, "/ca.crt", &[], tls).await;
        answer.is_ok_and(|answer| answer.status == 200 && pki::cert_facts(&answer.body).is_ok())
    }

    async fn accepts(&self, address: &Address) -> bool {
        TcpStream::connect((address.host.as_str(), address.port)).await.is_ok()
    }
}

/// Waits; returns the join token.
///
/// # Errors
/// What is still missing after `patience`.
pub async fn wait(
    choice: &Choice,
    config: &CloudCoreConfig,
    patience: Duration,
    with: &Surroundings<'_>,
) -> Result<String, String> {
    let deadline = Instant::now() + patience;
    let kubeconfig: PathBuf = match choice {
        Choice::Embedded => kubeconfig::of_control_plane(config),
        Choice::External { kubeconfig, .. } => kubeconfig.clone(),
    };
    let hub = &config.modules.cloud_hub;
    let certificates = local(&hub.https.address, hub.https.port);
    let websocket = local(&hub.websocket.address, hub.websocket.port);

    with.steps.begin("Wait for the API server");
    while let Err(error) = with.clusters.version(&kubeconfig, LOOK).await {
        pause(deadline, || format!("the API server does not answer ({})", crate::term::report::chain(&error))).await?;
    }
    with.steps.begin("Wait for CloudHub");
    while !with.probe.certificates(&certificates).await {
        pause(deadline, || format!("the certificate server does not answer on {certificates}")).await?;
    }
    while hub.websocket.enable && !with.probe.accepts(&websocket).await {
        pause(deadline, || format!("the hub does not listen on {websocket}")).await?;
    }
    with.steps.begin("Wait for the join token");
    loop {
        match with.clusters.token(&kubeconfig).await {
            Ok(Some(token)) => return Ok(token),
            Ok(None) => pause(deadline, || "there is no join token in the cluster".to_owned()).await?,
            Err(error) => pause(deadline, || crate::term::report::chain(&error)).await?,
        }
    }
}

async fn pause(deadline: Instant, missing: impl FnOnce() -> String) -> Result<(), String> {
    if Instant::now() >= deadline {
        return Err(missing());
    }
    tokio::time::sleep(POLL).await;
    Ok(())
}

/// Where a listener on `address` is reached from this host.
fn local(address: &str, port: u32) -> Address {
    let host = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => "::1".to_owned(),
        _ => address.to_owned(),
    };
    Address { host, port: u16::try_from(port).unwrap_or_default() }
}
