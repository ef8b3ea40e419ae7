//! How a node gets its certificate, and a new one before the old one ends. Source: spec 01 §6.3, §6.4.
//!
//! A join token vouches for the CA certificate by its hash, and for the node by its signature; the rest follows
//! over a verified channel. One call is one attempt: the hub repeats it with a growing wait and says each time what
//! was wrong. The token never appears in an error or a log.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue, InvalidHeaderValue};
use http::{HeaderMap, HeaderName, StatusCode};
use pki::{Identity, JoinToken, PeerSubject, PkiError, TokenError, edge_request, peer_subject, tls};
use thiserror::Error;
use tracing::{info, warn};

use super::credentials::{self, Credentials, CredentialsError, Found};
use super::https::{self, HttpsError, Response};
use crate::clock::WallClock;
use crate::settings::{EdgeHubSettings, JoinTokenText, ServerAddress};

/// The header that names the node; the peers write it `Nodename`.
const NODE_NAME: HeaderName = HeaderName::from_static("nodename");
/// How much of a refusal's text is kept, in characters.
const REFUSAL_TEXT: usize = 300;

/// Why a node has no certificate.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// There are no credentials and no token to get some with.
    #[error("no certificate, and no join token in {bootstrap_file} or in the configuration")]
    NoToken {
        /// Where a token is looked for.
        bootstrap_file: PathBuf,
    },
    /// No certificate server is configured.
    #[error("no certificate server is configured")]
    NoServer,
    /// The certificate has ended, and there is no token to get another.
    #[error("certificate ended at {at}, and there is no join token to get another")]
    Expired {
        /// End of its validity.
        at: jiff::Timestamp,
    },
    /// The bootstrap file cannot be read.
    #[error("cannot read {path}")]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The token is malformed, or was made for another CA.
    #[error("join token is not usable with {server}")]
    Token {
        /// Who was asked.
        server: ServerAddress,
        /// What is wrong with it.
        #[source]
        source: TokenError,
    },
    /// The certificate server did not answer.
    #[error("cannot fetch {path} from {server}")]
    Fetch {
        /// Who was asked.
        server: ServerAddress,
        /// For what.
        path: &'static str,
        /// What went wrong.
        #[source]
        source: HttpsError,
    },
    /// The certificate server said no.
    #[error("{server} refused {path} with {status}: {text}")]
    Refused {
        /// Who was asked.
        server: ServerAddress,
        /// For what.
        path: &'static str,
        /// HTTP status.
        status: StatusCode,
        /// Its words, cut and cleaned.
        text: String,
    },
    /// What it sent is not the certificate that was asked for.
    #[error("{server} sent a certificate that is not usable")]
    Answer {
        /// Who was asked.
        server: ServerAddress,
        /// What is wrong with it.
        #[source]
        source: PkiError,
    },
    /// It sent somebody else's certificate.
    #[error("{server} sent a certificate of another subject")]
    AnswerSubject {
        /// Who was asked.
        server: ServerAddress,
    },
    /// A key or request cannot be made, or TLS cannot be set up.
    #[error("cannot prepare the certificate request")]
    Request(#[source] PkiError),
    /// The node's name or the token cannot stand in a header.
    #[error("node name or token holds characters that HTTP does not carry")]
    Header(#[source] InvalidHeaderValue),
    /// The credentials on the disk.
    #[error("credentials on the disk are not usable")]
    Credentials(#[from] CredentialsError),
}

/// Gets and renews the credentials of one node.
#[derive(Debug, Clone)]
pub struct Enrolment {
    node_name: String,
    settings: EdgeHubSettings,
    clock: WallClock,
}

impl Enrolment {
    /// Prepares; nothing is read or sent yet.
    pub fn new(node_name: String, settings: EdgeHubSettings, clock: WallClock) -> Self {
        Self { node_name, settings, clock }
    }

    /// The credentials on the disk, or new ones for the join token. One attempt, at one certificate server after the
    /// other; the first success, else the first failure.
    ///
    /// Usable credentials are reused even when a token is present. Credentials that are damaged, expired or of
    /// another node are replaced when there is a token, and an error otherwise.
    ///
    /// # Errors
    /// [`EnrolError`].
    pub async fn credentials(&self) -> Result<Credentials, EnrolError> {
        let unusable = match credentials::load(&self.settings.files, &self.node_name)? {
            Found::Complete(credentials) if self.clock.now() < credentials.facts.not_after => return Ok(*credentials),
            Found::Complete(credentials) => Some(EnrolError::Expired { at: credentials.facts.not_after }),
            Found::Missing => None,
            Found::Unusable(error) => Some(EnrolError::Credentials(error)),
        };
        let token = match (self.token()?, unusable) {
            (Some(token), Some(error)) => {
                warn!(error = %error, "credentials are not usable: enrolling again with the join token");
                token
            }
            (Some(token), None) => token,
            (None, Some(error)) => return Err(error),
            (None, None) => {
                return Err(EnrolError::NoToken { bootstrap_file: self.settings.bootstrap_file.clone() });
            }
        };
        let mut failure = None;
        for server in &self.settings.certificate_servers {
            match self.enrol(server, &token).await {
                Ok(credentials) => return Ok(credentials),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or(EnrolError::NoServer))
    }

    /// Exchanges valid credentials for new ones. One attempt.
    ///
    /// # Errors
    /// [`EnrolError`]; the credentials on the disk are then the old ones.
    pub async fn renew(&self, current: &Credentials) -> Result<Credentials, EnrolError> {
        let mut failure = None;
        for server in &self.settings.certificate_servers {
            match self.renew_at(server, current).await {
                Ok(credentials) => return Ok(credentials),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or(EnrolError::NoServer))
    }

    async fn renew_at(&self, server: &ServerAddress, current: &Credentials) -> Result<Credentials, EnrolError> {
        let tls = tls::client_config(&current.ca_der, Some(&current.identity)).map_err(EnrolError::Request)?;
        let identity = self.request(server, tls, HeaderMap::new()).await?;
        self.keep(current.ca_der.clone(), identity)
    }

    async fn enrol(&self, server: &ServerAddress, token: &JoinTokenText) -> Result<Credentials, EnrolError> {
        let wrong = |source| EnrolError::Token { server: server.clone(), source };
        let token = JoinToken::parse(token.expose()).map_err(wrong)?;
        let unverified = tls::client_config_unverified().map_err(EnrolError::Request)?;
        let ca_der = self.fetch(server, unverified, "/ca.crt", HeaderMap::new(), Bytes::new()).await?;
        token.check_authority(&ca_der).map_err(wrong)?;

        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.bearer())).map_err(EnrolError::Header)?;
        bearer.set_sensitive(true);
        let verified = tls::client_config(&ca_der, None)
            .map_err(|source| EnrolError::Answer { server: server.clone(), source })?;
        let identity = self.request(server, verified, HeaderMap::from_iter([(AUTHORIZATION, bearer)])).await?;
        let credentials = self.keep(ca_der.to_vec(), identity)?;
        info!(node = self.node_name, server = %server, until = %credentials.facts.not_after, "enrolled");
        Ok(credentials)
    }

    /// A new key and its certificate.
    async fn request(
        &self,
        server: &ServerAddress,
        tls: Arc<rustls::ClientConfig>,
        mut headers: HeaderMap,
    ) -> Result<Identity, EnrolError> {
        let (key, csr) = edge_request(&self.node_name).map_err(EnrolError::Request)?;
        headers.insert(NODE_NAME, HeaderValue::try_from(&self.node_name).map_err(EnrolError::Header)?);
        let cert = self.fetch(server, tls, "/edge.crt", headers, csr.into()).await?;
        let answer = |source| EnrolError::Answer { server: server.clone(), source };
        if peer_subject(&cert).map_err(answer)? != PeerSubject::Node(self.node_name.clone()) {
            return Err(EnrolError::AnswerSubject { server: server.clone() });
        }
        Identity::new(cert.to_vec(), key).map_err(answer)
    }

    fn keep(&self, ca_der: Vec<u8>, identity: Identity) -> Result<Credentials, EnrolError> {
        let facts = pki::cert_facts(&identity.cert_der).map_err(EnrolError::Request)?;
        credentials::save_ca(&self.settings.files, &ca_der)?;
        credentials::save_pair(&self.settings.files, &identity)?;
        Ok(Credentials { ca_der, identity, facts })
    }

    async fn fetch(
        &self,
        server: &ServerAddress,
        tls: Arc<rustls::ClientConfig>,
        path: &'static str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, EnrolError> {
        let Response { status, body } = https::get(server, tls, path, headers, body)
            .await
            .map_err(|source| EnrolError::Fetch { server: server.clone(), path, source })?;
        if status == StatusCode::OK {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body);
        let text = text.chars().filter(|c| !c.is_control()).take(REFUSAL_TEXT).collect();
        Err(EnrolError::Refused { server: server.clone(), path, status, text })
    }

    /// The bootstrap file's token, else the configuration's.
    fn token(&self) -> Result<Option<JoinTokenText>, EnrolError> {
        match std::fs::read_to_string(&self.settings.bootstrap_file) {
            Ok(text) => Ok(JoinTokenText::new(&text).or_else(|| self.settings.token.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(self.settings.token.clone()),
            Err(source) => Err(EnrolError::TokenFile { path: self.settings.bootstrap_file.clone(), source }),
        }
    }
}

#[cfg(test)]
mod tests;
