//! The control plane as one thing: opened, asked for clients, run.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use jiff::Timestamp;
use pki::{
    Authority, PkiError, San,
    tls::{IdentitySlot, server_config_optional_client_reloading},
};
use thiserror::Error;
use tokio::{net::TcpListener, select, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    apiserver::{
        api::{Api, ServerFacts},
        body::Body,
        http::Server,
        listener::Listener,
        nodes::{NodeRouter, NodeRoutes},
        registry::Registry,
        status::ApiError,
    },
    bootstrap,
    certificates::{self, CertificateError, Certificates, kubeconfig, server_names},
    controllers::{self, ControllerSettings},
    scheduler,
    security::{authn::Peer, rbac::Rbac, user::User},
    store::{self, Store, StoreError},
};

/// Issuer and default audience of ServiceAccount tokens.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Pause before controllers that failed start again.
const CONTROLLERS_AGAIN: Duration = Duration::from_secs(1);
/// How often the serving certificate is looked at.
const RENEWAL_CHECK: Duration = Duration::from_hours(12);

/// Parts that have not ended so long after the stop signal are aborted.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What a control plane needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Database, keys and `admin.conf` live here; created with mode 0700.
    pub data_dir: PathBuf,
    /// Where HTTPS listens; port 0 picks a free one.
    pub bind: SocketAddr,
    /// Address other hosts reach this server at.
    pub advertise: IpAddr,
    /// More names and addresses for the serving certificate.
    pub extra_sans: Vec<San>,
    /// Range Services get their addresses from: base and prefix length.
    pub service_cidr: (Ipv4Addr, u8),
    /// How long a node may be silent before it counts as unreachable.
    pub node_monitor_grace: Duration,
    /// Do not wait for the disk on every write; up to five seconds are lost with the power.
    pub relaxed_durability: bool,
}

impl Settings {
    /// The usual settings for a data directory and an address.
    pub fn new(data_dir: PathBuf, bind: SocketAddr, advertise: IpAddr) -> Self {
        Self {
            data_dir,
            bind,
            advertise,
            extra_sans: Vec::new(),
            service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 16),
            node_monitor_grace: Duration::from_secs(40),
            relaxed_durability: false,
        }
    }
}

