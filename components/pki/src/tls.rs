//! Who verifies whom on which port. ring is named explicitly everywhere; no process-wide default is read or set.
//!
//! | Port | Server side | Client side |
//! |---|---|---|
//! | 10000 websocket | [`server_config_mutual`] | [`client_config`] with an identity |
//! | 10002 enrolment | [`server_config_optional_client`] | [`client_config_unverified`] for `/ca.crt`, then [`client_config`] |
//!
//! Source: spec 01 §3.2, §5.3.

mod failure;
mod slot;
mod verifier;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub use failure::{NameMismatch, TlsFailure};
pub use slot::IdentitySlot;

use crate::error::PkiError;
use crate::identity::Identity;
use verifier::{AnyClient, AnyServer, KubeEdgeServer};

/// The cryptography of every TLS connection.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A server that demands a client certificate of `ca_der` with usage clientAuth (websocket port).
///
/// # Errors
/// [`PkiError::Tls`] when rustls refuses certificate or key.
pub fn server_config_mutual(identity: &Identity, ca_der: &[u8]) -> Result<Arc<ServerConfig>, PkiError> {
    server(client_verifier(ca_der)?, IdentitySlot::new(identity)?)
}

/// As [`server_config_mutual`], with a certificate that can be replaced while serving.
///
/// # Errors
/// [`PkiError::Tls`] when rustls refuses the CA certificate.
pub fn server_config_mutual_reloading(slot: Arc<IdentitySlot>, ca_der: &[u8]) -> Result<Arc<ServerConfig>, PkiError> {
    server(client_verifier(ca_der)?, slot)
}

/// A server that asks for a client certificate and takes any or none (enrolment port). The peer has proved that it
/// holds the key of the certificate it shows; whether that certificate means anything, [`verify_client_chain`] tells.
///
/// # Errors
/// [`PkiError::Tls`] when rustls refuses certificate or key.
pub fn server_config_optional_client(identity: &Identity) -> Result<Arc<ServerConfig>, PkiError> {
    server_config_optional_client_reloading(IdentitySlot::new(identity)?)
}

/// As [`server_config_optional_client`], with a certificate that can be replaced while serving.
///
/// # Errors
/// [`PkiError::Tls`] when ring lacks a protocol version, which it does not.
pub fn server_config_optional_client_reloading(slot: Arc<IdentitySlot>) -> Result<Arc<ServerConfig>, PkiError> {
    server(Arc::new(AnyClient::new(&provider())), slot)
}

/// A client that verifies the server against `ca_der` and the name or address dialled, and presents `identity` if
/// given. An empty dNSName in the server's certificate is tolerated. No ALPN is offered.
///
/// A name mismatch surfaces as [`NameMismatch`]; see [`TlsFailure::find`].
///
/// # Errors
/// [`PkiError::Tls`] when rustls refuses the CA certificate or the identity.
pub fn client_config(ca_der: &[u8], identity: Option<&Identity>) -> Result<Arc<ClientConfig>, PkiError> {
    let verifier = Arc::new(KubeEdgeServer::new(roots(ca_der)?, &provider()));
    let builder = client()?.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(IdentitySlot::new(identity)?),
        None => builder.with_no_client_auth(),
    };
    // One connection a server: remembered sessions would only cost memory.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// A client that believes any server. Only for fetching `/ca.crt`, whose bytes the join token's hash vouches for.
///
/// # Errors
/// [`PkiError::Tls`] when ring lacks a protocol version, which it does not.
pub fn client_config_unverified() -> Result<Arc<ClientConfig>, PkiError> {
    let verifier = Arc::new(AnyServer::new(&provider()));
    let mut config = client()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Verifies a client certificate as the websocket port does: chain to `ca_der`, usage clientAuth, validity at `now`.
///
/// # Errors
/// [`PkiError::Chain`] with the reason, [`PkiError::Tls`] when the CA certificate itself is unusable.
pub fn verify_client_chain(cert_der: &[u8], ca_der: &[u8], now: Timestamp) -> Result<(), PkiError> {
    let seconds = u64::try_from(now.as_second()).map_err(|_| PkiError::Validity)?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    client_verifier(ca_der)?.verify_client_cert(&CertificateDer::from(cert_der), &[], now).map_err(PkiError::Chain)?;
    Ok(())
}

fn server(verifier: Arc<dyn ClientCertVerifier>, slot: Arc<IdentitySlot>) -> Result<Arc<ServerConfig>, PkiError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(PkiError::Tls)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(slot);
    // Our peers open one connection and keep it; tickets and caches would be memory without use, and a resumed
    // session would skip the check of a certificate that has been replaced since.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn client() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, PkiError> {
    ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(PkiError::Tls)
}

fn client_verifier(ca_der: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, PkiError> {
    WebPkiClientVerifier::builder_with_provider(roots(ca_der)?, provider())
        .build()
        .map_err(|error| PkiError::Tls(rustls::Error::General(error.to_string())))
}

fn roots(ca_der: &[u8]) -> Result<Arc<RootCertStore>, PkiError> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca_der.to_vec())).map_err(PkiError::Tls)?;
    Ok(Arc::new(roots))
}

#[cfg(test)]
mod tests;
