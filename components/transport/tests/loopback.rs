//! Dialling and accepting over real TLS on the loopback interface.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pki::tls::{TlsFailure, client_config, client_config_unverified, server_config_mutual};
use pki::{Authority, Identity, LeafProfile, PeerSubject, San, Usage, peer_subject};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use transport::client::{DialError, Endpoint, dial};
use transport::server::{AcceptError, Accepted, accept};
use transport::{Connection, Limits, STORE_GENERATION_HEADER};
use wire::message::{Content, Message};
use wire::operation::Operation;

const PATIENCE: Duration = Duration::from_secs(30);

/// A cloud on a port of its own and what an edge needs to reach it.
struct Site {
    authority: Authority,
    listener: TcpListener,
    acceptor: TlsAcceptor,
    address: SocketAddr,
}

impl Site {
    async fn new() -> Self {
        Self::named("127.0.0.1").await
    }

    /// The server certificate is for `host`.
    async fn named(host: &str) -> Self {
        let authority = authority();
        let server = issue(&authority, "KubeEdge", "KubeEdge", Usage::ServerAuth, San::parse(host));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("is bound");
        let acceptor = TlsAcceptor::from(server_config_mutual(&server, authority.cert_der()).expect("config"));
        Self { authority, listener, acceptor, address }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            host: "127.0.0.1".into(),
            port: self.address.port(),
            project_id: "e632aba927ea4ac2b575ec1603d56f10".into(),
            node_name: "edge1".into(),
        }
    }

    fn edge(&self) -> Identity {
        edge(&self.authority)
    }

    fn tls(&self) -> Arc<ClientConfig> {
        client_config(self.authority.cert_der(), Some(&self.edge())).expect("config")
    }

    async fn accept(&self) -> Result<Accepted, AcceptError> {
        let (stream, peer) = self.listener.accept().await.expect("accepts");
        accept(stream, peer, &self.acceptor, Limits::default(), PATIENCE).await
    }

    async fn dial(&self, tls: Arc<ClientConfig>) -> Result<Connection, DialError> {
        dial(&self.endpoint(), tls, &[], Limits::default(), PATIENCE).await
    }

    /// Both ends of one attempt.
    async fn attempt(&self, tls: Arc<ClientConfig>) -> (Result<Connection, DialError>, Result<Accepted, AcceptError>) {
        tokio::join!(self.dial(tls), self.accept())
    }
}

fn authority() -> Authority {
    Authority::generate("KubeEdge", 1024, 36_400, Timestamp::now()).expect("generates")
}

fn issue(authority: &Authority, cn: &str, organization: &str, usage: Usage, san: Option<San>) -> Identity {
    let profile = LeafProfile {
        common_name: cn.into(),
        organizations: vec![organization.into()],
        days: 365,
        usages: vec![usage],
        sans: san.into_iter().collect(),
    };
    authority.issue(&profile, Timestamp::now()).expect("issues")
}

fn edge(authority: &Authority) -> Identity {
    issue(authority, "system:node:edge1", "system:nodes", Usage::ClientAuth, None)
}

