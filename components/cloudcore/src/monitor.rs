//! The monitor listener, plain HTTP: `/metrics`, `/healthz`, `/readyz`. Source: spec 01 §11.

pub mod metrics;

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use supervisor::Health;

use crate::cloudhub::registry::Registry;
use crate::edgecontroller::EdgeController;
use crate::http_server::{Answer, answer, text};
use crate::monitor::metrics::Metrics;

/// The text format that prometheus-client writes.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers the monitor's requests.
pub struct Monitor {
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Sessions, for the queue depth.
    pub registry: Arc<Registry>,
    /// Ready once its lists are complete.
    pub controller: Arc<EdgeController>,
    /// State of the modules.
    pub health: Health,
}

impl Monitor {
    /// Answers one request.
    pub fn handle(&self, request: &Request<Incoming>) -> Answer {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed");
        }
        match request.uri().path() {
            "/metrics" => {
                self.metrics.queue_depth.set(i64::try_from(self.registry.depth()).unwrap_or(i64::MAX));
                match self.metrics.text() {
                    Ok(body) => answer(StatusCode::OK, METRICS_TYPE, body),
                    Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
                }
            }
            "/healthz" | "/livez" => verdict(self.health.is_healthy(), "a module is failing"),
            "/readyz" => verdict(self.controller.is_synced() && self.health.is_healthy(), "not ready"),
            _ => text(StatusCode::NOT_FOUND, "404: Page Not Found"),
        }
    }
}

fn verdict(fine: bool, otherwise: &'static str) -> Answer {
    if fine { text(StatusCode::OK, "ok") } else { text(StatusCode::SERVICE_UNAVAILABLE, otherwise) }
}
