//! What the acknowledged lane carries: the newest wanted state of an object, or an answer that holds one.

use std::sync::Arc;

use wire::message::{Content, Message};
use wire::operation::Operation;

use crate::kind::{Kind, ObjectKey};
use crate::names::{DEVICE_CONTROLLER, EDGE_CONTROLLER, GROUP_RESOURCE};
use crate::object::{Object, Version, minimal_content};

/// Something an edge has to acknowledge.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The object it is about; order is kept per key.
    pub key: ObjectKey,
    /// The object's UID. A recreated object is another one under the same key.
    pub uid: Arc<str>,
    /// The version delivered by it; for [`Body::Refresh`] the version known to be delivered.
    pub version: Version,
    /// The message proper.
    pub payload: Payload,
    /// Whether an ObjectSync exists already. Without one nothing is sent: what the edge holds is always on record,
    /// but for namespaces that are going away.
    pub recorded: bool,
}

/// A state to deliver or an answer to give.
#[derive(Debug, Clone)]
pub enum Payload {
    /// The object's wanted state: a newer one replaces it while it waits.
    State {
        /// What changed.
        change: StateChange,
        /// Where the content comes from.
        body: Body,
    },
    /// An answer to one request; never replaced.
    Answer(Message),
}

/// The operation of a state message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateChange {
    /// New to the edge.
    Insert,
    /// Changed.
    Update,
    /// Gone.
    Delete,
}

/// Where the content of a state message comes from.
#[derive(Debug, Clone)]
pub enum Body {
    /// At hand.
    Object(Object),
    /// Only name, namespace and UID: the object is gone and nobody has its last state.
    Minimal,
    /// Read from the API server when its turn comes.
    Fetch,
    /// As [`Body::Fetch`], and only sent when newer than the delivery's version.
    Refresh,
}

/// What became of a [`Body::Fetch`].
#[derive(Debug)]
pub enum Fetched {
    /// Nothing was to be read.
    NotNeeded,
    /// The object as it is now.
    Object(Object),
    /// There is no such object, or another one under its name.
    Gone,
}

/// What has to happen before a delivery can be written.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// The object.
    pub key: ObjectKey,
    /// Its UID.
    pub uid: Arc<str>,
    /// Whether an ObjectSync has to be created first.
    pub record: bool,
    /// Whether the content has to be read.
    pub fetch: bool,
}

/// An acknowledged delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The object.
    pub key: ObjectKey,
    /// Its UID.
    pub uid: Arc<str>,
    /// The version the edge has now.
    pub version: Version,
    /// Whether the edge has nothing any more.
    pub deleted: bool,
    /// Whether it was an answer: it may be older than a state delivered before it.
    pub answer: bool,
}

impl Delivery {
    /// A state whose content is at hand.
    pub fn state(key: ObjectKey, change: StateChange, object: Object, recorded: bool) -> Self {
        Self {
            uid: object.meta.uid.clone(),
            version: object.meta.version.clone(),
            key,
            payload: Payload::State { change, body: Body::Object(object) },
            recorded,
        }
    }

    /// An acknowledged answer: a plain object in the content, as queries of ConfigMaps and the like get it.
    pub fn answer(key: ObjectKey, object: &Object, message: Message, recorded: bool) -> Self {
        Self {
            uid: object.meta.uid.clone(),
            version: object.meta.version.clone(),
            key,
            payload: Payload::Answer(message),
            recorded,
        }
    }

    /// The deletion of something whose last state nobody has.
    pub fn minimal_delete(key: ObjectKey, uid: impl Into<Arc<str>>) -> Self {
        let payload = Payload::State { change: StateChange::Delete, body: Body::Minimal };
        Self { key, uid: uid.into(), version: Version::from(""), payload, recorded: true }
    }

    /// Whether this tells the edge that the object is gone.
    pub fn is_delete(&self) -> bool {
        matches!(self.payload, Payload::State { change: StateChange::Delete, .. })
    }

    /// What must happen before [`Delivery::message`] can be called, if anything.
    pub fn preparation(&self) -> Option<Preparation> {
        let fetch = matches!(self.payload, Payload::State { body: Body::Fetch | Body::Refresh, .. });
        let record = !self.recorded;
        (fetch || record).then(|| Preparation { key: self.key.clone(), uid: self.uid.clone(), record, fetch })
    }

    /// Takes in what the preparation found. Returns `false` when nothing is left to deliver.
    pub fn prepared(&mut self, fetched: Fetched) -> bool {
        let was_recorded = std::mem::replace(&mut self.recorded, true);
        let Payload::State { change, body } = &mut self.payload else { return true };
        let object = match fetched {
            Fetched::NotNeeded => return true,
            Fetched::Object(object) if object.meta.uid == self.uid => object,
            Fetched::Object(_) | Fetched::Gone => {
                *change = StateChange::Delete;
                *body = Body::Minimal;
                return was_recorded && self.key.kind != Kind::Node;
            }
        };
        let stale = matches!(body, Body::Refresh) && !object.meta.version.is_newer_than(&self.version);
        self.version = object.meta.version.clone();
        *body = Body::Object(object);
        !stale
    }

    /// The message, with `id` and `timestamp` (Unix milliseconds) so that repetitions are the same bytes.
    ///
    /// Source: spec 02 §1.1, §3.
    pub fn message(&self, id: &str, timestamp: i64) -> Message {
        let (change, body) = match &self.payload {
            Payload::Answer(message) => return message.clone(),
            Payload::State { change, body } => (*change, body),
        };
        let (content, version) = match body {
            Body::Object(object) => (object.content(), Some(self.version.as_str())),
            Body::Minimal | Body::Fetch | Body::Refresh => {
                (minimal_content(self.key.namespace.as_deref(), &self.key.name, &self.uid), None)
            }
        };
        let mut message =
            Message::new(source_of(&self.key), GROUP_RESOURCE, change.into(), self.key.to_string(), content, timestamp);
        id.clone_into(&mut message.header.id);
        message.header.resource_version = version.map(str::to_owned);
        message
    }

    /// The message id a fresh delivery starts with.
    pub fn new_id(&self) -> String {
        match &self.payload {
            Payload::Answer(message) => message.header.id.clone(),
            Payload::State { .. } => Message::new("", "", Operation::Insert, "", Content::null(), 0).header.id,
        }
    }

    /// What its acknowledgement proves.
    pub fn receipt(&self) -> Receipt {
        Receipt {
            key: self.key.clone(),
            uid: self.uid.clone(),
            version: self.version.clone(),
            deleted: self.is_delete(),
            answer: matches!(self.payload, Payload::Answer(_)),
        }
    }
}

impl From<StateChange> for Operation {
    fn from(change: StateChange) -> Self {
        match change {
            StateChange::Insert => Self::Insert,
            StateChange::Update => Self::Update,
            StateChange::Delete => Self::Delete,
        }
    }
}

/// Devices only reach the edge's DeviceTwin under their own controller's name. Source: spec 01 §8.2.
fn source_of(key: &ObjectKey) -> &'static str {
    if key.kind.api_version().starts_with("devices.kubeedge.io/") { DEVICE_CONTROLLER } else { EDGE_CONTROLLER }
}
