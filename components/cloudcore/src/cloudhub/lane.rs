//! Which delivery class a message towards an edge has: acknowledged or fire-and-forget. Source: spec 01 §5.7.
//!
//! Every test looks at whole segments: a ConfigMap named `membership-cfg` is still acknowledged.

use wire::message::Message;
use wire::operation::Operation;

use crate::names::{EDGE_CONTROLLER, GROUP_RESOURCE};

/// How a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Sent once.
    NoAck,
    /// Repeated until the edge acknowledges it; needs a version or must be a delete.
    Ack,
}

/// Classifies a message in its wire form (no `node/<id>/` prefix).
pub fn classify(message: &Message) -> Lane {
    let route = &message.route;
    let segments: Vec<&str> = route.resource.split('/').collect();
    let word = if segments.len() >= 2 { segments[1] } else { "" };

    let special = segments[0] == "membership"
        || word == "podlist"
        || word == "serviceaccounttoken"
        || route.resource == "k8s/ca.crt"
        || segments.windows(2).any(|pair| pair == ["twin", "cloud_updated"]);
    let by_operation = match &route.operation {
        Operation::Other(verb) => matches!(
            verb.as_str(),
            "createvolume"
                | "deletevolume"
                | "controllerpublishvolume"
                | "controllerunpublishvolume"
                | "applicationResponse"
        ),
        Operation::Error | Operation::Keepalive => true,
        Operation::Response => message.content.is_ok() || holds_error(message),
        Operation::Insert
        | Operation::Update
        | Operation::Patch
        | Operation::Delete
        | Operation::Query
        | Operation::Upload => false,
    };
    let by_sender =
        route.group == "user" || matches!(route.source.as_str(), "taskmanager" | "nodeupgradejobcontroller");
    let by_type = route.source == EDGE_CONTROLLER
        && match word {
            "node" => route.operation != Operation::Update,
            "lease" | "nodepatch" | "podpatch" | "podstatus" | "nodestatus" | "certificatesigningrequest" => true,
            "pod" => route.operation == Operation::Response,
            _ => false,
        };
    if special || by_operation || by_sender || by_type || route.group != GROUP_RESOURCE {
        Lane::NoAck
    } else {
        Lane::Ack
    }
}

/// Error values are objects with an `ErrStatus`, or texts.
fn holds_error(message: &Message) -> bool {
    let content = message.content.get();
    content.starts_with("{\"ErrStatus\"") || content.starts_with('"')
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use wire::message::Content;

    use super::*;

    fn check(source: &str, group: &str, operation: &str, resource: &str, content: &str, expected: Lane) {
        let content = Content::from(RawValue::from_string(content.to_owned()).expect("valid JSON"));
        let message = Message::new(source, group, Operation::from(operation), resource, content, 0);
        assert_eq!(classify(&message), expected, "{source} {group} {operation} {resource}");
    }

    /// The table of vectors INDEX §3.2, "acked by the edge" (where the peer waits for it).
    #[test]
    fn recorded_messages() {
        use Lane::{Ack, NoAck};
        let object = r#"{"metadata":{"uid":"u"}}"#;
        check("devicecontroller", "resource", "delete", "default/device/d", object, Ack);
        check("devicecontroller", "resource", "insert", "default/devicemodel/m", object, Ack);
        check("devicecontroller", "twin", "update", "membership", object, NoAck);
        check("dynamiccontroller", "resource", "applicationResponse", "ignore/Application/ignore", object, NoAck);
        check("dynamiccontroller", "resource", "insert", "default/configmap/c", object, Ack);
        check("edgecontroller", "resource", "delete", "default/pod/p", object, Ack);
        check("edgecontroller", "resource", "insert", "default/pod/p", object, Ack);
        check("edgecontroller", "resource", "update", "default/pod/p", object, Ack);
        check("edgecontroller", "resource", "response", "default/configmap/c", object, Ack);
        check("edgecontroller", "resource", "response", "default/secret/s", object, Ack);
        check("edgecontroller", "resource", "response", "default/pod/p", "\"OK\"", NoAck);
        check("edgecontroller", "resource", "response", "default/podpatch/p", object, NoAck);
        check("edgecontroller", "resource", "response", "default/serviceaccounttoken/t", object, NoAck);
        check("edgecontroller", "resource", "response", "kube-node-lease/lease/e", object, NoAck);
        check("edgecontroller", "resource", "response", "null/node/e", object, NoAck);
        check("edgecontroller", "resource", "response", "null/nodepatch/e", object, NoAck);
        check("edgecontroller", "resource", "update", "default/configmap/c", object, Ack);
        check("edgecontroller", "resource", "update", "null/node/e", object, Ack);
        check("router_eventbus", "user", "publish", "test", "\"x\"", NoAck);
        check("router_servicebus", "user", "POST", "6666:/c", object, NoAck);
    }

    #[test]
    fn segments_count_not_substrings() {
        check("edgecontroller", "resource", "update", "default/configmap/membership-cfg", "{}", Lane::Ack);
        check("edgecontroller", "resource", "update", "default/configmap/podlist", "{}", Lane::Ack);
        check("edgecontroller", "resource", "update", "serviceaccounttoken/secret/x", "{}", Lane::Ack);
    }

    #[test]
    fn failures_are_not_acknowledged() {
        let failure = r#"{"ErrStatus":{"code":404}}"#;
        check("edgecontroller", "resource", "response", "default/configmap/c", failure, Lane::NoAck);
        check("edgecontroller", "resource", "response", "null/persistentvolume/c", failure, Lane::NoAck);
        check("edgecontroller", "resource", "error", "default/configmap/c", "\"no\"", Lane::NoAck);
    }
}
