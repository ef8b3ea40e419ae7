//! The enrolment API on TCP 10002: the CA certificate, node certificates, the name check of `keadm join`.
//!
//! Who asks for a certificate is decided here, not by TLS: a valid certificate of the same node, or a join token.
//! The certificate always names the node that authenticated itself. Source: spec 01 §5.3.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::{HeaderMap, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use jiff::Timestamp;
use pki::{Authority, PeerSubject, PkiError, RequestPolicy, TokenError, Usage};
use tracing::{debug, info, warn};

use crate::cloudhub::rate::RateLimit;
use crate::http_server::{Answer, Peer, answer, read_body, text};
use crate::kind::{Kind, ObjectKey};
use crate::kubeapi::KubeApi;
use crate::monitor::metrics::Metrics;

/// Largest certificate request. Source: spec 01 §1.1.
pub const MAX_BODY: usize = 1024 * 1024;

/// See the module's text.
pub struct Enrolment {
    authority: Arc<Authority>,
    api: KubeApi,
    days: u32,
    legacy: bool,
    limit: Mutex<RateLimit>,
    metrics: Arc<Metrics>,
}

impl Enrolment {
    /// Signs with `authority` for `days`. `legacy` also accepts edges before v1.16, whose certificates are anonymous.
    pub fn new(authority: Arc<Authority>, api: KubeApi, days: u32, legacy: bool, metrics: Arc<Metrics>) -> Self {
        Self { authority, api, days, legacy, limit: Mutex::default(), metrics }
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Incoming>, peer: &Peer) -> Answer {
        let path = request.uri().path().to_owned();
        let node = path.strip_prefix("/node/").filter(|name| !name.is_empty() && !name.contains('/'));
        if path != "/ca.crt" && path != "/edge.crt" && node.is_none() {
            return text(StatusCode::NOT_FOUND, "404: Page Not Found");
        }
        if request.method() != Method::GET {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed");
            refusal.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET"));
            return refusal;
        }
        if path == "/ca.crt" {
            return der(self.authority.cert_der());
        }
        if !self.limit.lock().unwrap_or_else(PoisonError::into_inner).allows(peer.addr.ip(), Instant::now()) {
            self.metrics.refused_enrolments.inc();
            return text(StatusCode::TOO_MANY_REQUESTS, "too many requests");
        }
        match node {
            Some(node) => self.node_check(node).await,
            None => self.certificate(request, peer).await,
        }
    }

    async fn node_check(&self, node: &str) -> Answer {
        match self.api.get(&ObjectKey::cluster(Kind::Node, node)).await {
            Ok(_) => text(StatusCode::OK, "Node found"),
            Err(error) if error.is_not_found() => text(StatusCode::NOT_FOUND, "Node not found"),
            Err(error) => {
                warn!(error = %crate::chain(&error), "node check failed");
                text(StatusCode::INTERNAL_SERVER_ERROR, "Failed to query node information")
            }
        }
    }

    async fn certificate(&self, request: Request<Incoming>, peer: &Peer) -> Answer {
        let node = header_text(request.headers(), "nodename").to_owned();
        let now = Timestamp::now();
        if let Err(refusal) = self.authenticate(&node, request.headers(), peer.certificate.as_deref(), now) {
            self.metrics.refused_enrolments.inc();
            warn!(%node, peer.addr = %peer.addr, reason = %refusal, "certificate refused");
            return text(StatusCode::UNAUTHORIZED, refusal);
        }
        let failed = |status: StatusCode, detail: &dyn std::fmt::Display| {
            self.metrics.refused_enrolments.inc();
            text(status, format!("failed to sign certs for edgenode {node}, err: {detail}"))
        };
        let Some(body) = read_body(request.into_body(), MAX_BODY).await else {
            return failed(StatusCode::PAYLOAD_TOO_LARGE, &"request body is too large or incomplete");
        };
        if body.is_empty() {
            debug!(%node, peer.addr = %peer.addr, "credentials checked"); // all that `keadm join` asks for
            return text(StatusCode::BAD_REQUEST, format!("failed to sign certs for edgenode {node}, err: no request"));
        }
        let policy = RequestPolicy {
            node: node.clone(),
            days: self.days,
            usages: vec![Usage::ClientAuth],
            accept_legacy: self.legacy,
        };
        match self.authority.sign_request(&body, &policy, now) {
            Ok(certificate) => {
                self.metrics.certificates.inc();
                info!(%node, peer.addr = %peer.addr, "certificate signed");
                der(&certificate)
            }
            Err(error) => {
                warn!(%node, peer.addr = %peer.addr, error = %crate::chain(&error), "certificate request refused");
                failed(blame(&error), &error)
            }
        }
    }

