//! Hashes of certificates and keys.

use std::fmt::Write;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// Lower-case hexadecimal SHA-256, 64 characters; of a CA's DER it is part 1 of a join token. Source: spec 01 §7.3.
pub fn sha256_hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
        hex
    })
}

/// The key identifier the peers use: SHA-1 of the public key bits (RFC 5280 §4.2.1.2 method 1).
pub(crate) fn key_identifier(public_key: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, public_key).as_ref().to_vec()
}
