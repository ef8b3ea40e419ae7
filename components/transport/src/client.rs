//! The edge's side: name lookup, TCP, TLS, upgrade, each failing in its own way. Source: spec 01 §3.1, §3.2.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use pki::tls::TlsFailure;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::Limits;
use crate::connection::{Connection, Side};
use crate::handshake::{Answer, MAX_HEAD, Upgrade, is_plain, read_answer};
use crate::tcp;

/// Longest time for the TCP connection to one address. A machine that is there answers within one retransmission; one
/// that is not should not cost a caller who retries the whole of his handshake time.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest part of a refusing server's explanation that is kept, bytes.
const MAX_EXPLANATION: usize = 512;

/// Where the cloud is and who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address; an IPv6 address may stand in brackets.
    pub host: String,
    /// TCP port, usually 10000.
    pub port: u16,
    /// KubeEdge's project id.
    pub project_id: String,
    /// The node's name.
    pub node_name: String,
}

/// How far dialling had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Asking for the addresses of the host name.
    Lookup,
    /// Connecting.
    Connect,
    /// TLS handshake.
    Tls,
    /// WebSocket upgrade.
    Upgrade,
}

/// Why the cloud could not be reached.
#[derive(Debug, Error)]
pub enum DialError {
    /// A name cannot stand in the request: empty, or with characters that belong to the protocol.
    #[error("{what} {value:?} cannot be used in a request")]
    Name {
        /// `project id`, `node name`, `host` or `header`.
        what: &'static str,
        /// The text found.
        value: String,
    },
    /// The host name has no address.
    #[error("address of {host} not found")]
    Lookup {
        /// The name asked for.
        host: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// Nothing listens there.
    #[error("{addr} refused the connection")]
    Refused {
        /// Address and port tried.
        addr: SocketAddr,
    },
    /// No way there.
    #[error("{addr} cannot be reached")]
    Unreachable {
        /// Address and port tried.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No answer in time.
    #[error("no answer within {after:?} ({phase:?})")]
    Timeout {
        /// What had not come to an end.
        phase: Phase,
        /// The time allowed: for the whole call, or for one address while connecting.
        after: Duration,
    },
    /// TLS failed; see the kinds.
    #[error("no secure connection")]
    Tls(#[source] TlsFailure),
    /// The server answered with plain HTTP.
    #[error("server answered with HTTP status {code}: {explanation}")]
    Status {
        /// HTTP status.
        code: u16,
        /// The beginning of the body, possibly empty.
        explanation: String,
    },
    /// The server speaks TLS, but not WebSocket.
    #[error("server is not a websocket server")]
    NotWebsocket,
    /// The connection broke. After a TLS 1.3 handshake this can also mean that the server refused our certificate.
    #[error("connection lost while dialling ({phase:?})")]
    Lost {
        /// What was under way.
        phase: Phase,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Connects to the cloud. `extra_headers` go into the upgrade request; `handshake_timeout` bounds the whole call,
/// [`CONNECT_TIMEOUT`] the part of it that waits for an address to answer at all.
/// Proxy settings of the environment are ignored, as the peers do. Dropping the future closes the connection.
///
/// # Errors
/// [`DialError`].
pub async fn dial(
    endpoint: &Endpoint,
    tls: Arc<rustls::ClientConfig>,
    extra_headers: &[(&str, String)],
    limits: Limits,
    handshake_timeout: Duration,
) -> Result<Connection, DialError> {
    check(endpoint, extra_headers)?;
    let deadline = Deadline { at: Instant::now() + handshake_timeout, after: handshake_timeout };
    let host = endpoint.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&endpoint.host);
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| DialError::Name { what: "host", value: endpoint.host.clone() })?;

    let stream = connect(host, endpoint.port, &deadline).await?;
    tcp::tune(&stream).map_err(|source| DialError::Lost { phase: Phase::Connect, source })?;

    let handshake = TlsConnector::from(tls).connect(name, stream);
    let mut stream = deadline.bound(Phase::Tls, handshake).await?.map_err(|error| broken(Phase::Tls, error))?;

    let key = STANDARD.encode(uuid::Uuid::new_v4().as_bytes());
    let authority =
        if host.contains(':') { format!("[{host}]:{}", endpoint.port) } else { format!("{host}:{}", endpoint.port) };
    let upgrade = Upgrade {
        authority: &authority,
        project_id: &endpoint.project_id,
        node_id: &endpoint.node_name,
        key: &key,
        extra: extra_headers,
    };
    let request = upgrade.request();
    let exchange = async {
        let written = match stream.write_all(request.as_bytes()).await {
            Ok(()) => stream.flush().await,
            Err(error) => Err(error),
        };
        match (written, read_head(&mut stream).await) {
            // A server that refuses our certificate may be gone before the request is written, but said so first.
            (Err(write), Err(read)) => Err(if TlsFailure::find(&read).is_some() { read } else { write }),
            (_, answer) => answer,
        }
    };
    let answer = deadline.bound(Phase::Upgrade, exchange).await?.map_err(|error| broken(Phase::Upgrade, error))?;
    let Some((head, rest)) = answer else { return Err(DialError::NotWebsocket) };
    match read_answer(&head, &key) {
        Answer::Switched => Ok(Connection::new(stream, rest, Side::Client, limits).await),
        Answer::Status { code } => {
            let explanation = String::from_utf8_lossy(&rest[..rest.len().min(MAX_EXPLANATION)]).trim().to_owned();
            Err(DialError::Status { code, explanation })
        }
        Answer::Nonsense => Err(DialError::NotWebsocket),
    }
}

/// Reads up to the blank line; returns the head and what came after it, or nothing when the head has no end within
/// [`MAX_HEAD`].
pub(crate) async fn read_head(
    stream: &mut (impl tokio::io::AsyncRead + Unpin),
) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(at + 4);
            return Ok(Some((bytes, rest)));
        }
        if bytes.len() > MAX_HEAD {
            return Ok(None);
        }
    }
}