    /// Who asks, in the peer's order: a presented certificate decides alone, otherwise the token does.
    fn authenticate(
        &self,
        node: &str,
        headers: &HeaderMap,
        certificate: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), String> {
        if let Some(certificate) = certificate {
            return self
                .check_certificate(node, certificate, now)
                .map_err(|detail| format!("failed to verify the certificate for edgenode: {node}, err: {detail}"));
        }
        check_token(header_text(headers, "authorization"), &self.authority, now)?;
        if is_node_name(node) { Ok(()) } else { Err("the NodeName header does not hold a node name".to_owned()) }
    }

    fn check_certificate(&self, node: &str, certificate: &[u8], now: Timestamp) -> Result<(), String> {
        pki::tls::verify_client_chain(certificate, self.authority.cert_der(), now).map_err(|error| match error {
            PkiError::Chain(reason) => reason.to_string(),
            other => other.to_string(),
        })?;
        match pki::peer_subject(certificate) {
            Ok(PeerSubject::Node(name)) if name == node => Ok(()),
            Ok(PeerSubject::LegacyEdge) if self.legacy && is_node_name(node) => Ok(()),
            Ok(PeerSubject::Node(_) | PeerSubject::LegacyEdge | PeerSubject::Other { .. }) => {
                Err("request node name is not match with the certificate".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Checks an `Authorization` header; the scheme word is not looked at, as in the peer.
fn check_token(header: &str, authority: &Authority, now: Timestamp) -> Result<(), String> {
    if header.is_empty() {
        return Err("token validation failure, token is empty".to_owned());
    }
    let parts: Vec<&str> = header.split(' ').collect();
    let [_, bearer] = parts[..] else {
        return Err("token validation failure, token cannot be split".to_owned());
    };
    pki::verify_bearer(bearer, authority.key(), now).map_err(|error| {
        let detail = match error {
            TokenError::Expired { .. } => "token has invalid claims: token is expired".to_owned(),
            TokenError::Signature => "token signature is invalid: signature is invalid".to_owned(),
            other => other.to_string(),
        };
        format!("token validation failure, err: {detail}")
    })
}

/// Whose fault a failed signature is.
fn blame(error: &PkiError) -> StatusCode {
    match error {
        PkiError::Request(_) | PkiError::RequestSignature | PkiError::NoCommonName => StatusCode::BAD_REQUEST,
        PkiError::RequestSubject { .. } => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A DNS subdomain, as Kubernetes wants node names.
pub fn is_node_name(name: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        !bytes.is_empty()
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
            && bytes[0] != b'-'
            && bytes[bytes.len() - 1] != b'-'
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn der(bytes: &[u8]) -> Answer {
    answer(StatusCode::OK, "application/octet-stream", bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use pki::JoinToken;

    use super::*;

    #[test]
    fn token_refusals_read_as_the_peers() {
        let now = Timestamp::now();
        let authority = Authority::generate("KubeEdge", 1024, 36400, now).expect("a CA");
        let other = Authority::generate("KubeEdge", 1024, 36400, now).expect("a CA");
        let bearer = |authority: &Authority, hours: i64| {
            let token = JoinToken::issue(authority, now + SignedDuration::from_hours(hours));
            format!("Bearer {}", token.bearer())
        };
        let check = |header: &str| check_token(header, &authority, now);
        assert_eq!(check(&bearer(&authority, 24)), Ok(()));
        assert_eq!(check("").unwrap_err(), "token validation failure, token is empty");
        assert_eq!(check("Bearer").unwrap_err(), "token validation failure, token cannot be split");
        assert_eq!(
            check(&bearer(&authority, -1)).unwrap_err(),
            "token validation failure, err: token has invalid claims: token is expired"
        );
        assert_eq!(
            check(&bearer(&other, 24)).unwrap_err(),
            "token validation failure, err: token signature is invalid: signature is invalid"
        );
    }

    #[test]
    fn node_names_are_dns_subdomains() {
        assert!(is_node_name("edge-1.site.example"));
        for name in ["", "Edge", "-a", "a-", "a..b", "a/b", "system:node:x"] {
            assert!(!is_node_name(name), "{name}");
        }
    }
}
