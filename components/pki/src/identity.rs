//! A certificate and the key that belongs to it.

use crate::error::{PkiError, parser};
use crate::key::PrivateKey;
use crate::pem;

/// What a process proves itself with: one certificate and its private key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The leaf certificate, DER.
    pub cert_der: Vec<u8>,
    /// Its private key.
    pub key: PrivateKey,
}

impl Identity {
    /// Pairs a certificate with its key.
    ///
    /// # Errors
    /// [`PkiError::KeyMismatch`] when the certificate holds another public key, as after a crash between the two
    /// writes of a pair; [`PkiError::Certificate`] when it cannot be parsed.
    pub fn new(cert_der: Vec<u8>, key: PrivateKey) -> Result<Self, PkiError> {
        let (_, certificate) =
            x509_parser::parse_x509_certificate(&cert_der).map_err(|error| PkiError::Certificate(parser(error)))?;
        if certificate.public_key().subject_public_key.data.as_ref() != key.public_bits()? {
            return Err(PkiError::KeyMismatch);
        }
        Ok(Self { cert_der, key })
    }

    /// Reads the pair from two PEM texts: the first certificate of one, the first private key of the other.
    ///
    /// # Errors
    /// [`PkiError::Pem`], and as [`Self::new`] and [`PrivateKey::from_any_der`].
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, PkiError> {
        let cert_der = pem::certs_from_pem(cert_pem)?.swap_remove(0);
        Self::new(cert_der, PrivateKey::from_any_pem(key_pem)?)
    }
}
