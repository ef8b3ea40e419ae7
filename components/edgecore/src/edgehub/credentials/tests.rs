use jiff::Timestamp;
use pki::{Authority, RequestPolicy, Usage, edge_request};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

use super::*;

fn files(dir: &TempDir) -> CredentialFiles {
    CredentialFiles {
        ca: dir.path().join("ca/rootCA.crt"),
        cert: dir.path().join("certs/server.crt"),
        key: dir.path().join("certs/server.key"),
    }
}

fn identity(authority: &Authority, node: &str) -> Identity {
    let (key, csr) = edge_request(node).expect("a request");
    let policy =
        RequestPolicy { node: node.to_owned(), days: 365, usages: vec![Usage::ClientAuth], accept_legacy: false };
    let cert = authority.sign_request(&csr, &policy, Timestamp::now()).expect("signs");
    Identity::new(cert, key).expect("a pair")
}

fn authority() -> Authority {
    Authority::generate("KubeEdge", 1024, 36400, Timestamp::now()).expect("an authority")
}

fn complete(files: &CredentialFiles) -> Option<Vec<u8>> {
    match load(files, "edge1").expect("readable") {
        Found::Complete(credentials) => Some(credentials.identity.cert_der),
        Found::Missing | Found::Unusable(_) => None,
    }
}

#[test]
fn what_was_saved_is_found_and_private() {
    let dir = TempDir::new().expect("a directory");
    let (files, authority) = (files(&dir), authority());
    assert!(matches!(load(&files, "edge1"), Ok(Found::Missing)));
    let first = identity(&authority, "edge1");
    save_ca(&files, authority.cert_der()).expect("saves");
    save_pair(&files, &first).expect("saves");
    assert_eq!(complete(&files), Some(first.cert_der));
    for file in [&files.ca, &files.cert, &files.key] {
        assert_eq!(fs::metadata(file).expect("exists").permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::metadata(dir.path().join("certs")).expect("exists").permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_write_cut_short_at_any_step_leaves_a_pair() {
    let authority = authority();
    let (old, new) = (identity(&authority, "edge1"), identity(&authority, "edge1"));
    for step in 0..4 {
        let dir = TempDir::new().expect("a directory");
        let files = files(&dir);
        save_ca(&files, authority.cert_der()).expect("saves");
        save_pair(&files, &old).expect("saves");
        // The steps of `save_pair`, as far as the power lasts.
        let temporary = suffixed(&files.cert, ".new");
        if step >= 1 {
            write_private(&files.next_key(), new.key.to_sec1_pem().as_bytes()).expect("writes");
        }
        if step >= 2 {
            write_private(&temporary, pem::cert_to_pem(&new.cert_der).as_bytes()).expect("writes");
        }
        if step >= 3 {
            rename(&temporary, &files.cert).expect("renames");
        }
        let expected = if step >= 3 { &new } else { &old };
        assert_eq!(complete(&files).as_ref(), Some(&expected.cert_der), "step {step}");
        assert_eq!(complete(&files).as_ref(), Some(&expected.cert_der), "step {step}, looked at again");
        save_pair(&files, &new).expect("a later write is not disturbed");
        assert_eq!(complete(&files).as_ref(), Some(&new.cert_der));
    }
}

#[test]
fn credentials_of_another_node_and_rubbish_say_what_they_are() {
    let dir = TempDir::new().expect("a directory");
    let (files, authority) = (files(&dir), authority());
    save_ca(&files, authority.cert_der()).expect("saves");
    save_pair(&files, &identity(&authority, "edge2")).expect("saves");
    let Ok(Found::Unusable(error)) = load(&files, "edge1") else { panic!("accepted") };
    assert_eq!(error.to_string(), r#"certificate is for "edge2", this node is "edge1""#);

    save_pair(&files, &identity(&authority, "edge1")).expect("saves");
    fs::write(&files.key, identity(&authority, "edge1").key.to_sec1_pem()).expect("writes");
    assert!(matches!(
        load(&files, "edge1"),
        Ok(Found::Unusable(CredentialsError::Content { source: PkiError::KeyMismatch, .. }))
    ));
    fs::write(&files.cert, "nothing").expect("writes");
    assert!(matches!(load(&files, "edge1"), Ok(Found::Unusable(CredentialsError::Content { .. }))));
}
