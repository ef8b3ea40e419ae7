//! The shapes of answers, as recorded from the peer. Source: spec 01 §5.10, 02 §0.4, §2.2.

use serde_json::value::RawValue;
use wire::message::{Content, Message};
use wire::operation::Operation;
use wire::reply::{ApiStatus, object_resp};
use wire::resource::ResourceKind;

use super::Request;
use crate::names::{EDGE_CONTROLLER, GROUP_RESOURCE};
use crate::object::Object;

/// An empty Node, as typed clients hold one after a failed call.
pub const EMPTY_NODE: &str = r#"{"metadata":{"creationTimestamp":null},"spec":{},"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":0}},"nodeInfo":{"machineID":"","systemUUID":"","bootID":"","kernelVersion":"","osImage":"","containerRuntimeVersion":"","kubeletVersion":"","kubeProxyVersion":"","operatingSystem":"","architecture":""}}}"#;
const EMPTY_POD: &str = r#"{"metadata":{"creationTimestamp":null},"spec":{"containers":null},"status":{}}"#;
const EMPTY_LEASE: &str = r#"{"metadata":{"creationTimestamp":null},"spec":{}}"#;
const EMPTY_CSR: &str =
    r#"{"metadata":{"creationTimestamp":null},"spec":{"request":null,"signerName":""},"status":{}}"#;

/// An answer with any content. `version` goes into the header.
pub fn plain(request: &Message, content: Content, version: Option<&str>, now: i64) -> Message {
    let mut reply = request.response(content, now);
    EDGE_CONTROLLER.clone_into(&mut reply.route.source);
    GROUP_RESOURCE.clone_into(&mut reply.route.group);
    reply.header.resource_version = version.map(str::to_owned);
    reply
}

/// `"OK"`.
pub fn ok(request: &Message, version: Option<&str>, now: i64) -> Message {
    plain(request, Content::ok(), version, now)
}

/// `{"Object":…,"Err":null}`. Source: spec 01 §2.2.
pub fn object(request: &Message, object: &Object, versioned: bool, now: i64) -> Message {
    let version = versioned.then(|| object.meta.version.as_str());
    plain(request, object_resp(Some(&object.without_types()), None), version, now)
}

/// As [`object`], with `kind` and `apiVersion`: only the answer to a lease query has them.
pub fn typed_object(request: &Message, object: &Object, now: i64) -> Message {
    let raw = RawValue::from_string(object.text().to_owned()).ok();
    plain(request, object_resp(raw.as_deref(), None), None, now)
}

/// `{"Object":…,"Err":{"ErrStatus":…}}`; `empty` is the empty object, JSON text, or none at all.
pub fn object_failure(request: &Message, empty: Option<&str>, status: &ApiStatus, now: i64) -> Message {
    let empty = empty.and_then(|text| RawValue::from_string(text.to_owned()).ok());
    plain(request, object_resp(empty.as_deref(), Some(status)), None, now)
}

/// An error text for a message that names no resource at all.
pub fn error_text(request: &Message, text: &str, now: i64) -> Message {
    let mut reply = request.error(EDGE_CONTROLLER, text, now);
    GROUP_RESOURCE.clone_into(&mut reply.route.group);
    reply
}

/// The failure of a request in the shape its requester reads. Events are the only requests without an answer.
pub fn failure(request: &Request, status: &ApiStatus, now: i64) -> Option<Message> {
    let message = &request.message;
    let typed = |empty: &str| Some(object_failure(message, Some(empty), status, now));
    match (&request.resource.kind, &message.route.operation) {
        (ResourceKind::Event, _) => None,
        (ResourceKind::Node, Operation::Insert) | (ResourceKind::NodePatch, _) => typed(EMPTY_NODE),
        (ResourceKind::PodPatch, _) | (ResourceKind::Pod, Operation::Insert) => typed(EMPTY_POD),
        (ResourceKind::Lease, Operation::Query) => Some(object_failure(message, None, status, now)),
        (ResourceKind::Lease, _) => typed(EMPTY_LEASE),
        (ResourceKind::CertificateSigningRequest, Operation::Insert) => typed(EMPTY_CSR),
        (ResourceKind::NodeStatus, _) => {
            let mut reply = plain(message, Content::text(&status.message), None, now);
            reply.route.resource = request.resource.with_kind(ResourceKind::Node).to_string();
            Some(reply)
        }
        _ => Some(plain(message, status.to_content(), None, now)),
    }
}

#[cfg(test)]
mod tests;
