use proptest::prelude::*;

use super::*;
use crate::pem::PemError;

const PARAMETERS_FIRST: &str = include_str!("../../tests/keys/ec-with-parameters.pem");
const PKCS8: &str = include_str!("../../tests/keys/ec-pkcs8.pem");

fn check_signs(key: &PrivateKey) {
    let reread = PrivateKey::from_any_der(&key.to_pkcs8_der()).expect("PKCS#8 reads back");
    assert_eq!(reread.to_sec1_der(), key.to_sec1_der());
    let reread = PrivateKey::from_any_pem(&key.to_sec1_pem()).expect("PEM reads back");
    assert_eq!(reread.to_sec1_der(), key.to_sec1_der());
    key.sign(b"message").expect("signs");
    rustls::crypto::ring::sign::any_supported_type(&key.to_rustls()).expect("rustls can use it");
}

#[test]
fn every_file_format_is_read() {
    for (text, label) in [
        (PARAMETERS_FIRST, "EC PRIVATE KEY"),
        (PKCS8, "EC PRIVATE KEY"),
        (include_str!("../../tests/keys/ec-p384.pem"), "EC PRIVATE KEY"),
        (include_str!("../../tests/keys/rsa-pkcs1.pem"), "RSA PRIVATE KEY"),
        (include_str!("../../tests/keys/rsa-pkcs8.pem"), "RSA PRIVATE KEY"),
    ] {
        let key = PrivateKey::from_any_pem(text).expect("reads");
        assert!(key.to_sec1_pem().starts_with(&format!("-----BEGIN {label}-----\n")));
        check_signs(&key);
    }
}

#[test]
fn pkcs8_becomes_the_sec1_bytes_that_tokens_are_signed_with() {
    let sec1 = PrivateKey::from_any_pem(PARAMETERS_FIRST).expect("reads");
    let pkcs8 = PrivateKey::from_any_pem(PKCS8).expect("reads");
    assert_eq!(sec1.to_sec1_der(), pkcs8.to_sec1_der());
    assert!(PARAMETERS_FIRST.ends_with(&sec1.to_sec1_pem()), "the same file as OpenSSL writes");
}

#[test]
fn generated_key_has_go_s_sec1_layout() {
    let key = PrivateKey::generate().expect("random bytes");
    let der = key.to_sec1_der();
    assert_eq!((der.len(), &der[..7]), (121, &[0x30, 0x77, 2, 1, 1, 4, 32][..]));
    check_signs(&key);
}

#[test]
fn unusable_keys_each_have_their_own_error() {
    let read = |text| PrivateKey::from_any_pem(text).expect_err("is refused");
    assert!(matches!(read(include_str!("../../tests/keys/ed25519.pem")), PkiError::KeyKind));
    assert!(matches!(read(include_str!("../../tests/keys/ec-without-public.pem")), PkiError::KeyWithoutPublic));
    assert!(matches!(read(include_str!("../../tests/keys/encrypted.pem")), PkiError::Pem(PemError::Encrypted)));
    let (a, b) = (PrivateKey::generate().expect("random"), PrivateKey::generate().expect("random"));
    let mut mixed = a.to_sec1_der();
    let at = mixed.len() - 64;
    mixed[at..].copy_from_slice(&b.to_sec1_der()[at..]);
    assert!(matches!(PrivateKey::from_any_der(&mixed), Err(PkiError::KeyRejected(_))));
}

#[test]
fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", PrivateKey::generate().expect("random")), "PrivateKey");
}

proptest! {
    #[test]
    fn reading_never_panics(bytes: Vec<u8>) {
        let _ = PrivateKey::from_any_der(&bytes);
    }

    #[test]
    fn damaged_keys_never_panic(at in 0..121_usize, value: u8, cut in 0..121_usize) {
        let mut der = PrivateKey::from_any_pem(PKCS8).expect("reads").to_pkcs8_der();
        der[at] = value;
        let _ = PrivateKey::from_any_der(&der);
        let _ = PrivateKey::from_any_der(&der[..cut]);
    }
}
