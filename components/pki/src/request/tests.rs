use proptest::prelude::*;

use super::*;
use crate::golden;

/// What an edge before v1.16 sends.
pub(crate) fn legacy_request() -> Vec<u8> {
    let key = PrivateKey::generate().expect("random");
    let subject = certificate::subject("kubeedge.io", &["kubeEdge".into()]);
    let info = key.public_info().expect("has a public key");
    certificate::sign(&der::sequence(&[der::integer(0), subject, info, der::context(0, &[])]), &key).expect("signs")
}

#[test]
fn our_request_is_the_recorded_one_byte_for_byte() {
    let recorded = golden::request();
    let recorded = verified(&recorded).expect("is signed by its key");
    let info = &recorded.certification_request_info;
    assert_eq!(info.raw, to_be_signed("system:node:go-edge", info.subject_pki.raw));
}

#[test]
fn request_reads_back() {
    let (key, request) = edge_request("edge1").expect("random");
    let facts = request_facts(&request).expect("is signed by its key");
    assert_eq!(facts.common_name.as_deref(), Some("system:node:edge1"));
    assert_eq!(facts.organizations, ["system:nodes"]);
    let public = verified(&request)
        .expect("verifies")
        .certification_request_info
        .subject_pki
        .subject_public_key
        .data
        .into_owned();
    assert_eq!(public, key.public_bits().expect("has a public key"));
}

/// Where the signed part lies in the recorded request.
const SIGNED: std::ops::Range<usize> = 4..209;

proptest! {
    #[test]
    fn reading_never_panics(bytes: Vec<u8>) {
        let _ = request_facts(&bytes);
    }

    #[test]
    fn no_altered_request_is_believed(at in SIGNED, value: u8) {
        let mut request = golden::request();
        let original = request[at];
        request[at] = value;
        prop_assert_eq!(request_facts(&request).is_ok(), original == value);
    }
}
