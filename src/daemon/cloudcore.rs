//! The applet `cloudcore`: with its own Kubernetes inside, or against a cluster elsewhere.

use std::{error::Error, ffi::OsString, path::Path, process::ExitCode};

use ::cloudcore::settings::CloudCoreSettings;
use api::{
    cloudcore::{CloudCoreConfig, KubeApiConfig},
    names::{CLOUDCORE_CONFIG_FILE, CLOUDCORE_USER},
};
use controlplane::ControlPlane;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Texts, flags::Flags, load, signals};
use crate::version::VERSION;

type BoxError = Box<dyn Error + Send + Sync>;

/// Worker threads.
const WORKERS: usize = 2;

/// Runs cloudcore.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let texts = Texts {
        name: "cloudcore",
        default_file: CLOUDCORE_CONFIG_FILE,
        default_config: CloudCoreConfig::default_config,
        min_config: CloudCoreConfig::min_config,
    };
    super::main(arguments, &texts, run)
}

fn run(flags: &Flags) -> Result<(), BoxError> {
    let config = load::config(flags, CloudCoreConfig::from_yaml)?;
    info!(version = VERSION, "Version");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        signals::until_asked(stop.clone(), life(config, stop)).await
    })
}

/// Everything that cloudcore is, until `stop`. The control plane and the KubeEdge modules end together.
async fn life(config: CloudCoreConfig, stop: CancellationToken) -> Result<(), BoxError> {
    let mut parts: JoinSet<Result<(), BoxError>> = JoinSet::new();
    // cloudcore first: what it still has to write finds the control plane at work.
    let plane_stop = CancellationToken::new();
    let (client, api_server_ca) = if config.control_plane.enable {
        let plane = ControlPlane::open(super::control_plane::settings(&config)?).await?;
        info!(address = %plane.local_addr(), "control plane");
        let client = plane.client(CLOUDCORE_USER);
        let ca = plane.api().facts.ca_pem.clone();
        let (stop, ended) = (plane_stop.clone(), stop.clone());
        parts.spawn(async move {
            let outcome = plane.run(stop).await;
            ended.cancel();
            Ok(outcome?)
        });
        (client, ca)
    } else {
        cluster_client(&config.kube_api_config).await?
    };
    let settings = CloudCoreSettings { api_server_ca, ..CloudCoreSettings::from_config(&config)? };
    drop(config);
    parts.spawn({
        let stop = stop.clone();
        let ends_plane = plane_stop.clone().drop_guard();
        async move {
            let _ends_plane = ends_plane;
            let (ready, addresses) = oneshot::channel();
            let life = ::cloudcore::run(settings, client, ready, stop);
            tokio::pin!(life);
            tokio::select! {
                ended = &mut life => return Ok(ended?),
                Ok(addresses) = addresses => info!(?addresses, "ready"),
            }
            Ok(life.await?)
        }
    });

    let mut outcome = Ok(());
    while let Some(ended) = parts.join_next().await {
        stop.cancel(); // the first one to end takes the other with it
        outcome = outcome.and(ended.unwrap_or_else(|panic| Err(panic.into())));
    }
    outcome
}

/// A client of the cluster that the configuration names (without a name, of the cluster that we run in) and its CA, PEM.
async fn cluster_client(settings: &KubeApiConfig) -> Result<(Client, String), BoxError> {
    let mut config = if settings.kube_config.is_empty() && settings.master.is_empty() {
        Config::incluster()?
    } else if settings.kube_config.is_empty() {
        Config::new(settings.master.parse()?)
    } else {
        let kubeconfig = Kubeconfig::read_from(Path::new(&settings.kube_config))?;
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
    };
    if !settings.master.is_empty() {
        config.cluster_url = settings.master.parse()?;
    }
    let ca = config.root_cert.iter().flatten().map(|der| pki::pem::cert_to_pem(der)).collect();
    Ok((Client::try_from(config)?, ca))
}
