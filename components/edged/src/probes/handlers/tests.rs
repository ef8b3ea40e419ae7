//! Probes against small servers on loopback.

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::ExecOutput;
use super::*;

struct Shell;

#[async_trait]
impl ContainerExec for Shell {
    async fn exec_sync(&self, id: &str, command: &[String], _: Duration) -> Result<ExecOutput, ExecError> {
        assert_eq!(id, "c1");
        match command[0].as_str() {
            "true" => Ok(ExecOutput { exit_code: 0, output: Vec::new() }),
            "slow" => Err(ExecError::TimedOut),
            "broken" => Err(ExecError::Failed("no such container".to_owned())),
            other => Ok(ExecOutput { exit_code: 1, output: other.repeat(2 * MAX_OUTPUT).into_bytes() }),
        }
    }
}

/// Answers each connection with the next of `answers`; returns its port and what was asked.
async fn serve(answers: &'static [&'static str]) -> (u16, JoinSet<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut asked = String::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let length = stream.read(&mut buffer).await.unwrap();
            asked.push_str(&String::from_utf8_lossy(&buffer[..length]));
            let answer = answer.replace("PORT", &port.to_string());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (port, tasks)
}

async fn ask(probe: Value) -> Outcome {
    let container = json!({"name": "c", "ports": [{"name": "web", "containerPort": 1}],
        "env": [{"name": "WORD", "value": "true"}]});
    let container = serde_json::from_value(container).unwrap();
    let ip = Some("127.0.0.1".parse().unwrap());
    let question = Question::new(&serde_json::from_value(probe).unwrap(), &container, ip, "c1");
    Prober::new(Arc::new(Shell)).ask(&question).await
}

const OK: Outcome = Outcome::Success { warning: None };

fn failure(text: &str) -> Outcome {
    Outcome::Failure(text.to_owned())
}

#[tokio::test]
async fn http_asks_with_its_own_headers_and_takes_2xx_and_3xx() {
    let (port, mut tasks) = serve(&["HTTP/1.1 204 No Content\r\n\r\n"]).await;
    let headers = json!([{"name": "Host", "value": "shop.example"}, {"name": "X-A", "value": "1"}]);
    assert_eq!(ask(json!({"httpGet": {"path": "healthz?x=1", "port": port, "httpHeaders": headers}})).await, OK);
    let asked = tasks.join_next().await.unwrap().unwrap().to_lowercase();
    assert!(asked.starts_with("get /healthz?x=1 http/1.1\r\n"), "{asked}");
    for header in ["host: shop.example", "x-a: 1", "user-agent: kube-probe/1.32", "accept: */*", "connection: close"] {
        assert!(asked.contains(header), "{header} in {asked}");
    }
}

#[tokio::test]
async fn http_failures_have_the_kubelets_words() {
    let (port, _tasks) = serve(&["HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"]).await;
    let got = ask(json!({"httpGet": {"path": "/", "port": port}})).await;
    assert_eq!(got, failure("HTTP probe failed with statuscode: 503"));
    let (port, _tasks) = serve(&[""]).await;
    let got = ask(json!({"httpGet": {"path": "/x", "port": port}})).await;
    assert_eq!(got, Outcome::Failure(format!("Get \"http://127.0.0.1:{port}/x\": EOF")));
    let got = ask(json!({"httpGet": {"path": "/x", "port": "web"}})).await;
    assert_eq!(got, failure("Get \"http://127.0.0.1:1/x\": dial tcp 127.0.0.1:1: connect: connection refused"));
}

#[tokio::test]
async fn redirects_stay_on_the_host_or_end_with_a_warning() {
    let (port, _tasks) =
        serve(&["HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:PORT/next\r\n\r\n", "HTTP/1.1 500 Oops\r\n\r\n"])
            .await;
    let got = ask(json!({"httpGet": {"path": "/", "port": port}})).await;
    assert_eq!(got, failure("HTTP probe failed with statuscode: 500"));
    let (port, _tasks) =
        serve(&["HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\ncontent-length: 4\r\n\r\ngone"]).await;
    let warning = Some("Probe terminated redirects, Response body: gone".to_owned());
    assert_eq!(ask(json!({"httpGet": {"path": "/", "port": port}})).await, Outcome::Success { warning });
}

