//! The server asked over a real socket.

use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

struct Node {
    dir: tempfile::TempDir,
    healthy: Mutex<bool>,
}

#[async_trait]
impl Backend for Node {
    fn pods(&self) -> Vec<Arc<Pod>> {
        let status = json!({"phase": "Running", "containerStatuses": [{"name": "c", "image": "i", "imageID": "",
            "ready": true, "restartCount": 0, "containerID": "containerd://c1", "state": {"running": {}}}]});
        let pod = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u"},
            "spec": {"containers": [{"name": "c"}, {"name": "new"}]}, "status": status});
        vec![Arc::new(serde_json::from_value(pod).unwrap())]
    }

    fn sync_loop_healthy(&self) -> bool {
        *self.healthy.lock().unwrap()
    }

    fn is_running(&self, _: &str) -> bool {
        false
    }

    async fn log_path(&self, container_id: &str) -> Option<PathBuf> {
        (container_id == "c1").then(|| self.dir.path().join("0.log"))
    }

    fn metrics(&self, text: &mut String) {
        text.push_str("extra 1\n");
    }
}

struct Site {
    address: SocketAddr,
    node: Arc<Node>,
    _tasks: JoinSet<()>,
}

async fn site(settings: Settings) -> Site {
    let node = Arc::new(Node { dir: tempfile::tempdir().unwrap(), healthy: Mutex::new(true) });
    std::fs::write(node.dir.path().join("0.log"), "2025-03-01T08:15:30Z stdout F hello\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    let backend = Arc::clone(&node) as Arc<dyn Backend>;
    tasks.spawn(serve(listener, Arc::new(settings), backend, CancellationToken::new()));
    Site { address, node, _tasks: tasks }
}

impl Site {
    async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = if head.contains("chunked") { dechunk(body) } else { body.to_owned() };
        (status, body)
    }
}

fn dechunk(body: &str) -> String {
    let mut text = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        text.push_str(&after[..size]);
        rest = &after[size + 2..];
        if size == 0 {
            break;
        }
    }
    text
}

fn settings() -> Settings {
    Settings { node_name: "edge-1".to_owned(), root_dir: PathBuf::from("/"), ..Settings::default() }
}

#[tokio::test]
async fn health_names_what_fails() {
    let site = site(settings()).await;
    assert_eq!(site.get("/healthz").await, (200, "ok".to_owned()));
    assert_eq!(site.get("/healthz/syncloop").await, (200, "ok".to_owned()));
    let verbose = "[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n";
    assert_eq!(site.get("/healthz?verbose").await, (200, verbose.to_owned()));
    *site.node.healthy.lock().unwrap() = false;
    let (status, body) = site.get("/healthz").await;
    assert_eq!((status, body.contains("[-]syncloop failed: reason withheld\n")), (500, true));
    assert_eq!(site.get("/healthz/ping").await.0, 200);
}

#[tokio::test]
async fn pods_metrics_and_statistics_are_served() {
    let site = site(settings()).await;
    let pods: Value = serde_json::from_str(&site.get("/pods").await.1).unwrap();
    assert_eq!((&pods["kind"], &pods["items"][0]["metadata"]["name"]), (&json!("PodList"), &json!("web")));
    let (_, metrics) = site.get("/metrics").await;
    assert!(metrics.contains("kubelet_node_name{node=\"edge-1\"} 1\n"));
    assert!(metrics.ends_with("extra 1\n"));
    let summary: Value = serde_json::from_str(&site.get("/stats/summary").await.1).unwrap();
    assert_eq!(summary["node"]["nodeName"], "edge-1");
    assert!(summary["node"]["memory"]["workingSetBytes"].as_u64().unwrap() > 0);
    assert_eq!(summary["pods"][0]["podRef"]["uid"], "u");
}

#[tokio::test]
async fn logs_are_streamed_and_mistakes_are_named() {
    let site = site(settings()).await;
    assert_eq!(site.get("/containerLogs/shop/web/c?tailLines=5").await, (200, "hello\n".to_owned()));
    let stamped = "2025-03-01T08:15:30Z hello\n".to_owned();
    assert_eq!(site.get("/containerLogs/shop/web/c?follow=true&timestamps=true").await, (200, stamped));
    assert_eq!(site.get("/containerLogs/shop/nope/c").await, (404, "pod \"nope\" does not exist\n".to_owned()));
    let missing = "container \"x\" not found in pod \"web\"\n".to_owned();
    assert_eq!(site.get("/containerLogs/shop/web/x").await, (404, missing));
    let unavailable = "container \"new\" in pod \"web\" is not available\n".to_owned();
    assert_eq!(site.get("/containerLogs/shop/web/new").await, (400, unavailable));
    assert_eq!(site.get("/containerLogs/shop").await, (400, "{\"message\":\"Missing podID.\"}".to_owned()));
    let invalid = "{\"message\":\"Invalid request.\"}".to_owned();
    assert_eq!(site.get("/containerLogs/shop/web/c?tailLines=x").await, (422, invalid));
    assert_eq!(site.get("/exec/shop/web/c").await.0, 404);
}

#[tokio::test]
async fn logs_can_be_switched_off() {
    let site = site(Settings { enable_debugging_handlers: false, ..settings() }).await;
    let (status, body) = site.get("/containerLogs/shop/web/c").await;
    assert_eq!((status, body.as_str()), (405, "Debug endpoints are disabled.\n"));
}

#[tokio::test]
async fn a_taken_address_is_waited_for() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let node = Arc::new(Node { dir: tempfile::tempdir().unwrap(), healthy: Mutex::new(true) });
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(run(address, Arc::new(settings()), Arc::clone(&node) as Arc<dyn Backend>, stop.clone()));
    tokio::time::pause();
    tokio::time::sleep(BIND_PAUSE * 3).await;
    assert!(tasks.try_join_next().is_none(), "the server must not end");
    drop(taken);
    tokio::time::sleep(BIND_PAUSE).await;
    tokio::time::resume();
    let site = Site { address, node, _tasks: JoinSet::new() };
    assert_eq!(site.get("/healthz").await, (200, "ok".to_owned()));
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap();
}
