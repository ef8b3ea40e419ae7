//! Private keys in every shape the peers write them. Source: spec 01 §7.1.
//!
//! Go keeps EC keys as SEC1 (`EC PRIVATE KEY`), and the bytes of the CA key are also the secret of the join token, so
//! a SEC1 key is kept bit for bit. PKCS#8 is converted to the SEC1 bytes that Go would write for the same key.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivateSec1KeyDer};

use crate::der::{self, Reader, oid};
use crate::error::PkiError;
use crate::pem;

/// A private key: EC P-256, EC P-384 or RSA. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct PrivateKey {
    kind: Kind,
    /// SEC1 for EC, PKCS#1 for RSA.
    der: Vec<u8>,
}

#[derive(Clone)]
enum Kind {
    Ec { curve: Curve, scalar: Vec<u8>, public: Vec<u8> },
    Rsa,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
}

impl Curve {
    fn from_oid(oid: &[u8]) -> Option<Self> {
        match oid {
            oid::P256 => Some(Self::P256),
            oid::P384 => Some(Self::P384),
            _ => None,
        }
    }

    fn oid(self) -> &'static [u8] {
        match self {
            Self::P256 => oid::P256,
            Self::P384 => oid::P384,
        }
    }

    /// Length of a scalar, bytes.
    fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        }
    }
}

