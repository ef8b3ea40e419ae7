//! The node's credentials on the disk: CA certificate, own certificate, own key.
//!
//! A new pair is written so that a power cut at any instant leaves a usable one: the key goes to `<key>.new`, the
//! certificate replaces the old one in a single rename (from here on the new pair is the valid one), and the key
//! follows. A reader who finds the certificate with the old key finishes the last step. Source: spec 01 §6.3 BETTER.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use pki::{CertFacts, Identity, PeerSubject, PkiError, PrivateKey, cert_facts, peer_subject, pem};
use thiserror::Error;

use crate::settings::CredentialFiles;

/// What the node proves itself with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// CA certificate, DER.
    pub ca_der: Vec<u8>,
    /// Own certificate and key.
    pub identity: Identity,
    /// What the own certificate says.
    pub facts: CertFacts,
}

/// What was found on the disk.
#[derive(Debug)]
pub enum Found {
    /// A complete set that belongs to this node.
    Complete(Box<Credentials>),
    /// Nothing, or not everything.
    Missing,
    /// Something that cannot be used; a join token can replace it.
    Unusable(CredentialsError),
}

/// Why credentials cannot be used or kept.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// A file cannot be read or written.
    #[error("cannot access {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} is not usable")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: PkiError,
    },
    /// The certificate is for somebody else.
    #[error("certificate is for {found:?}, this node is {expected:?}")]
    OtherNode {
        /// The node's name.
        expected: String,
        /// The node the certificate names, or its common name.
        found: String,
    },
}

/// Looks for credentials of `node`. Blocks briefly.
///
/// # Errors
/// [`CredentialsError::File`] when a file exists and cannot be read; what is wrong with the content is part of
/// [`Found`].
pub fn load(files: &CredentialFiles, node: &str) -> Result<Found, CredentialsError> {
    let (Some(ca), Some(cert), Some(key)) = (read(&files.ca)?, read(&files.cert)?, read_key(files)?) else {
        return Ok(Found::Missing);
    };
    Ok(match assemble(files, node, &ca, &cert, &key) {
        Ok(credentials) => Found::Complete(Box::new(credentials)),
        Err(error @ CredentialsError::File { .. }) => return Err(error),
        Err(error) => Found::Unusable(error),
    })
}

fn assemble(
    files: &CredentialFiles,
    node: &str,
    ca: &str,
    cert: &str,
    key: &KeyFiles,
) -> Result<Credentials, CredentialsError> {
    let content = |path: &Path| {
        let path = path.to_owned();
        move |source| CredentialsError::Content { path, source }
    };
    let first = |text: &str| pem::certs_from_pem(text).map(|mut certs| certs.swap_remove(0)).map_err(PkiError::from);
    let ca_der = first(ca).map_err(content(&files.ca))?;
    cert_facts(&ca_der).map_err(content(&files.ca))?;
    let cert_der = first(cert).map_err(content(&files.cert))?;
    let facts = cert_facts(&cert_der).map_err(content(&files.cert))?;
    match peer_subject(&cert_der).map_err(content(&files.cert))? {
        PeerSubject::Node(name) if name == node => {}
        PeerSubject::Node(found) => {
            return Err(CredentialsError::OtherNode { expected: node.to_owned(), found });
        }
        PeerSubject::LegacyEdge | PeerSubject::Other { .. } => {
            let found = facts.subject_cn.unwrap_or_default();
            return Err(CredentialsError::OtherNode { expected: node.to_owned(), found });
        }
    }
    let pair = |key: &str| Identity::new(cert_der.clone(), PrivateKey::from_any_pem(key)?);
    let identity = match (key.current.as_deref().map(pair), key.next.as_deref().map(pair)) {
        (Some(Ok(identity)), _) => identity,
        (_, Some(Ok(identity))) => {
            // The write of this pair was cut short after the certificate.
            rename(&files.next_key(), &files.key)?;
            identity
        }
        (Some(Err(source)), _) | (None, Some(Err(source))) => {
            return Err(CredentialsError::Content { path: files.key.clone(), source });
        }
        (None, None) => {
            return Err(CredentialsError::Content { path: files.key.clone(), source: PkiError::KeyEncoding });
        }
    };
    Ok(Credentials { ca_der, identity, facts })
}

/// Writes the CA certificate. Blocks.
///
/// # Errors
/// [`CredentialsError::File`].
pub fn save_ca(files: &CredentialFiles, ca_der: &[u8]) -> Result<(), CredentialsError> {
    let temporary = suffixed(&files.ca, ".new");
    write_private(&temporary, pem::cert_to_pem(ca_der).as_bytes())?;
    rename(&temporary, &files.ca)
}

/// Writes certificate and key as one. Blocks.
///
/// # Errors
/// [`CredentialsError::File`]; the pair on the disk is then still a matching one.
pub fn save_pair(files: &CredentialFiles, identity: &Identity) -> Result<(), CredentialsError> {
    write_private(&files.next_key(), identity.key.to_sec1_pem().as_bytes())?;
    let temporary = suffixed(&files.cert, ".new");
    write_private(&temporary, pem::cert_to_pem(&identity.cert_der).as_bytes())?;
    rename(&temporary, &files.cert)?;
    rename(&files.next_key(), &files.key)
}

impl CredentialFiles {
    fn next_key(&self) -> PathBuf {
        suffixed(&self.key, ".new")
    }
}

/// The key file, and the one a rotation was about to put in its place.
struct KeyFiles {
    current: Option<String>,
    next: Option<String>,
}

fn read_key(files: &CredentialFiles) -> Result<Option<KeyFiles>, CredentialsError> {
    let (current, next) = (read(&files.key)?, read(&files.next_key())?);
    Ok((current.is_some() || next.is_some()).then_some(KeyFiles { current, next }))
}

fn read(path: &Path) -> Result<Option<String>, CredentialsError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CredentialsError::File { path: path.to_owned(), source }),
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CredentialsError> {
    let failed = |source| CredentialsError::File { path: path.to_owned(), source };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
    }
    // A leftover of an interrupted write may have other permissions.
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(failed(source)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

fn rename(from: &Path, to: &Path) -> Result<(), CredentialsError> {
    let failed = |source| CredentialsError::File { path: to.to_owned(), source };
    fs::rename(from, to).map_err(failed)?;
    match to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent).and_then(|directory| directory.sync_all()).map_err(failed),
        None => Ok(()),
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
