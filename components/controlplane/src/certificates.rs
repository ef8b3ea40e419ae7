//! Keys and certificates of the control plane: made at first start, kept, renewed. Source: spec 10 §8.5.
//!
//! | File below `pki/` | Content |
//! |---|---|
//! | `ca.crt`, `ca.key` | cluster CA, EC P-256, ten years; an existing one is reused |
//! | `apiserver.crt`, `apiserver.key` | serving certificate, one year, renewed when a name is missing or 30 % is left |
//! | `apiserver-kubelet-client.crt`, `.key` | what we show to nodes |
//! | `sa.key`, `sa.pub` | ServiceAccount token key |

use std::{
    collections::BTreeSet,
    io::Write as _,
    net::IpAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use pki::{Authority, Identity, LeafProfile, PkiError, PrivateKey, San, Usage, cert_facts, pem};
use thiserror::Error;

use crate::security::tokens::TokenSigner;

/// Life of the cluster CA, in days.
const CA_DAYS: u32 = 3650;
/// Life of leaf certificates, in days.
const LEAF_DAYS: u32 = 365;
/// Renewal happens once this part of the life is over.
const RENEW_AT: f64 = 0.7;

/// Why keys and certificates could not be prepared.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file could not be read or written.
    #[error("cannot access {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file does not hold what its name says, or something could not be signed.
    #[error("{path} cannot be used")]
    Pki {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: PkiError,
    },
    /// The token key is not an EC P-256 key.
    #[error("{path} is not an EC P-256 key")]
    TokenKey {
        /// The key file.
        path: PathBuf,
    },
}

/// Everything the server proves itself and others with.
pub struct Certificates {
    /// The cluster CA.
    pub authority: Authority,
    /// What the API server shows.
    pub serving: Identity,
    /// What the API server shows to nodes.
    pub kubelet_client: Identity,
    /// The token key.
    pub tokens: TokenSigner,
    dir: PathBuf,
}

/// Creates a directory only its owner can enter.
pub fn private_dir(path: &Path) -> Result<(), CertificateError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| CertificateError::Io { path: path.to_owned(), source })
}

/// Replaces a file through a temporary one, readable by its owner only.
pub fn write_private(path: &Path, text: &str) -> Result<(), CertificateError> {
    write(path, text, 0o600)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    let io = |source| CertificateError::Io { path: path.to_owned(), source };
    let temporary = path.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    std::fs::rename(&temporary, path).map_err(io)
}

fn read(path: &Path) -> Result<Option<String>, CertificateError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CertificateError::Io { path: path.to_owned(), source }),
    }
}

impl Certificates {
    /// Reads what is there and makes what is missing or about to end. `names` are what the server is dialled by.
    ///
    /// # Errors
    /// Unreadable or unusable files; nothing existing is ever replaced because it could not be read.
    pub fn prepare(dir: &Path, names: &[San], now: Timestamp) -> Result<Self, CertificateError> {
        private_dir(dir)?;
        let authority = authority(dir, now)?;
        let serving = leaf(dir, "apiserver", &authority, &serving_profile(names), now)?;
        let client = LeafProfile {
            common_name: "kube-apiserver-kubelet-client".into(),
            organizations: vec!["system:masters".into()],
            days: LEAF_DAYS,
            usages: vec![Usage::ClientAuth],
            sans: Vec::new(),
        };
        let kubelet_client = leaf(dir, "apiserver-kubelet-client", &authority, &client, now)?;
        let tokens = token_key(dir)?;
        Ok(Self { authority, serving, kubelet_client, tokens, dir: dir.to_owned() })
    }

    /// PEM of the cluster CA.
    pub fn ca_pem(&self) -> String {
        pem::cert_to_pem(self.authority.cert_der())
    }

    /// A fresh certificate of the administrator.
    ///
    /// # Errors
    /// Signing errors.
    pub fn admin(&self, now: Timestamp) -> Result<Identity, CertificateError> {
        let profile = LeafProfile {
            common_name: "kubernetes-admin".into(),
            organizations: vec!["system:masters".into()],
            days: LEAF_DAYS,
            usages: vec![Usage::ClientAuth],
            sans: Vec::new(),
        };
        let path = self.dir.join("ca.key");
        self.authority.issue(&profile, now).map_err(|source| CertificateError::Pki { path, source })
    }
}

fn serving_profile(names: &[San]) -> LeafProfile {
    LeafProfile {
        common_name: "kube-apiserver".into(),
        organizations: Vec::new(),
        days: LEAF_DAYS,
        usages: vec![Usage::ServerAuth],
        sans: names.to_vec(),
    }
}

/// A new serving certificate if the one in `dir` is about to end.
///
/// # Errors
/// Those of [`Certificates::prepare`].
pub fn renew_serving(
    dir: &Path,
    authority: &Authority,
    names: &[San],
    now: Timestamp,
) -> Result<Identity, CertificateError> {
    leaf(dir, "apiserver", authority, &serving_profile(names), now)
}

