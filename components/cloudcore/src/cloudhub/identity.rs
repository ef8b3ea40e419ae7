//! The CA and the server certificate, shared by all instances through two secrets. Source: spec 01 §7.1.
//!
//! Files on this host win and are written back. Otherwise the secret is read, and only when there is none something
//! new is made: created first, then read, so that instances starting together end up with the same CA.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pki::{Authority, Identity, LeafProfile, PkiError, PrivateKey, San, Usage, cert_facts};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use thiserror::Error;
use tracing::info;

use crate::kind::{Kind, ObjectKey};
use crate::kubeapi::{ApiError, ApiPath, KubeApi, PatchKind};
use crate::names::NAMESPACE;

/// Days the CA and the server certificate are valid.
const DAYS: u32 = 364 * 100;
/// A server certificate that ends sooner is replaced.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(24 * 30);

const CA: SecretNames = SecretNames { secret: "casecret", cert: "cadata", key: "cakeydata" };
const SERVER: SecretNames = SecretNames { secret: "cloudcoresecret", cert: "cloudcoredata", key: "cloudcorekeydata" };

struct SecretNames {
    secret: &'static str,
    cert: &'static str,
    key: &'static str,
}

/// Certificate and key files that win over the secrets when both exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFiles {
    /// PEM certificate.
    pub cert: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

/// Why there is no CA or server certificate.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// Only one file of a pair exists.
    #[error("{present} exists without {missing}: both or none of the pair are needed")]
    HalfPair {
        /// The file found.
        present: PathBuf,
        /// The file missing.
        missing: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {path}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file's content is of no use.
    #[error("{path} is not usable")]
    FileContent {
        /// The certificate file of the pair.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: PkiError,
    },
    /// A secret's content is of no use. It is not replaced: every edge trusts it.
    #[error("secret {NAMESPACE}/{name} is not usable")]
    SecretContent {
        /// The secret.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: PkiError,
    },
    /// A secret lacks a key.
    #[error("secret {NAMESPACE}/{name} has no data key {key}")]
    SecretKey {
        /// The secret.
        name: &'static str,
        /// The data key.
        key: &'static str,
    },
    /// Making a certificate failed.
    #[error("cannot make a certificate")]
    Issue(#[source] PkiError),
    /// The API server failed.
    #[error("cannot read or write secret {NAMESPACE}/{name}")]
    Api {
        /// The secret.
        name: &'static str,
        /// What went wrong.
        #[source]
        source: ApiError,
    },
}

impl IdentityError {
    /// Whether trying again may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Api { source, .. } if source.is_retryable() || source.is_conflict())
    }
}

/// What the hub proves itself and its nodes with.
#[derive(Debug, Clone)]
pub struct HubIdentity {
    /// Signs node certificates and join tokens.
    pub authority: Arc<Authority>,
    /// Presented by every listener for edges.
    pub server: Identity,
}

impl HubIdentity {
    /// Loads or makes both pairs. The server certificate is made anew when it does not cover `sans`.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn load(
        api: &KubeApi,
        ca_files: &PairFiles,
        server_files: &PairFiles,
        sans: &[San],
        now: Timestamp,
    ) -> Result<Self, IdentityError> {
        let authority = Arc::new(load_authority(api, ca_files, now).await?);
        let server = load_server(api, server_files, &authority, sans, now).await?;
        Ok(Self { authority, server })
    }
}

async fn load_authority(api: &KubeApi, files: &PairFiles, now: Timestamp) -> Result<Authority, IdentityError> {
    if let Some(pair) = read_files(files).await? {
        let authority = Authority::from_der(&pair.cert_der, pair.key)
            .map_err(|source| IdentityError::FileContent { path: files.cert.clone(), source })?;
        save(api, &CA, authority.cert_der(), authority.key()).await?;
        return Ok(authority);
    }
    if let Some((cert, key)) = read_secret(api, &CA).await? {
        return authority_of(&cert, &key);
    }
    let made = Authority::generate("KubeEdge", 1024, DAYS, now).map_err(IdentityError::Issue)?;
    let body = secret_body(&CA, made.cert_der(), made.key());
    match api.create(&Kind::Secret, Some(NAMESPACE), body).await {
        Ok(_) => {
            info!("certificate authority created");
            Ok(made)
        }
        // Another instance was faster: its CA is the one.
        Err(error) if error.is_already_exists() => match read_secret(api, &CA).await? {
            Some((cert, key)) => authority_of(&cert, &key),
            None => Err(IdentityError::Api { name: CA.secret, source: error }),
        },
        Err(source) => Err(IdentityError::Api { name: CA.secret, source }),
    }
}

