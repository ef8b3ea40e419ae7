//! The few HTTPS requests that keadm makes to cloudcore by itself. HTTP/1.0 on purpose: one request a connection, no
//! chunking. Every wait has a deadline, every body a limit.

use std::{fmt, io, sync::Arc, time::Duration};

use jiff::Timestamp;
use pki::tls::TlsFailure;
use rustls::{ClientConfig, pki_types::ServerName};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for everything after.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer, bytes.
const MAX_ANSWER: u64 = 256 * 1024;

/// Where a server is. Prints as it is dialled, IPv6 in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or IP, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// Reads `host:port` or `[v6]:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.trim().rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let sound = !host.is_empty() && (bare.is_some() || !host.contains(':')) && !host.contains('/');
        let port = port.parse().ok().filter(|port| *port != 0)?;
        sound.then(|| Self { host: host.to_owned(), port })
    }

    /// The same host, another port.
    pub fn with_port(&self, port: u16) -> Self {
        Self { host: self.host.clone(), port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HttpsError {
    /// The name has no address, or nobody answers there.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where.
        address: Address,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Nobody answered in time.
    #[error("{address} does not answer within {} s", after.as_secs())]
    Timeout {
        /// Where.
        address: Address,
        /// How long it had.
        after: Duration,
    },
    /// No TLS connection.
    #[error("no TLS connection to {address}")]
    Tls {
        /// Where.
        address: Address,
        /// Why.
        #[source]
        failure: TlsFailure,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("{address} does not speak HTTPS")]
    Garbled {
        /// Where.
        address: Address,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// An HTTP answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// The server's clock, if it told.
    pub date: Option<Timestamp>,
    /// The body.
    pub body: Vec<u8>,
}

/// Opens a TLS connection; the server's certificate is checked as `tls` says.
pub async fn connect(address: &Address, tls: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, HttpsError> {
    let late = |after| HttpsError::Timeout { address: address.clone(), after };
    let tcp = timeout(CONNECT_TIMEOUT, TcpStream::connect((address.host.as_str(), address.port)))
        .await
        .map_err(|_| late(CONNECT_TIMEOUT))?
        .map_err(|source| HttpsError::Connect { address: address.clone(), source })?;
    let name = ServerName::try_from(address.host.clone()).map_err(|error| HttpsError::Connect {
        address: address.clone(),
        source: io::Error::new(io::ErrorKind::InvalidInput, error),
    })?;
    timeout(ANSWER_TIMEOUT, TlsConnector::from(tls).connect(name, tcp))
        .await
        .map_err(|_| late(ANSWER_TIMEOUT))?
        .map_err(|source| broken(address, source))
}

/// One GET request on a connection of its own.
pub async fn get(
    address: &Address,
    path: &str,
    headers: &[(&str, &str)],
    tls: Arc<ClientConfig>,
) -> Result<Answer, HttpsError> {
    get_on(connect(address, tls).await?, address, path, headers).await
}

/// One GET request on a connection to `address`, which it ends.
pub async fn get_on(
    mut stream: TlsStream<TcpStream>,
    address: &Address,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Answer, HttpsError> {
    let mut request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nUser-Agent: keadm\r\nContent-Length: 0\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    let exchange = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut text = Vec::new();
        match stream.take(MAX_ANSWER).read_to_end(&mut text).await {
            // A server that closes without TLS's goodbye has still answered.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !text.is_empty() => Ok(text),
            Err(error) => Err(error),
            Ok(_) => Ok(text),
        }
    };
    let text = timeout(ANSWER_TIMEOUT, exchange)
        .await
        .map_err(|_| HttpsError::Timeout { address: address.clone(), after: ANSWER_TIMEOUT })?
        .map_err(|source| broken(address, source))?;
    parse(&text).ok_or_else(|| HttpsError::Garbled {
        address: address.clone(),
        source: io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP"),
    })
}

fn broken(address: &Address, source: io::Error) -> HttpsError {
    match TlsFailure::find(&source) {
        Some(failure) => HttpsError::Tls { address: address.clone(), failure },
        None => HttpsError::Garbled { address: address.clone(), source },
    }
}

fn parse(text: &[u8]) -> Option<Answer> {
    let end = text.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&text[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status_line = lines.next()?;
    let status = status_line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let date = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("date"))
        .and_then(|(_, value)| jiff::fmt::rfc2822::parse(value.trim()).ok())
        .map(|date| date.timestamp());
    Some(Answer { status, date, body: text[end + 4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_a_port_and_ipv6_needs_brackets() {
        let check = |text: &str, printed: Option<&str>| {
            assert_eq!(Address::parse(text).map(|address| address.to_string()).as_deref(), printed, "{text}");
        };
        check("192.0.2.7:10000", Some("192.0.2.7:10000"));
        check("cloud.example:10000", Some("cloud.example:10000"));
        check("[2001:db8::1]:10000", Some("[2001:db8::1]:10000"));
        for text in ["192.0.2.7", "2001:db8::1:10000", ":10000", "a:0", "a:x", "https://a:1", "a:99999"] {
            check(text, None);
        }
    }

    #[test]
    fn answers_are_read_with_their_clock() {
        let answer = parse(b"HTTP/1.1 200 OK\r\nDate: Fri, 20 Nov 2026 22:18:12 GMT\r\n\r\nbody").expect("http");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.date.expect("date").to_string(), "2026-11-20T22:18:12Z");
        assert_eq!(answer.body, b"body");
        for text in [&b""[..], b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 x\r\n\r\n", b"HTTP/1.1 200"] {
            assert!(parse(text).is_none());
        }
    }
}