fn authority(dir: &Path, now: Timestamp) -> Result<Authority, CertificateError> {
    let (cert_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
    if let (Some(cert), Some(key)) = (read(&cert_path)?, read(&key_path)?) {
        let pki = |source| CertificateError::Pki { path: cert_path.clone(), source };
        let certs = pem::certs_from_pem(&cert).map_err(|error| pki(error.into()))?;
        let key = PrivateKey::from_any_pem(&key)
            .map_err(|source| CertificateError::Pki { path: key_path.clone(), source })?;
        return Authority::from_der(certs.first().map_or(&[], Vec::as_slice), key).map_err(pki);
    }
    let serial = u64::try_from(now.as_second()).unwrap_or(1);
    let authority = Authority::generate("kubernetes", serial, CA_DAYS, now)
        .map_err(|source| CertificateError::Pki { path: cert_path.clone(), source })?;
    write_private(&key_path, &authority.key().to_sec1_pem())?;
    write(&cert_path, &pem::cert_to_pem(authority.cert_der()), 0o644)?;
    Ok(authority)
}

fn leaf(
    dir: &Path,
    name: &str,
    authority: &Authority,
    profile: &LeafProfile,
    now: Timestamp,
) -> Result<Identity, CertificateError> {
    let (cert_path, key_path) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    if let (Some(cert), Some(key)) = (read(&cert_path)?, read(&key_path)?)
        && let Ok(identity) = Identity::from_pem(&cert, &key)
        && is_good(&identity, authority, profile, now)
    {
        return Ok(identity);
    }
    let identity =
        authority.issue(profile, now).map_err(|source| CertificateError::Pki { path: cert_path.clone(), source })?;
    write_private(&key_path, &identity.key.to_sec1_pem())?;
    write(&cert_path, &pem::cert_to_pem(&identity.cert_der), 0o644)?;
    Ok(identity)
}

fn is_good(identity: &Identity, authority: &Authority, profile: &LeafProfile, now: Timestamp) -> bool {
    let (Ok(facts), Ok(ca)) = (cert_facts(&identity.cert_der), cert_facts(authority.cert_der())) else {
        return false;
    };
    let named = profile.sans.iter().all(|san| match san {
        San::Dns(name) => facts.dns.contains(name),
        San::Ip(ip) => facts.ips.contains(ip),
    });
    named && facts.issuer_cn == ca.subject_cn && now < facts.at_fraction(RENEW_AT)
}

fn token_key(dir: &Path) -> Result<TokenSigner, CertificateError> {
    let (key_path, public_path) = (dir.join("sa.key"), dir.join("sa.pub"));
    let key = match read(&key_path)? {
        Some(text) => PrivateKey::from_any_pem(&text),
        None => PrivateKey::generate(),
    };
    let key = key.map_err(|source| CertificateError::Pki { path: key_path.clone(), source })?;
    if !key_path.exists() {
        write_private(&key_path, &key.to_sec1_pem())?;
    }
    let signer = TokenSigner::from_pkcs8(&key.to_pkcs8_der())
        .ok_or_else(|| CertificateError::TokenKey { path: key_path.clone() })?;
    if !public_path.exists() {
        write(&public_path, &public_pem(&signer.public_key_der()), 0o644)?;
    }
    Ok(signer)
}

fn public_pem(der: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

/// Every name and address the API server may be dialled by on this host.
pub fn server_names(advertise: IpAddr, service_ip: IpAddr, extra: &[San]) -> Vec<San> {
    let mut ips: BTreeSet<IpAddr> = [advertise, service_ip].into();
    ips.extend(["127.0.0.1", "::1"].iter().filter_map(|ip| ip.parse::<IpAddr>().ok()));
    ips.extend(host_addresses());
    let mut names: BTreeSet<String> = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    .map(str::to_owned)
    .into();
    names.extend(nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).filter(|n| !n.is_empty()));
    for san in extra {
        match san {
            San::Dns(name) => {
                names.insert(name.clone());
            }
            San::Ip(ip) => {
                ips.insert(*ip);
            }
        }
    }
    names.into_iter().map(San::Dns).chain(ips.into_iter().map(San::Ip)).collect()
}

/// Addresses of this host that others could use; link-local ones change too often to be in a certificate.
fn host_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    interfaces
        .filter_map(|interface| interface.address)
        .filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        })
        .filter(|ip| match ip {
            IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
        })
        .collect()
}

/// A kubeconfig with everything embedded.
pub fn kubeconfig(server: &str, ca_pem: &str, user: &str, identity: &Identity) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let ca = STANDARD.encode(ca_pem);
    let cert = STANDARD.encode(pem::cert_to_pem(&identity.cert_der));
    let key = STANDARD.encode(identity.key.to_sec1_pem());
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: kubernetes\n  cluster:\n    certificate-authority-data: {ca}\n    server: {server}\nusers:\n- name: {user}\n  user:\n    client-certificate-data: {cert}\n    client-key-data: {key}\ncontexts:\n- name: {user}@kubernetes\n  context:\n    cluster: kubernetes\n    user: {user}\ncurrent-context: {user}@kubernetes\npreferences: {{}}\n"
    )
}
