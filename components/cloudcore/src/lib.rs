//! cloudcore: the cloud side of KubeEdge over any Kubernetes API.
//!
//! [`run`] is the composition root: reading it shows every module and how they are wired. Whether a real cluster or
//! the embedded control plane answers the `kube::Client` makes no difference here.

mod bootstrap;
pub mod cloudhub;
pub mod edgecontroller;
mod http_server;
pub mod kind;
pub mod kubeapi;
pub mod monitor;
pub mod names;
pub mod object;
pub mod settings;
pub mod synccontroller;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pki::PkiError;
use pki::tls::{server_config_mutual, server_config_optional_client};
use supervisor::backoff::Backoff;
use supervisor::{StopError, Supervisor};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use transport::Limits;

use crate::bootstrap::BootstrapError;
use crate::cloudhub::doors::Destinations;
use crate::cloudhub::enrol::Enrolment;
use crate::cloudhub::identity::{HubIdentity, IdentityError};
use crate::cloudhub::listener::{Listener, MAX_INBOUND};
use crate::cloudhub::registry::Registry;
use crate::cloudhub::session::Hub;
use crate::cloudhub::token::TokenIssuer;
use crate::edgecontroller::EdgeController;
use crate::edgecontroller::upstream::Upstream;
use crate::kubeapi::{ApiError, KubeApi};
use crate::monitor::Monitor;
use crate::monitor::metrics::Metrics;
use crate::settings::CloudCoreSettings;
use crate::synccontroller::SyncController;
use crate::synccontroller::recorder::Recorder;