/// Why the control plane could not be opened or had to stop.
#[derive(Debug, Error)]
pub enum ControlPlaneError {
    /// Another process listens there.
    #[error("address {address} is in use")]
    AddressInUse {
        /// Where we wanted to listen.
        address: SocketAddr,
    },
    /// Listening failed for another reason.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be used.
    #[error("store cannot be opened")]
    Store(#[from] StoreError),
    /// Keys and certificates cannot be prepared.
    #[error("keys and certificates are not usable")]
    Certificates(#[from] CertificateError),
    /// TLS cannot be set up with them.
    #[error("TLS cannot be set up")]
    Tls(#[source] PkiError),
    /// The objects every cluster has could not be written.
    #[error("initial objects could not be written")]
    Bootstrap(#[source] ApiError),
    /// A part of the server ended by a bug.
    #[error("{part} ended unexpectedly")]
    Ended {
        /// Which part.
        part: &'static str,
    },
}

/// An opened control plane; serves once [`ControlPlane::run`] is called, in-process clients work at once.
pub struct ControlPlane {
    settings: Settings,
    api: Arc<Api>,
    server: Arc<Server>,
    socket: TcpListener,
    local: SocketAddr,
    slot: Arc<IdentitySlot>,
    authority: Authority,
    names: Vec<San>,
    admin: String,
    /// Ends watches, also of in-process clients.
    closing: CancellationToken,
}

impl ControlPlane {
    /// Binds the listener, opens the store, prepares keys and writes the initial objects.
    ///
    /// # Errors
    /// [`ControlPlaneError::AddressInUse`] before anything is touched, then the other variants in order of the work.
    pub async fn open(settings: Settings) -> Result<Self, ControlPlaneError> {
        let address = settings.bind;
        let socket = TcpListener::bind(address).await.map_err(|source| match source.kind() {
            std::io::ErrorKind::AddrInUse => ControlPlaneError::AddressInUse { address },
            _ => ControlPlaneError::Listen { address, source },
        })?;
        let local = socket.local_addr().map_err(|source| ControlPlaneError::Listen { address, source })?;
        let now = Timestamp::now();
        certificates::private_dir(&settings.data_dir)?;
        let service_ip = Ipv4Addr::from(u32::from(settings.service_cidr.0) + 1);
        let names = server_names(settings.advertise, IpAddr::V4(service_ip), &settings.extra_sans);
        let pki_dir = settings.data_dir.join("pki");
        let certificates = Certificates::prepare(&pki_dir, &names, now)?;
        let options =
            store::Options { path: settings.data_dir.join("state.db"), relaxed: settings.relaxed_durability, now };
        let store = Store::open(&options)?;
        let server_address = SocketAddr::new(settings.advertise, local.port()).to_string();
        let ca_pem = certificates.ca_pem();
        let admin_identity = certificates.admin(now)?;
        let admin = kubeconfig(&format!("https://{server_address}"), &ca_pem, "kubernetes-admin", &admin_identity);
        certificates::write_private(&settings.data_dir.join("admin.conf"), &admin)?;
        let slot = IdentitySlot::new(&certificates.serving).map_err(ControlPlaneError::Tls)?;
        let facts = ServerFacts {
            server_address,
            service_range: settings.service_cidr,
            ca_pem,
            issuer: ISSUER.into(),
            audiences: vec!["https://kubernetes.default.svc".into()],
        };
        let api = Arc::new(Api {
            store,
            registry: Registry::default(),
            rbac: Rbac::default(),
            tokens: certificates.tokens,
            facts,
            routes: NodeRouter::default(),
        });
        let place = bootstrap::Place { advertise: settings.advertise, port: local.port(), service_ip };
        bootstrap::run(&api, &place, now).await.map_err(ControlPlaneError::Bootstrap)?;
        let closing = CancellationToken::new();
        let server = Arc::new(Server::new(Arc::clone(&api), closing.clone()));
        let authority = certificates.authority;
        Ok(Self { settings, api, server, socket, local, slot, authority, names, admin, closing })
    }

    /// Where HTTPS listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Kubeconfig of the administrator; also in `admin.conf` of the data directory.
    pub fn admin_kubeconfig(&self) -> String {
        self.admin.clone()
    }

    /// The operations of the API server, for components of this process that do without HTTP.
    pub fn api(&self) -> Arc<Api> {
        Arc::clone(&self.api)
    }

    /// Tells the API server who reaches nodes, for logs, exec and the like; `None` when nobody does any more.
    pub fn set_node_routes(&self, routes: Option<Arc<dyn NodeRoutes>>) {
        self.api.routes.set(routes);
    }

    /// A client whose requests never leave this process. Needs a tokio runtime.
    ///
    /// `identity` is the user name that objects and reviews see; its requests are allowed everything unless they
    /// impersonate somebody.
    pub fn client(&self, identity: &str) -> kube::Client {
        let service =
            InProcess { server: Arc::clone(&self.server), peer: Arc::new(Peer::InProcess(User::in_process(identity))) };
        kube::Client::new(service, "default")
    }

    /// Serves until `stop`, then closes the store.
    ///
    /// # Errors
    /// [`ControlPlaneError::Ended`] when a part ends without being told to.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ControlPlaneError> {
        let mut tls =
            server_config_optional_client_reloading(Arc::clone(&self.slot)).map_err(ControlPlaneError::Tls)?;
        Arc::make_mut(&mut tls).alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = Listener {
            socket: self.socket,
            tls,
            client_ca: self.authority.cert_der().into(),
            server: Arc::clone(&self.server),
        };
        info!(address = %self.local, "control plane serves");
        let parts_stop = CancellationToken::new();
        let mut parts: JoinSet<&'static str> = JoinSet::new();
        let token = parts_stop.clone();
        parts.spawn(async move {
            listener.run(token).await;
            "listener"
        });
        let (api, token) = (Arc::clone(&self.api), parts_stop.clone());
        parts.spawn(async move {
            scheduler::run(api, token).await;
            "scheduler"
        });
        let (api, token) = (Arc::clone(&self.api), parts_stop.clone());
        let settings = ControllerSettings { node_monitor_grace: self.settings.node_monitor_grace };
        parts.spawn(async move {
            // One that failed ends its neighbours; all of them start over from state.
            loop {
                controllers::run(Arc::clone(&api), settings.clone(), token.clone()).await;
                if token.is_cancelled() {
                    return "controllers";
                }
                tokio::time::sleep(CONTROLLERS_AGAIN).await;
            }
        });
        let (store, token) = (self.api.store.clone(), parts_stop.clone());
        parts.spawn(async move {
            store.maintain(token).await;
            "store upkeep"
        });
        let renewal = Renewal {
            dir: self.settings.data_dir.join("pki"),
            authority: self.authority,
            names: self.names,
            slot: self.slot,
        };
        let token = parts_stop.clone();
        parts.spawn(async move {
            renewal.run(token).await;
            "certificate renewal"
        });
        let outcome = select! {
            () = stop.cancelled() => Ok(()),
            ended = parts.join_next() => {
                let part = ended.and_then(Result::ok).unwrap_or("a part of the control plane");
                Err(ControlPlaneError::Ended { part })
            }
        };
        self.closing.cancel();
        parts_stop.cancel();
        let stopped = tokio::time::timeout(STOP_LIMIT, async { while parts.join_next().await.is_some() {} }).await;
        if stopped.is_err() {
            warn!("parts of the control plane did not stop in time");
            parts.shutdown().await;
        }
        self.api.store.close().await;
        outcome
    }
}

/// Replaces the serving certificate before it ends, without dropping connections.
struct Renewal {
    dir: PathBuf,
    authority: Authority,
    names: Vec<San>,
    slot: Arc<IdentitySlot>,
}

impl Renewal {
    async fn run(self, stop: CancellationToken) {
        loop {
            select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RENEWAL_CHECK) => {}
            }
            let renewed = certificates::renew_serving(&self.dir, &self.authority, &self.names, Timestamp::now());
            match renewed {
                Ok(identity) => {
                    if let Err(error) = self.slot.replace(&identity) {
                        warn!(error = %error, "serving certificate not replaced");
                    }
                }
                Err(error) => warn!(error = %error, "serving certificate not renewed"),
            }
        }
    }
}

/// The tower service behind in-process clients.
#[derive(Clone)]
struct InProcess {
    server: Arc<Server>,
    peer: Arc<Peer>,
}

impl tower::Service<Request<kube::client::Body>> for InProcess {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.server.handle(&this.peer, request).await) })
    }
}