#[tokio::test]
async fn an_endless_body_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {} // until the probe hangs up
    });
    assert_eq!(ask(json!({"httpGet": {"path": "/", "port": port}})).await, OK);
}

#[tokio::test]
async fn tcp_needs_a_listener() {
    let (port, _tasks) = serve(&["x"]).await;
    assert_eq!(ask(json!({"tcpSocket": {"port": port}})).await, OK);
    let got = ask(json!({"tcpSocket": {"port": "web"}})).await;
    assert_eq!(got, failure("dial tcp 127.0.0.1:1: connect: connection refused"));
    assert_eq!(ask(json!({"tcpSocket": {"port": "x"}})).await, Outcome::Error("couldn't find port: x".to_owned()));
}

#[tokio::test]
async fn commands_are_expanded_and_judged_by_their_exit_code() {
    assert_eq!(ask(json!({"exec": {"command": ["$(WORD)"]}})).await, OK);
    assert_eq!(ask(json!({"exec": {"command": ["x"]}})).await, Outcome::Failure("x".repeat(MAX_OUTPUT)));
    let slow = json!({"exec": {"command": ["slow", "a"]}, "timeoutSeconds": 90});
    assert_eq!(ask(slow).await, failure("command timed out: \"slow a\" timed out after 1m30s"));
    assert_eq!(ask(json!({"exec": {"command": ["broken"]}})).await, Outcome::Error("no such container".to_owned()));
}

#[tokio::test]
async fn grpc_that_nobody_serves_is_a_failure() {
    let Outcome::Failure(text) = ask(json!({"grpc": {"port": 1}})).await else { panic!() };
    assert!(text.starts_with("timeout: failed to connect service \"127.0.0.1:1\" within 1s: "), "{text}");
}

#[tokio::test]
async fn a_probe_without_a_handler_is_an_error() {
    let missing = "missing probe handler for container c".to_owned();
    assert_eq!(ask(json!({})).await, Outcome::Error(missing));
}

/// A health service that answers every call with `status`.
async fn serve_health(status: u8) -> (u16, JoinSet<()>) {
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use hyper::server::conn::http2;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| async move {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            // A frame of two bytes: field 1, the status; then the trailers that end a call well.
            let message = bytes::Bytes::from(vec![0, 0, 0, 0, 2, 8, status]);
            let mut trailers = ::http::HeaderMap::new();
            trailers.insert("grpc-status", ::http::HeaderValue::from_static("0"));
            let frames = [Ok::<_, std::io::Error>(Frame::data(message)), Ok(Frame::trailers(trailers))];
            let body = StreamBody::new(futures_util::stream::iter(frames));
            let mut response = ::http::Response::new(body);
            response.headers_mut().insert("content-type", ::http::HeaderValue::from_static("application/grpc"));
            Ok::<_, std::io::Error>(response)
        });
        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    });
    (port, tasks)
}

#[tokio::test]
async fn grpc_asks_the_health_service() {
    let (port, _tasks) = serve_health(1).await;
    assert_eq!(ask(json!({"grpc": {"port": port, "service": "shop"}})).await, OK);
    let (port, _tasks) = serve_health(2).await;
    let unhealthy = failure("service unhealthy (responded with \"NOT_SERVING\")");
    assert_eq!(ask(json!({"grpc": {"port": port}})).await, unhealthy);
}

#[tokio::test]
async fn https_takes_any_certificate() {
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

    let own = rcgen::generate_simple_self_signed(vec!["elsewhere.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![own.cert.der().clone()], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut buffer = vec![0; 4096];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let _ = stream.shutdown().await;
    });
    assert_eq!(ask(json!({"httpGet": {"port": port, "scheme": "HTTPS"}})).await, OK);
}
