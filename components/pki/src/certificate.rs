//! The certificates KubeEdge issues, field by field. Source: spec 01 §7.1.

use std::net::IpAddr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::der::{self, oid};
use crate::error::PkiError;
use crate::key::PrivateKey;
use crate::name;

/// What a certificate may be used for (extended key usage).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Usage {
    /// Proving a server to its clients.
    ServerAuth,
    /// Proving a client to a server.
    ClientAuth,
}

/// A name a server is dialled by (subject alternative name).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum San {
    /// A host name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl San {
    /// An address when the text is one, otherwise a host name; nothing for an empty text, which KubeEdge's default
    /// configuration contains.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.parse() {
            Ok(ip) => Some(Self::Ip(ip)),
            Err(_) if text.is_empty() => None,
            Err(_) => Some(Self::Dns(text.to_owned())),
        }
    }

    /// A certificate can hold ASCII names only; an empty one makes some verifiers refuse the whole certificate.
    pub(crate) fn check(&self) -> Result<(), PkiError> {
        match self {
            Self::Dns(name) if name.is_empty() || !name.bytes().all(|c| c.is_ascii_graphic()) => {
                Err(PkiError::DnsName { name: name.clone() })
            }
            Self::Dns(_) | Self::Ip(_) => Ok(()),
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Dns(name) => der::implicit(2, name.as_bytes()),
            Self::Ip(IpAddr::V4(ip)) => der::implicit(7, &ip.octets()),
            Self::Ip(IpAddr::V6(ip)) => der::implicit(7, &ip.octets()),
        }
    }
}

/// What a leaf certificate shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafProfile {
    /// Subject common name.
    pub common_name: String,
    /// Subject organizations; they stand before the common name.
    pub organizations: Vec<String>,
    /// Whole days from the moment of signing.
    pub days: u32,
    /// Extended key usages; at least one.
    pub usages: Vec<Usage>,
    /// Names and addresses, usually only for servers.
    pub sans: Vec<San>,
}

/// Everything a certificate is made of, already in DER where names and keys are concerned.
pub(crate) struct Template<'a> {
    pub(crate) serial: u64,
    pub(crate) issuer: &'a [u8],
    pub(crate) subject: &'a [u8],
    pub(crate) not_before: Timestamp,
    pub(crate) days: u32,
    pub(crate) public_info: &'a [u8],
    pub(crate) usages: &'a [Usage],
    pub(crate) role: Role<'a>,
    pub(crate) sans: &'a [San],
}

/// What sets a CA and a leaf apart.
pub(crate) enum Role<'a> {
    /// Signs others; carries its own key identifier.
    Authority { key_id: &'a [u8] },
    /// Signs nothing; names its issuer's key identifier, if that has one.
    Leaf { issuer_key_id: Option<&'a [u8]> },
}

impl Template<'_> {
    /// Signs the certificate with `key`.
    pub(crate) fn sign(&self, key: &PrivateKey) -> Result<Vec<u8>, PkiError> {
        sign(&self.to_be_signed(&key.signature_algorithm())?, key)
    }

    pub(crate) fn to_be_signed(&self, signature_algorithm: &[u8]) -> Result<Vec<u8>, PkiError> {
        let not_before = Timestamp::from_second(self.not_before.as_second()).map_err(|_| PkiError::Validity)?;
        let not_after = not_before
            .checked_add(SignedDuration::from_hours(24 * i64::from(self.days)))
            .map_err(|_| PkiError::Validity)?;
        Ok(der::sequence(&[
            der::context(0, &der::integer(2)),
            der::integer(self.serial),
            signature_algorithm.to_vec(),
            self.issuer.to_vec(),
            der::sequence(&[time(not_before), time(not_after)]),
            self.subject.to_vec(),
            self.public_info.to_vec(),
            der::context(3, &der::sequence(&self.extensions()?)),
        ]))
    }

    fn extensions(&self) -> Result<Vec<Vec<u8>>, PkiError> {
        if self.usages.is_empty() {
            return Err(PkiError::NoUsage);
        }
        // digitalSignature and keyEncipherment, and keyCertSign for an authority.
        let key_usage = match self.role {
            Role::Authority { .. } => der::bit_string(2, &[0xa4]),
            Role::Leaf { .. } => der::bit_string(5, &[0xa0]),
        };
        let usages: Vec<_> = self
            .usages
            .iter()
            .map(|usage| match usage {
                Usage::ServerAuth => der::tlv(der::OID, oid::SERVER_AUTH),
                Usage::ClientAuth => der::tlv(der::OID, oid::CLIENT_AUTH),
            })
            .collect();
        let mut extensions = vec![
            extension(oid::KEY_USAGE, true, &key_usage),
            extension(oid::EXT_KEY_USAGE, false, &der::sequence(&usages)),
        ];
        match self.role {
            Role::Authority { key_id } => {
                let is_ca = der::sequence(&[der::tlv(0x01, &[0xff])]);
                extensions.push(extension(oid::BASIC_CONSTRAINTS, true, &is_ca));
                extensions.push(extension(oid::SUBJECT_KEY_ID, false, &der::tlv(der::OCTET_STRING, key_id)));
            }
            Role::Leaf { issuer_key_id: Some(id) } => {
                let id = der::sequence(&[der::implicit(0, id)]);
                extensions.push(extension(oid::AUTHORITY_KEY_ID, false, &id));
            }
            Role::Leaf { issuer_key_id: None } => {}
        }
        if !self.sans.is_empty() {
            let names: Vec<_> = self.sans.iter().map(San::encode).collect();
            extensions.push(extension(oid::SUBJECT_ALT_NAME, false, &der::sequence(&names)));
        }
        Ok(extensions)
    }
}

/// The subject of an issued certificate: organizations, then the common name.
pub(crate) fn subject(common_name: &str, organizations: &[String]) -> Vec<u8> {
    let mut attributes: Vec<(&[u8], &str)> =
        organizations.iter().map(|organization| (oid::ORGANIZATION, organization.as_str())).collect();
    attributes.push((oid::COMMON_NAME, common_name));
    name::encode(&attributes)
}

/// Appends algorithm and signature to what is signed.
pub(crate) fn sign(to_be_signed: &[u8], key: &PrivateKey) -> Result<Vec<u8>, PkiError> {
    let signature = der::bit_string(0, &key.sign(to_be_signed)?);
    Ok(der::sequence(&[to_be_signed, &key.signature_algorithm(), &signature]))
}

fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![der::tlv(der::OID, id)];
    if critical {
        parts.push(der::tlv(0x01, &[0xff]));
    }
    parts.push(der::tlv(der::OCTET_STRING, value));
    der::sequence(&parts)
}

/// UTCTime until 2049, GeneralizedTime after (RFC 5280 §4.1.2.5).
fn time(at: Timestamp) -> Vec<u8> {
    let at = at.to_zoned(TimeZone::UTC);
    if (1950..2050).contains(&at.year()) {
        der::tlv(der::UTC_TIME, at.strftime("%y%m%d%H%M%SZ").to_string().as_bytes())
    } else {
        der::tlv(der::GENERALIZED_TIME, at.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
    }
}
