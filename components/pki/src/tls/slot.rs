//! The certificate a process presents, replaceable while connections are being accepted.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::error::PkiError;
use crate::identity::Identity;

/// Holds the identity that the next handshake presents; running connections keep the one they began with.
#[derive(Debug)]
pub struct IdentitySlot(RwLock<Arc<CertifiedKey>>);

impl IdentitySlot {
    /// A slot that presents `identity`.
    ///
    /// # Errors
    /// [`PkiError::Tls`] when rustls cannot use the key, or certificate and key do not belong together.
    pub fn new(identity: &Identity) -> Result<Arc<Self>, PkiError> {
        Ok(Arc::new(Self(RwLock::new(certified(identity)?))))
    }

    /// Presents `identity` from the next handshake on.
    ///
    /// # Errors
    /// As [`Self::new`]; the old identity then stays.
    pub fn replace(&self, identity: &Identity) -> Result<(), PkiError> {
        let next = certified(identity)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for IdentitySlot {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl ResolvesClientCert for IdentitySlot {
    fn resolve(&self, _root_hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn certified(identity: &Identity) -> Result<Arc<CertifiedKey>, PkiError> {
    let chain = vec![CertificateDer::from(identity.cert_der.clone())];
    let key = CertifiedKey::from_der(chain, identity.key.to_rustls(), &super::provider()).map_err(PkiError::Tls)?;
    Ok(Arc::new(key))
}
