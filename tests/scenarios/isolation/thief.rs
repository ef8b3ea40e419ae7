//! Who holds a node's certificate and key and wants another's things: at the hub's door, the enrolment API and the
//! API server.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use pki::Identity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use transport::client::{DialError, Endpoint, dial};
use transport::{Limits, LinkError, Receiver, Sender};

use super::session::{Session, check_silent};
use super::{A, ANSWER, B};
use crate::site::Site;

/// Who holds A's key and wants B's things.
pub struct Thief {
    cloud: String,
    ca: Vec<u8>,
    identity: Identity,
}

impl Thief {
    /// Steals what edgecore.yaml of A names.
    pub fn new(site: &Site) -> Self {
        let edge = site.at(1);
        let read = |path: &str| std::fs::read_to_string(edge.path(path)).expect(path);
        let config: serde_yaml::Value =
            serde_yaml::from_str(&read("/etc/kubeedge/config/edgecore.yaml")).expect("YAML");
        let file = |key: &str, usual: &str| config["modules"]["edgeHub"][key].as_str().unwrap_or(usual).to_owned();
        let certificate = read(&file("tlsCertFile", "/etc/kubeedge/certs/server.crt"));
        let key = read(&file("tlsPrivateKeyFile", "/etc/kubeedge/certs/server.key"));
        let ca = read(&file("tlsCaFile", "/etc/kubeedge/ca/rootCA.crt"));
        Self {
            cloud: site.at(0).address.clone(),
            ca: pki::pem::certs_from_pem(&ca).expect("PEM").swap_remove(0),
            identity: Identity::from_pem(&certificate, &key).expect("a pair"),
        }
    }

    pub async fn dial(&self, node: &str, headers: &[(&str, String)]) -> Result<(Sender, Receiver), DialError> {
        let endpoint = Endpoint {
            host: self.cloud.clone(),
            port: 10000,
            project_id: "e632aba927ea4ac2b575ec1603d56f10".to_owned(),
            node_name: node.to_owned(),
        };
        let tls = pki::tls::client_config(&self.ca, Some(&self.identity)).expect("TLS settings");
        let limits = Limits::default();
        dial(&endpoint, tls, headers, limits, ANSWER).await.map(transport::Connection::split)
    }

    /// A session under a name that is not in the certificate is closed before anything is sent.
    pub async fn poses_as_another_node(&self) {
        for node in [B, "system:node:e13", "E13", "e99", "kubernetes-admin"] {
            let mut receiver = match self.dial(node, &[]).await {
                Ok((_, receiver)) => receiver,
                Err(DialError::Name { .. }) if node.contains(':') => continue,
                Err(error) => panic!("{node}: {error:?}"),
            };
            let end = timeout(ANSWER, receiver.next()).await.expect("refused at once");
            println!("as {node}: {end:?}");
            assert!(matches!(end, Err(LinkError::ClosedByPeer { code: 1008, .. })), "{node}: {end:?}");
        }
        // A second node_id does not count.
        let (_sender, mut receiver) = self.dial(A, &[("node_id", B.to_owned())]).await.expect("A may connect");
        while let Ok(message) = timeout(Duration::from_millis(500), receiver.next()).await {
            let Ok(Some(message)) = message else { break };
            check_silent(&message);
        }
    }

    pub async fn session(&self) -> Session {
        let (sender, receiver) = self.dial(A, &[]).await.expect("A may connect");
        Session::new(sender, receiver)
    }

    /// One HTTPS request with A's certificate, answered with status and body.
    pub async fn https(&self, port: u16, ca: &[u8], head: &str, body: &[u8]) -> Result<(u16, String), std::io::Error> {
        let tls = pki::tls::client_config(ca, Some(&self.identity)).expect("TLS settings");
        let stream = TcpStream::connect((self.cloud.as_str(), port)).await?;
        let name = rustls::pki_types::ServerName::try_from(self.cloud.clone()).expect("an address");
        let mut stream = tokio_rustls::TlsConnector::from(tls).connect(name, stream).await?;
        let head = format!("{head}Host: {}:{port}\r\nContent-Length: {}\r\n\r\n", self.cloud, body.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        match timeout(ANSWER, stream.read_to_end(&mut answer)).await? {
            Err(error) if answer.is_empty() => return Err(error),
            _ => {}
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("an HTTP status");
        Ok((status, answer))
    }

    pub async fn asks_for_a_certificate_of_another_node(&self, site: &Site) {
        let bearer = site.token(0).split_once('.').expect("a token").1.to_owned();
        let (_, of_b) = pki::edge_request(B).expect("a request");
        let (_, of_a) = pki::edge_request(A).expect("a request");
        for (what, node, request, authorization, expected) in [
            ("its own", A, &of_a, "", 200),
            ("B's", B, &of_b, "", 401),
            ("B's in its own request", B, &of_a, "", 401),
            ("its own in B's request", A, &of_b, "", 403),
            ("B's with a token beside", B, &of_b, &bearer, 401),
        ] {
            let authorization =
                if authorization.is_empty() { String::new() } else { format!("Authorization: Bearer {bearer}\r\n") };
            let head = format!("GET /edge.crt HTTP/1.0\r\nNodeName: {node}\r\n{authorization}");
            let (status, answer) = self.https(10002, &self.ca, &head, request).await.expect("an answer");
            println!("certificate, {what}: {}", answer.lines().last().filter(|_| status != 200).unwrap_or("200"));
            assert_eq!(status, expected, "{what}: {answer}");
        }
    }

    /// Certificates for the hub mean nothing to the API server.
    pub async fn asks_the_api_server(&self, site: &Site) {
        let config = std::fs::read_to_string(site.at(0).path("/root/.kube/config")).expect("kubectl works");
        let config: serde_yaml::Value = serde_yaml::from_str(&config).expect("YAML");
        let ca = config["clusters"][0]["cluster"]["certificate-authority-data"].as_str().expect("a CA");
        let ca = String::from_utf8(STANDARD.decode(ca).expect("base64")).expect("PEM");
        let ca = pki::pem::certs_from_pem(&ca).expect("PEM").swap_remove(0);
        let bearer = site.token(0).split_once('.').expect("a token").1.to_owned();
        let patch = br#"{"metadata":{"annotations":{"stolen":"yes"}}}"#;
        for (method, path, body) in [
            ("GET", "/api/v1/nodes/e13", &b""[..]),
            ("GET", "/api/v1/namespaces/default/secrets/secret-e13", b""),
            ("GET", "/api/v1/secrets", b""),
            ("GET", "/api/v1/namespaces/kubeedge/secrets/casecret", b""),
            ("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/e13", b""),
            ("PATCH", "/api/v1/nodes/e13", patch),
            ("DELETE", "/api/v1/namespaces/default/pods/pod-e13", b""),
        ] {
            for authorization in ["", &format!("Authorization: Bearer {bearer}\r\n")] {
                let head = format!(
                    "{method} {path} HTTP/1.0\r\nContent-Type: application/merge-patch+json\r\n{authorization}"
                );
                let (status, answer) = self.https(6443, &ca, &head, body).await.expect("an answer");
                println!("API server, {method} {path}: {status}");
                assert!(matches!(status, 401 | 403), "{method} {path}: {answer}");
            }
        }
    }
}