impl PrivateKey {
    /// A fresh EC P-256 key.
    ///
    /// # Errors
    /// [`PkiError::Crypto`] when the system gives no random bytes.
    pub fn generate() -> Result<Self, PkiError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())?;
        Self::from_any_der(pkcs8.as_ref())
    }

    /// Reads SEC1, PKCS#8 or PKCS#1 DER, told apart by structure.
    ///
    /// # Errors
    /// [`PkiError::KeyEncoding`], [`PkiError::KeyKind`], [`PkiError::KeyWithoutPublic`], [`PkiError::KeyRejected`].
    pub fn from_any_der(der: &[u8]) -> Result<Self, PkiError> {
        let mut outer = Reader::new(der);
        let mut body = outer.enter(der::SEQUENCE)?;
        outer.end()?;
        body.take(der::INTEGER)?;
        match body.peek() {
            Some(der::OCTET_STRING) => Self::from_sec1(der, body, None),
            Some(der::SEQUENCE) => Self::from_pkcs8(body),
            Some(der::INTEGER) => Self::from_pkcs1(der),
            _ => Err(PkiError::KeyEncoding),
        }
    }

    /// Reads the first private key of a PEM text, whatever blocks (such as `EC PARAMETERS`) stand before it.
    ///
    /// # Errors
    /// [`PkiError::Pem`] when there is none, otherwise as [`Self::from_any_der`].
    pub fn from_any_pem(text: &str) -> Result<Self, PkiError> {
        Self::from_any_der(&pem::key_from_pem(text)?)
    }

    /// What KubeEdge keeps in secrets and signs tokens with: SEC1 DER. (An RSA key, which only an operator can have
    /// brought, is PKCS#1 here.)
    pub fn to_sec1_der(&self) -> Vec<u8> {
        self.der.clone()
    }

    /// PKCS#8 DER.
    pub fn to_pkcs8_der(&self) -> Vec<u8> {
        let algorithm = match &self.kind {
            Kind::Ec { curve, .. } => {
                der::sequence(&[der::tlv(der::OID, oid::EC_PUBLIC_KEY), der::tlv(der::OID, curve.oid())])
            }
            Kind::Rsa => der::sequence(&[der::tlv(der::OID, oid::RSA), der::tlv(0x05, &[])]),
        };
        der::sequence(&[der::integer(0), algorithm, der::tlv(der::OCTET_STRING, &self.der)])
    }

    /// The PEM file that Go peers read: `EC PRIVATE KEY` (an RSA key: `RSA PRIVATE KEY`).
    pub fn to_sec1_pem(&self) -> String {
        let label = match self.kind {
            Kind::Ec { .. } => "EC PRIVATE KEY",
            Kind::Rsa => "RSA PRIVATE KEY",
        };
        pem::encode(label, &self.der)
    }

    /// The key as rustls takes it.
    pub fn to_rustls(&self) -> PrivateKeyDer<'static> {
        match self.kind {
            Kind::Ec { .. } => PrivateSec1KeyDer::from(self.der.clone()).into(),
            Kind::Rsa => PrivatePkcs1KeyDer::from(self.der.clone()).into(),
        }
    }

    /// The public key bits, as a certificate's subjectPublicKey holds them.
    pub(crate) fn public_bits(&self) -> Result<Vec<u8>, PkiError> {
        match &self.kind {
            Kind::Ec { public, .. } => Ok(public.clone()),
            Kind::Rsa => RsaKeyPair::from_der(&self.der)
                .map(|pair| pair.public().as_ref().to_vec())
                .map_err(PkiError::KeyRejected),
        }
    }

    /// The SubjectPublicKeyInfo.
    pub(crate) fn public_info(&self) -> Result<Vec<u8>, PkiError> {
        let algorithm = match &self.kind {
            Kind::Ec { curve, .. } => [der::tlv(der::OID, oid::EC_PUBLIC_KEY), der::tlv(der::OID, curve.oid())],
            Kind::Rsa => [der::tlv(der::OID, oid::RSA), der::tlv(0x05, &[])],
        };
        Ok(der::sequence(&[der::sequence(&algorithm), der::bit_string(0, &self.public_bits()?)]))
    }

    /// The AlgorithmIdentifier of what [`Self::sign`] returns.
    pub(crate) fn signature_algorithm(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Ec { curve: Curve::P256, .. } => der::sequence(&[der::tlv(der::OID, oid::ECDSA_SHA256)]),
            Kind::Ec { curve: Curve::P384, .. } => der::sequence(&[der::tlv(der::OID, oid::ECDSA_SHA384)]),
            Kind::Rsa => der::sequence(&[der::tlv(der::OID, oid::RSA_SHA256), der::tlv(0x05, &[])]),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PkiError> {
        let random = SystemRandom::new();
        match &self.kind {
            Kind::Ec { curve, scalar, public } => {
                Ok(pair(*curve, scalar, public)?.sign(&random, message)?.as_ref().to_vec())
            }
            Kind::Rsa => {
                let pair = RsaKeyPair::from_der(&self.der).map_err(PkiError::KeyRejected)?;
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }

    /// `body` stands behind the version; `outer` is the curve a PKCS#8 wrapper names.
    fn from_sec1(der: &[u8], mut body: Reader<'_>, outer: Option<Curve>) -> Result<Self, PkiError> {
        let scalar = body.take(der::OCTET_STRING)?;
        let named = match body.peek() {
            Some(0xa0) => {
                let oid = body.enter(0xa0).and_then(|mut it| it.take(der::OID))?;
                Some(Curve::from_oid(oid).ok_or(PkiError::KeyKind)?)
            }
            _ => None,
        };
        let public = match body.peek() {
            Some(0xa1) => body.enter(0xa1).and_then(|mut it| it.bits())?,
            _ => return Err(PkiError::KeyWithoutPublic),
        };
        body.end()?;
        // Without a named curve the uncompressed point tells: one byte and two coordinates.
        let by_size = [Curve::P256, Curve::P384].into_iter().find(|curve| public.len() == 1 + 2 * curve.size());
        let curve = outer.or(named).or(by_size).ok_or(PkiError::KeyKind)?;
        if named.is_some_and(|named| named != curve) || scalar.len() > curve.size() {
            return Err(PkiError::KeyEncoding);
        }
        let mut padded = vec![0; curve.size() - scalar.len()];
        padded.extend_from_slice(scalar);
        pair(curve, &padded, public)?;
        let der = match outer {
            None => der.to_vec(),
            Some(_) => sec1(curve, &padded, public),
        };
        Ok(Self { kind: Kind::Ec { curve, scalar: padded, public: public.to_vec() }, der })
    }

    fn from_pkcs8(mut body: Reader<'_>) -> Result<Self, PkiError> {
        let mut algorithm = body.enter(der::SEQUENCE)?;
        let kind = algorithm.take(der::OID)?;
        let inner = body.take(der::OCTET_STRING)?;
        match kind {
            oid::EC_PUBLIC_KEY => {
                let curve = Curve::from_oid(algorithm.take(der::OID)?).ok_or(PkiError::KeyKind)?;
                let mut sec1 = Reader::new(inner).enter(der::SEQUENCE)?;
                sec1.take(der::INTEGER)?;
                Self::from_sec1(inner, sec1, Some(curve))
            }
            oid::RSA => Self::from_pkcs1(inner),
            _ => Err(PkiError::KeyKind),
        }
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, PkiError> {
        RsaKeyPair::from_der(der).map_err(PkiError::KeyRejected)?;
        Ok(Self { kind: Kind::Rsa, der: der.to_vec() })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

/// A random certificate serial number: positive, below 2^63. Source: spec 01 §7.1.
pub(crate) fn random_serial() -> Result<u64, PkiError> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes)?;
    Ok((u64::from_be_bytes(bytes) >> 1).max(1))
}

/// The SEC1 bytes Go writes: scalar, curve, public key.
fn sec1(curve: Curve, scalar: &[u8], public: &[u8]) -> Vec<u8> {
    der::sequence(&[
        der::integer(1),
        der::tlv(der::OCTET_STRING, scalar),
        der::context(0, &der::tlv(der::OID, curve.oid())),
        der::context(1, &der::bit_string(0, public)),
    ])
}

fn pair(curve: Curve, scalar: &[u8], public: &[u8]) -> Result<EcdsaKeyPair, PkiError> {
    EcdsaKeyPair::from_private_key_and_public_key(curve.signing(), scalar, public, &SystemRandom::new())
        .map_err(PkiError::KeyRejected)
}

#[cfg(test)]
mod tests;
