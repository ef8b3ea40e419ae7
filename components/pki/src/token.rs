//! Join tokens: `<hex SHA-256 of the CA certificate>.<JWT>`. Source: spec 01 §7.3.
//!
//! The JWT is signed with the CA's private key bytes, so only the cloud can verify it; an edge checks shape, expiry
//! and, once it has fetched the CA certificate, the hash. Only parts 2–4 travel to the server.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use serde::Deserialize;
use thiserror::Error;

use crate::authority::Authority;
use crate::digest::sha256_hex;
use crate::key::PrivateKey;

/// The header of every token we sign.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// A token an operator carries from the cloud to an edge host. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    text: String,
    expires_at: Option<Timestamp>,
}

/// Why a join token, or its bearer part, was refused.
#[derive(Debug, Error)]
pub enum TokenError {
    /// Cut off, or several lines were not joined.
    #[error("token has {found} dot-separated parts instead of {expected}")]
    Shape {
        /// Parts found; 0 for an empty text.
        found: usize,
        /// 4 for a join token, 3 for its bearer part.
        expected: usize,
    },
    /// Part 1 is not 64 hexadecimal digits.
    #[error("token does not start with a certificate hash")]
    Hash,
    /// A part is not base64url.
    #[error("token part {part} is not base64url")]
    Encoding {
        /// Position in a join token, counted from 1.
        part: u8,
    },
    /// The JWT header cannot be read.
    #[error("token header is not readable")]
    Header(#[source] serde_json::Error),
    /// Signed with something else than HS256, HS384 or HS512.
    #[error("token is signed with algorithm {algorithm:?}")]
    Algorithm {
        /// The `alg` found.
        algorithm: String,
    },
    /// The claims cannot be read.
    #[error("token claims are not readable")]
    Claims(#[source] serde_json::Error),
    /// The claims lack a usable `exp`; such a token would never end.
    #[error("token has no expiry")]
    NoExpiry,
    /// The time is over.
    #[error("token expired at {at}")]
    Expired {
        /// The moment it ended.
        at: Timestamp,
    },
    /// Not signed with this CA's key: made by another installation, or altered.
    #[error("token is not signed by this certificate authority")]
    Signature,
    /// The CA certificate fetched is not the one the token was made for.
    #[error("token belongs to the certificate authority {expected}, not to {found}")]
    WrongAuthority {
        /// Hash in the token.
        expected: String,
        /// Hash of the certificate at hand.
        found: String,
    },
}

impl JoinToken {
    /// Signs a token that ends at `expires` (whole seconds).
    pub fn issue(authority: &Authority, expires: Timestamp) -> Self {
        Self::sign(authority.cert_der(), &authority.key().to_sec1_der(), expires)
    }

    fn sign(ca_der: &[u8], secret: &[u8], expires: Timestamp) -> Self {
        let claims = format!("{{\"exp\":{}}}", expires.as_second());
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(claims));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        let text = format!("{}.{signed}.{}", sha256_hex(ca_der), URL_SAFE_NO_PAD.encode(mac));
        Self { text, expires_at: Timestamp::from_second(expires.as_second()).ok() }
    }

    /// Reads what the operator typed; surrounding blanks are dropped. The signature is not checked: only the cloud
    /// can do that.
    ///
    /// # Errors
    /// [`TokenError`]: `Shape`, `Hash`, `Encoding`, `Header` or `Claims`.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let (hash, bearer) = match text.split_once('.') {
            Some((hash, bearer)) if text.split('.').count() == 4 => (hash, bearer),
            _ => return Err(TokenError::Shape { found: count(text), expected: 4 }),
        };
        if hash.len() != 64 || !hash.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)) {
            return Err(TokenError::Hash);
        }
        let parts = Parts::split(bearer)?;
        parts.header()?;
        let expires_at = parts.claims()?;
        decode(parts.mac, 4)?;
        Ok(Self { text: text.to_owned(), expires_at })
    }

    /// The whole token, as `keadm gettoken` prints it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Part 1: lower-case hexadecimal SHA-256 of the CA certificate's DER.
    pub fn ca_hash(&self) -> &str {
        self.text.split_once('.').map_or("", |(hash, _)| hash)
    }

    /// Parts 2–4: what follows `Authorization: Bearer `.
    pub fn bearer(&self) -> &str {
        self.text.split_once('.').map_or("", |(_, bearer)| bearer)
    }

    /// When the token ends; Go peers may issue tokens without an end.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Checks the end of the token, with no leeway.
    ///
    /// # Errors
    /// [`TokenError::Expired`].
    pub fn check_expiry(&self, now: Timestamp) -> Result<(), TokenError> {
        match self.expires_at {
            Some(at) if now >= at => Err(TokenError::Expired { at }),
            _ => Ok(()),
        }
    }

    /// Checks that a fetched CA certificate is the one this token was made for.
    ///
    /// # Errors
    /// [`TokenError::WrongAuthority`].
    pub fn check_authority(&self, ca_der: &[u8]) -> Result<(), TokenError> {
        let found = sha256_hex(ca_der);
        if found == self.ca_hash() {
            return Ok(());
        }
        Err(TokenError::WrongAuthority { expected: self.ca_hash().to_owned(), found })
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken")
    }
}

