//! Answers of a v1.23 cloud, recorded; `managedFields` removed because ours never sends them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use wire::resource::ResourceRef;

use super::*;
use crate::kind::Kind;

struct Scene {
    request: Request,
    reply: Value,
}

fn scenes() -> HashMap<String, Scene> {
    let scene = |line: &str| {
        let mut scene: Value = serde_json::from_str(line).expect("JSON");
        let message = Message::decode(scene["request"].to_string().as_bytes()).expect("a message");
        let resource = ResourceRef::parse(&message.route.resource).expect("a resource");
        let request = Request { node: Arc::from("go-edge"), message, resource };
        (scene["scene"].as_str().expect("a name").to_owned(), Scene { request, reply: scene["reply"].take() })
    };
    include_str!("recorded.jsonl").lines().map(scene).collect()
}

/// Answers the recorded request with `answer` and compares everything but id and time with the recorded reply.
fn check(name: &str, answer: impl Fn(&Request, &Value) -> Message) {
    let Scene { request, reply } = scenes().remove(name).expect("a scene");
    let ours = answer(&request, &reply["content"]);
    let mut ours: Value = serde_json::from_str(&ours.encode()).expect("JSON");
    for key in ["msg_id", "timestamp"] {
        ours["header"][key] = reply["header"][key].clone();
    }
    assert_eq!(ours, reply, "{name}");
}

fn stored(kind: &Kind, object: &Value) -> Object {
    Object::read(kind, &object.to_string()).expect("reads")
}

fn status(content: &Value) -> ApiStatus {
    serde_json::from_value(content["Err"]["ErrStatus"].clone()).expect("a status")
}

#[test]
fn writes_are_answered_with_the_object_and_a_null_error() {
    let lease = Kind::named("coordination.k8s.io/v1", "Lease");
    let unversioned = [("node registered", Kind::Node), ("lease created", lease.clone()), ("lease renewed", lease)];
    for (name, kind) in unversioned {
        check(name, |request, content| object(&request.message, &stored(&kind, &content["Object"]), false, 0));
    }
    for (name, kind) in [("empty node patch", Kind::Node), ("node ready", Kind::Node), ("pod patched", Kind::Pod)] {
        check(name, |request, content| object(&request.message, &stored(&kind, &content["Object"]), true, 0));
    }
}

#[test]
fn queries_are_answered_with_the_typed_object() {
    for (name, kind) in [("configmap", Kind::ConfigMap), ("secret", Kind::Secret)] {
        check(name, |request, content| {
            let object = stored(&kind, content);
            plain(&request.message, object.content(), Some(object.meta.version.as_str()), 0)
        });
    }
    check("token", |request, content| {
        let kind = Kind::named("authentication.k8s.io/v1", "TokenRequest");
        plain(&request.message, stored(&kind, content).content(), None, 0)
    });
    check("lease found", |request, content| {
        let kind = Kind::named("coordination.k8s.io/v1", "Lease");
        typed_object(&request.message, &stored(&kind, &content["Object"]), 0)
    });
}

#[test]
fn failures_keep_their_status_and_the_empty_object_of_their_kind() {
    check("lease missing", |request, content| failure(request, &status(content), 0).expect("an answer"));
    check("node exists", |request, content| {
        let labels = content["Object"]["metadata"]["labels"].clone();
        let mut empty: Value = serde_json::from_str(EMPTY_NODE).expect("JSON");
        empty["metadata"]["labels"] = labels;
        object_failure(&request.message, Some(&empty.to_string()), &status(content), 0)
    });
}

#[test]
fn a_deletion_is_answered_with_ok() {
    check("pod deleted", |request, _| ok(&request.message, None, 0));
}

#[test]
fn every_request_but_an_event_gets_an_answer_when_it_fails() {
    let failed = |resource: &str, operation: &str| {
        let message = Message::new("edged", "meta", Operation::from(operation), resource, Content::null(), 0);
        let resource = ResourceRef::parse(resource).expect("a resource");
        let request = Request { node: "e1".into(), message, resource };
        failure(&request, &ApiStatus::not_found("pods", "x"), 0)
    };
    assert!(failed("default/event/x", "insert").is_none());
    let shape = |resource: &str, operation: &str| -> Value {
        serde_json::from_str(failed(resource, operation).expect("an answer").content.get()).expect("JSON")
    };
    assert_eq!(shape("default/podpatch/x", "patch")["Err"]["ErrStatus"]["code"], 404);
    assert_eq!(shape("default/configmap/x", "query")["ErrStatus"]["reason"], "NotFound");
    assert_eq!(shape("default/thing/x", "update")["ErrStatus"]["reason"], "NotFound");
    assert_eq!(shape("default/nodestatus/e1", "update"), "pods \"x\" not found");
    let reply = failed("default/nodestatus/e1", "update").expect("an answer");
    assert_eq!(reply.route.resource, "default/node/e1");
}