fn authority_of(cert: &[u8], key: &[u8]) -> Result<Authority, IdentityError> {
    let read = || Authority::from_der(cert, PrivateKey::from_any_der(key)?);
    read().map_err(|source| IdentityError::SecretContent { name: CA.secret, source })
}

async fn load_server(
    api: &KubeApi,
    files: &PairFiles,
    authority: &Authority,
    sans: &[San],
    now: Timestamp,
) -> Result<Identity, IdentityError> {
    if let Some(pair) = read_files(files).await? {
        save(api, &SERVER, &pair.cert_der, &pair.key).await?;
        return Ok(pair);
    }
    let mut wanted = sans.to_vec();
    if let Some((cert, key)) = read_secret(api, &SERVER).await? {
        let known = PrivateKey::from_any_der(&key).and_then(|key| Identity::new(cert, key));
        if let Ok(identity) = known {
            if is_good(&identity, authority, sans, now) {
                return Ok(identity);
            }
            // What other instances advertise stays covered.
            wanted.extend(names_of(&identity).into_iter().filter(|san| !sans.contains(san)));
        }
        info!("server certificate does not cover the configured names: issuing a new one");
    }
    let profile = LeafProfile {
        common_name: "KubeEdge".to_owned(),
        organizations: vec!["KubeEdge".to_owned()],
        days: DAYS,
        usages: vec![Usage::ServerAuth],
        sans: wanted,
    };
    let identity = authority.issue(&profile, now).map_err(IdentityError::Issue)?;
    save(api, &SERVER, &identity.cert_der, &identity.key).await?;
    Ok(identity)
}

fn names_of(identity: &Identity) -> Vec<San> {
    let Ok(facts) = cert_facts(&identity.cert_der) else { return Vec::new() };
    facts.dns.into_iter().map(San::Dns).chain(facts.ips.into_iter().map(San::Ip)).collect()
}

/// Whether edges that trust `authority` accept the certificate under every one of `sans`, for some time to come.
fn is_good(identity: &Identity, authority: &Authority, sans: &[San], now: Timestamp) -> bool {
    let check = || -> Option<bool> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from(authority.cert_der())).ok()?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), pki::tls::provider()).build().ok()?;
        let at = u64::try_from((now + RENEW_BEFORE).as_second()).ok()?;
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at));
        let leaf = CertificateDer::from(identity.cert_der.as_slice());
        Some(sans.iter().all(|san| {
            let name = match san {
                San::Ip(ip) => Ok(ServerName::IpAddress((*ip).into())),
                San::Dns(name) => ServerName::try_from(name.clone()),
            };
            name.is_ok_and(|name| verifier.verify_server_cert(&leaf, &[], &name, &[], at).is_ok())
        }))
    };
    check().unwrap_or(false)
}

async fn read_files(files: &PairFiles) -> Result<Option<Identity>, IdentityError> {
    let pair = (read_file(&files.cert).await?, read_file(&files.key).await?);
    let half = |present: &Path, missing: &Path| IdentityError::HalfPair {
        present: present.to_owned(),
        missing: missing.to_owned(),
    };
    match pair {
        (None, None) => Ok(None),
        (Some(_), None) => Err(half(&files.cert, &files.key)),
        (None, Some(_)) => Err(half(&files.key, &files.cert)),
        (Some(cert), Some(key)) => Identity::from_pem(&cert, &key)
            .map(Some)
            .map_err(|source| IdentityError::FileContent { path: files.cert.clone(), source }),
    }
}

