//! Who may hold a session: the certificate names the node, and nothing else does. Source: spec 01 §5.4.

use pki::{PeerSubject, PkiError, peer_subject};
use thiserror::Error;

use crate::cloudhub::enrol::is_node_name;

/// Why a verified TLS connection gets no session.
#[derive(Debug, Error)]
pub enum AdmissionError {
    /// TLS should have demanded one.
    #[error("no client certificate")]
    NoCertificate,
    /// The certificate could not be read.
    #[error("client certificate is not readable")]
    Certificate(#[source] PkiError),
    /// The name cannot be a node's.
    #[error("{node_id:?} is not a node name")]
    NodeName {
        /// What the peer called itself.
        node_id: String,
    },
    /// It belongs to somebody else.
    #[error("certificate of {subject} presented for node {node_id}")]
    Foreign {
        /// Whose certificate it is.
        subject: String,
        /// What the peer called itself.
        node_id: String,
    },
    /// It belongs to no node in particular, and the switch for such edges is off.
    #[error("certificate of an edge before v1.16 presented for node {node_id}; legacyCertificates is off")]
    Legacy {
        /// What the peer called itself.
        node_id: String,
    },
}

/// Decides whether the holder of `certificate` (verified, DER) is the node it says it is.
///
/// With `legacy`, edges before v1.16 are believed: their certificates are all alike.
///
/// # Errors
/// [`AdmissionError`]; the connection is to be closed.
pub fn admit(node_id: &str, certificate: Option<&[u8]>, legacy: bool) -> Result<(), AdmissionError> {
    let certificate = certificate.ok_or(AdmissionError::NoCertificate)?;
    if !is_node_name(node_id) {
        return Err(AdmissionError::NodeName { node_id: node_id.to_owned() });
    }
    let foreign = |subject: String| Err(AdmissionError::Foreign { subject, node_id: node_id.to_owned() });
    match peer_subject(certificate).map_err(AdmissionError::Certificate)? {
        PeerSubject::Node(name) if name == node_id => Ok(()),
        PeerSubject::Node(name) => foreign(format!("node {name}")),
        PeerSubject::LegacyEdge if legacy => Ok(()),
        PeerSubject::LegacyEdge => Err(AdmissionError::Legacy { node_id: node_id.to_owned() }),
        PeerSubject::Other { common_name, .. } => foreign(common_name.unwrap_or_else(|| "nobody".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pki::{Authority, LeafProfile, Usage};

    use super::*;

    fn certificate(common_name: &str, organization: &str) -> Vec<u8> {
        let now = Timestamp::now();
        let authority = Authority::generate("KubeEdge", 1024, 36400, now).expect("a CA");
        let profile = LeafProfile {
            common_name: common_name.to_owned(),
            organizations: vec![organization.to_owned()],
            days: 1,
            usages: vec![Usage::ClientAuth],
            sans: Vec::new(),
        };
        authority.issue(&profile, now).expect("a certificate").cert_der
    }

    #[test]
    fn a_certificate_of_node_a_is_of_no_use_for_node_b() {
        let a = certificate("system:node:a", "system:nodes");
        assert!(admit("a", Some(&a), false).is_ok());
        assert!(matches!(admit("b", Some(&a), true), Err(AdmissionError::Foreign { .. })));
        assert!(matches!(admit("a", None, true), Err(AdmissionError::NoCertificate)));
        let other = certificate("kubernetes-admin", "system:masters");
        assert!(matches!(admit("a", Some(&other), true), Err(AdmissionError::Foreign { .. })));
    }

    #[test]
    fn anonymous_certificates_need_the_switch() {
        let legacy = certificate("kubeedge.io", "kubeEdge");
        assert!(matches!(admit("a", Some(&legacy), false), Err(AdmissionError::Legacy { .. })));
        assert!(admit("a", Some(&legacy), true).is_ok());
        assert!(matches!(admit("a/b", Some(&legacy), true), Err(AdmissionError::NodeName { .. })));
    }
}
