//! The questions that a join asks the cloud before it changes anything.

use async_trait::async_trait;
use jiff::Timestamp;
use pki::tls::{self, TlsFailure};

use super::error::JoinError;
use crate::commands::https::{self, Address, HttpsError};

/// What the certificate server gives to everybody.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// The CA certificate, DER; nothing vouches for it yet.
    pub ca_der: Vec<u8>,
    /// The server's clock.
    pub date: Option<Timestamp>,
}

/// The other end.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// `GET /ca.crt`, from whoever answers. Source: spec 01 §6.3.
    async fn introduction(&self) -> Result<Introduction, JoinError>;
    /// Whether the certificate server takes the token. Nothing is issued: the request for a certificate is empty.
    async fn takes_token(&self, ca_der: &[u8], bearer: &str, node: &str) -> Result<(), JoinError>;
    /// Whether the cluster has a node of this name. Source: spec 05 §4.2.
    async fn knows_node(&self, ca_der: &[u8], node: &str) -> Result<bool, JoinError>;
    /// Whether the hub answers under the dialled address with a certificate of this CA.
    async fn hub_answers(&self, ca_der: &[u8]) -> Result<(), JoinError>;
}

/// A real cloudcore.
#[derive(Debug, Clone)]
pub struct HttpsCloud {
    /// The hub.
    pub hub: Address,
    /// The certificate server.
    pub certificates: Address,
}

impl HttpsCloud {
    async fn ask(&self, ca_der: &[u8], path: &str, headers: &[(&str, &str)]) -> Result<https::Answer, JoinError> {
        let tls = tls::client_config(ca_der, None).map_err(JoinError::Pki)?;
        https::get(&self.certificates, path, headers, tls).await.map_err(JoinError::Https)
    }
}

fn stranger(address: &Address, answer: &https::Answer) -> JoinError {
    let text = String::from_utf8_lossy(&answer.body);
    let first = text.lines().next().unwrap_or_default().trim().chars().take(120).collect::<String>();
    let answer = if first.is_empty() { format!("it answers {}", answer.status) } else { first };
    JoinError::NotCloudcore { address: address.clone(), answer }
}

#[async_trait]
impl Cloud for HttpsCloud {
    async fn introduction(&self) -> Result<Introduction, JoinError> {
        let tls = tls::client_config_unverified().map_err(JoinError::Pki)?;
        let answer = https::get(&self.certificates, "/ca.crt", &[], tls).await.map_err(JoinError::Https)?;
        if answer.status != 200 || pki::cert_facts(&answer.body).is_err() {
            return Err(stranger(&self.certificates, &answer));
        }
        Ok(Introduction { ca_der: answer.body, date: answer.date })
    }

    async fn takes_token(&self, ca_der: &[u8], bearer: &str, node: &str) -> Result<(), JoinError> {
        let authorization = format!("Bearer {bearer}");
        let headers = [("Authorization", authorization.as_str()), ("NodeName", node)];
        let answer = self.ask(ca_der, "/edge.crt", &headers).await?;
        if answer.status == 401 || answer.status == 403 {
            let text = String::from_utf8_lossy(&answer.body);
            let answer = text.trim().chars().take(120).collect();
            return Err(JoinError::TokenRefused { address: self.certificates.clone(), answer });
        }
        Ok(()) // anything else is about the empty request
    }

    async fn knows_node(&self, ca_der: &[u8], node: &str) -> Result<bool, JoinError> {
        let answer = self.ask(ca_der, &format!("/node/{node}"), &[]).await?;
        match answer.status {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(stranger(&self.certificates, &answer)),
        }
    }

    async fn hub_answers(&self, ca_der: &[u8]) -> Result<(), JoinError> {
        let tls = tls::client_config(ca_der, None).map_err(JoinError::Pki)?;
        let stream = match https::connect(&self.hub, tls).await {
            Ok(stream) => stream,
            // The hub wants a certificate, which we do not have yet: it is the hub.
            Err(HttpsError::Tls { failure: TlsFailure::ClientRefused { .. }, .. }) => return Ok(()),
            Err(error) => return Err(JoinError::Https(error)),
        };
        // With TLS 1.3 it says so only now. An answer comes from another port of cloudcore, which took us as we are.
        match https::get_on(stream, &self.hub, "/", &[]).await {
            Ok(answer) => Err(stranger(&self.hub, &answer)),
            Err(_) => Ok(()),
        }
    }
}
