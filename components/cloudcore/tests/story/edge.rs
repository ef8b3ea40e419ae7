//! An edge node reduced to its connection: enrols with the join token, then speaks messages.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pki::tls::{client_config, client_config_unverified};
use pki::{Identity, JoinToken, edge_request};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use transport::client::{Endpoint, dial};
use transport::{Limits, Receiver, Sender};
use wire::message::{Content, Message};
use wire::operation::Operation;

const DEADLINE: Duration = Duration::from_secs(10);

/// Status and body of one HTTPS request.
pub async fn https(
    addr: SocketAddr,
    request: &str,
    body: &[u8],
    config: std::sync::Arc<rustls::ClientConfig>,
) -> (u16, Vec<u8>) {
    let stream = TcpStream::connect(addr).await.expect("connects");
    let name = ServerName::IpAddress(addr.ip().into());
    let mut stream = TlsConnector::from(config).connect(name, stream).await.expect("TLS");
    let head = format!("{request}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.expect("writes");
    stream.write_all(body).await.expect("writes");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let status = std::str::from_utf8(&answer[9..12]).expect("text").parse().expect("a status");
    (status, answer[split + 4..].to_vec())
}

/// What a node has after it enrolled.
#[derive(Clone)]
pub struct Enrolled {
    pub node: String,
    pub identity: Identity,
    pub ca: Vec<u8>,
}

impl Enrolled {
    pub async fn join(https_addr: SocketAddr, node: &str, token: &str) -> Self {
        let token = JoinToken::parse(token).expect("a token");
        let unverified = client_config_unverified().expect("TLS settings");
        let (status, ca) = https(https_addr, "GET /ca.crt HTTP/1.1", b"", unverified).await;
        assert_eq!(status, 200);
        token.check_authority(&ca).expect("the CA of the token");
        let (key, csr) = edge_request(node).expect("a request");
        let request = format!("GET /edge.crt HTTP/1.1\r\nAuthorization: Bearer {}\r\nNodeName: {node}", token.bearer());
        let (status, cert) = https(https_addr, &request, &csr, client_config(&ca, None).expect("TLS settings")).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&cert));
        Self { node: node.to_owned(), identity: Identity::new(cert, key).expect("a pair"), ca }
    }

    pub async fn connect(&self, addr: SocketAddr, generation: Option<&str>) -> Edge {
        self.connect_as(addr, &self.node, generation).await
    }

    pub async fn connect_as(&self, addr: SocketAddr, node: &str, generation: Option<&str>) -> Edge {
        let endpoint = Endpoint {
            host: addr.ip().to_string(),
            port: addr.port(),
            project_id: "e632aba927ea4ac2b575ec1603d56f10".to_owned(),
            node_name: node.to_owned(),
        };
        let headers: Vec<(&str, String)> =
            generation.map(|text| ("Keadm-Store-Generation", text.to_owned())).into_iter().collect();
        let tls = client_config(&self.ca, Some(&self.identity)).expect("TLS settings");
        let connection = dial(&endpoint, tls, &headers, Limits::default(), DEADLINE).await.expect("connects");
        let (sender, receiver) = connection.split();
        let mut edge = Edge { node: node.to_owned(), sender, receiver };
        edge.send("websocket", "keepalive", "node", Content::text("ping")).await;
        edge
    }
}

/// A connected node.
pub struct Edge {
    node: String,
    sender: Sender,
    receiver: Receiver,
}

impl Edge {
    pub async fn send(&mut self, source: &str, operation: &str, resource: &str, content: Content) -> Message {
        let message = Message::new(source, "meta", Operation::from(operation), resource, content, 0);
        // A refused connection may be closed already.
        let _ = self.sender.send(&message).await;
        message
    }

    /// The next message, acknowledged when it needs that; answers are left alone.
    pub async fn next(&mut self) -> Message {
        let message = self.next_silently().await;
        if message.header.parent_id.is_none() {
            self.sender.send(&message.ack(0)).await.expect("sends");
        }
        message
    }

    pub async fn next_silently(&mut self) -> Message {
        let node = self.node.clone();
        let next = tokio::time::timeout(DEADLINE, self.receiver.next()).await;
        next.unwrap_or_else(|_| panic!("{node}: no message")).expect("a working link").expect("an open link")
    }

    /// Asks and returns the answer, with what else arrived before it.
    pub async fn ask(&mut self, operation: &str, resource: &str, content: Content) -> (Message, Vec<Message>) {
        let request = self.send("edged", operation, resource, content).await;
        let mut others = Vec::new();
        loop {
            let message = self.next().await;
            if message.header.parent_id.as_deref() == Some(&request.header.id) {
                self.sender.send(&message.ack(0)).await.expect("sends");
                return (message, others);
            }
            others.push(message);
        }
    }

    /// Waits for a message about `resource`; others are acknowledged and passed over.
    pub async fn until(&mut self, operation: &str, resource: &str) -> Message {
        loop {
            let message = self.next().await;
            if message.route.resource == resource && message.route.operation.as_str() == operation {
                return message;
            }
        }
    }

    /// Whether nothing arrives for a while.
    pub async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(300), self.receiver.next()).await.is_err()
    }

    pub async fn is_closed(&mut self) -> bool {
        let end = tokio::time::timeout(DEADLINE, async {
            loop {
                match self.receiver.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return,
                }
            }
        });
        end.await.is_ok()
    }
}

/// Waits for a condition with a deadline.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
