//! Certificate signing requests of edge nodes. Source: spec 01 §6.3 step 5, §7.2.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::certificate;
use crate::der::{self, oid};
use crate::error::{PkiError, parser};
use crate::facts::{common_name, organizations};
use crate::key::PrivateKey;
use crate::name;

/// The organization of every edge node since v1.16.
pub(crate) const NODES: &str = "system:nodes";
/// The common name every edge had before v1.16.
pub(crate) const LEGACY_COMMON_NAME: &str = "kubeedge.io";
/// The organizations that go with it, in the spellings of edge and cloud.
pub(crate) const LEGACY_ORGANIZATIONS: [&str; 2] = ["kubeEdge", "KubeEdge"];

/// Who a signing request asks to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFacts {
    /// Subject common name.
    pub common_name: Option<String>,
    /// Subject organizations, in order.
    pub organizations: Vec<String>,
}

/// A fresh key for an edge node and the request for its certificate: subject
/// `C=CN, ST=Zhejiang, L=Hangzhou, O=system:nodes, CN=system:node:<node>`, no extensions.
///
/// # Errors
/// [`PkiError::Crypto`] when the system gives no random bytes.
pub fn edge_request(node: &str) -> Result<(PrivateKey, Vec<u8>), PkiError> {
    let key = PrivateKey::generate()?;
    let request = certificate::sign(&to_be_signed(&node_common_name(node), &key.public_info()?), &key)?;
    Ok((key, request))
}

/// Reads a request and verifies that its own key signed it.
///
/// # Errors
/// [`PkiError::Request`] or [`PkiError::RequestSignature`].
pub fn request_facts(csr_der: &[u8]) -> Result<RequestFacts, PkiError> {
    let (common_name, organizations) = subject(&verified(csr_der)?);
    Ok(RequestFacts { common_name, organizations })
}

/// `system:node:<node>`.
pub(crate) fn node_common_name(node: &str) -> String {
    format!("system:node:{node}")
}

pub(crate) fn is_legacy(common_name: &str, organizations: &[String]) -> bool {
    common_name == LEGACY_COMMON_NAME
        && organizations.first().is_some_and(|first| LEGACY_ORGANIZATIONS.contains(&first.as_str()))
}

pub(crate) fn verified(csr_der: &[u8]) -> Result<X509CertificationRequest<'_>, PkiError> {
    let (_, request) = X509CertificationRequest::from_der(csr_der).map_err(|error| PkiError::Request(parser(error)))?;
    request.verify_signature().map_err(|_| PkiError::RequestSignature)?;
    Ok(request)
}

pub(crate) fn subject(request: &X509CertificationRequest<'_>) -> (Option<String>, Vec<String>) {
    let subject = &request.certification_request_info.subject;
    (common_name(subject), organizations(subject))
}

fn to_be_signed(common_name: &str, public_info: &[u8]) -> Vec<u8> {
    let subject = name::encode(&[
        (oid::COUNTRY, "CN"),
        (oid::STATE, "Zhejiang"),
        (oid::LOCALITY, "Hangzhou"),
        (oid::ORGANIZATION, NODES),
        (oid::COMMON_NAME, common_name),
    ]);
    der::sequence(&[der::integer(0), subject, public_info.to_vec(), der::context(0, &[])])
}

#[cfg(test)]
pub(crate) mod tests;
