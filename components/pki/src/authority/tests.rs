use std::net::IpAddr;

use super::*;
use crate::facts::{PeerSubject, cert_facts, peer_subject};
use crate::tls::verify_client_chain;
use crate::{edge_request, golden};

const DAY: i64 = 86_400;

fn now() -> Timestamp {
    "2026-11-20T22:19:05Z".parse().expect("a time")
}

fn kubeedge() -> Authority {
    Authority::generate("KubeEdge", 1024, 36_400, now()).expect("generates")
}

fn policy(node: &str) -> RequestPolicy {
    RequestPolicy { node: node.into(), days: 365, usages: vec![Usage::ClientAuth], accept_legacy: false }
}

fn ecdsa_sha256() -> Vec<u8> {
    PrivateKey::generate().expect("random").signature_algorithm()
}

/// The signed part of a recorded certificate, and the one we would write for the same serial, time and key.
fn compare(recorded: &[u8], build: impl Fn(&X509Certificate<'_>) -> Vec<u8>) {
    let (_, certificate) = x509_parser::parse_x509_certificate(recorded).expect("parses");
    assert_eq!(certificate.tbs_certificate.as_ref(), build(&certificate));
}

#[test]
fn our_ca_certificate_is_the_recorded_one_byte_for_byte() {
    compare(&golden::ca(), |recorded| {
        let subject = certificate::subject("KubeEdge", &[]);
        let key_id = key_identifier(recorded.public_key().subject_public_key.data.as_ref());
        let template = Template {
            serial: 1024,
            issuer: &subject,
            subject: &subject,
            not_before: "2026-11-20T22:10:59.7Z".parse().expect("a time"),
            days: 36_400,
            public_info: recorded.public_key().raw,
            usages: &[Usage::ServerAuth, Usage::ClientAuth],
            role: Role::Authority { key_id: &key_id },
            sans: &[],
        };
        template.to_be_signed(&ecdsa_sha256()).expect("builds")
    });
}

#[test]
fn our_edge_certificate_is_the_recorded_one_byte_for_byte() {
    let ca = golden::ca();
    let (_, ca) = x509_parser::parse_x509_certificate(&ca).expect("parses");
    let ca_key_id = subject_key_id(&ca);
    compare(&golden::edge(), |recorded| {
        let template = Template {
            serial: 0x6ab1_9e15_3f3e_9e4f,
            issuer: ca.subject().as_raw(),
            subject: &certificate::subject("system:node:go-edge", &["system:nodes".into()]),
            not_before: now(),
            days: 365,
            public_info: recorded.public_key().raw,
            usages: &[Usage::ClientAuth],
            role: Role::Leaf { issuer_key_id: ca_key_id.as_deref() },
            sans: &[],
        };
        template.to_be_signed(&ecdsa_sha256()).expect("builds")
    });
}

#[test]
fn recorded_certificates_read_as_documented() {
    let ca = cert_facts(&golden::ca()).expect("parses");
    assert_eq!(
        (ca.subject_cn.as_deref(), ca.issuer_cn.as_deref(), ca.serial.as_str()),
        (Some("KubeEdge"), Some("KubeEdge"), "400")
    );
    assert_eq!(ca.not_after.as_second() - ca.not_before.as_second(), 36_400 * DAY);
    assert!(ca.is_ca && ca.server_auth && ca.client_auth);
    let edge = cert_facts(&golden::edge()).expect("parses");
    assert_eq!((edge.organizations, edge.dns, edge.ips), (vec!["system:nodes".to_owned()], vec![], vec![]));
    assert!(!edge.is_ca && !edge.server_auth && edge.client_auth);
    assert_eq!(peer_subject(&golden::edge()).expect("parses"), PeerSubject::Node("go-edge".into()));
    verify_client_chain(&golden::edge(), &golden::ca(), now()).expect("verifies");
}

#[test]
fn signs_the_recorded_request_for_its_node_only() {
    let authority = kubeedge();
    let signed = authority.sign_request(&golden::request(), &policy("go-edge"), now()).expect("signs");
    verify_client_chain(&signed, authority.cert_der(), now()).expect("verifies");
    assert_eq!(peer_subject(&signed).expect("parses"), PeerSubject::Node("go-edge".into()));
    let facts = cert_facts(&signed).expect("parses");
    assert_eq!(facts.not_after.as_second() - facts.not_before.as_second(), 365 * DAY);

    let other = authority.sign_request(&golden::request(), &policy("other"), now());
    assert!(matches!(other, Err(PkiError::RequestSubject { expected, .. }) if expected == "system:node:other"));
}

#[test]
fn request_must_be_signed_by_its_own_key() {
    let (_, mut request) = edge_request("edge1").expect("random");
    let at = request.windows(5).position(|window| window == b"edge1").expect("names the node");
    request[at + 4] = b'2';
    let forged = kubeedge().sign_request(&request, &policy("edge2"), now());
    assert!(matches!(forged, Err(PkiError::RequestSignature)));
    assert!(matches!(kubeedge().sign_request(b"\x30\x00", &policy("e"), now()), Err(PkiError::Request(_))));
}

#[test]
fn policy_without_usage_signs_nothing() {
    let (_, request) = edge_request("edge1").expect("random");
    let policy = RequestPolicy { usages: vec![], ..policy("edge1") };
    assert!(matches!(kubeedge().sign_request(&request, &policy, now()), Err(PkiError::NoUsage)));
}

#[test]
fn old_edges_get_a_certificate_with_their_name_when_allowed() {
    let authority = kubeedge();
    let request = crate::request::tests::legacy_request();
    assert!(authority.sign_request(&request, &policy("edge1"), now()).is_err());
    let allowed = RequestPolicy { accept_legacy: true, ..policy("edge1") };
    let signed = authority.sign_request(&request, &allowed, now()).expect("signs");
    assert_eq!(peer_subject(&signed).expect("parses"), PeerSubject::Node("edge1".into()));
}

#[test]
fn server_certificate_carries_its_names_and_nothing_malformed() {
    let authority = kubeedge();
    let sans: Vec<_> = ["192.0.2.7", "", "cloud.example", "2001:db8::7"].into_iter().filter_map(San::parse).collect();
    let profile = LeafProfile {
        common_name: "KubeEdge".into(),
        organizations: vec!["KubeEdge".into()],
        days: 36_400,
        usages: vec![Usage::ServerAuth],
        sans,
    };
    let identity = authority.issue(&profile, now()).expect("issues");
    let facts = cert_facts(&identity.cert_der).expect("parses");
    assert_eq!(facts.dns, ["cloud.example"]);
    assert_eq!(facts.ips, ["192.0.2.7", "2001:db8::7"].map(|ip| ip.parse::<IpAddr>().expect("an address")));
    assert!(facts.covers("192.0.2.7") && facts.covers("Cloud.example") && !facts.covers("192.0.2.8"));
    assert!(facts.server_auth && !facts.client_auth);
    Identity::new(identity.cert_der.clone(), identity.key.clone()).expect("belong together");
    assert!(matches!(Identity::new(identity.cert_der, authority.key().clone()), Err(PkiError::KeyMismatch)));

    let umlaut = LeafProfile { sans: vec![San::Dns("wölkchen".into())], ..profile };
    assert!(matches!(authority.issue(&umlaut, now()), Err(PkiError::DnsName { .. })));
}

#[test]
fn stored_pair_is_taken_over_and_mismatches_are_refused() {
    let authority = kubeedge();
    let again = Authority::from_der(authority.cert_der(), authority.key().clone()).expect("belong together");
    assert_eq!(again.subject, authority.subject);
    assert_eq!(again.key_id, authority.key_id);

    let foreign = PrivateKey::generate().expect("random");
    assert!(matches!(Authority::from_der(authority.cert_der(), foreign), Err(PkiError::KeyMismatch)));
    let leaf = LeafProfile {
        common_name: "x".into(),
        organizations: vec![],
        days: 1,
        usages: vec![Usage::ClientAuth],
        sans: vec![],
    };
    let leaf = authority.issue(&leaf, now()).expect("issues");
    assert!(matches!(Authority::from_der(&leaf.cert_der, leaf.key), Err(PkiError::NotAuthority)));
}

#[test]
fn chain_check_tells_time_and_authority_apart() {
    let authority = kubeedge();
    let (_, request) = edge_request("edge1").expect("random");
    let signed = authority.sign_request(&request, &policy("edge1"), now()).expect("signs");
    let late = Timestamp::from_second(now().as_second() + 366 * DAY).expect("in range");
    let reason = |ca: &Authority, at| match verify_client_chain(&signed, ca.cert_der(), at) {
        Err(PkiError::Chain(error)) => format!("{:?}", crate::tls::TlsFailure::classify(&error)),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(&authority, late), "Expired");
    assert_eq!(reason(&kubeedge(), now()), "UnknownAuthority");
}

#[test]
fn renewal_time_is_a_fraction_of_the_lifetime() {
    let facts = cert_facts(&golden::edge()).expect("parses");
    assert_eq!(facts.at_fraction(0.8).as_second() - facts.not_before.as_second(), 292 * DAY);
    assert_eq!(facts.at_fraction(7.0), facts.not_after);
}

#[test]
fn validity_beyond_the_calendar_is_refused() {
    assert!(matches!(Authority::generate("x", 1, u32::MAX, now()), Err(PkiError::Validity)));
}
