//! How CloudHub meets the modules behind it: who is told of sessions, who answers messages.

use std::sync::Arc;

use async_trait::async_trait;
use wire::message::Message;

use crate::cloudhub::delivery::{Delivery, Fetched, Preparation, Receipt};
use crate::cloudhub::registry::SessionHandle;

/// What a node said of itself at connect, beyond its name.
#[derive(Debug, Clone, Default)]
pub struct Hello {
    /// The edge store behind this connection; only our own edges offer it.
    pub store_generation: Option<String>,
}

/// The module that decides what each node has to have: EdgeController.
#[async_trait]
pub trait NodeDesk: Send + Sync + 'static {
    /// A session began. Called before anything of it is read.
    fn connected(&self, session: &SessionHandle, hello: &Hello);
    /// A session ended and none replaced it.
    fn disconnected(&self, session: &SessionHandle);
    /// The node acknowledged a delivery.
    fn acknowledged(&self, session: &SessionHandle, receipt: Receipt);
    /// Everything offered to the node is acknowledged; `behind` when something had to be refused before.
    fn drained(&self, session: &SessionHandle, behind: bool);
    /// Records and reads what a delivery needs. `None` when that failed; it is asked again later.
    async fn prepare(&self, node: &Arc<str>, preparation: &Preparation) -> Option<Fetched>;
}

/// A module that takes messages of nodes and may answer them. The node is the connection's identity.
#[async_trait]
pub trait MessageSink: Send + Sync + 'static {
    /// Handles one message; messages about the same object of one node come one after the other.
    async fn accept(&self, node: &Arc<str>, message: Message) -> Vec<Reply>;
}

/// What a module sends back.
#[derive(Debug)]
pub enum Reply {
    /// Sent once.
    Post(Message),
    /// Repeated until acknowledged.
    Deliver(Delivery),
}

/// Where messages of nodes go. A module that does not run is `None`.
#[derive(Clone)]
pub struct Destinations {
    /// Kubernetes objects.
    pub edge_controller: Arc<dyn MessageSink>,
    /// Devices.
    pub device_controller: Option<Arc<dyn MessageSink>>,
    /// MetaServer requests.
    pub dynamic_controller: Option<Arc<dyn MessageSink>>,
    /// Rules.
    pub router: Option<Arc<dyn MessageSink>>,
    /// Node jobs.
    pub task_manager: Option<Arc<dyn MessageSink>>,
}
