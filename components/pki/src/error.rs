//! What can be wrong with keys, certificates and requests.

use thiserror::Error;
use x509_parser::error::X509Error;

use crate::der::NotDer;
use crate::pem::PemError;

/// Why a key, certificate or signing request could not be made or accepted.
#[derive(Debug, Error)]
pub enum PkiError {
    /// The PEM text holds nothing usable.
    #[error("PEM text is not usable")]
    Pem(#[from] PemError),
    /// Not a PKCS#8, SEC1 or PKCS#1 private key.
    #[error("private key is not readable")]
    KeyEncoding,
    /// Neither EC P-256, EC P-384 nor RSA.
    #[error("private key is of an unsupported kind")]
    KeyKind,
    /// An EC key without its public half, which cannot be recomputed here.
    #[error("private key lacks its public part")]
    KeyWithoutPublic,
    /// The numbers inside the key do not fit together.
    #[error("private key is not valid ({0})")]
    KeyRejected(ring::error::KeyRejected),
    /// The certificate carries another public key.
    #[error("certificate and private key do not belong together")]
    KeyMismatch,
    /// The certificate cannot be parsed.
    #[error("certificate is not readable")]
    Certificate(#[source] X509Error),
    /// The certificate's basic constraints do not say CA.
    #[error("certificate does not belong to a certificate authority")]
    NotAuthority,
    /// The signing request cannot be parsed.
    #[error("certificate request is not readable")]
    Request(#[source] X509Error),
    /// The request is not signed by the key it carries.
    #[error("certificate request has a wrong self-signature")]
    RequestSignature,
    /// The request names no subject.
    #[error("certificate request has no common name")]
    NoCommonName,
    /// The request asks for somebody else's name.
    #[error(
        "certificate request is for common name {common_name:?} of {organizations:?} instead of {expected:?} of [\"system:nodes\"]"
    )]
    RequestSubject {
        /// The common name that the authenticated node may have.
        expected: String,
        /// The common name asked for.
        common_name: String,
        /// The organizations asked for.
        organizations: Vec<String>,
    },
    /// A certificate without any extended key usage would be good for nothing.
    #[error("certificate would have no key usage")]
    NoUsage,
    /// A DNS name that a certificate cannot carry.
    #[error("{name:?} is not a DNS name")]
    DnsName {
        /// The text found.
        name: String,
    },
    /// The validity reaches beyond the calendar.
    #[error("certificate validity is out of range")]
    Validity,
    /// The system gave no random bytes, or the key refused to sign.
    #[error("cryptographic operation failed")]
    Crypto,
    /// The certificate is not acceptable under this authority, or has expired.
    #[error("certificate does not verify")]
    Chain(#[source] rustls::Error),
    /// rustls refused the settings.
    #[error("TLS settings are not usable")]
    Tls(#[source] rustls::Error),
}

impl From<ring::error::Unspecified> for PkiError {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::Crypto
    }
}

/// Only keys are read with our own codec.
impl From<NotDer> for PkiError {
    fn from(_: NotDer) -> Self {
        Self::KeyEncoding
    }
}

/// Takes x509-parser's error out of nom's wrapper.
pub(crate) fn parser(error: x509_parser::nom::Err<X509Error>) -> X509Error {
    match error {
        x509_parser::nom::Err::Error(error) | x509_parser::nom::Err::Failure(error) => error,
        x509_parser::nom::Err::Incomplete(_) => X509Error::Generic,
    }
}
