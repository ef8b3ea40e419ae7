//! The counters of this process, in one place. Names start with the peer's prefix. Source: spec 01 §11.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Every metric; cloning a metric shares it.
pub struct Metrics {
    registry: Registry,
    /// Sessions of this instance.
    pub connected_nodes: Gauge,
    /// Objects and messages waiting in all sessions; brought up to date when read.
    pub queue_depth: Gauge,
    /// Sessions ever begun.
    pub connects: Counter,
    /// Connections refused at admission.
    pub refused_connections: Counter,
    /// Messages written to edges.
    pub sent: Counter,
    /// Messages written again because no acknowledgement came.
    pub resends: Counter,
    /// Acknowledgements of edges.
    pub acks: Counter,
    /// Errors that edges answered instead.
    pub edge_errors: Counter,
    /// Deliveries and answers refused because a session's lane was full.
    pub overflows: Counter,
    /// Requests of edges.
    pub requests: Counter,
    /// Requests refused because the node has too many already.
    pub refused_requests: Counter,
    /// Requests refused because the node has no right to what it asked for.
    pub forbidden_requests: Counter,
    /// Messages of edges that no module here takes.
    pub unrouted: Counter,
    /// Certificates signed.
    pub certificates: Counter,
    /// Enrolment requests refused.
    pub refused_enrolments: Counter,
    /// Acknowledgements dropped before they were recorded.
    pub dropped_bookings: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            connected_nodes: Gauge::default(),
            queue_depth: Gauge::default(),
            connects: Counter::default(),
            refused_connections: Counter::default(),
            sent: Counter::default(),
            resends: Counter::default(),
            acks: Counter::default(),
            edge_errors: Counter::default(),
            overflows: Counter::default(),
            requests: Counter::default(),
            refused_requests: Counter::default(),
            forbidden_requests: Counter::default(),
            unrouted: Counter::default(),
            certificates: Counter::default(),
            refused_enrolments: Counter::default(),
            dropped_bookings: Counter::default(),
        };
        let registry = &mut metrics.registry;
        let gauges = [
            ("KubeEdge_CloudHub_connected_nodes", "Number of nodes connected", &metrics.connected_nodes),
            ("KubeEdge_CloudHub_queue_depth", "Objects and messages waiting for nodes", &metrics.queue_depth),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        let counters = [
            ("KubeEdge_CloudHub_connects", "Sessions begun", &metrics.connects),
            ("KubeEdge_CloudHub_refused_connections", "Connections refused at admission", &metrics.refused_connections),
            ("KubeEdge_CloudHub_sent", "Messages written to nodes", &metrics.sent),
            ("KubeEdge_CloudHub_resends", "Messages repeated without an acknowledgement", &metrics.resends),
            ("KubeEdge_CloudHub_acks", "Acknowledgements of nodes", &metrics.acks),
            ("KubeEdge_CloudHub_edge_errors", "Errors answered by nodes", &metrics.edge_errors),
            ("KubeEdge_CloudHub_overflows", "Messages refused by a full lane", &metrics.overflows),
            ("KubeEdge_CloudHub_requests", "Requests of nodes", &metrics.requests),
            ("KubeEdge_CloudHub_refused_requests", "Requests refused for their number", &metrics.refused_requests),
            (
                "KubeEdge_CloudHub_forbidden_requests",
                "Requests refused for lack of rights",
                &metrics.forbidden_requests,
            ),
            ("KubeEdge_CloudHub_unrouted", "Messages of nodes without a receiver", &metrics.unrouted),
            ("KubeEdge_CloudHub_certificates", "Node certificates signed", &metrics.certificates),
            ("KubeEdge_CloudHub_refused_enrolments", "Enrolment requests refused", &metrics.refused_enrolments),
            (
                "KubeEdge_SyncController_dropped_bookings",
                "Acknowledgements dropped before they were recorded",
                &metrics.dropped_bookings,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        metrics
    }
}

impl Metrics {
    /// The metrics in the Prometheus text format.
    ///
    /// # Errors
    /// [`std::fmt::Error`] never in practice: the target is a `String`.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::with_capacity(4096);
        encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_gauge_keeps_its_name() {
        let metrics = Metrics::default();
        metrics.connected_nodes.set(3);
        metrics.acks.inc();
        let text = metrics.text().expect("text");
        assert!(text.contains("\nKubeEdge_CloudHub_connected_nodes 3\n"), "{text}");
        assert!(text.contains("\nKubeEdge_CloudHub_acks_total 1\n"), "{text}");
    }
}