/// Verifies parts 2–4 of a join token with the CA's key: HMAC of any length, `exp` required, no leeway.
///
/// # Errors
/// [`TokenError`]: `Shape`, `Encoding`, `Header`, `Algorithm`, `Signature`, `Claims`, `NoExpiry` or `Expired`, checked
/// in this order, so nothing is said about the claims of a forged token.
pub fn verify_bearer(bearer: &str, key: &PrivateKey, now: Timestamp) -> Result<(), TokenError> {
    verify(bearer, &key.to_sec1_der(), now)
}

fn verify(bearer: &str, secret: &[u8], now: Timestamp) -> Result<(), TokenError> {
    let parts = Parts::split(bearer)?;
    let algorithm = match parts.header()?.alg.as_str() {
        "HS256" => hmac::HMAC_SHA256,
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        other => return Err(TokenError::Algorithm { algorithm: other.to_owned() }),
    };
    let mac = decode(parts.mac, 4)?;
    hmac::verify(&hmac::Key::new(algorithm, secret), parts.signed.as_bytes(), &mac)
        .map_err(|_| TokenError::Signature)?;
    match parts.claims()? {
        None => Err(TokenError::NoExpiry),
        Some(at) if now >= at => Err(TokenError::Expired { at }),
        Some(_) => Ok(()),
    }
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<serde_json::Number>,
}

/// The three parts of a JWT.
struct Parts<'a> {
    signed: &'a str,
    header: &'a str,
    claims: &'a str,
    mac: &'a str,
}

impl<'a> Parts<'a> {
    fn split(bearer: &'a str) -> Result<Self, TokenError> {
        let shape = TokenError::Shape { found: count(bearer), expected: 3 };
        let Some((signed, mac)) = bearer.rsplit_once('.') else { return Err(shape) };
        let Some((header, claims)) = signed.split_once('.') else { return Err(shape) };
        if claims.contains('.') {
            return Err(shape);
        }
        Ok(Self { signed, header, claims, mac })
    }

    fn header(&self) -> Result<Header, TokenError> {
        serde_json::from_slice(&decode(self.header, 2)?).map_err(TokenError::Header)
    }

    /// The expiry; JWT allows fractions of a second, which are dropped.
    fn claims(&self) -> Result<Option<Timestamp>, TokenError> {
        let claims: Claims = serde_json::from_slice(&decode(self.claims, 3)?).map_err(TokenError::Claims)?;
        let Some(exp) = claims.exp else { return Ok(None) };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float saturates, and the calendar's range is checked next"
        )]
        let seconds = exp.as_i64().or_else(|| exp.as_f64().map(|exp| exp as i64));
        Ok(seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()))
    }
}

fn count(text: &str) -> usize {
    if text.is_empty() { 0 } else { text.split('.').count() }
}

fn decode(part: &str, position: u8) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Encoding { part: position })
}

#[cfg(test)]
mod tests;
