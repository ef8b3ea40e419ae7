//! A small HTTP/1.1 server, with or without TLS: bounded in connections, time and body size.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Connections at once. Full: further ones wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 128;
/// Longest TLS handshake, and longest wait for the head of a request.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Longest life of a connection.
const CONNECTION_DEADLINE: Duration = Duration::from_mins(2);
/// Pause after the kernel refused to hand out a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Its address.
    pub addr: SocketAddr,
    /// The client certificate it presented, DER, unverified.
    pub certificate: Option<Vec<u8>>,
}

/// The answer to a request.
pub type Answer = Response<Full<Bytes>>;

/// Serves `listener` until `stop`, then drops the connections that are left.
pub async fn serve<H, F>(listener: &TcpListener, tls: Option<TlsAcceptor>, handler: H, stop: CancellationToken)
where
    H: Fn(Request<Incoming>, Arc<Peer>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = async {
                let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
                listener.accept().await.map(|(stream, addr)| (stream, addr, place))
            } => accepted,
        };
        let (stream, addr, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(error = %crate::chain(&error), "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (tls, handler) = (tls.clone(), handler.clone());
        connections.spawn(async move {
            let _place = place;
            if tokio::time::timeout(CONNECTION_DEADLINE, connection(stream, addr, tls, handler)).await.is_err() {
                debug!(peer.addr = %addr, "connection took too long");
            }
        });
    }
}

async fn connection<H, F>(stream: TcpStream, addr: SocketAddr, tls: Option<TlsAcceptor>, handler: H)
where
    H: Fn(Request<Incoming>, Arc<Peer>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let Some(tls) = tls else {
        return requests(stream, Arc::new(Peer { addr, certificate: None }), handler).await;
    };
    match tokio::time::timeout(HEAD_DEADLINE, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            let chain = stream.get_ref().1.peer_certificates();
            let certificate = chain.and_then(|chain| chain.first()).map(|leaf| leaf.to_vec());
            requests(stream, Arc::new(Peer { addr, certificate }), handler).await;
        }
        Ok(Err(error)) => debug!(peer.addr = %addr, error = %crate::chain(&error), "TLS handshake failed"),
        Err(_) => debug!(peer.addr = %addr, "TLS handshake took too long"),
    }
}

async fn requests<S, H, F>(stream: S, peer: Arc<Peer>, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>, Arc<Peer>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let addr = peer.addr;
    let service = service_fn(move |request| {
        let answer = handler(request, peer.clone());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!(peer.addr = %addr, error = %crate::chain(&error), "HTTP connection failed");
    }
}

/// A plain text answer.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, "text/plain; charset=utf-8", text)
}

/// An answer of any type.
pub fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    answer
}

/// Reads a body of at most `limit` bytes; `None` when it is longer or broken off.
pub async fn read_body(body: Incoming, limit: usize) -> Option<Bytes> {
    Limited::new(body, limit).collect().await.ok().map(http_body_util::Collected::to_bytes)
}
