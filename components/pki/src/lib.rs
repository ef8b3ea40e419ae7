//! Certificates, keys, signing requests and join tokens as KubeEdge makes them, and the TLS settings built on them.
//!
//! Start at [`Authority`] (the KubeEdge CA), [`JoinToken`] (what an operator carries to an edge host) and [`tls`]
//! (who verifies whom on which port). Nothing here opens a file or a socket, and `now` is always an argument; the
//! one exception is inside a TLS handshake, where rustls reads the clock.
//!
//! Certificates are written by a small DER encoder of our own: the peers' exact field order, PrintableString names,
//! SHA-1 key identifiers and the issuer's name copied bit for bit. Reading is left to `x509-parser` and `webpki`,
//! signing and hashing to `ring`.
//!
//! Source: spec 01 §5.3, §6.3, §7.

mod authority;
mod certificate;
mod der;
mod digest;
mod error;
mod facts;
#[cfg(test)]
mod golden;
mod identity;
mod key;
mod name;
pub mod pem;
mod request;
pub mod tls;
mod token;

pub use authority::{Authority, RequestPolicy};
pub use certificate::{LeafProfile, San, Usage};
pub use digest::sha256_hex;
pub use error::PkiError;
pub use facts::{CertFacts, PeerSubject, cert_facts, peer_subject};
pub use identity::Identity;
pub use key::PrivateKey;
pub use request::{RequestFacts, edge_request, request_facts};
pub use token::{JoinToken, TokenError, verify_bearer};
