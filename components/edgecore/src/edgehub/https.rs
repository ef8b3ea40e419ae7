//! One GET over TLS, driven by hand: enrolment needs two of them in the life of a certificate, which does not
//! justify an HTTP client with pools and resolvers. Source: spec 01 §6.3.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::settings::ServerAddress;

/// Largest answer accepted, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;
/// How long one exchange may take, from the first packet to the last byte.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// How long the TCP connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there was no answer.
#[derive(Debug, Error)]
pub enum HttpsError {
    /// The host is neither a name nor an address.
    #[error("{host:?} cannot be a server name")]
    Name {
        /// The text.
        host: String,
    },
    /// No TCP connection.
    #[error("cannot connect to {server}")]
    Connect {
        /// Where to.
        server: ServerAddress,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// No TLS session, for instance because the server's certificate does not verify.
    #[error("no TLS session with {server}")]
    Tls {
        /// With whom.
        server: ServerAddress,
        /// rustls's reason, inside.
        #[source]
        source: io::Error,
    },
    /// What came back is not HTTP.
    #[error("no usable HTTP answer")]
    Http(#[source] hyper::Error),
    /// The request cannot be formed.
    #[error("request is not valid HTTP")]
    Request(#[source] http::Error),
    /// The answer is longer than [`MAX_BODY`].
    #[error("answer is longer than {MAX_BODY} bytes")]
    TooLong,
    /// The answer broke off.
    #[error("answer broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The whole exchange took longer than [`DEADLINE`].
    #[error("no answer within {DEADLINE:?}")]
    Timeout,
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// HTTP status.
    pub status: StatusCode,
    /// The whole body.
    pub body: Bytes,
}

/// Sends `GET path` with `headers` and a possibly empty `body`, and reads the answer, all within [`DEADLINE`].
///
/// # Errors
/// [`HttpsError`]; an error status is an answer, not an error.
pub async fn get(
    server: &ServerAddress,
    tls: Arc<ClientConfig>,
    path: &str,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpsError> {
    timeout(DEADLINE, exchange(server, tls, path, headers, body)).await.map_err(|_| HttpsError::Timeout)?
}

async fn exchange(
    server: &ServerAddress,
    tls: Arc<ClientConfig>,
    path: &str,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpsError> {
    let name = ServerName::try_from(server.host.clone()).map_err(|_| HttpsError::Name { host: server.host.clone() })?;
    let connect = TcpStream::connect((server.host.as_str(), server.port));
    let tcp = timeout(CONNECT_TIMEOUT, connect)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|source| HttpsError::Connect { server: server.clone(), source })?;
    let stream = TlsConnector::from(tls)
        .connect(name, tcp)
        .await
        .map_err(|source| HttpsError::Tls { server: server.clone(), source })?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(HttpsError::Http)?;
    // The connection ends with this call, whatever its outcome: dropping the set aborts it.
    let mut driver = JoinSet::new();
    driver.spawn(connection);

    let mut request = Request::builder().method(Method::GET).uri(path).header(HOST, server.to_string());
    if !body.is_empty() {
        request = request.header(CONTENT_LENGTH, body.len());
    }
    let mut request = request.body(Full::new(body)).map_err(HttpsError::Request)?;
    request.headers_mut().extend(headers);
    let response = sender.send_request(request).await.map_err(HttpsError::Http)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BODY)
        .collect()
        .await
        .map_err(|error| if error.is::<LengthLimitError>() { HttpsError::TooLong } else { HttpsError::Body(error) })?;
    Ok(Response { status, body: body.to_bytes() })
}
