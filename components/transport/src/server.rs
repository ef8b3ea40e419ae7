//! The cloud's side: TLS with a client certificate, then the upgrade and nothing else. Source: spec 01 §3.1, §5.4.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderMap;
use pki::tls::TlsFailure;
use rustls::pki_types::CertificateDer;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::Limits;
use crate::client::read_head;
use crate::connection::{Connection, Side};
use crate::handshake::{Refusal, read_request};
use crate::tcp;

/// A peer that has upgraded. `node_id` and `project_id` are what it *claims*; what it proved is its certificate.
#[derive(Debug)]
pub struct Accepted {
    /// First `node_id` header, not empty.
    pub node_id: String,
    /// First `project_id` header; may be empty.
    pub project_id: String,
    /// The verified chain as sent, leaf first; empty if the TLS settings do not ask for one.
    pub peer_certificates: Vec<CertificateDer<'static>>,
    /// Where it came from.
    pub peer: SocketAddr,
    /// All headers of the request.
    pub headers: HeaderMap,
    /// Ready for messages.
    pub connection: Connection,
}

/// Why an incoming connection came to nothing.
#[derive(Debug, Error)]
pub enum AcceptError {
    /// The handshake took too long.
    #[error("peer did not finish its handshake within {after:?}")]
    Timeout {
        /// The time allowed.
        after: Duration,
    },
    /// TLS failed: no acceptable client certificate, or no TLS at all.
    #[error("no secure connection")]
    Tls(#[source] TlsFailure),
    /// The request was answered with an HTTP error.
    #[error("request refused with status {status}: {why}")]
    Refused {
        /// HTTP status sent.
        status: u16,
        /// Text sent.
        why: &'static str,
    },
    /// The peer went away.
    #[error("connection lost during the handshake")]
    Lost(#[source] io::Error),
}

/// Takes one TCP connection through TLS and the WebSocket upgrade. A request that is not an upgrade is answered with
/// 400, 403 or 405 as the Go server does. `handshake_timeout` bounds the whole call; dropping it closes the
/// connection.
///
/// # Errors
/// [`AcceptError`].
pub async fn accept(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: &TlsAcceptor,
    limits: Limits,
    handshake_timeout: Duration,
) -> Result<Accepted, AcceptError> {
    match timeout(handshake_timeout, upgrade(stream, peer, acceptor, limits)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(AcceptError::Timeout { after: handshake_timeout }),
    }
}

async fn upgrade(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: &TlsAcceptor,
    limits: Limits,
) -> Result<Accepted, AcceptError> {
    tcp::tune(&stream).map_err(AcceptError::Lost)?;
    let mut stream = acceptor.accept(stream).await.map_err(broken)?;
    let peer_certificates = stream
        .get_ref()
        .1
        .peer_certificates()
        .map(|chain| chain.iter().map(|certificate| certificate.clone().into_owned()).collect())
        .unwrap_or_default();
    let request = match read_head(&mut stream).await.map_err(broken)? {
        Some((head, rest)) => read_request(&head).map(|request| (request, rest)),
        None => Err(Refusal::TOO_LARGE),
    };
    let (request, rest) = match request {
        Ok(request) => request,
        Err(refusal) => {
            let answer = async {
                stream.write_all(refusal.response().as_bytes()).await?;
                stream.shutdown().await
            };
            answer.await.map_err(AcceptError::Lost)?;
            return Err(AcceptError::Refused { status: refusal.status, why: refusal.why });
        }
    };
    let answer = async {
        stream.write_all(request.response().as_bytes()).await?;
        stream.flush().await
    };
    answer.await.map_err(AcceptError::Lost)?;
    Ok(Accepted {
        node_id: request.node_id,
        project_id: request.project_id,
        peer_certificates,
        peer,
        headers: request.headers,
        connection: Connection::new(stream, rest, Side::Server, limits).await,
    })
}

fn broken(error: io::Error) -> AcceptError {
    match TlsFailure::find(&error) {
        Some(failure) => AcceptError::Tls(failure),
        None => AcceptError::Lost(error),
    }
}
