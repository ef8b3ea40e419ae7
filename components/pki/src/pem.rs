//! PEM, read tolerantly and written as Go and OpenSSL write it. Source: spec 01 §7.1.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// Why a PEM text holds nothing usable.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PemError {
    /// No block of the wanted kind.
    #[error("no {wanted} block found")]
    Missing {
        /// What was looked for.
        wanted: &'static str,
    },
    /// A block is not base64, or its end line is missing.
    #[error("{label} block is damaged")]
    Damaged {
        /// The word in the block's first line.
        label: String,
    },
    /// The key needs a passphrase, which a service has no way to ask for.
    #[error("private key is encrypted")]
    Encrypted,
}

/// A PEM file with one certificate.
pub fn cert_to_pem(der: &[u8]) -> String {
    encode("CERTIFICATE", der)
}

/// The DER bytes of every certificate in the text, in order.
///
/// # Errors
/// [`PemError::Missing`] when there is none, [`PemError::Damaged`] when one cannot be decoded.
pub fn certs_from_pem(text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    let certificates: Vec<_> =
        blocks(text)?.into_iter().filter(|block| block.label.ends_with("CERTIFICATE")).map(|block| block.der).collect();
    if certificates.is_empty() { Err(PemError::Missing { wanted: "CERTIFICATE" }) } else { Ok(certificates) }
}

/// The DER bytes of the first private key in the text, in whatever encoding it has.
pub(crate) fn key_from_pem(text: &str) -> Result<Vec<u8>, PemError> {
    let key = blocks(text)?.into_iter().find(|block| block.label.ends_with("PRIVATE KEY"));
    match key {
        None => Err(PemError::Missing { wanted: "PRIVATE KEY" }),
        Some(block) if block.encrypted => Err(PemError::Encrypted),
        Some(block) => Ok(block.der),
    }
}

/// One block under `label`, 64 columns wide.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut out = String::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 40);
    out.push_str("-----BEGIN ");
    out.push_str(label);
    out.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str("-----END ");
    out.push_str(label);
    out.push_str("-----\n");
    out
}

struct Block {
    label: String,
    encrypted: bool,
    der: Vec<u8>,
}

/// Every block; text around the blocks is ignored.
fn blocks(text: &str) -> Result<Vec<Block>, PemError> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) else {
            continue;
        };
        let damaged = || PemError::Damaged { label: label.to_owned() };
        let mut body = String::new();
        let mut encrypted = label.starts_with("ENCRYPTED");
        loop {
            let line = lines.next().ok_or_else(damaged)?;
            if line.strip_prefix("-----END ").and_then(|rest| rest.strip_suffix("-----")) == Some(label) {
                break;
            }
            if line.starts_with("-----") {
                return Err(damaged());
            }
            if line.contains(':') {
                encrypted |= line.starts_with("Proc-Type") && line.ends_with("ENCRYPTED");
            } else {
                body.push_str(line);
            }
        }
        // An encrypted key's body may follow header lines we do not understand; it is not needed.
        let der = match STANDARD.decode(&body) {
            Ok(der) => der,
            Err(_) if encrypted => Vec::new(),
            Err(_) => return Err(damaged()),
        };
        found.push(Block { label: label.to_owned(), encrypted, der });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_64_columns_and_end_with_a_newline() {
        let text = cert_to_pem(&[0; 60]);
        assert_eq!(text.lines().map(str::len).collect::<Vec<_>>(), [27, 64, 16, 25]);
        assert!(text.ends_with("-----END CERTIFICATE-----\n"));
    }

    #[test]
    fn each_damage_has_its_own_error() {
        assert_eq!(certs_from_pem(""), Err(PemError::Missing { wanted: "CERTIFICATE" }));
        assert_eq!(key_from_pem(&cert_to_pem(b"x")), Err(PemError::Missing { wanted: "PRIVATE KEY" }));
        let label = || "CERTIFICATE".to_owned();
        for bad in [
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----BEGIN CERTIFICATE-----\n",
        ] {
            assert_eq!(certs_from_pem(bad), Err(PemError::Damaged { label: label() }), "{bad}");
        }
        for bad in [
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\nAAAA\n-----END EC PRIVATE KEY-----",
        ] {
            assert_eq!(key_from_pem(bad), Err(PemError::Encrypted), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn certificates_round_trip(a: Vec<u8>, b: Vec<u8>) {
            let text = format!("subject=x\r\n{}\r\n{}", cert_to_pem(&a).replace('\n', "\r\n"), cert_to_pem(&b));
            prop_assert_eq!(certs_from_pem(&text), Ok(vec![a, b]));
        }

        #[test]
        fn reading_never_panics(text: String) {
            let _ = certs_from_pem(&text);
            let _ = key_from_pem(&format!("-----BEGIN {text}-----\n{text}"));
        }
    }
}