async fn read_file(path: &Path) -> Result<Option<String>, IdentityError> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(IdentityError::File { path: path.to_owned(), source }),
    }
}

async fn read_secret(api: &KubeApi, names: &SecretNames) -> Result<Option<(Vec<u8>, Vec<u8>)>, IdentityError> {
    let fail = |source| IdentityError::Api { name: names.secret, source };
    let object = match api.get(&ObjectKey::namespaced(Kind::Secret, NAMESPACE, names.secret)).await {
        Ok(object) => object,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let secret: Secret = object.parse().map_err(|error| fail(ApiError::Answer(error)))?;
    let mut data = secret.data.unwrap_or_default();
    let mut take = |key: &'static str| {
        data.remove(key).map(|bytes| bytes.0).ok_or(IdentityError::SecretKey { name: names.secret, key })
    };
    Ok(Some((take(names.cert)?, take(names.key)?)))
}

async fn save(api: &KubeApi, names: &SecretNames, cert: &[u8], key: &PrivateKey) -> Result<(), IdentityError> {
    let body = secret_body(names, cert, key);
    write_secret(api, names.secret, body).await.map_err(|source| IdentityError::Api { name: names.secret, source })
}

/// Creates a secret in KubeEdge's namespace, or brings its data up to date. `body` is a whole Secret.
pub(crate) async fn write_secret(api: &KubeApi, name: &str, body: String) -> Result<(), ApiError> {
    match api.create(&Kind::Secret, Some(NAMESPACE), body.clone()).await {
        Err(error) if error.is_already_exists() => {
            let path = ApiPath::object(&Kind::Secret, Some(NAMESPACE), name)?;
            api.patch(&Kind::Secret, path, PatchKind::Merge, body).await.map(drop)
        }
        outcome => outcome.map(drop),
    }
}

fn secret_body(names: &SecretNames, cert: &[u8], key: &PrivateKey) -> String {
    let key = key.to_sec1_der();
    opaque_secret(names.secret, [(names.cert, cert.to_vec()), (names.key, key)])
}

/// The JSON of an `Opaque` secret in KubeEdge's namespace.
pub(crate) fn opaque_secret<const N: usize>(name: &str, data: [(&str, Vec<u8>); N]) -> String {
    let data: BTreeMap<String, ByteString> =
        data.into_iter().map(|(key, bytes)| (key.to_owned(), ByteString(bytes))).collect();
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    serde_json::to_string(&secret).expect("a secret is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_certificate_is_good_only_for_its_names_and_its_ca() {
        let now = Timestamp::now();
        let authority = Authority::generate("KubeEdge", 1024, DAYS, now).expect("a CA");
        let other = Authority::generate("KubeEdge", 1024, DAYS, now).expect("a CA");
        let ip = San::Ip("192.0.2.7".parse().expect("an address"));
        let dns = San::Dns("cloud.example".to_owned());
        let profile = LeafProfile {
            common_name: "KubeEdge".to_owned(),
            organizations: vec!["KubeEdge".to_owned()],
            days: DAYS,
            usages: vec![Usage::ServerAuth],
            sans: vec![ip.clone()],
        };
        let identity = authority.issue(&profile, now).expect("a certificate");
        assert!(is_good(&identity, &authority, std::slice::from_ref(&ip), now));
        assert!(!is_good(&identity, &authority, &[ip.clone(), dns], now));
        assert!(!is_good(&identity, &other, std::slice::from_ref(&ip), now));
        assert_eq!(names_of(&identity), [ip]);
    }

    #[test]
    fn secrets_hold_raw_bytes() {
        assert_eq!(
            opaque_secret("tokensecret", [("tokendata", b"a.b".to_vec())]),
            r#"{"apiVersion":"v1","kind":"Secret","data":{"tokendata":"YS5i"},"metadata":{"name":"tokensecret","namespace":"kubeedge"},"type":"Opaque"}"#
        );
    }
}
