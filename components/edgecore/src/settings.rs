//! What edgecore is told, checked and with real units; `from_config` reads it from `edgecore.yaml`.

mod config;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use config::SettingsError;

/// Everything [`crate::run()`] needs.
#[derive(Debug, Clone)]
pub struct EdgeCoreSettings {
    /// This node, the CN of its certificate and `node_id` of its link.
    pub node_name: String,
    /// SQLite file.
    pub database: PathBuf,
    /// How long the cloud may take to answer a call.
    pub remote_query_timeout: Duration,
    /// The link to the cloud; `None` runs the node from its database alone.
    pub edge_hub: Option<EdgeHubSettings>,
    /// The pod agent; `None` runs no pods.
    pub edged: Option<edged::doors::Settings>,
    /// Refuse to start beside a running kubelet.
    pub check_environment: bool,
}

/// The link to the cloud. Source: spec 01 §6.1.
#[derive(Debug, Clone)]
pub struct EdgeHubSettings {
    /// CloudHub websocket listeners, tried in turn.
    pub servers: Vec<ServerAddress>,
    /// CloudHub certificate servers, tried in turn.
    pub certificate_servers: Vec<ServerAddress>,
    /// Path element of the websocket URL.
    pub project_id: String,
    /// Keepalive period.
    pub heartbeat: Duration,
    /// Requests per second; 0 is no limit.
    pub message_qps: u32,
    /// Requests that may pass at once.
    pub message_burst: u32,
    /// How long the TLS and websocket handshake may take.
    pub handshake_timeout: Duration,
    /// How long one message may take to be written.
    pub write_deadline: Duration,
    /// Certificate files.
    pub files: CredentialFiles,
    /// Join token of the configuration file.
    pub token: Option<JoinTokenText>,
    /// File whose content takes the place of `token` while it exists.
    pub bootstrap_file: PathBuf,
    /// Whether the certificate is renewed before it ends.
    pub rotate_certificates: bool,
}

/// Where the node's credentials are kept, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFiles {
    /// CA certificate.
    pub ca: PathBuf,
    /// The node's certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// Name or address; an IPv6 address has no brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Why a text names no server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// No host.
    #[error("{text:?} names no host")]
    Host {
        /// The text.
        text: String,
    },
    /// No port, or not a number from 1 to 65535.
    #[error("{text:?} names no port")]
    Port {
        /// The text.
        text: String,
    },
}

impl ServerAddress {
    /// Reads `host:port`, `[v6]:port` or an `https://` URL of either; `default_port` is for URLs without one.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, AddressError> {
        let bare = text.trim();
        let bare = bare.strip_prefix("https://").or_else(|| bare.strip_prefix("wss://")).unwrap_or(bare);
        let bare = bare.split('/').next().unwrap_or_default();
        let (host, port) = match bare.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => match bare.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') => (host, Some(port)),
                _ => (bare, None),
            },
        };
        if host.is_empty() {
            return Err(AddressError::Host { text: text.to_owned() });
        }
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0),
            None => default_port,
        };
        let port = port.ok_or_else(|| AddressError::Port { text: text.to_owned() })?;
        Ok(Self { host: host.to_owned(), port })
    }

    /// Reads a comma-separated list.
    ///
    /// # Errors
    /// [`AddressError`] of the first bad element, or when there is none.
    pub fn parse_list(text: &str, default_port: Option<u16>) -> Result<Vec<Self>, AddressError> {
        let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        let list = texts.map(|text| Self::parse(text, default_port)).collect::<Result<Vec<_>, _>>()?;
        if list.is_empty() { Err(AddressError::Host { text: text.to_owned() }) } else { Ok(list) }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The text of a join token. It is a secret: `Debug` shows nothing and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinTokenText(String);

impl JoinTokenText {
    /// Takes the text; `None` when it is blank.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The text, for parsing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for JoinTokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinTokenText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> ServerAddress {
        ServerAddress { host: host.to_owned(), port }
    }

    #[test]
    fn addresses_in_every_spelling() {
        for (text, expected) in [
            ("192.0.2.7:10000", address("192.0.2.7", 10000)),
            ("https://cloud.example:10002", address("cloud.example", 10002)),
            ("https://cloud.example/", address("cloud.example", 443)),
            ("[2001:db8::1]:10000", address("2001:db8::1", 10000)),
            (" wss://[2001:db8::1]:10000/x ", address("2001:db8::1", 10000)),
        ] {
            assert_eq!(ServerAddress::parse(text, Some(443)), Ok(expected), "{text}");
        }
        assert_eq!(address("2001:db8::1", 1).to_string(), "[2001:db8::1]:1");
        assert!(matches!(ServerAddress::parse(":10000", None), Err(AddressError::Host { .. })));
        assert!(matches!(ServerAddress::parse("host", None), Err(AddressError::Port { .. })));
        assert!(matches!(ServerAddress::parse("host:0", None), Err(AddressError::Port { .. })));
    }

    #[test]
    fn lists_are_comma_separated() {
        let list = ServerAddress::parse_list("a:1, b:2,", None).expect("a list");
        assert_eq!(list, [address("a", 1), address("b", 2)]);
        assert!(ServerAddress::parse_list(" , ", None).is_err());
    }

    #[test]
    fn a_token_shows_nothing() {
        let token = JoinTokenText::new(" secret\n").expect("a token");
        assert_eq!(token.expose(), "secret");
        assert!(!format!("{token:?}").contains("secret"));
        assert!(JoinTokenText::new(" \n").is_none());
    }
}
