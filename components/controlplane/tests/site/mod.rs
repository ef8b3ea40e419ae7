//! One control plane per test, in its own directory, on a free port.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::{path::PathBuf, sync::Arc};

use controlplane::{ControlPlane, Settings, apiserver::api::Api};
use http::{Method, Request, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub struct Site {
    pub dir: TempDir,
    pub client: kube::Client,
    pub server: String,
    pub api: Arc<Api>,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Site {
    pub async fn up() -> Self {
        Self::up_in(tempfile::tempdir().unwrap()).await
    }

    pub async fn up_in(dir: TempDir) -> Self {
        let bind = "127.0.0.1:0".parse().unwrap();
        let settings = Settings::new(dir.path().to_owned(), bind, bind.ip());
        let plane = ControlPlane::open(settings).await.unwrap();
        let api = plane.api();
        let client = plane.client("system:admin");
        let server = format!("https://{}", plane.local_addr());
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        let token = stop.clone();
        running.spawn(async move { plane.run(token).await.unwrap() });
        Self { dir, client, server, api, stop, running }
    }

    /// The administrator as a program on another host would come in.
    pub async fn admin_over_tls(&self) -> kube::Client {
        let text = std::fs::read_to_string(self.kubeconfig()).unwrap();
        let kubeconfig = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("admin.conf")
    }

    /// Stops the server in an orderly way and gives the directory back.
    pub async fn down(self) -> TempDir {
        let Self { dir, client, api, stop, mut running, .. } = self;
        drop((client, api));
        stop.cancel();
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
        dir
    }

    /// Sends one request; the answer is the status code and the JSON body.
    pub async fn send(&self, method: Method, path: &str, content_type: &str, body: &str) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .body(kube::client::Body::from(body.as_bytes().to_vec()))
            .unwrap();
        let response = self.client.send(request).await.unwrap();
        let code = response.status();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        (StatusCode::as_u16(&code), serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, "application/json", "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::POST, path, "application/json", &body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::PUT, path, "application/json", &body.to_string()).await
    }

    pub async fn merge(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::PATCH, path, "application/merge-patch+json", &body.to_string()).await
    }

    pub async fn delete(&self, path: &str, body: &str) -> (u16, Value) {
        self.send(Method::DELETE, path, "application/json", body).await
    }
}
