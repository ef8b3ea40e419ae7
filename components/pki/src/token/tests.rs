use proptest::prelude::*;

use super::*;
use crate::golden;

const GOLDEN: &str = "5d8d73ccf9e0dad38e3ef59fa768494a0247c762aaf3e23583b2c4ef9cddd0a5.eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE4MDAwMDAwMDB9.ojEkkp2ZrjuLEvVPaAAJXpDNhQgzwwdCzHsWkUCX0C8";
const CA: &[u8] = b"example-ca-der";
const KEY: &[u8] = b"example-ca-key-der";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("in range")
}

fn golden() -> JoinToken {
    JoinToken::parse(GOLDEN).expect("parses")
}

/// A bearer with any header and claims, signed with `algorithm`.
fn bearer(algorithm: hmac::Algorithm, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mac = hmac::sign(&hmac::Key::new(algorithm, KEY), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
}

#[test]
fn golden_token_is_reproduced_and_verifies() {
    assert_eq!(JoinToken::sign(CA, KEY, at(1_800_000_000)).as_str(), GOLDEN);
    let token = golden();
    assert_eq!(token.expires_at(), Some(at(1_800_000_000)));
    token.check_authority(CA).expect("made for this CA");
    verify(token.bearer(), KEY, at(1_799_999_999)).expect("signed with this key");
}

#[test]
fn recorded_bearer_ends_24_hours_after_the_start() {
    let text = format!("{}.{}", sha256_hex(&golden::ca()), golden::bearer());
    let token = JoinToken::parse(&text).expect("parses");
    assert_eq!(token.expires_at(), Some(at(1_795_299_488)));
    token.check_authority(&golden::ca()).expect("made for this CA");
}

#[test]
fn issued_token_round_trips() {
    let authority = Authority::generate("KubeEdge", 1024, 36_400, at(1_800_000_000)).expect("generates");
    let token = JoinToken::issue(&authority, at(1_800_000_000));
    let again = JoinToken::parse(&format!(" {}\n", token.as_str())).expect("parses");
    assert!(again == token);
    again.check_authority(authority.cert_der()).expect("same CA");
    verify_bearer(again.bearer(), authority.key(), at(0)).expect("verifies");
    let other = PrivateKey::generate().expect("random");
    assert!(matches!(verify_bearer(again.bearer(), &other, at(0)), Err(TokenError::Signature)));
}

#[test]
fn expiry_has_no_leeway() {
    let token = golden();
    assert!(token.check_expiry(at(1_799_999_999)).is_ok());
    assert!(
        matches!(token.check_expiry(at(1_800_000_000)), Err(TokenError::Expired { at: end }) if end == at(1_800_000_000))
    );
    assert!(matches!(verify(token.bearer(), KEY, at(1_800_000_000)), Err(TokenError::Expired { .. })));
}

#[test]
fn wrong_authority_names_both_hashes() {
    match golden().check_authority(b"another") {
        Err(TokenError::WrongAuthority { expected, found }) => {
            assert!(GOLDEN.starts_with(&expected));
            assert_eq!(found, sha256_hex(b"another"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn malformed_tokens_each_have_their_own_error() {
    let parse = |text: &str| JoinToken::parse(text).expect_err("is refused");
    let part = |number: usize| GOLDEN.split('.').nth(number - 1).expect("four parts");
    assert!(matches!(parse(""), TokenError::Shape { found: 0, expected: 4 }));
    assert!(matches!(parse(golden().bearer()), TokenError::Shape { found: 3, expected: 4 }));
    assert!(matches!(parse(&format!("{GOLDEN}.x")), TokenError::Shape { found: 5, expected: 4 }));
    assert!(matches!(parse(&GOLDEN[4..]), TokenError::Hash));
    assert!(matches!(parse(&GOLDEN.replace(part(3), "!")), TokenError::Encoding { part: 3 }));
    assert!(matches!(parse(&GOLDEN.replace(part(2), "AAAA")), TokenError::Header(_)));
    assert!(matches!(parse(&GOLDEN.replace(part(3), "AAAA")), TokenError::Claims(_)));
}

#[test]
fn every_hmac_is_accepted_and_nothing_else() {
    let header = |algorithm| format!(r#"{{"alg":"{algorithm}"}}"#);
    let ok = r#"{"exp":1800000000,"iss":"x"}"#;
    for (name, algorithm) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
    {
        verify(&bearer(algorithm, &header(name), ok), KEY, at(1)).expect(name);
    }
    let none = verify(&bearer(hmac::HMAC_SHA256, &header("none"), ok), KEY, at(1));
    assert!(matches!(none, Err(TokenError::Algorithm { algorithm }) if algorithm == "none"));
    let swapped = verify(&bearer(hmac::HMAC_SHA256, &header("HS512"), ok), KEY, at(1));
    assert!(matches!(swapped, Err(TokenError::Signature)));
}

#[test]
fn expiry_is_required_when_we_verify() {
    let claims = |claims| verify(&bearer(hmac::HMAC_SHA256, HEADER, claims), KEY, at(1));
    assert!(matches!(claims("{}"), Err(TokenError::NoExpiry)));
    assert!(matches!(claims(r#"{"exp":1e300}"#), Err(TokenError::NoExpiry)));
    assert!(matches!(claims(r#"{"exp":"soon"}"#), Err(TokenError::Claims(_))));
    assert!(claims(r#"{"exp":1800000000.5}"#).is_ok());
}

#[test]
fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", golden()), "JoinToken");
}

proptest! {
    #[test]
    fn parsing_never_panics(text: String, parts in proptest::collection::vec("[A-Za-z0-9_-]{0,12}", 0..6)) {
        let _ = JoinToken::parse(&text);
        let _ = verify(&text, KEY, at(0));
        let _ = verify(&parts.join("."), KEY, at(0));
    }

    #[test]
    fn no_altered_bearer_verifies(at_byte in 0..100_usize, with in "[A-Za-z0-9_-]") {
        let token = golden();
        let mut bearer = token.bearer().to_owned();
        prop_assume!(&bearer[at_byte..=at_byte] != "." && bearer[at_byte..=at_byte] != with);
        bearer.replace_range(at_byte..=at_byte, &with);
        prop_assert!(verify(&bearer, KEY, at(0)).is_err());
    }
}
