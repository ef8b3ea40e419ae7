//! ServiceAccount tokens: JSON Web Tokens signed with ES256. Source: spec 10 §8.2.
//!
//! This file knows signatures and claims; whether the account still exists is asked by [`super::authn`].

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jiff::Timestamp;
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
    },
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// DER in front of an uncompressed P-256 point in a SubjectPublicKeyInfo.
const SPKI_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why a token was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TokenError {
    /// Not three dot-separated base64url parts of JSON.
    #[error("token is not a JSON web token")]
    Shape,
    /// Signed by somebody else or changed.
    #[error("token signature does not match")]
    Signature,
    /// Issued by somebody else.
    #[error("token issuer is not ours")]
    Issuer,
    /// Not meant for us.
    #[error("token audiences do not include ours")]
    Audience,
    /// Too late or too early.
    #[error("token is not valid at this time")]
    Time,
}

/// The signing key; verifies what it signed.
pub struct TokenSigner {
    key: EcdsaKeyPair,
    id: String,
}

/// What a new token says.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// `iss`
    pub issuer: String,
    /// `aud`
    pub audiences: Vec<String>,
    /// Namespace of the account.
    pub ns: String,
    /// Name of the account.
    pub name: String,
    /// Uid of the account.
    pub uid: String,
    /// The object the token ends with: claim name (`pod`, `secret`, `node`), name and uid.
    pub bound: Option<(&'static str, String, String)>,
    /// Lifetime in seconds.
    pub seconds: i64,
    /// Clients are told to renew after so many seconds when it is less than the lifetime.
    pub warn_after: Option<i64>,
}

impl TokenSigner {
    /// Reads a PKCS #8 key; `None` when it is not P-256.
    pub fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new()).ok()?;
        let spki = [SPKI_PREFIX, key.public_key().as_ref()].concat();
        let id = BASE64.encode(Sha256::digest(&spki));
        Some(Self { key, id })
    }

    /// SubjectPublicKeyInfo of the verification key, DER.
    pub fn public_key_der(&self) -> Vec<u8> {
        [SPKI_PREFIX, self.key.public_key().as_ref()].concat()
    }

    /// The verification key as a JSON Web Key Set.
    pub fn key_set(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = (point.get(1..33).unwrap_or_default(), point.get(33..65).unwrap_or_default());
        json!({"keys": [{
            "use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": "ES256",
            "x": BASE64.encode(x), "y": BASE64.encode(y),
        }]})
    }

    /// Issues a token valid from `now`; `None` only when the kernel has no randomness.
    pub fn issue(&self, grant: &Grant, now: Timestamp) -> Option<String> {
        let at = now.as_second();
        let mut kubernetes = json!({
            "namespace": grant.ns,
            "serviceaccount": {"name": grant.name, "uid": grant.uid},
        });
        if let Some((kind, name, uid)) = &grant.bound {
            kubernetes[*kind] = json!({"name": name, "uid": uid});
        }
        if let Some(seconds) = grant.warn_after {
            kubernetes["warnafter"] = (at + seconds).into();
        }
        let claims = json!({
            "iss": grant.issuer,
            "sub": super::user::service_account_user(&grant.ns, &grant.name),
            "aud": grant.audiences,
            "exp": at + grant.seconds,
            "iat": at,
            "nbf": at,
            "jti": uuid::Uuid::new_v4().to_string(),
            "kubernetes.io": kubernetes,
        });
        let header = json!({"alg": "ES256", "kid": self.id});
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", BASE64.encode(signature.as_ref())))
    }

    /// Checks signature, issuer, time and audience; returns the claims.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(&self, token: &str, issuer: &str, audiences: &[String], now: Timestamp) -> Result<Value, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Shape)?;
        let (_, payload) = signed.split_once('.').ok_or(TokenError::Shape)?;
        let decode = |part: &str| BASE64.decode(part).map_err(|_| TokenError::Shape);
        let (signature, payload) = (decode(signature)?, decode(payload)?);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| TokenError::Signature)?;
        let claims: Value = serde_json::from_slice(&payload).map_err(|_| TokenError::Shape)?;
        if claims["iss"] != issuer {
            return Err(TokenError::Issuer);
        }
        let at = now.as_second();
        let ends = claims["exp"].as_i64().unwrap_or(0);
        let begins = claims["nbf"].as_i64().unwrap_or(0);
        if at >= ends || at + 60 < begins {
            return Err(TokenError::Time);
        }
        let named = claims["aud"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if !named.into_iter().any(|audience| audiences.iter().any(|ours| ours == audience)) {
            return Err(TokenError::Audience);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> TokenSigner {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        TokenSigner::from_pkcs8(key.as_ref()).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_issuer_audience_and_time_only() {
        let signer = signer();
        let now = Timestamp::from_second(1_000_000).unwrap();
        let grant = Grant {
            issuer: "us".into(),
            audiences: vec!["api".into()],
            ns: "ns".into(),
            name: "sa".into(),
            uid: "u".into(),
            seconds: 600,
            ..Grant::default()
        };
        let token = signer.issue(&grant, now).unwrap();
        let ours = ["api".to_owned()];
        let claims = signer.verify(&token, "us", &ours, now).unwrap();
        assert_eq!(claims["sub"], "system:serviceaccount:ns:sa");
        assert_eq!(signer.verify(&token, "them", &ours, now), Err(TokenError::Issuer));
        assert_eq!(signer.verify(&token, "us", &["other".to_owned()], now), Err(TokenError::Audience));
        let late = Timestamp::from_second(1_000_600).unwrap();
        assert_eq!(signer.verify(&token, "us", &ours, late), Err(TokenError::Time));
        assert!(signer.verify(&(token + "x"), "us", &ours, now).is_err());
        assert!(signer.verify("a.b.c", "us", &ours, now).is_err());
    }
}
