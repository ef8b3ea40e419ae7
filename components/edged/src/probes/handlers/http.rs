//! httpGet probes, plain and TLS. Source: spec 08 §10.2.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, LOCATION, USER_AGENT as USER_AGENT_HEADER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::HTTPGetAction;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::{MAX_OUTPUT, Outcome, USER_AGENT, authority, connect};

/// Redirects that are followed on the same host.
const MAX_REDIRECTS: usize = 10;

/// A GET to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpQuestion {
    https: bool,
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
}

/// Why there was no answer.
enum Unanswered {
    /// The network or the peer said no, in Go's words.
    Failed(String),
    /// We could not even ask.
    Error(String),
}

impl HttpQuestion {
    /// What `get` asks of `host` and `port`.
    pub fn new(get: &HTTPGetAction, host: String, port: u16) -> Self {
        let https = get.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        let path = get.path.clone().unwrap_or_default();
        let path = if path.starts_with('/') { path } else { format!("/{path}") };
        let headers = get.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone())).collect();
        Self { https, host, port, path, headers }
    }

    fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}{}", authority(&self.host, self.port), self.path)
    }

    pub(super) async fn ask(&self, timeout: Duration, tls: &AnyServer) -> Outcome {
        let asked = tokio::time::timeout(timeout, self.follow(timeout, tls)).await;
        match asked {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(Unanswered::Failed(reason))) => Outcome::Failure(format!("Get \"{}\": {reason}", self.url())),
            Ok(Err(Unanswered::Error(reason))) => Outcome::Error(reason),
            Err(_) => Outcome::Failure(format!(
                "Get \"{}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                self.url()
            )),
        }
    }

    async fn follow(&self, timeout: Duration, tls: &AnyServer) -> Result<Outcome, Unanswered> {
        let mut current = self.clone();
        for _ in 0..=MAX_REDIRECTS {
            let (status, location, body) = current.get(timeout, tls).await?;
            if !is_redirect(status) {
                return Ok(verdict(status));
            }
            let Some(next) = location.and_then(|location| current.redirected(&location)) else {
                return Ok(verdict(status));
            };
            if next.host != self.host {
                let body = String::from_utf8_lossy(&body).into_owned();
                let warning = format!("Probe terminated redirects, Response body: {body}");
                return Ok(Outcome::Success { warning: Some(warning) });
            }
            current = next;
        }
        Err(Unanswered::Failed(format!("stopped after {MAX_REDIRECTS} redirects")))
    }

    /// Where a redirect leads; `None` when its target cannot be read.
    fn redirected(&self, location: &str) -> Option<Self> {
        let uri: Uri = location.parse().ok()?;
        let mut next = self.clone();
        if let Some(host) = uri.host() {
            host.trim_matches(['[', ']']).clone_into(&mut next.host);
            next.https = uri.scheme_str().map_or(self.https, |scheme| scheme == "https");
            next.port = uri.port_u16().unwrap_or(if next.https { 443 } else { 80 });
            next.path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        } else if location.starts_with('/') {
            location.clone_into(&mut next.path);
        } else {
            let directory = self.path.rsplit_once('/').map_or("", |(directory, _)| directory);
            next.path = format!("{directory}/{location}");
        }
        Some(next)
    }

    async fn get(
        &self,
        timeout: Duration,
        tls: &AnyServer,
    ) -> Result<(StatusCode, Option<String>, Vec<u8>), Unanswered> {
        let request = self.request().map_err(|error| Unanswered::Error(error.to_string()))?;
        let stream = connect(&self.host, self.port, timeout).await.map_err(Unanswered::Failed)?;
        if !self.https {
            return exchange(TokioIo::new(stream), request).await;
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|error| Unanswered::Error(error.to_string()))?;
        let encrypted = TlsConnector::from(tls.config()?).connect(name, stream).await;
        exchange(TokioIo::new(encrypted.map_err(|error| Unanswered::Failed(error.to_string()))?), request).await
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, http::Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            headers.append(name, HeaderValue::from_str(value)?);
        }
        let mut default = |name: HeaderName, value: &str| -> Result<(), http::Error> {
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_str(value)?);
            }
            Ok(())
        };
        default(HOST, &authority(&self.host, self.port))?;
        default(USER_AGENT_HEADER, USER_AGENT)?;
        default(ACCEPT, "*/*")?;
        default(CONNECTION, "close")?;
        let mut request = Request::get(self.path.as_str()).body(Empty::new())?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn verdict(status: StatusCode) -> Outcome {
    if (200..400).contains(&status.as_u16()) {
        return Outcome::Success { warning: None };
    }
    Outcome::Failure(format!("HTTP probe failed with statuscode: {}", status.as_u16()))
}

async fn exchange<I>(
    io: TokioIo<I>,
    request: Request<Empty<Bytes>>,
) -> Result<(StatusCode, Option<String>, Vec<u8>), Unanswered>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| {
        Unanswered::Failed(if error.is_incomplete_message() { "EOF".to_owned() } else { error.to_string() })
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(failed)?;
    let talk = async {
        let response: Response<Incoming> = sender.send_request(request).await.map_err(failed)?;
        let status = response.status();
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        let mut frames = response.into_body();
        while body.len() < MAX_OUTPUT
            && let Some(Ok(frame)) = frames.frame().await
        {
            if let Some(data) = frame.data_ref() {
                body.extend_from_slice(&data[..data.len().min(MAX_OUTPUT - body.len())]);
            }
        }
        Ok((status, location, body))
    };
    tokio::pin!(talk);
    tokio::select! {
        answer = &mut talk => answer,
        // The peer may close right after its answer, which is then already on its way to us.
        _ = connection => talk.await,
    }
}

/// TLS settings for servers whose certificate nobody checks; made when the first https probe needs them.
#[derive(Debug, Default)]
pub(super) struct AnyServer {
    config: OnceLock<Arc<ClientConfig>>,
}

impl AnyServer {
    fn config(&self) -> Result<Arc<ClientConfig>, Unanswered> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| Unanswered::Error(error.to_string()))?;
        let verifier = Arc::new(Unverified(provider));
        let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }
}

/// A probe asks whether an application answers, not who it is: certificates of pods are usually self-made.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
