//! What a certificate says, read back. Source: spec 01 §5.3 (who a peer is), §6.4 (when to renew).

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;
use x509_parser::x509::X509Name;

use crate::error::{PkiError, parser};
use crate::request::{NODES, is_legacy};

/// The parts of a certificate that decisions and reports need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertFacts {
    /// Subject common name.
    pub subject_cn: Option<String>,
    /// Subject organizations, in order.
    pub organizations: Vec<String>,
    /// Issuer common name.
    pub issuer_cn: Option<String>,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// DNS names; the empty one that KubeEdge's default configuration produces is left out.
    pub dns: Vec<String>,
    /// Addresses; malformed ones are left out.
    pub ips: Vec<IpAddr>,
    /// Whether the certificate may sign others.
    pub is_ca: bool,
    /// Whether a server may present it.
    pub server_auth: bool,
    /// Whether a client may present it.
    pub client_auth: bool,
}

impl CertFacts {
    /// The moment at which `fraction` of the lifetime has passed. KubeEdge renews at a random fraction in 0.7..0.9.
    pub fn at_fraction(&self, fraction: f64) -> Timestamp {
        let lifetime = self.not_after.duration_since(self.not_before).as_secs_f64();
        let offset = SignedDuration::try_from_secs_f64(lifetime * fraction.clamp(0.0, 1.0)).unwrap_or_default();
        self.not_before.checked_add(offset).unwrap_or(self.not_after)
    }

    /// Whether the certificate can be presented under this name or address (exact names only, as we issue them).
    pub fn covers(&self, host: &str) -> bool {
        match host.parse::<IpAddr>() {
            Ok(ip) => self.ips.contains(&ip),
            Err(_) => self.dns.iter().any(|name| name.eq_ignore_ascii_case(host)),
        }
    }
}

/// Who a verified client certificate belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PeerSubject {
    /// `O[0]=system:nodes, CN=system:node:<name>`.
    Node(String),
    /// `O[0]=kubeEdge` or `KubeEdge`, `CN=kubeedge.io`: an edge before v1.16, of unknown name.
    LegacyEdge,
    /// Anything else.
    Other {
        /// Subject common name.
        common_name: Option<String>,
        /// Subject organizations.
        organizations: Vec<String>,
    },
}

/// Reads a certificate.
///
/// # Errors
/// [`PkiError::Certificate`] when it cannot be parsed.
pub fn cert_facts(cert_der: &[u8]) -> Result<CertFacts, PkiError> {
    let certificate = parse(cert_der)?;
    let usage = certificate.extended_key_usage().ok().flatten().map(|usage| usage.value);
    let (mut dns, mut ips) = (Vec::new(), Vec::new());
    for name in sans(&certificate) {
        match name {
            GeneralName::DNSName(name) if !name.is_empty() => dns.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => ips.extend(ip(bytes)),
            _ => {}
        }
    }
    Ok(CertFacts {
        subject_cn: common_name(certificate.subject()),
        organizations: organizations(certificate.subject()),
        issuer_cn: common_name(certificate.issuer()),
        serial: format!("{:x}", certificate.serial),
        not_before: timestamp(certificate.validity().not_before.timestamp())?,
        not_after: timestamp(certificate.validity().not_after.timestamp())?,
        dns,
        ips,
        is_ca: certificate.is_ca(),
        server_auth: usage.is_none_or(|usage| usage.any || usage.server_auth),
        client_auth: usage.is_none_or(|usage| usage.any || usage.client_auth),
    })
}

/// Tells whose certificate it is. It must have been verified before this answer means anything.
///
/// # Errors
/// [`PkiError::Certificate`] when it cannot be parsed.
pub fn peer_subject(cert_der: &[u8]) -> Result<PeerSubject, PkiError> {
    let certificate = parse(cert_der)?;
    let common_name = common_name(certificate.subject());
    let organizations = organizations(certificate.subject());
    if let Some(cn) = &common_name {
        if is_legacy(cn, &organizations) {
            return Ok(PeerSubject::LegacyEdge);
        }
        if let Some(node) = cn.strip_prefix("system:node:").filter(|node| !node.is_empty())
            && organizations.first().is_some_and(|first| first == NODES)
        {
            return Ok(PeerSubject::Node(node.to_owned()));
        }
    }
    Ok(PeerSubject::Other { common_name, organizations })
}

pub(crate) fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().next().and_then(|value| value.as_str().ok()).filter(|cn| !cn.is_empty()).map(str::to_owned)
}

pub(crate) fn organizations(name: &X509Name<'_>) -> Vec<String> {
    name.iter_organization().filter_map(|value| value.as_str().ok()).map(str::to_owned).collect()
}

fn parse(cert_der: &[u8]) -> Result<X509Certificate<'_>, PkiError> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(cert_der).map_err(|error| PkiError::Certificate(parser(error)))?;
    Ok(certificate)
}

fn sans<'a>(certificate: &'a X509Certificate<'_>) -> &'a [GeneralName<'a>] {
    match certificate.subject_alternative_name() {
        Ok(Some(sans)) => &sans.value.general_names,
        _ => &[],
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn timestamp(seconds: i64) -> Result<Timestamp, PkiError> {
    Timestamp::from_second(seconds).map_err(|_| PkiError::Validity)
}
