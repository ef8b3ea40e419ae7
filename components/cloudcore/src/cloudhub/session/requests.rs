//! The requests of one node: bounded in number, side by side, in order per object.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::{Instrument, error};
use wire::message::Message;

use super::{Sink, refusal};
use crate::cloudhub::dispatch::order_key;
use crate::cloudhub::doors::Reply;
use crate::cloudhub::registry::SessionHandle;
use crate::monitor::metrics::Metrics;
use crate::names::EDGE_CONTROLLER;

/// Requests of one node waiting or being handled. Full: answered with an error at once.
pub const REQUEST_CAPACITY: usize = 256;
/// Bytes of the requests of one node waiting or being handled. Full: answered with an error at once.
pub const REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// Requests of one node being handled at once. Full: further ones wait.
pub const PARALLEL_REQUESTS: usize = 16;

struct Pending {
    sink: Sink,
    message: Message,
    bytes: usize,
}

/// See the module's text. Dropping it aborts what is being handled; the node asks again.
pub struct Requests {
    session: SessionHandle,
    metrics: Arc<Metrics>,
    running: JoinSet<(String, usize)>,
    /// First of their object, waiting for a free place.
    ready: VecDeque<(String, Pending)>,
    /// Behind an earlier request about the same object.
    waiting: HashMap<String, VecDeque<Pending>>,
    pending: usize,
    bytes: usize,
}

impl Requests {
    /// None yet.
    pub fn new(session: SessionHandle, metrics: Arc<Metrics>) -> Self {
        Self {
            session,
            metrics,
            running: JoinSet::new(),
            ready: VecDeque::new(),
            waiting: HashMap::new(),
            pending: 0,
            bytes: 0,
        }
    }

    /// Handles a request now, or after the earlier ones about the same object.
    pub fn submit(&mut self, sink: Sink, message: Message) {
        self.metrics.requests.inc();
        let bytes = size(&message);
        if self.pending >= REQUEST_CAPACITY || self.bytes + bytes > REQUEST_BYTES {
            self.metrics.refused_requests.inc();
            self.session.post(refusal(&message, EDGE_CONTROLLER, "too many requests of this node are pending"));
            return;
        }
        self.pending += 1;
        self.bytes += bytes;
        let key = order_key(&message);
        let pending = Pending { sink, message, bytes };
        if let Some(queue) = self.waiting.get_mut(&key) {
            queue.push_back(pending);
            return;
        }
        self.waiting.insert(key.clone(), VecDeque::new());
        self.ready.push_back((key, pending));
        self.start();
    }

    /// Waits until one request is done and starts the next one. Cancel-safe.
    pub async fn finished(&mut self) {
        let Some(done) = self.running.join_next().await else { return std::future::pending().await };
        let (key, bytes) = match done {
            Ok(done) => done,
            Err(panic) => {
                // Which object it was about is lost with it: start over with a new session.
                error!(error = %crate::chain(&panic), "handling a request failed");
                self.session.end();
                return;
            }
        };
        self.pending -= 1;
        self.bytes -= bytes;
        match self.waiting.get_mut(&key).and_then(VecDeque::pop_front) {
            Some(next) => self.ready.push_back((key, next)),
            None => {
                self.waiting.remove(&key);
            }
        }
        self.start();
        if self.pending == 0 {
            self.waiting.shrink_to_fit();
            self.ready.shrink_to_fit();
        }
    }

    fn start(&mut self) {
        while self.running.len() < PARALLEL_REQUESTS {
            let Some((key, Pending { sink, message, bytes })) = self.ready.pop_front() else { return };
            let session = self.session.clone();
            let handle = async move {
                for reply in sink.accept(session.node(), message).await {
                    match reply {
                        Reply::Post(message) => session.post(message),
                        Reply::Deliver(delivery) => session.offer(delivery),
                    }
                }
                (key, bytes)
            };
            self.running.spawn(handle.in_current_span());
        }
    }
}

/// What a request weighs: the parts whose length the node decides.
fn size(message: &Message) -> usize {
    message.content.get().len() + message.route.resource.len() + message.header.id.len()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;
    use wire::message::Content;
    use wire::operation::Operation;

    use super::*;
    use crate::cloudhub::doors::MessageSink;
    use crate::cloudhub::registry::Registry;
    use crate::cloudhub::session::machine::Action;

    struct Slow {
        gate: Semaphore,
        begun: AtomicUsize,
    }

    #[async_trait]
    impl MessageSink for Slow {
        async fn accept(&self, _: &Arc<str>, _: Message) -> Vec<Reply> {
            self.begun.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.expect("open").forget();
            Vec::new()
        }
    }

    fn bench() -> (Requests, Arc<Slow>, SessionHandle) {
        let registry = Registry::new(1, Duration::from_secs(30), Arc::default());
        let session = registry.admit("e1", &CancellationToken::new()).expect("below the limit");
        let slow = Arc::new(Slow { gate: Semaphore::new(0), begun: AtomicUsize::new(0) });
        (Requests::new(session.clone(), Arc::default()), slow, session)
    }

    fn request(name: &str, bytes: usize) -> Message {
        let resource = format!("default/podpatch/{name}");
        Message::new("edged", "meta", Operation::Patch, resource, Content::text(&"x".repeat(bytes)), 0)
    }

    #[tokio::test]
    async fn few_run_at_once_and_all_get_their_turn() {
        let (mut requests, slow, _session) = bench();
        for n in 0..40 {
            requests.submit(slow.clone(), request(&format!("p{n}"), 1));
        }
        tokio::task::yield_now().await;
        assert_eq!(slow.begun.load(Ordering::SeqCst), PARALLEL_REQUESTS);
        slow.gate.add_permits(40);
        for _ in 0..40 {
            requests.finished().await;
        }
        assert_eq!(slow.begun.load(Ordering::SeqCst), 40);
        assert_eq!((requests.pending, requests.bytes), (0, 0));
    }

    #[tokio::test]
    async fn beyond_the_byte_budget_a_node_is_told() {
        let (mut requests, slow, session) = bench();
        let third = request("p2", REQUEST_BYTES / 2);
        requests.submit(slow.clone(), request("p0", REQUEST_BYTES / 2 - 1024));
        requests.submit(slow.clone(), request("p1", REQUEST_BYTES / 2 - 1024));
        requests.submit(slow.clone(), third.clone());
        assert_eq!(requests.pending, 2);
        let Some(Action::Write { message, .. }) = session.next() else { panic!("an answer") };
        assert_eq!(message.header.parent_id.as_deref(), Some(third.header.id.as_str()));
        assert_eq!((message.route.operation.as_str(), message.route.group.as_str()), ("error", "resource"));
    }
}
