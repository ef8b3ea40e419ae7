//! The few questions that keadm asks a Kubernetes API server.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use api::names::{SYSTEM_NAMESPACE, TOKEN_SECRET, TOKEN_SECRET_KEY};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client, Config,
    api::DeleteParams,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use thiserror::Error;
use tokio::time::timeout;

/// Why a cluster cannot be asked.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// The kubeconfig is missing or makes no sense.
    #[error("kubeconfig {} cannot be used", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// The API server does not answer or refuses.
    #[error("the cluster of {} does not answer as it should", path.display())]
    Api {
        /// The kubeconfig.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server does not answer in time.
    #[error("the cluster of {} does not answer within {} s", path.display(), after.as_secs())]
    Timeout {
        /// The kubeconfig.
        path: PathBuf,
        /// How long it had.
        after: Duration,
    },
    /// The API server is too old.
    #[error("the cluster of {} runs Kubernetes {version}, at least 1.20 is needed", path.display())]
    TooOld {
        /// The kubeconfig.
        path: PathBuf,
        /// What it runs.
        version: String,
    },
}

/// Oldest minor release of Kubernetes 1 that is supported.
const OLDEST_MINOR: u32 = 20;

/// Clusters behind kubeconfig files.
#[async_trait]
pub trait Clusters: Send + Sync {
    /// The release, if the API server answers within `patience`.
    async fn version(&self, kubeconfig: &Path, patience: Duration) -> Result<String, ClusterError>;
    /// The join token; `None` while cloudcore has not made one.
    async fn token(&self, kubeconfig: &Path) -> Result<Option<String>, ClusterError>;
    /// Removes the namespace of KubeEdge; one that is gone is fine.
    async fn remove_namespace(&self, kubeconfig: &Path) -> Result<(), ClusterError>;
}

/// Deadline of single requests.
const PATIENCE: Duration = Duration::from_secs(15);

/// Clusters over the network.
#[derive(Debug, Clone, Copy, Default)]
pub struct KubeClusters;

async fn client(path: &Path) -> Result<Client, ClusterError> {
    let unusable = |source| ClusterError::Kubeconfig { path: path.to_owned(), source: Box::new(source) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(unusable)?;
    Client::try_from(config).map_err(|source| ClusterError::Api { path: path.to_owned(), source: Box::new(source) })
}

async fn within<T>(
    path: &Path,
    after: Duration,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ClusterError> {
    match timeout(after, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(ClusterError::Api { path: path.to_owned(), source: Box::new(source) }),
        Err(_) => Err(ClusterError::Timeout { path: path.to_owned(), after }),
    }
}

#[async_trait]
impl Clusters for KubeClusters {
    async fn version(&self, kubeconfig: &Path, patience: Duration) -> Result<String, ClusterError> {
        let client = client(kubeconfig).await?;
        let info = within(kubeconfig, patience, client.apiserver_version()).await?;
        let minor: String = info.minor.chars().take_while(char::is_ascii_digit).collect();
        if info.major == "1" && minor.parse().is_ok_and(|minor: u32| minor < OLDEST_MINOR) {
            return Err(ClusterError::TooOld { path: kubeconfig.to_owned(), version: info.git_version });
        }
        Ok(info.git_version)
    }

    async fn token(&self, kubeconfig: &Path) -> Result<Option<String>, ClusterError> {
        let secrets: Api<Secret> = Api::namespaced(client(kubeconfig).await?, SYSTEM_NAMESPACE);
        let secret = within(kubeconfig, PATIENCE, secrets.get_opt(TOKEN_SECRET)).await?;
        let data = secret.and_then(|secret| secret.data?.remove(TOKEN_SECRET_KEY));
        Ok(data.map(|data| String::from_utf8_lossy(&data.0).trim().to_owned()).filter(|token| !token.is_empty()))
    }

    async fn remove_namespace(&self, kubeconfig: &Path) -> Result<(), ClusterError> {
        let namespaces: Api<Namespace> = Api::all(client(kubeconfig).await?);
        let call = async {
            match namespaces.delete(SYSTEM_NAMESPACE, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                outcome => outcome.map(drop),
            }
        };
        within(kubeconfig, PATIENCE, call).await
    }
}
