//! The read-only HTTP server on the node's loopback: health, pods, container logs, statistics.
//!
//! It is not started when it has no address. Nobody is authenticated, so nothing here changes anything and nothing
//! runs commands in containers. Source: spec 08 §15.

mod logs;
mod reply;
mod stats;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::doors::Settings;

use self::reply::{Body, error_text, json, text};

/// Connections at a time. Full: new ones wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 64;
/// Longest wait for a request on an idle connection. Source: spec 08 §15.1.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// Wait after a failed accept (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Wait before an address that is taken is tried again.
const BIND_PAUSE: Duration = Duration::from_secs(10);

/// What the server asks the rest of the agent.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Pods this node should run, with their last known status.
    fn pods(&self) -> Vec<Arc<Pod>>;
    /// Whether the sync loop is alive.
    fn sync_loop_healthy(&self) -> bool;
    /// Whether a container runs now, from what is already known; followed logs ask often.
    fn is_running(&self, container_id: &str) -> bool;
    /// Where the runtime writes the log of a container, `None` if it does not know the container.
    async fn log_path(&self, container_id: &str) -> Option<PathBuf>;
    /// Further lines for `/metrics`, in Prometheus' text form.
    fn metrics(&self, text: &mut String);
}

/// Serves `address` until `stop`, then hangs up. An address that is taken is waited for: pods run without this server.
pub async fn run(address: SocketAddr, settings: Arc<Settings>, backend: Arc<dyn Backend>, stop: CancellationToken) {
    let Some(listener) = stop.run_until_cancelled(listen(address)).await else { return };
    info!(address = %address, "node server listens");
    serve(listener, settings, backend, stop).await;
}

async fn listen(address: SocketAddr) -> TcpListener {
    let mut warned = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if warned => debug!(address = %address, error = %error, "node server still cannot listen"),
            Err(error) => {
                warned = true;
                warn!(address = %address, error = %error, retry_in = ?BIND_PAUSE, "node server cannot listen");
            }
        }
        tokio::time::sleep(BIND_PAUSE).await;
    }
}

async fn serve(listener: TcpListener, settings: Arc<Settings>, backend: Arc<dyn Backend>, stop: CancellationToken) {
    let server = Arc::new(Server { settings, backend, stats: stats::Sampler::default() });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    let server = Arc::clone(&server);
                    connections.spawn(connection(stream, server));
                }
                Err(error) => {
                    debug!(error = %error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn connection(stream: TcpStream, server: Arc<Server>) {
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(server.answer(&request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT).max_buf_size(64 * 1024);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        debug!(error = %error, "connection ended");
    }
}

struct Server {
    settings: Arc<Settings>,
    backend: Arc<dyn Backend>,
    stats: stats::Sampler,
}

#[derive(Serialize)]
struct PodList<'a> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    metadata: serde_json::Map<String, serde_json::Value>,
    items: Vec<&'a Pod>,
}

impl Server {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default();
        if !matches!(*request.method(), Method::GET | Method::HEAD) && path != "/stats/summary" {
            return error_text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
        }
        match path.trim_end_matches('/') {
            "/healthz" => self.health(query, &["ping", "log", "syncloop"]),
            "/healthz/ping" | "/healthz/log" => text("ok".to_owned()),
            "/healthz/syncloop" => self.health(query, &["syncloop"]),
            "/pods" => self.pods(),
            "/metrics" => text(self.metrics()),
            "/stats/summary" => json(&self.stats.summary(&self.settings, &self.backend.pods())),
            "/containerLogs" => logs::missing_pod(),
            other => match other.strip_prefix("/containerLogs/") {
                Some(rest) if self.settings.enable_debugging_handlers => {
                    logs::answer(rest, query, Arc::clone(&self.backend)).await
                }
                Some(_) => error_text(StatusCode::METHOD_NOT_ALLOWED, "Debug endpoints are disabled."),
                None => error_text(StatusCode::NOT_FOUND, "404 page not found"),
            },
        }
    }

    fn health(&self, query: &str, checks: &[&str]) -> Response<Body> {
        let passes = |check: &str| check != "syncloop" || self.backend.sync_loop_healthy();
        let failed: Vec<_> = checks.iter().filter(|check| !passes(check)).collect();
        let verbose = query.split('&').any(|pair| pair.split('=').next() == Some("verbose"));
        if failed.is_empty() && !verbose {
            return text("ok".to_owned());
        }
        let mut report = String::new();
        for check in checks {
            let line =
                if passes(check) { format!("[+]{check} ok") } else { format!("[-]{check} failed: reason withheld") };
            let _ = writeln!(report, "{line}");
        }
        if failed.is_empty() {
            report.push_str("healthz check passed\n");
            return text(report);
        }
        report.push_str("healthz check failed\n");
        error_text(StatusCode::INTERNAL_SERVER_ERROR, &report)
    }

    fn pods(&self) -> Response<Body> {
        let pods = self.backend.pods();
        let items = pods.iter().map(AsRef::as_ref).collect();
        json(&PodList { kind: "PodList", api_version: "v1", metadata: serde_json::Map::new(), items })
    }

    fn metrics(&self) -> String {
        let node = &self.settings.node_name;
        let mut lines = format!(
            "# HELP kubelet_node_name The node's name. The count is always 1.\n\
             # TYPE kubelet_node_name gauge\nkubelet_node_name{{node=\"{node}\"}} 1\n"
        );
        self.backend.metrics(&mut lines);
        lines
    }
}

#[cfg(test)]
mod tests;
