//! One connection from admission to its end: three loops in one task, and the state machine between them.
//!
//! The reader turns messages into events and requests; the writer does what the machine says; requests of the node
//! run side by side, except that those about one object keep their order. The first loop to end takes the others
//! with it, and whatever the session still wanted is computed anew at the next connect.

pub mod machine;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, warn};
use transport::{LinkError, Receiver, Sender};
use wire::message::{Content, Message};

use crate::cloudhub::delivery::Fetched;
use crate::cloudhub::dispatch::{Destination, destination};
use crate::cloudhub::doors::{Destinations, MessageSink, NodeDesk};
use crate::cloudhub::registry::SessionHandle;
use crate::cloudhub::session::machine::{Action, Event};
use crate::cloudhub::session::requests::Requests;
use crate::kind::ObjectKey;
use crate::monitor::metrics::Metrics;
use crate::names::{CLOUD_HUB, GROUP_RESOURCE};

/// How long a closing handshake may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// Longest part of a node's error text that is logged, characters.
const MAX_ERROR: usize = 256;
/// Websocket close code: this end is going away.
const GOING_AWAY: u16 = 1001;

/// Why a session ended.
#[derive(Debug, Error)]
pub enum SessionEnd {
    /// Reading or writing failed.
    #[error("connection failed")]
    Link(#[source] LinkError),
    /// The node closed the connection.
    #[error("closed by the node")]
    Closed,
    /// No keepalive in time.
    #[error("no keepalive in time")]
    Silent,
    /// Replaced by a newer connection, its Node was deleted, or the process stops.
    #[error("ended by the cloud")]
    Ended,
}

/// What all sessions share.
pub struct Hub {
    /// Decides what nodes have to have.
    pub desk: Arc<dyn NodeDesk>,
    /// Where their messages go.
    pub destinations: Destinations,
    /// The API server's CA as PEM, for nodes that ask; empty when unknown.
    pub api_server_ca: String,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Hub {
    /// Runs one session until its connection fails, its node falls silent or somebody ends it.
    pub async fn run_session(&self, session: &SessionHandle, sender: Sender, mut receiver: Receiver) -> SessionEnd {
        let end = tokio::select! {
            () = session.shared.end.cancelled() => SessionEnd::Ended,
            end = self.read(session, &mut receiver) => end,
            end = self.write(session, &sender) => end,
        };
        let _ = tokio::time::timeout(CLOSE_DEADLINE, sender.close(GOING_AWAY)).await;
        end
    }

    async fn read(&self, session: &SessionHandle, receiver: &mut Receiver) -> SessionEnd {
        let mut requests = Requests::new(session.clone(), self.metrics.clone());
        loop {
            let message = tokio::select! {
                message = receiver.next() => message,
                () = requests.finished() => continue,
            };
            match message {
                Ok(Some(message)) => self.take(session, message, &mut requests),
                Ok(None) => return SessionEnd::Closed,
                Err(error) => return SessionEnd::Link(error),
            }
        }
    }

    /// Hands one message to its receiver; never waits.
    fn take(&self, session: &SessionHandle, message: Message, requests: &mut Requests) {
        let parent = message.header.parent_id.clone().unwrap_or_default();
        let to = match destination(&message) {
            Destination::Keepalive => {
                session.step(Event::Keepalive);
                return;
            }
            Destination::Ack => {
                self.metrics.acks.inc();
                for action in session.step(Event::Acked(parent)) {
                    self.book(session, action);
                }
                return;
            }
            Destination::EdgeError => {
                self.metrics.edge_errors.inc();
                let error: String = message.content.data().chars().take(MAX_ERROR).collect();
                warn!(resource = %message.route.resource, error, "the node refused a message");
                session.step(Event::Refused(parent));
                return;
            }
            Destination::ApiServerCa => {
                let mut answer = message.response(Content::text(&self.api_server_ca), unix_ms());
                CLOUD_HUB.clone_into(&mut answer.route.source);
                GROUP_RESOURCE.clone_into(&mut answer.route.group);
                session.post(answer);
                return;
            }
            Destination::EdgeController => Some(self.destinations.edge_controller.clone()),
            Destination::DeviceController => self.destinations.device_controller.clone(),
            Destination::DynamicController => self.destinations.dynamic_controller.clone(),
            Destination::Router => self.destinations.router.clone(),
            Destination::TaskManager => self.destinations.task_manager.clone(),
            Destination::Volume | Destination::Nobody => None,
        };
        match to {
            Some(sink) => requests.submit(sink, message),
            None => self.unrouted(session, &message),
        }
    }

    /// Nobody here takes the message. Who waits for an answer gets an error instead of silence.
    fn unrouted(&self, session: &SessionHandle, message: &Message) {
        self.metrics.unrouted.inc();
        debug!(source = %message.route.source, resource = %message.route.resource, "no module takes this message");
        if destination(message) == Destination::DynamicController {
            session.post(refusal(message, CLOUD_HUB, "the dynamic controller is not running"));
        }
    }

    async fn write(&self, session: &SessionHandle, sender: &Sender) -> SessionEnd {
        let mut preparations: JoinSet<(ObjectKey, Option<Fetched>)> = JoinSet::new();
        loop {
            let Some(action) = session.next() else { return SessionEnd::Ended };
            match action {
                Action::Write { message, repeat } => {
                    if let Err(error) = sender.send(&message).await {
                        return SessionEnd::Link(error);
                    }
                    self.metrics.sent.inc();
                    self.metrics.resends.inc_by(u64::from(repeat));
                }
                Action::Prepare(preparation) => {
                    let (desk, node) = (self.desk.clone(), session.node().clone());
                    preparations.spawn(async move {
                        let found = desk.prepare(&node, &preparation).await;
                        (preparation.key, found)
                    });
                }
                Action::Sleep { until } => tokio::select! {
                    () = session.shared.wake.notified() => {}
                    () = tokio::time::sleep_until(Instant::from_std(until)) => {}
                    Some(done) = preparations.join_next() => self.prepared(session, done),
                },
                Action::Expired => return SessionEnd::Silent,
                other @ (Action::Acknowledged(_) | Action::Drained { .. } | Action::Overflow) => {
                    self.book(session, other);
                }
            }
        }
    }

    fn prepared(&self, session: &SessionHandle, done: Result<(ObjectKey, Option<Fetched>), tokio::task::JoinError>) {
        match done {
            Ok((key, found)) => {
                for action in session.step(Event::Prepared { key, found }) {
                    self.book(session, action);
                }
            }
            Err(panic) => {
                // The slot would wait for ever: start over with a new session.
                warn!(error = %crate::chain(&panic), "preparing a delivery failed");
                session.end();
            }
        }
    }

    fn book(&self, session: &SessionHandle, action: Action) {
        match action {
            Action::Acknowledged(receipt) => self.desk.acknowledged(session, receipt),
            Action::Drained { behind } => self.desk.drained(session, behind),
            Action::Overflow | Action::Write { .. } | Action::Prepare(_) | Action::Sleep { .. } | Action::Expired => {}
        }
    }
}

/// Sinks are shared by all sessions.
type Sink = Arc<dyn MessageSink>;

/// An error in answer to a message; edges only route it to whoever waits when it has the objects' group.
fn refusal(message: &Message, source: &str, text: &str) -> Message {
    let mut reply = message.error(source, text, unix_ms());
    GROUP_RESOURCE.clone_into(&mut reply.route.group);
    reply
}

fn unix_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