fn tls_failure(outcome: Result<Connection, DialError>) -> TlsFailure {
    match outcome {
        Err(DialError::Tls(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn edge_reaches_the_cloud_and_talks() {
    let site = Site::new().await;
    let extra = [(STORE_GENERATION_HEADER, "42".to_owned())];
    let endpoint = site.endpoint();
    let (edge, cloud) = tokio::join!(dial(&endpoint, site.tls(), &extra, Limits::default(), PATIENCE), site.accept());
    let (edge, cloud) = (edge.expect("dials"), cloud.expect("accepts"));
    assert_eq!((cloud.node_id.as_str(), cloud.project_id.as_str()), ("edge1", endpoint.project_id.as_str()));
    assert_eq!(cloud.headers[STORE_GENERATION_HEADER], "42");
    assert!(cloud.peer.ip().is_loopback());
    assert_eq!(peer_subject(&cloud.peer_certificates[0]).expect("parses"), PeerSubject::Node("edge1".into()));

    let ((up, mut down), (cloud_down, mut cloud_up)) = (edge.split(), cloud.connection.split());
    let big =
        Message::new("edged", "meta", Operation::Update, "default/pod/web", Content::text(&"x".repeat(300_000)), 7);
    let (sent, got) = tokio::join!(up.send(&big), cloud_up.next());
    sent.expect("sends");
    assert_eq!(got.expect("reads").expect("a message").encode(), big.encode());
    cloud_down.send(&big.ack(8)).await.expect("sends");
    assert!(down.next().await.expect("reads").expect("a message").content.is_ok());
    drop((cloud_down, cloud_up));
    assert!(matches!(down.next().await, Ok(None)), "the cloud went away");
}

#[tokio::test]
async fn host_names_are_looked_up() {
    let site = Site::named("localhost").await;
    let endpoint = Endpoint { host: "localhost".into(), ..site.endpoint() };
    let (edge, cloud) = tokio::join!(dial(&endpoint, site.tls(), &[], Limits::default(), PATIENCE), site.accept());
    edge.expect("dials");
    cloud.expect("accepts");
}

#[tokio::test]
async fn nobody_listening_is_a_refusal() {
    let site = Site::new().await;
    let (endpoint, tls) = (site.endpoint(), site.tls());
    drop(site);
    let outcome = dial(&endpoint, tls, &[], Limits::default(), PATIENCE).await;
    assert!(matches!(outcome, Err(DialError::Refused { addr }) if addr.port() == endpoint.port), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn silent_server_runs_into_the_timeout() {
    let site = Site::new().await; // nobody accepts
    let outcome = dial(&site.endpoint(), site.tls(), &[], Limits::default(), Duration::from_secs(5)).await;
    assert!(matches!(outcome, Err(DialError::Timeout { after, .. }) if after.as_secs() == 5), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn silent_client_runs_into_the_timeout() {
    let site = Site::new().await;
    let _client = TcpStream::connect(site.address).await.expect("connects");
    let (stream, peer) = site.listener.accept().await.expect("accepts");
    let outcome = accept(stream, peer, &site.acceptor, Limits::default(), Duration::from_secs(5)).await;
    assert!(matches!(outcome, Err(AcceptError::Timeout { after }) if after.as_secs() == 5), "{outcome:?}");
}

#[tokio::test]
async fn foreign_cloud_is_an_unknown_authority() {
    let site = Site::new().await;
    let other = authority();
    let (edge, cloud) = site.attempt(client_config(other.cert_der(), Some(&edge(&other))).expect("config")).await;
    assert!(matches!(tls_failure(edge), TlsFailure::UnknownAuthority));
    assert!(cloud.is_err());
}

#[tokio::test]
async fn certificate_for_another_address_is_named() {
    let site = Site::named("192.0.2.7").await;
    let (edge, _) = site.attempt(site.tls()).await;
    match tls_failure(edge) {
        TlsFailure::Name(mismatch) => {
            assert_eq!(mismatch.dialled, "127.0.0.1");
            assert_eq!(mismatch.ips, ["192.0.2.7".parse::<std::net::IpAddr>().expect("an address")]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn missing_or_foreign_client_certificate_is_refused_by_the_server() {
    let site = Site::new().await;
    let foreign = edge(&authority());
    for identity in [None, Some(&foreign)] {
        let (edge, cloud) = site.attempt(client_config(site.authority.cert_der(), identity).expect("config")).await;
        let failure = tls_failure(edge);
        assert!(matches!(failure, TlsFailure::ClientRefused { .. }), "{failure:?}");
        assert!(matches!(cloud, Err(AcceptError::Tls(_))), "{cloud:?}");
    }
}

#[tokio::test]
async fn plain_text_on_either_side_is_told_apart() {
    let site = Site::new().await;
    let (edge, ()) = tokio::join!(site.dial(site.tls()), async {
        let (mut stream, _) = site.listener.accept().await.expect("accepts");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("writes");
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    assert!(matches!(tls_failure(edge), TlsFailure::NotTls));

    let (cloud, _) = tokio::join!(site.accept(), async {
        let mut stream = TcpStream::connect(site.address).await.expect("connects");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("writes");
        stream.read_to_end(&mut Vec::new()).await
    });
    assert!(matches!(cloud, Err(AcceptError::Tls(TlsFailure::NotTls))), "{cloud:?}");
}

#[tokio::test]
async fn other_https_servers_are_not_websocket_servers() {
    for (answer, expected) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot here\n", Some(404)),
        ("SSH-2.0-OpenSSH\r\n\r\n", None),
    ] {
        let site = Site::new().await;
        let serve = async {
            let (stream, _) = site.listener.accept().await?;
            let mut stream = site.acceptor.accept(stream).await?;
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await? > 0);
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await
        };
        let (edge, served) = tokio::join!(site.dial(site.tls()), serve);
        served.expect("serves");
        match (edge, expected) {
            (Err(DialError::Status { code, explanation }), Some(expected)) => {
                assert_eq!((code, explanation.as_str()), (expected, "not here"));
            }
            (Err(DialError::NotWebsocket), None) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn requests_that_are_no_upgrade_are_answered_with_http() {
    for (request, status) in [
        ("GET /debug/pprof/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
            405,
        ),
    ] {
        let site = Site::new().await;
        let ask = async {
            let stream = TcpStream::connect(site.address).await?;
            let name = ServerName::try_from("127.0.0.1").map_err(io::Error::other)?;
            let mut stream = TlsConnector::from(site.tls()).connect(name, stream).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            io::Result::Ok(answer)
        };
        let (cloud, answer) = tokio::join!(site.accept(), ask);
        assert!(matches!(cloud, Err(AcceptError::Refused { status: found, .. }) if found == status), "{cloud:?}");
        assert!(answer.expect("is answered").starts_with(&format!("HTTP/1.1 {status} ")));
    }
}

#[tokio::test]
async fn names_that_would_change_the_request_never_leave() {
    let endpoint = |project_id: &str, node_name: &str| Endpoint {
        host: "192.0.2.1".into(),
        port: 1,
        project_id: project_id.into(),
        node_name: node_name.into(),
    };
    let tls = client_config_unverified().expect("config");
    for endpoint in [endpoint("", "edge1"), endpoint("p", ".."), endpoint("p", "a/b"), endpoint("p", "a\r\nX: y")] {
        let outcome = dial(&endpoint, Arc::clone(&tls), &[], Limits::default(), PATIENCE).await;
        assert!(matches!(outcome, Err(DialError::Name { .. })), "{outcome:?}");
    }
    let extra = [("X-Y", "a\r\nb".to_owned())];
    let outcome = dial(&endpoint("p", "n"), tls, &extra, Limits::default(), PATIENCE).await;
    assert!(matches!(outcome, Err(DialError::Name { what: "header", .. })), "{outcome:?}");
}
