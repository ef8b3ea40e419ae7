//! Why a TLS handshake failed, in the terms an operator can act on.

use std::error::Error as StdError;
use std::io;
use std::net::IpAddr;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use thiserror::Error;

use crate::facts::cert_facts;

/// The server's certificate is genuine but made for other names.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("certificate not valid for the dialled address {dialled}: it names {}", self.names())]
pub struct NameMismatch {
    /// The host name or address dialled.
    pub dialled: String,
    /// DNS names in the certificate.
    pub dns: Vec<String>,
    /// Addresses in the certificate.
    pub ips: Vec<IpAddr>,
}

impl NameMismatch {
    pub(super) fn new(dialled: &ServerName<'_>, cert_der: &[u8]) -> Self {
        let (dns, ips) = cert_facts(cert_der).map(|facts| (facts.dns, facts.ips)).unwrap_or_default();
        Self { dialled: dialled.to_str().into_owned(), dns, ips }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.ips.iter().map(IpAddr::to_string).chain(self.dns.iter().cloned()).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    }
}

/// The kinds of TLS failure that have different remedies.
#[derive(Debug, Clone, Error)]
pub enum TlsFailure {
    /// The server's certificate was not issued by our CA.
    #[error("server certificate is not issued by the expected authority")]
    UnknownAuthority,
    /// The server's certificate is for other names.
    #[error(transparent)]
    Name(NameMismatch),
    /// The server's certificate has ended, or the clocks disagree.
    #[error("server certificate has expired")]
    Expired,
    /// The server's certificate is not valid yet: the clocks disagree.
    #[error("server certificate is not valid yet")]
    NotYetValid,
    /// The server did not accept our certificate, or wanted one and got none.
    #[error("server refused the client certificate ({alert:?})")]
    ClientRefused {
        /// What the server said.
        alert: AlertDescription,
    },
    /// What answers there does not speak TLS: a wrong port, or a proxy.
    #[error("peer does not speak TLS")]
    NotTls,
    /// Anything else.
    #[error("TLS handshake failed")]
    Handshake(#[source] Error),
}

impl TlsFailure {
    /// Sorts a rustls error.
    pub fn classify(error: &Error) -> Self {
        use AlertDescription as Alert;
        match error {
            Error::InvalidCertificate(certificate) => match certificate {
                // A foreign CA of the same name, as every KubeEdge CA has, shows as a bad signature.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
                CertificateError::Other(other) => match other.0.downcast_ref::<NameMismatch>() {
                    Some(mismatch) => Self::Name(mismatch.clone()),
                    None => Self::Handshake(error.clone()),
                },
                _ => Self::Handshake(error.clone()),
            },
            Error::AlertReceived(
                alert @ (Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::CertificateRequired
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::DecryptError),
            ) => Self::ClientRefused { alert: *alert },
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
                Self::NotTls
            }
            _ => Self::Handshake(error.clone()),
        }
    }

    /// Looks for a rustls error anywhere in a chain of errors, through `io::Error` wrappers.
    pub fn find(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(tls) = error.downcast_ref::<Error>() {
                return Some(Self::classify(tls));
            }
            // An io::Error's own `source` skips the error it carries.
            next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }
}
