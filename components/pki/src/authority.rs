//! The certificate authority of a KubeEdge installation. Source: spec 01 §7.1, §7.2.

use jiff::Timestamp;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::X509Certificate;

use crate::certificate::{self, LeafProfile, Role, San, Template, Usage};
use crate::digest::key_identifier;
use crate::error::{PkiError, parser};
use crate::identity::Identity;
use crate::key::{PrivateKey, random_serial};
use crate::request::{self, NODES};

/// A CA certificate with its key. KubeEdge's own is `CN=KubeEdge`, serial 1024, 36400 days.
#[derive(Debug, Clone)]
pub struct Authority {
    cert_der: Vec<u8>,
    key: PrivateKey,
    /// The subject, copied bit for bit into what we issue: verifiers compare names as bytes.
    subject: Vec<u8>,
    key_id: Option<Vec<u8>>,
}

/// What an edge node may have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPolicy {
    /// The node that authenticated itself; the only one the certificate will name.
    pub node: String,
    /// Validity in whole days from now (`edgeCertSigningDuration`).
    pub days: u32,
    /// Extended key usages; `[ClientAuth]` for an edge.
    pub usages: Vec<Usage>,
    /// Also sign the anonymous request of edges before v1.16 (`O=kubeEdge, CN=kubeedge.io`). They too receive a
    /// certificate that names their node.
    pub accept_legacy: bool,
}

impl Authority {
    /// Makes a self-signed authority with a fresh EC P-256 key, valid for `days` from `now`.
    ///
    /// # Errors
    /// [`PkiError::Validity`] when the end lies beyond the year 9999, [`PkiError::Crypto`] without random bytes.
    pub fn generate(common_name: &str, serial: u64, days: u32, now: Timestamp) -> Result<Self, PkiError> {
        let key = PrivateKey::generate()?;
        let subject = certificate::subject(common_name, &[]);
        let key_id = key_identifier(&key.public_bits()?);
        let cert_der = Template {
            serial,
            issuer: &subject,
            subject: &subject,
            not_before: now,
            days,
            public_info: &key.public_info()?,
            usages: &[Usage::ServerAuth, Usage::ClientAuth],
            role: Role::Authority { key_id: &key_id },
            sans: &[],
        }
        .sign(&key)?;
        Ok(Self { cert_der, key, subject, key_id: Some(key_id) })
    }

    /// Takes over an existing pair, for example from the secret `casecret`.
    ///
    /// # Errors
    /// [`PkiError::Certificate`], [`PkiError::NotAuthority`], [`PkiError::KeyMismatch`].
    pub fn from_der(cert_der: &[u8], key: PrivateKey) -> Result<Self, PkiError> {
        let (_, certificate) =
            x509_parser::parse_x509_certificate(cert_der).map_err(|error| PkiError::Certificate(parser(error)))?;
        if !certificate.is_ca() {
            return Err(PkiError::NotAuthority);
        }
        if certificate.public_key().subject_public_key.data.as_ref() != key.public_bits()? {
            return Err(PkiError::KeyMismatch);
        }
        let subject = certificate.subject().as_raw().to_vec();
        let key_id = subject_key_id(&certificate);
        Ok(Self { cert_der: cert_der.to_vec(), key, subject, key_id })
    }

    /// The CA certificate, DER; this is what `/ca.crt` answers and a join token hashes.
    pub fn cert_der(&self) -> &[u8] {
        &self.cert_der
    }

    /// The CA's private key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Issues a certificate with a fresh EC P-256 key.
    ///
    /// # Errors
    /// [`PkiError::NoUsage`], [`PkiError::DnsName`], [`PkiError::Validity`] blame the profile.
    pub fn issue(&self, profile: &LeafProfile, now: Timestamp) -> Result<Identity, PkiError> {
        profile.sans.iter().try_for_each(San::check)?;
        let key = PrivateKey::generate()?;
        let subject = certificate::subject(&profile.common_name, &profile.organizations);
        let cert_der = Template {
            days: profile.days,
            usages: &profile.usages,
            sans: &profile.sans,
            ..self.leaf(&subject, &key.public_info()?, now)?
        }
        .sign(&self.key)?;
        Ok(Identity { cert_der, key })
    }

    /// Signs a node's certificate request; returns one DER certificate, no chain.
    ///
    /// The request must be signed by its own key and ask for exactly `O=system:nodes, CN=system:node:<node>` (other
    /// attributes, extensions and SANs of the request are dropped). The caller has already authenticated the node.
    ///
    /// # Errors
    /// [`PkiError::Request`], [`PkiError::RequestSignature`], [`PkiError::NoCommonName`] and
    /// [`PkiError::RequestSubject`] blame the request, [`PkiError::NoUsage`] and [`PkiError::Validity`] the policy.
    ///
    /// Source: spec 01 §5.3, §7.2.
    pub fn sign_request(&self, csr_der: &[u8], policy: &RequestPolicy, now: Timestamp) -> Result<Vec<u8>, PkiError> {
        let request = request::verified(csr_der)?;
        let expected = request::node_common_name(&policy.node);
        let (common_name, organizations) = request::subject(&request);
        let common_name = common_name.ok_or(PkiError::NoCommonName)?;
        let legacy = policy.accept_legacy && request::is_legacy(&common_name, &organizations);
        if !legacy && (common_name != expected || organizations != [NODES]) {
            return Err(PkiError::RequestSubject { expected, common_name, organizations });
        }
        let subject = certificate::subject(&expected, &[NODES.to_owned()]);
        let public_info = request.certification_request_info.subject_pki.raw;
        Template { days: policy.days, usages: &policy.usages, ..self.leaf(&subject, public_info, now)? }.sign(&self.key)
    }

    fn leaf<'a>(&'a self, subject: &'a [u8], public_info: &'a [u8], now: Timestamp) -> Result<Template<'a>, PkiError> {
        Ok(Template {
            serial: random_serial()?,
            issuer: &self.subject,
            subject,
            not_before: now,
            days: 0,
            public_info,
            usages: &[],
            role: Role::Leaf { issuer_key_id: self.key_id.as_deref() },
            sans: &[],
        })
    }
}

fn subject_key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
