//! The requests of one node: bounded in number, side by side, in order per object.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::{Instrument, error};
use wire::message::Message;

use super::{Sink, unix_ms};
use crate::cloudhub::dispatch::order_key;
use crate::cloudhub::doors::Reply;
use crate::cloudhub::registry::SessionHandle;
use crate::monitor::metrics::Metrics;
use crate::names::EDGE_CONTROLLER;

/// Requests of one node waiting or being handled. Full: answered with an error at once.
pub const REQUEST_CAPACITY: usize = 256;

/// See the module's text. Dropping it aborts what is being handled; the node asks again.
pub struct Requests {
    session: SessionHandle,
    metrics: Arc<Metrics>,
    running: JoinSet<String>,
    waiting: HashMap<String, VecDeque<(Sink, Message)>>,
    pending: usize,
}

impl Requests {
    /// None yet.
    pub fn new(session: SessionHandle, metrics: Arc<Metrics>) -> Self {
        Self { session, metrics, running: JoinSet::new(), waiting: HashMap::new(), pending: 0 }
    }

    /// Handles a request now, or after the earlier ones about the same object.
    pub fn submit(&mut self, sink: Sink, message: Message) {
        self.metrics.requests.inc();
        if self.pending >= REQUEST_CAPACITY {
            self.metrics.refused_requests.inc();
            self.session.post(message.error(EDGE_CONTROLLER, "too many requests of this node are pending", unix_ms()));
            return;
        }
        self.pending += 1;
        let key = order_key(&message);
        if let Some(queue) = self.waiting.get_mut(&key) {
            queue.push_back((sink, message));
            return;
        }
        self.waiting.insert(key.clone(), VecDeque::new());
        self.start(key, sink, message);
    }

    /// Waits until one request is done and starts the next one about its object. Cancel-safe.
    pub async fn finished(&mut self) {
        let Some(done) = self.running.join_next().await else { return std::future::pending().await };
        let key = match done {
            Ok(key) => key,
            Err(panic) => {
                // Which object it was about is lost with it: start over with a new session.
                error!(error = %crate::chain(&panic), "handling a request failed");
                self.session.end();
                return;
            }
        };
        self.pending -= 1;
        match self.waiting.get_mut(&key).and_then(VecDeque::pop_front) {
            Some((sink, message)) => self.start(key, sink, message),
            None => {
                self.waiting.remove(&key);
            }
        }
        if self.pending == 0 {
            self.waiting.shrink_to_fit();
        }
    }

    fn start(&mut self, key: String, sink: Sink, message: Message) {
        let session = self.session.clone();
        let handle = async move {
            for reply in sink.accept(session.node(), message).await {
                match reply {
                    Reply::Post(message) => session.post(message),
                    Reply::Deliver(delivery) => session.offer(delivery),
                }
            }
            key
        };
        self.running.spawn(handle.in_current_span());
    }
}
