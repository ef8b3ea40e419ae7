//! Logs and sessions through the API server, with a node that is a few lines long.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod site;

use std::sync::Arc;

use controlplane::apiserver::nodes::{NodeRouteError, NodeRoutes, NodeStream, NodeTarget};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use site::Site;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Mutex,
    task::JoinSet,
};

/// Answers every request with its own request line, and sessions with an echo.
#[derive(Default)]
struct EchoNode {
    tasks: Arc<Mutex<JoinSet<()>>>,
}

async fn answer(request: Request<Incoming>, tasks: Arc<Mutex<JoinSet<()>>>) -> Response<Full<bytes::Bytes>> {
    let host = request.headers()["host"].to_str().unwrap().to_owned();
    let line = format!("{} {} {host}\n", request.method(), request.uri());
    if !request.headers().contains_key("upgrade") {
        return Response::new(Full::from(line));
    }
    tasks.lock().await.spawn(async move {
        let mut stream = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
        stream.write_all(line.as_bytes()).await.unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.unwrap();
        stream.write_all(&word).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert("connection", "Upgrade".parse().unwrap());
    response.headers_mut().insert("upgrade", "SPDY/3.1".parse().unwrap());
    response.headers_mut().insert("x-stream-protocol-version", "v4.channel.k8s.io".parse().unwrap());
    response
}

#[async_trait::async_trait]
impl NodeRoutes for EchoNode {
    async fn connect(&self, node: &NodeTarget) -> Result<Box<dyn NodeStream>, NodeRouteError> {
        if node.name != "edge1" {
            return Err(NodeRouteError::Offline { name: node.name.clone(), since: None });
        }
        let (ours, theirs) = tokio::io::duplex(4096);
        let tasks = Arc::clone(&self.tasks);
        self.tasks.lock().await.spawn(async move {
            let service = service_fn(move |request| {
                let tasks = Arc::clone(&tasks);
                async move { Ok::<_, std::convert::Infallible>(answer(request, tasks).await) }
            });
            let server = hyper::server::conn::http1::Builder::new();
            server.serve_connection(TokioIo::new(theirs), service).with_upgrades().await.unwrap();
        });
        Ok(Box::new(ours))
    }
}

async fn site_with_pods() -> Site {
    let site = Site::up().await;
    site.api.routes.set(Some(Arc::new(EchoNode::default())));
    for name in ["edge1", "edge2"] {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
        site.post("/api/v1/nodes", &node).await;
        let status = json!({"status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.7"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10351}}}});
        site.merge(&format!("/api/v1/nodes/{name}/status"), &status).await;
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("on-{name}")},
            "spec": {"nodeName": name, "containers": [{"name": "c", "image": "busybox"}]}});
        assert_eq!(site.post("/api/v1/namespaces/default/pods", &pod).await.0, 201);
    }
    site
}

#[tokio::test]
async fn logs_come_from_the_node_of_the_pod() {
    let site = site_with_pods().await;
    let get = |path: &str| site.client.request_text(Request::get(path).body(Vec::new()).unwrap());
    let text = get("/api/v1/namespaces/default/pods/on-edge1/log?tailLines=5&follow=true").await.unwrap();
    assert_eq!(text, "GET /containerLogs/default/on-edge1/c?follow=true&tailLines=5 10.0.0.7:10351\n");
    let error = get("/api/v1/namespaces/default/pods/on-edge1/log?container=zz").await.unwrap_err().to_string();
    assert!(error.contains("container zz is not valid for pod on-edge1"), "{error}");
    let error = get("/api/v1/namespaces/default/pods/on-edge2/log").await.unwrap_err().to_string();
    assert!(error.contains("edge node \"edge2\" is offline"), "{error}");
    let text = get("/api/v1/nodes/edge1:10350/proxy/stats/summary?x=1").await.unwrap();
    assert_eq!(text, "GET /stats/summary?x=1 10.0.0.7:10350\n");
}

#[tokio::test]
async fn sessions_are_spliced_once_both_sides_have_upgraded() {
    let site = site_with_pods().await;
    let admin = site.admin_over_tls().await;
    let path = "/api/v1/namespaces/default/pods/on-edge1/exec?command=sh&command=-c&stdin=true&tty=true";
    let upgrade = |protocol: &str| {
        Request::post(path)
            .header("connection", "Upgrade")
            .header("upgrade", protocol)
            .header("x-stream-protocol-version", "v4.channel.k8s.io")
            .body(kube::client::Body::empty())
            .unwrap()
    };
    let refused = admin.send(upgrade("websocket")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let response = admin.send(upgrade("SPDY/3.1")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(response.headers()["x-stream-protocol-version"], "v4.channel.k8s.io");
    let mut session = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    session.write_all(b"ping").await.unwrap();
    let mut text = String::new();
    session.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "POST /exec/default/on-edge1/c?command=sh&command=-c&input=1&tty=1 10.0.0.7:10351\nping");
}
