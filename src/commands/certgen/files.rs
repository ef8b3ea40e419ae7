//! The files of certgen, and what can be wrong with them.

use std::path::{Path, PathBuf};

use pki::{Authority, Identity, PkiError, PrivateKey, pem};
use thiserror::Error;

use crate::{
    host::{Action, Host, HostError},
    term::report::{Advice, Advise},
};

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum CertgenError {
    /// A file that is needed is not there.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file would be replaced.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file holds something else.
    #[error("{} is not usable", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: PkiError,
    },
    /// The name would leave the directory.
    #[error("\"{text}\" cannot be a file name")]
    Name {
        /// As typed.
        text: String,
    },
    /// No address.
    #[error("\"{text}\" is not an IP address")]
    Ip {
        /// As typed.
        text: String,
    },
    /// The certificate cannot be made.
    #[error("the certificate cannot be signed")]
    Sign(#[from] PkiError),
    /// The files cannot be written.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Advise for CertgenError {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::Missing { .. } => Advice::new(
                "CertgenCA",
                "name the CA with --k8s-ca and --k8s-ca-key; k3s keeps it in /var/lib/rancher/k3s/server/tls",
            ),
            Self::Exists { .. } => Advice::new("CertgenExists", "pass --force to replace it"),
            Self::Unusable { .. } => Advice::new("CertgenCA", "it must hold an unencrypted PEM certificate or key"),
            Self::Name { .. } => Advice::new("CertgenName", "give a plain name such as edge or server"),
            Self::Ip { .. } => Advice::new("CertgenIP", "host names go into --domains"),
            Self::Sign(_) => Advice::new("CertgenCA", "check the CA certificate and its key"),
            Self::Host(_) => Advice::new("Host", "run the same command with sudo"),
        }
    }
}

/// Refuses to replace files without `force`.
pub fn must_not_exist(paths: &[&Path], force: bool, host: &dyn Host) -> Result<(), CertgenError> {
    match paths.iter().find(|path| host.kind(path).is_some()) {
        Some(path) if !force => Err(CertgenError::Exists { path: path.to_path_buf() }),
        _ => Ok(()),
    }
}

/// A text file that must be there.
pub fn read_text(path: &Path, host: &dyn Host) -> Result<String, CertgenError> {
    let bytes = host.read(path)?.ok_or_else(|| CertgenError::Missing { path: path.to_owned() })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A CA from its two PEM files.
pub fn authority(cert: &Path, key: &Path, host: &dyn Host) -> Result<Authority, CertgenError> {
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |source: PkiError| CertgenError::Unusable { path, source }
    };
    let (cert_text, key_text) = (read_text(cert, host)?, read_text(key, host)?);
    let certs = pem::certs_from_pem(&cert_text).map_err(PkiError::from).map_err(unusable(cert))?;
    let private = PrivateKey::from_any_pem(&key_text).map_err(unusable(key))?;
    let first = certs.first().map(Vec::as_slice).unwrap_or_default();
    Authority::from_der(first, private).map_err(unusable(cert))
}

/// Writes a file; its directory is made if need be, for root only.
pub fn write(path: &Path, mode: u32, content: Vec<u8>, host: &dyn Host) -> Result<(), CertgenError> {
    if let Some(dir) = path.parent() {
        host.act(Action::MakeDir { path: dir.to_owned(), mode: 0o700 })?;
    }
    Ok(host.act(Action::WriteFile { path: path.to_owned(), mode, content })?)
}

/// Key first: a certificate without its key would look finished.
pub fn write_identity(cert: &Path, key: &Path, identity: &Identity, host: &dyn Host) -> Result<(), CertgenError> {
    write(key, 0o600, identity.key.to_sec1_pem().into_bytes(), host)?;
    write(cert, 0o644, pem::cert_to_pem(&identity.cert_der).into_bytes(), host)
}
