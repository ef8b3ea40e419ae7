//! Enrolment of a Go v1.23 edge at a Go v1.23 cloud, as recorded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    http: Vec<String>,
    body_base64: String,
}

fn line(number: usize) -> Line {
    let text = include_str!("../tests/vectors/https-bootstrap.jsonl").lines().nth(number - 1).expect("line exists");
    serde_json::from_str(text).expect("line is JSON")
}

fn body(number: usize) -> Vec<u8> {
    STANDARD.decode(line(number).body_base64).expect("body is base64")
}

/// The CA certificate that `/ca.crt` answered.
pub(crate) fn ca() -> Vec<u8> {
    body(2)
}

/// The signing request sent to `/edge.crt`.
pub(crate) fn request() -> Vec<u8> {
    body(5)
}

/// The certificate that `/edge.crt` answered.
pub(crate) fn edge() -> Vec<u8> {
    body(6)
}

/// The bearer token of that request.
pub(crate) fn bearer() -> String {
    let line = line(5);
    let header = line.http.iter().find_map(|header| header.strip_prefix("Authorization: Bearer "));
    header.expect("request is authorized").to_owned()
}
