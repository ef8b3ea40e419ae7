//! HTTPS: accepts connections, finds out what their certificate says, hands requests to the [`Server`].

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use jiff::Timestamp;
use pki::cert_facts;
use rustls::{ServerConfig, pki_types::CertificateDer};
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info_span, warn};

use super::http::Server;
use crate::security::{
    authn::Peer,
    user::{AUTHENTICATED, User},
};

/// Connections at a time. More wait in the kernel's queue.
const CONNECTIONS: usize = 4096;
/// A client that does not finish its handshake in this time is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A client that does not finish its request head in this time is dropped.
const HEAD: Duration = Duration::from_secs(30);
/// Connections still open so long after the stop signal are cut.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after the system refused to accept, for example without file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Concurrent requests on one HTTP/2 connection; clients that keep one connection open many watches.
const STREAMS: u32 = 1000;

/// A bound listener and what it needs to serve.
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// TLS with optional client certificates and ALPN.
    pub tls: Arc<ServerConfig>,
    /// CA of client certificates, DER.
    pub client_ca: Arc<[u8]>,
    /// Who answers.
    pub server: Arc<Server>,
}

impl Listener {
    /// Serves until `stop`; connections get a few seconds to finish.
    pub async fn run(self, stop: CancellationToken) {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let slot = select! {
                () = stop.cancelled() => break,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let accepted = select! {
                () = stop.cancelled() => break,
                accepted = self.socket.accept() => accepted,
            };
            while connections.try_join_next().is_some() {}
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(error = %error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let connection = Connection {
                acceptor: acceptor.clone(),
                client_ca: Arc::clone(&self.client_ca),
                server: Arc::clone(&self.server),
                stop: stop.clone(),
            };
            let span = info_span!("connection", peer.addr = %peer);
            connections.spawn(
                async move {
                    connection.run(stream, peer).await;
                    drop(slot);
                }
                .instrument(span),
            );
        }
        let drained = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            connections.shutdown().await;
        }
    }
}

struct Connection {
    acceptor: TlsAcceptor,
    client_ca: Arc<[u8]>,
    server: Arc<Server>,
    stop: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream, _peer: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let stream = match timeout(HANDSHAKE, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return debug!(error = %error, "handshake failed"),
            Err(_) => return debug!("handshake took too long"),
        };
        let peer = Arc::new(self.peer(&stream));
        let server = self.server;
        let service = service_fn(move |request: Request<Incoming>| {
            let (server, peer) = (Arc::clone(&server), Arc::clone(&peer));
            async move { Ok::<_, Infallible>(server.handle(&peer, request).await) }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let outcome = select! {
            outcome = connection.as_mut() => outcome,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            debug!(error = %error, "connection ended");
        }
    }

    fn peer(&self, stream: &TlsStream<TcpStream>) -> Peer {
        let (_, session) = stream.get_ref();
        match session.peer_certificates() {
            Some([first, ..]) => client_certificate(first, &self.client_ca, Timestamp::now()),
            _ => Peer::Nobody,
        }
    }
}

/// Who a client certificate belongs to: CN is the user, every O a group.
fn client_certificate(certificate: &CertificateDer<'_>, ca: &[u8], now: Timestamp) -> Peer {
    if pki::tls::verify_client_chain(certificate, ca, now).is_err() {
        return Peer::BadCertificate;
    }
    match cert_facts(certificate) {
        Ok(facts) => {
            let mut groups = facts.organizations;
            groups.push(AUTHENTICATED.into());
            Peer::Certificate(User { name: facts.subject_cn.unwrap_or_default(), groups, ..User::default() })
        }
        Err(_) => Peer::BadCertificate,
    }
}
