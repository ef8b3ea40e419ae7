//! Where a message of a node goes: one pure table, first match wins. Source: spec 01 §5.9.

use wire::message::Message;
use wire::operation::Operation;
use wire::resource::ResourceRef;

/// The receiver of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The session's watchdog.
    Keepalive,
    /// The acknowledgement of `parent_msg_id`.
    Ack,
    /// The edge could not take `parent_msg_id`.
    EdgeError,
    /// A storage driver waiting for the answer to `parent_msg_id`.
    Volume,
    /// The router.
    Router,
    /// The task manager.
    TaskManager,
    /// The hub itself: the API server's CA.
    ApiServerCa,
    /// The dynamic controller.
    DynamicController,
    /// The device controller.
    DeviceController,
    /// The edge controller.
    EdgeController,
    /// Nobody: the message claims to come from a cloud module.
    Nobody,
}

/// Decides who receives `message`.
pub fn destination(message: &Message) -> Destination {
    let route = &message.route;
    if route.operation == Operation::Keepalive {
        return Destination::Keepalive;
    }
    if is_volume(&route.resource) {
        return Destination::Volume;
    }
    match &route.operation {
        Operation::Response => return Destination::Ack,
        Operation::Error => return Destination::EdgeError,
        Operation::Upload if route.group == "user" => return Destination::Router,
        Operation::Other(verb) if matches!(verb.as_str(), "prepull" | "upgrade" | "UpdateNodeActionStatus") => {
            return Destination::TaskManager;
        }
        Operation::Insert
        | Operation::Update
        | Operation::Patch
        | Operation::Delete
        | Operation::Query
        | Operation::Upload
        | Operation::Keepalive
        | Operation::Other(_) => {}
    }
    if route.resource == "k8s/ca.crt" {
        return Destination::ApiServerCa;
    }
    match route.source.as_str() {
        "cloudhub" | "cloudStream" | "devicecontroller" | "edgecontroller" | "synccontroller" => Destination::Nobody,
        "metaserver" => Destination::DynamicController,
        "twin" => Destination::DeviceController,
        _ => Destination::EdgeController,
    }
}

/// `<namespace>/volume/<name>`, each of word characters, `-`, `.`, `+`.
fn is_volume(resource: &str) -> bool {
    let word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+'))
    };
    let mut parts = resource.splitn(3, '/');
    matches!((parts.next(), parts.next(), parts.next()), (Some(ns), Some("volume"), Some(name)) if word(ns) && word(name))
}

/// Messages with equal keys are handled one after the other, all others side by side.
///
/// A pod's patch, status and deletion share a key, as do all messages about the node.
pub fn order_key(message: &Message) -> String {
    let Ok(resource) = ResourceRef::parse(&message.route.resource) else { return message.route.resource.clone() };
    let family = match resource.kind.as_str() {
        "podpatch" | "podstatus" => "pod",
        "nodepatch" | "nodestatus" => "node",
        other => other,
    };
    match (family, &resource.name) {
        ("node", _) => "node".to_owned(),
        (family, name) => format!("{}/{family}/{}", resource.scope.as_str(), name.as_deref().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use wire::message::Content;

    use super::*;

    fn message(source: &str, group: &str, operation: &str, resource: &str) -> Message {
        Message::new(source, group, Operation::from(operation), resource, Content::null(), 0)
    }

    fn check(source: &str, group: &str, operation: &str, resource: &str, expected: Destination) {
        assert_eq!(
            destination(&message(source, group, operation, resource)),
            expected,
            "{source} {operation} {resource}"
        );
    }

    /// The table of vectors INDEX §3.1.
    #[test]
    fn recorded_messages() {
        check("websocket", "resource", "keepalive", "node", Destination::Keepalive);
        check("edgecontroller", "resource", "response", "default/pod/p", Destination::Ack);
        check("meta", "twin", "response", "default/device/d", Destination::Ack);
        check("bus", "user", "upload", "$hw/events/upload/x", Destination::Router);
        check("servicebus", "user", "upload", "", Destination::Router);
        check("edged", "meta", "insert", "null/node/e", Destination::EdgeController);
        check("edged", "meta", "patch", "default/podpatch/p", Destination::EdgeController);
        check("metaManager", "resource", "update", "default/podstatus", Destination::EdgeController);
        check("metaserver", "dynamiccontroller", "null", "null", Destination::DynamicController);
        check("twin", "resource", "get", "membership/detail", Destination::DeviceController);
    }

    #[test]
    fn the_rest_of_the_table() {
        check("metamanager", "resource", "error", "default/pod/p", Destination::EdgeError);
        check("x", "y", "createvolume", "default/volume/pv-1", Destination::Volume);
        check("x", "y", "response", "default/volume/pv-1", Destination::Volume);
        check("edged", "meta", "query", "null/volumeattachment/x", Destination::EdgeController);
        check("websocket", "hub", "upgrade", "task/1/node/e", Destination::TaskManager);
        check("metamanager", "meta", "query", "k8s/ca.crt", Destination::ApiServerCa);
        check("edgecontroller", "resource", "update", "default/pod/p", Destination::Nobody);
    }

    #[test]
    fn messages_about_one_object_share_a_key() {
        let key = |resource: &str| order_key(&message("edged", "meta", "patch", resource));
        assert_eq!(key("default/podpatch/p"), key("default/pod/p"));
        assert_ne!(key("default/podpatch/p"), key("default/podpatch/q"));
        assert_eq!(key("null/nodepatch/e"), key("default/node/e"));
    }
}