/// How long the modules may take to stop.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Why cloudcore did not start, or did not stop in time.
#[derive(Debug, Error)]
pub enum CloudCoreError {
    /// A listener cannot have its address.
    #[error("cannot listen on {addr} for {what}")]
    Listen {
        /// What the listener is for.
        what: &'static str,
        /// Address and port.
        addr: SocketAddr,
        /// What the system said; [`io::ErrorKind::AddrInUse`] when another process has it.
        #[source]
        source: io::Error,
    },
    /// Namespace or resource definitions.
    #[error("cannot prepare the cluster")]
    Bootstrap(#[from] BootstrapError),
    /// CA or server certificate.
    #[error("cannot load the hub's certificates")]
    Identity(#[from] IdentityError),
    /// The join token.
    #[error("cannot store the join token")]
    Token(#[source] ApiError),
    /// TLS settings.
    #[error("cannot use the hub's certificates")]
    Tls(#[source] PkiError),
    /// A module did not stop in time.
    #[error("cloudcore did not stop in order")]
    Stop(#[from] StopError),
    /// Told to stop before everything was up.
    #[error("stopped while starting")]
    Stopped,
}

/// Where a running cloudcore listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Edges connect here.
    pub websocket: SocketAddr,
    /// Edges enrol here.
    pub https: SocketAddr,
    /// Metrics and health.
    pub monitor: SocketAddr,
}

/// Runs cloudcore until `stop`. `ready` is told once edges can enrol and connect.
///
/// An API server that does not answer yet is waited for; a wrong configuration, a taken port or an unusable CA end
/// the start at once.
///
/// # Errors
/// [`CloudCoreError`].
pub async fn run(
    settings: CloudCoreSettings,
    client: kube::Client,
    ready: oneshot::Sender<Addresses>,
    stop: CancellationToken,
) -> Result<(), CloudCoreError> {
    // Doors first: a taken port is known before anything in the cluster is touched.
    let websocket = bind("edge connections", settings.websocket).await?;
    let https = bind("edge enrolment", settings.https).await?;
    let monitor = bind("metrics", settings.monitor).await?;
    let addresses = Addresses {
        websocket: local(&websocket, settings.websocket),
        https: local(&https, settings.https),
        monitor: local(&monitor, settings.monitor),
    };

    // What must exist: namespace, resource definitions, CA, server certificate, join token.
    let api = KubeApi::new(client);
    let identity = tokio::select! {
        () = stop.cancelled() => return Err(CloudCoreError::Stopped),
        identity = prepare(&settings, &api) => identity?,
    };
    let mutual = server_config_mutual(&identity.server, identity.authority.cert_der()).map_err(CloudCoreError::Tls)?;
    let optional = server_config_optional_client(&identity.server).map_err(CloudCoreError::Tls)?;
    let tokens = Arc::new(TokenIssuer::new(identity.authority.clone(), api.clone(), settings.token_refresh));

    // The modules, each with the handles it needs.
    let metrics = Arc::new(Metrics::default());
    let registry = Arc::new(Registry::new(settings.node_limit, settings.keepalive, metrics.clone()));
    let recorder = Arc::new(Recorder::new(api.clone(), metrics.clone()));
    let instance = settings.instance.clone();
    let controller = Arc::new(EdgeController::new(api.clone(), registry.clone(), recorder.clone(), instance.clone()));
    let upstream =
        Upstream::new(controller.clone(), api.clone(), instance, settings.node_update_frequency, metrics.clone());
    let sync = Arc::new(SyncController::new(controller.clone(), recorder.clone()));
    let hub = Arc::new(Hub {
        desk: controller.clone(),
        destinations: Destinations {
            edge_controller: Arc::new(upstream),
            device_controller: None,
            dynamic_controller: None,
            router: None,
            task_manager: None,
        },
        api_server_ca: settings.api_server_ca.clone(),
        metrics: metrics.clone(),
    });
    let listener = Arc::new(Listener {
        socket: websocket,
        tls: TlsAcceptor::from(mutual),
        limits: Limits { max_message: MAX_INBOUND, write_timeout: settings.write_timeout },
        legacy_certificates: settings.legacy_certificates,
        registry: registry.clone(),
        hub,
    });
    let enrolment = Arc::new(Enrolment::new(
        identity.authority,
        api,
        settings.edge_certificate_days,
        settings.legacy_certificates,
        metrics.clone(),
    ));
    let https = Arc::new(https);
    let monitor = Arc::new(monitor);

    // Their lives: each restarts alone, with backoff.
    let mut modules = Supervisor::new(Backoff::new(Duration::from_secs(1), Duration::from_secs(30)));
    let health = modules.health();
    module(&mut modules, "edgecontroller", {
        let controller = controller.clone();
        move |stop| controller.clone().run(stop)
    });
    module(&mut modules, "recorder", {
        let recorder = recorder.clone();
        move |stop| {
            let recorder = recorder.clone();
            async move { recorder.run(stop).await }
        }
    });
    module(&mut modules, "synccontroller", move |stop| {
        let sync = sync.clone();
        async move { sync.run(stop).await }
    });
    module(&mut modules, "jointoken", move |stop| {
        let tokens = tokens.clone();
        async move { tokens.run(stop).await }
    });
    module(&mut modules, "enrolment", move |stop| {
        let (socket, tls, enrolment) = (https.clone(), TlsAcceptor::from(optional.clone()), enrolment.clone());
        let handler = move |request, peer: Arc<http_server::Peer>| {
            let enrolment = enrolment.clone();
            async move { enrolment.handle(request, &peer).await }
        };
        async move { http_server::serve(&socket, Some(tls), handler, stop).await }
    });
    module(&mut modules, "cloudhub", {
        let controller = controller.clone();
        move |stop| {
            let (controller, listener) = (controller.clone(), listener.clone());
            async move {
                // Before every list is complete, nobody can say what a node has to have.
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = controller.synced() => {}
                }
                listener.run(stop).await;
            }
        }
    });
    let watched = Arc::new(Monitor { metrics, registry, controller: controller.clone(), health });
    module(&mut modules, "monitor", move |stop| {
        let (socket, watched) = (monitor.clone(), watched.clone());
        let handler = move |request, _peer| {
            let watched = watched.clone();
            async move { watched.handle(&request) }
        };
        async move { http_server::serve(&socket, None, handler, stop).await }
    });

    let announce = async {
        controller.synced().await;
        info!(websocket = %addresses.websocket, https = %addresses.https, "cloudcore is ready");
        // Nobody may be waiting any more; that is their choice.
        let _ = ready.send(addresses);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        outcome = modules.run(stop, STOP_GRACE) => Ok(outcome?),
        () = announce => Ok(()),
    }
}

/// Adds a module whose life only ends when it is told to, or by a panic.
fn module<F, Life>(modules: &mut Supervisor, name: &'static str, start: F)
where
    F: Fn(CancellationToken) -> Life + Send + Sync + 'static,
    Life: Future<Output = ()> + Send + 'static,
{
    modules.module(name, move |stop| {
        let life = start(stop);
        async move {
            life.await;
            Ok::<(), supervisor::BoxError>(())
        }
    });
}

async fn bind(what: &'static str, addr: SocketAddr) -> Result<TcpListener, CloudCoreError> {
    TcpListener::bind(addr).await.map_err(|source| CloudCoreError::Listen { what, addr, source })
}

fn local(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

/// Brings the cluster into shape, waiting for an API server that is not there yet.
async fn prepare(settings: &CloudCoreSettings, api: &KubeApi) -> Result<HubIdentity, CloudCoreError> {
    let mut pauses = Backoff::new(Duration::from_millis(250), Duration::from_secs(10)).pauses();
    loop {
        let error = match prepare_once(settings, api).await {
            Ok(identity) => return Ok(identity),
            Err(error) => error,
        };
        let retryable = match &error {
            CloudCoreError::Bootstrap(error) => error.is_retryable(),
            CloudCoreError::Identity(error) => error.is_retryable(),
            CloudCoreError::Token(error) => error.is_retryable() || error.is_conflict(),
            CloudCoreError::Listen { .. }
            | CloudCoreError::Tls(_)
            | CloudCoreError::Stop(_)
            | CloudCoreError::Stopped => false,
        };
        let Some(pause) = pauses.next().filter(|_| retryable) else { return Err(error) };
        warn!(error = %chain(&error), retry_in = ?pause, "the cluster is not ready");
        tokio::time::sleep(pause).await;
    }
}

async fn prepare_once(settings: &CloudCoreSettings, api: &KubeApi) -> Result<HubIdentity, CloudCoreError> {
    let now = Timestamp::now();
    bootstrap::namespace(api).await?;
    bootstrap::definitions(api, &::api::reliablesyncs::CRDS).await?;
    let identity = HubIdentity::load(api, &settings.ca_files, &settings.server_files, &settings.sans, now).await?;
    let tokens = TokenIssuer::new(identity.authority.clone(), api.clone(), settings.token_refresh);
    tokens.issue(now).await.map_err(CloudCoreError::Token)?;
    Ok(identity)
}

/// An error and its causes, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