struct Deadline {
    at: Instant,
    after: Duration,
}

impl Deadline {
    async fn bound<F: Future>(&self, phase: Phase, work: F) -> Result<F::Output, DialError> {
        timeout_at(self.at, work).await.map_err(|_| DialError::Timeout { phase, after: self.after })
    }
}

async fn connect(host: &str, port: u16, deadline: &Deadline) -> Result<TcpStream, DialError> {
    let lookup = |source| DialError::Lookup { host: host.to_owned(), source };
    let addresses: Vec<_> = deadline.bound(Phase::Lookup, lookup_host((host, port))).await?.map_err(lookup)?.collect();
    let mut failure = lookup(io::ErrorKind::NotFound.into());
    for (index, &addr) in addresses.iter().enumerate() {
        // A silent address may use its share of the time, not that of the ones behind it.
        let share = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let now = Instant::now();
        let allowed = (deadline.at.saturating_duration_since(now) / share).min(CONNECT_TIMEOUT);
        failure = match timeout_at(now + allowed, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => match error.kind() {
                io::ErrorKind::ConnectionRefused => DialError::Refused { addr },
                io::ErrorKind::TimedOut => DialError::Timeout { phase: Phase::Connect, after: allowed },
                _ => DialError::Unreachable { addr, source: error },
            },
            Err(_) => DialError::Timeout { phase: Phase::Connect, after: allowed },
        };
    }
    Err(failure)
}

fn broken(phase: Phase, error: io::Error) -> DialError {
    match TlsFailure::find(&error) {
        Some(failure) => DialError::Tls(failure),
        None => DialError::Lost { phase, source: error },
    }
}

fn check(endpoint: &Endpoint, extra_headers: &[(&str, String)]) -> Result<(), DialError> {
    for (what, value) in [("project id", &endpoint.project_id), ("node name", &endpoint.node_name)] {
        if !is_plain(value) {
            return Err(DialError::Name { what, value: value.clone() });
        }
    }
    for (name, value) in extra_headers {
        if !is_plain(name) || HeaderValue::from_str(value).is_err() {
            return Err(DialError::Name { what: "header", value: (*name).to_owned() });
        }
    }
    Ok(())
}
