//! The websocket listener on TCP 10000: handshake, admission, then one session per node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info, info_span, warn};
use transport::server::{Accepted, accept};
use transport::{Limits, STORE_GENERATION_HEADER};

use crate::cloudhub::admission::admit;
use crate::cloudhub::doors::Hello;
use crate::cloudhub::registry::Registry;
use crate::cloudhub::session::Hub;

/// Handshakes at once. Full: further connections wait in the kernel's queue.
pub const MAX_HANDSHAKES: usize = 256;
/// Largest message taken from a node, bytes. Nodes send statuses and requests; a larger one ends the connection.
pub const MAX_INBOUND: usize = 4 * 1024 * 1024;
/// Longest handshake, TLS and upgrade together.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(15);
/// Pause after the kernel refused to hand out a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest store generation taken from a handshake, bytes.
const MAX_GENERATION: usize = 128;
/// Websocket close code: refused for who you are.
const POLICY: u16 = 1008;
/// Websocket close code: try again later.
const TRY_LATER: u16 = 1013;

/// What accepting connections needs.
pub struct Listener {
    /// Bound to TCP 10000.
    pub socket: TcpListener,
    /// Demands client certificates of our CA.
    pub tls: TlsAcceptor,
    /// Bounds of each connection.
    pub limits: Limits,
    /// Whether edges before v1.16 are believed.
    pub legacy_certificates: bool,
    /// The sessions.
    pub registry: Arc<Registry>,
    /// What sessions are run with.
    pub hub: Arc<Hub>,
}

impl Listener {
    /// Accepts until `stop`; then every session is closed before this returns.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = async {
                    let place = handshakes.clone().acquire_owned().await.expect("the semaphore is never closed");
                    self.socket.accept().await.map(|(stream, peer)| (stream, peer, place))
                } => accepted,
            };
            match accepted {
                Ok((stream, peer, place)) => {
                    let (this, stop) = (self.clone(), stop.clone());
                    let span = info_span!("session", node = tracing::field::Empty, peer.addr = %peer);
                    let life = async move {
                        let accepted = tokio::select! {
                            () = stop.cancelled() => None,
                            accepted = this.handshake(stream, peer, place) => accepted,
                        };
                        if let Some(accepted) = accepted {
                            this.session(accepted, &stop).await;
                        }
                    };
                    connections.spawn(life.instrument(span));
                }
                Err(error) => {
                    warn!(error = %crate::chain(&error), "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        while connections.join_next().await.is_some() {}
    }

    /// The place among the handshakes is given back as soon as the handshake is over.
    async fn handshake(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        place: tokio::sync::OwnedSemaphorePermit,
    ) -> Option<Accepted> {
        let accepted = accept(stream, peer, &self.tls, self.limits, HANDSHAKE_DEADLINE).await;
        drop(place);
        accepted.inspect_err(|error| debug!(error = %crate::chain(&error), "handshake failed")).ok()
    }

    async fn session(&self, accepted: Accepted, stop: &CancellationToken) {
        let certificate = accepted.peer_certificates.first().map(AsRef::as_ref);
        tracing::Span::current().record("node", &accepted.node_id);
        if let Err(error) = admit(&accepted.node_id, certificate, self.legacy_certificates) {
            self.hub.metrics.refused_connections.inc();
            warn!(error = %crate::chain(&error), "connection refused");
            return accepted.connection.refuse(POLICY, &error.to_string()).await;
        }
        let session = match self.registry.admit(&accepted.node_id, stop) {
            Ok(session) => session,
            Err(limit) => {
                self.hub.metrics.refused_connections.inc();
                warn!(error = %limit, "connection refused");
                return accepted.connection.refuse(TRY_LATER, &limit.to_string()).await;
            }
        };
        let generation = accepted.headers.get(STORE_GENERATION_HEADER).and_then(|value| value.to_str().ok());
        let generation = generation.filter(|text| !text.is_empty() && text.len() <= MAX_GENERATION);
        let hello = Hello { store_generation: generation.map(str::to_owned) };
        let (sender, receiver) = accepted.connection.split();
        info!("node connected");
        self.hub.desk.connected(&session, &hello);
        let end = self.hub.run_session(&session, sender, receiver).await;
        if self.registry.leave(&session) {
            self.hub.desk.disconnected(&session);
        }
        info!(reason = %crate::chain(&end), "node disconnected");
    }
}
