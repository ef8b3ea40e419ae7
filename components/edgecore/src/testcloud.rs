//! A cloud for tests: a certificate server and a websocket listener on ports of the moment.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pki::{Authority, Identity, JoinToken, LeafProfile, RequestPolicy, San, Usage, tls, verify_bearer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use transport::Limits;
use transport::server::{Accepted, accept};

use crate::settings::{CredentialFiles, EdgeCoreSettings, EdgeHubSettings, JoinTokenText, ServerAddress};

/// What a request to the certificate server looked like.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) client_certificate: bool,
}

pub(crate) struct TestCloud {
    pub(crate) authority: Arc<Authority>,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    /// Days by which issued certificates are older than they should be.
    pub(crate) age_days: Arc<AtomicI64>,
    https: SocketAddr,
    websocket: SocketAddr,
    links: mpsc::Receiver<Accepted>,
    _tasks: JoinSet<()>,
}

impl TestCloud {
    pub(crate) async fn start() -> Self {
        let authority = Arc::new(Authority::generate("KubeEdge", 1024, 36400, Timestamp::now()).expect("an authority"));
        Self::start_with(authority).await
    }

    async fn start_with(authority: Arc<Authority>) -> Self {
        let profile = LeafProfile {
            common_name: "KubeEdge".into(),
            organizations: vec!["KubeEdge".into()],
            days: 36400,
            usages: vec![Usage::ServerAuth],
            sans: vec![San::parse("127.0.0.1").expect("an address")],
        };
        let identity = authority.issue(&profile, Timestamp::now()).expect("a certificate");
        let (https, websocket) = (listen().await, listen().await);
        let addresses = (https.local_addr().expect("bound"), websocket.local_addr().expect("bound"));
        let (accepted, links) = mpsc::channel(4);
        let (seen, age_days) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicI64::new(0)));
        let mut tasks = JoinSet::new();
        let desk = Desk { authority: Arc::clone(&authority), seen: Arc::clone(&seen), age_days: Arc::clone(&age_days) };
        tasks.spawn(certificates(https, identity.clone(), desk));
        tasks.spawn(websockets(websocket, identity, authority.cert_der().to_vec(), accepted));
        Self { authority, seen, age_days, https: addresses.0, websocket: addresses.1, links, _tasks: tasks }
    }

    pub(crate) fn token(&self) -> JoinToken {
        JoinToken::issue(&self.authority, Timestamp::now() + SignedDuration::from_hours(24))
    }

    /// The next edge that connects.
    pub(crate) async fn link(&mut self) -> Accepted {
        tokio::time::timeout(Duration::from_secs(20), self.links.recv()).await.expect("in time").expect("a link")
    }

    pub(crate) fn hub_settings(&self, dir: &Path, token: Option<&str>) -> EdgeHubSettings {
        let server = |address: SocketAddr| ServerAddress { host: address.ip().to_string(), port: address.port() };
        EdgeHubSettings {
            servers: vec![server(self.websocket)],
            certificate_servers: vec![server(self.https)],
            project_id: "e632aba927ea4ac2b575ec1603d56f10".into(),
            heartbeat: Duration::from_secs(15),
            message_qps: 30,
            message_burst: 60,
            handshake_timeout: Duration::from_secs(10),
            write_deadline: Duration::from_secs(10),
            files: CredentialFiles {
                ca: dir.join("rootCA.crt"),
                cert: dir.join("server.crt"),
                key: dir.join("server.key"),
            },
            token: token.and_then(JoinTokenText::new),
            bootstrap_file: dir.join("bootstrap-edgecore.conf"),
            rotate_certificates: true,
        }
    }

    pub(crate) fn settings(&self, dir: &Path, node: &str) -> EdgeCoreSettings {
        EdgeCoreSettings {
            node_name: node.into(),
            database: dir.join("edgecore.db"),
            remote_query_timeout: Duration::from_secs(10),
            edge_hub: Some(self.hub_settings(dir, Some(self.token().as_str()))),
            edged: Some(edged::doors::Settings { node_name: node.into(), ..Default::default() }),
            check_environment: false,
        }
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.expect("a port")
}

async fn websockets(listener: TcpListener, identity: Identity, ca: Vec<u8>, links: mpsc::Sender<Accepted>) {
    let acceptor = TlsAcceptor::from(tls::server_config_mutual(&identity, &ca).expect("settings"));
    loop {
        let (stream, peer) = listener.accept().await.expect("accepts");
        if let Ok(accepted) = accept(stream, peer, &acceptor, Limits::default(), Duration::from_secs(10)).await
            && links.send(accepted).await.is_err()
        {
            return;
        }
    }
}

struct Desk {
    authority: Arc<Authority>,
    seen: Arc<Mutex<Vec<Seen>>>,
    age_days: Arc<AtomicI64>,
}

async fn certificates(listener: TcpListener, identity: Identity, desk: Desk) {
    let acceptor = TlsAcceptor::from(tls::server_config_optional_client(&identity).expect("settings"));
    loop {
        let (stream, _) = listener.accept().await.expect("accepts");
        // One caller at a time; one that breaks off is its own loss.
        let _ = serve(stream, &acceptor, &desk).await;
    }
}

async fn serve(stream: TcpStream, acceptor: &TlsAcceptor, desk: &Desk) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let peer = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.to_vec());
    let mut bytes = Vec::new();
    let end = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < end + length {
        stream.read_buf(&mut bytes).await?;
    }
    desk.seen.lock().expect("not poisoned").push(Seen { head: head.clone(), client_certificate: peer.is_some() });
    let now = Timestamp::now();
    let answer = if head.starts_with("GET /ca.crt ") {
        Ok(desk.authority.cert_der().to_vec())
    } else {
        let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned));
        let admitted = match (&peer, bearer) {
            (Some(leaf), _) => {
                tls::verify_client_chain(leaf, desk.authority.cert_der(), now).map_err(|e| e.to_string())
            }
            (None, Some(bearer)) => {
                verify_bearer(&bearer, desk.authority.key(), now).map_err(|error| error.to_string())
            }
            (None, None) => Err("token validation failure, token is empty".to_owned()),
        };
        admitted.and_then(|()| {
            let policy = RequestPolicy {
                node: header("nodename").unwrap_or_default(),
                days: 365,
                usages: vec![Usage::ClientAuth],
                accept_legacy: false,
            };
            let issued = now - SignedDuration::from_hours(24 * desk.age_days.load(Ordering::Relaxed));
            desk.authority.sign_request(&bytes[end..], &policy, issued).map_err(|error| error.to_string())
        })
    };
    let (status, body) = match answer {
        Ok(body) => ("200 OK", body),
        Err(text) => ("401 Unauthorized", text.into_bytes()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}
