//! What a downstream message does to the database, and what follows once that is committed: pure.
//!
//! This is the operation table of spec 02 §4.3 for messages from the cloud, with the acknowledgement rules of
//! spec 01 §6.5.

use edged::doors::{ObjectChange, ObjectKind};
use wire::message::Message;
use wire::operation::Operation;
use wire::reply::Answer;
use wire::resource::{ResourceKind, ResourceRef};

use super::keys;
use super::store::{ObjectVersion, Write};

/// What one message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The change to commit before anything else.
    pub write: Option<Write>,
    /// What follows the commit.
    pub effect: Effect,
    /// The answer, last of all.
    pub answer: Reply,
}

/// What follows a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// The agent gets the pod that is now stored.
    PodChanged,
    /// The agent forgets a pod. The UID is the message's; empty means the one that was stored.
    PodRemoved {
        /// `metadata.uid` of the deleted pod.
        uid: String,
    },
    /// The agent hears that a volume source changed.
    ObjectChanged(ObjectChange),
    /// A Node object arrived; the newest one is kept in memory.
    NodeChanged {
        /// The node's name.
        name: String,
    },
}

/// How the cloud is answered after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Not at all.
    None,
    /// `OK`, with the route of the message.
    Ack,
    /// `OK`, with the route the peers rewrite before they hand a message to DeviceTwin.
    AckAsTwin,
    /// A volume operation that failed locally: `null`.
    VolumeFailed,
    /// The content cannot be kept.
    Unusable,
}

/// Modules of the cloud whose updates are acknowledged.
const DEVICE_CONTROLLER: &str = "devicecontroller";
const ACKNOWLEDGED_UPDATES: [&str; 4] = ["edgecontroller", "dynamiccontroller", "policycontroller", DEVICE_CONTROLLER];
/// CSI operations; there is no CSI driver relay on this edge, so each fails at once instead of after a minute.
const VOLUME_OPERATIONS: [&str; 4] =
    ["createvolume", "deletevolume", "controllerpublishvolume", "controllerunpublishvolume"];

/// Decides what a message without a waiting caller does.
pub fn plan(message: &Message) -> Plan {
    let source = message.route.source.as_str();
    let acknowledge = if source == DEVICE_CONTROLLER { Reply::AckAsTwin } else { Reply::Ack };
    match &message.route.operation {
        Operation::Insert => store(message, acknowledge),
        Operation::Update if ACKNOWLEDGED_UPDATES.contains(&source) => store(message, Reply::Ack),
        Operation::Update => store(message, Reply::None),
        Operation::Delete => delete(message, acknowledge),
        Operation::Other(word) if VOLUME_OPERATIONS.contains(&word.as_str()) => Plan::only(Reply::VolumeFailed),
        Operation::Response => orphan(message),
        Operation::Patch
        | Operation::Query
        | Operation::Error
        | Operation::Upload
        | Operation::Keepalive
        | Operation::Other(_) => Plan::only(Reply::None),
    }
}

/// Decides what an answer does that came after its caller gave up: it is kept and acknowledged, otherwise the cloud
/// repeats it. Source: spec 02 §4.3 BETTER.
fn orphan(message: &Message) -> Plan {
    let Ok(resource) = ResourceRef::parse(&message.route.resource) else { return Plan::only(Reply::None) };
    let kept = match resource.kind {
        ResourceKind::ConfigMap
        | ResourceKind::Secret
        | ResourceKind::PersistentVolume
        | ResourceKind::PersistentVolumeClaim
        | ResourceKind::VolumeAttachment => resource,
        // Answers to these go through the calls that asked; only the cloud's own pushes matter once they are late.
        _ => return Plan::only(Reply::None),
    };
    match Answer::read(&message.content) {
        Answer::Object(object) => stored(&kept, object.get(), false, Reply::Ack),
        // An error is never stored as if it were the object (spec 02 §6.3), but it was received.
        Answer::Ok | Answer::List(_) | Answer::Failed(_) => Plan::only(Reply::Ack),
    }
}

fn store(message: &Message, answer: Reply) -> Plan {
    let Ok(resource) = ResourceRef::parse(&message.route.resource) else {
        let row = keys::object_row(&message.route.resource, &message.content.data(), true);
        return Plan { write: Some(Write::Put(row)), effect: Effect::None, answer };
    };
    match Answer::read(&message.content) {
        Answer::Object(object) => stored(&resource, object.get(), !resource.kind.as_str().contains("status"), answer),
        Answer::Ok | Answer::List(_) | Answer::Failed(_) => Plan::only(Reply::Unusable),
    }
}

fn stored(resource: &ResourceRef, json: &str, generic: bool, answer: Reply) -> Plan {
    let row = keys::object_row(&resource.to_string(), json, generic);
    let effect = match resource.kind {
        ResourceKind::Pod => Effect::PodChanged,
        ResourceKind::Node => match &resource.name {
            Some(name) => Effect::NodeChanged { name: name.clone() },
            None => Effect::None,
        },
        _ => object_changed(resource),
    };
    Plan { write: Some(Write::Put(row)), effect, answer }
}

fn delete(message: &Message, answer: Reply) -> Plan {
    let Ok(resource) = ResourceRef::parse(&message.route.resource) else {
        let write = Write::Remove { key: message.route.resource.clone(), generic_key: None };
        return Plan { write: Some(write), effect: Effect::None, answer };
    };
    let json = message.content.get();
    let generic_key = keys::deleted_generic_key(&resource, json);
    let key = resource.to_string();
    if resource.kind == ResourceKind::Pod {
        let uid = ObjectVersion::of(json).uid;
        let write = Write::RemovePod {
            key,
            patch_key: keys::pod_patch_key(&resource),
            generic_key: generic_key.unwrap_or_default(),
            uid: uid.clone(),
        };
        return Plan { write: Some(write), effect: Effect::PodRemoved { uid }, answer };
    }
    let effect = match (&resource.kind, &resource.name) {
        (ResourceKind::Node, Some(name)) => Effect::NodeChanged { name: name.clone() },
        _ => object_changed(&resource),
    };
    Plan { write: Some(Write::Remove { key, generic_key }), effect, answer }
}

fn object_changed(resource: &ResourceRef) -> Effect {
    let kind = match resource.kind {
        ResourceKind::ConfigMap => ObjectKind::ConfigMap,
        ResourceKind::Secret => ObjectKind::Secret,
        _ => return Effect::None,
    };
    match (resource.scope.namespace(), &resource.name) {
        (Some(namespace), Some(name)) => {
            Effect::ObjectChanged(ObjectChange { kind, namespace: namespace.to_owned(), name: name.clone() })
        }
        _ => Effect::None,
    }
}

impl Plan {
    fn only(answer: Reply) -> Self {
        Self { write: None, effect: Effect::None, answer }
    }
}

/// The acknowledgement of `message`, or whatever else `reply` says. `now` is Unix milliseconds.
pub fn answer(message: &Message, reply: Reply, now: i64) -> Option<Message> {
    match reply {
        Reply::None => None,
        Reply::Ack => Some(message.ack(now)),
        Reply::AckAsTwin => {
            let mut ack = message.ack(now);
            "meta".clone_into(&mut ack.route.source);
            "twin".clone_into(&mut ack.route.group);
            Some(ack)
        }
        Reply::VolumeFailed => Some(message.response(wire::message::Content::null(), now)),
        Reply::Unusable => Some(message.error("metamanager", "content is not an object", now)),
    }
}

#[cfg(test)]
mod tests;
