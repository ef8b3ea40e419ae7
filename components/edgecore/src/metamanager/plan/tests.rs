use proptest::prelude::*;
use wire::message::Content;

use super::*;

fn message(source: &str, operation: Operation, resource: &str, json: &str) -> Message {
    let raw = serde_json::value::RawValue::from_string(json.to_owned()).expect("JSON");
    Message::new(source, "resource", operation, resource, Content::from(raw), 0)
}

fn check(source: &str, operation: Operation, expected: Reply) {
    let message = message(source, operation, "n/thing/a", r#"{"metadata":{"name":"a"}}"#);
    let plan = plan(&message);
    assert_eq!(plan.answer, expected);
    assert!(plan.write.is_some(), "everything is stored, acknowledged or not");
}

#[test]
fn who_is_acknowledged_and_how() {
    check("edgecontroller", Operation::Insert, Reply::Ack);
    check("policycontroller", Operation::Insert, Reply::Ack);
    check("devicecontroller", Operation::Insert, Reply::AckAsTwin);
    check("edgecontroller", Operation::Update, Reply::Ack);
    check("dynamiccontroller", Operation::Update, Reply::Ack);
    check("policycontroller", Operation::Update, Reply::Ack);
    check("devicecontroller", Operation::Update, Reply::Ack);
    check("somebody", Operation::Update, Reply::None);
    check("edgecontroller", Operation::Delete, Reply::Ack);
    check("devicecontroller", Operation::Delete, Reply::AckAsTwin);
}

#[test]
fn an_error_is_never_stored_as_an_object() {
    for content in [r#"{"ErrStatus":{"code":404}}"#, "null", "\"text\"", r#"{"Object":null,"Err":null}"#] {
        let plan = plan(&message("edgecontroller", Operation::Update, "n/configmap/a", content));
        assert_eq!((plan.write, plan.answer), (None, Reply::Unusable), "{content}");
    }
}

#[test]
fn a_deletion_of_a_pod_needs_nothing_but_names_and_uid() {
    let minimal = message(
        "edgecontroller",
        Operation::Delete,
        "prod/pod/web-0",
        r#"{"metadata":{"name":"web-0","namespace":"prod","uid":"8f11"}}"#,
    );
    assert_eq!(
        plan(&minimal),
        Plan {
            write: Some(Write::RemovePod {
                key: "prod/pod/web-0".into(),
                patch_key: "prod/podpatch/web-0".into(),
                generic_key: "/core/v1/pods/prod/web-0".into(),
                uid: "8f11".into(),
            }),
            effect: Effect::PodRemoved { uid: "8f11".into() },
            answer: Reply::Ack,
        }
    );
}

#[test]
fn volume_operations_fail_at_once() {
    let plan = plan(&message("cloudhub", Operation::Other("createvolume".into()), "default/volume/v", "\"{}\""));
    assert_eq!((plan.write, plan.answer), (None, Reply::VolumeFailed));
}

#[test]
fn a_late_answer_is_kept_and_acknowledged() {
    let late = |content| plan(&message("edgecontroller", Operation::Response, "n/secret/a", content));
    let kept = late(r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}"#);
    assert!(kept.write.is_some());
    assert_eq!(kept.answer, Reply::Ack);
    let refused = late(r#"{"ErrStatus":{"code":404}}"#);
    assert_eq!((refused.write, refused.answer), (None, Reply::Ack));
    let lease =
        plan(&message("edgecontroller", Operation::Response, "kube-node-lease/lease/e", r#"{"Object":{},"Err":null}"#));
    assert_eq!((lease.write, lease.answer), (None, Reply::None));
}

proptest! {
    #[test]
    fn no_message_panics(source in "[a-z]{0,16}", verb in "[a-z]{0,10}", resource in "[a-z/]{0,40}", text in ".{0,60}", kind in 0..4) {
        let content = match kind {
            0 => Content::text(&text),
            1 => Content::null(),
            2 => Content::json(&serde_json::json!({"metadata": {"uid": text, "name": 7}})).expect("JSON"),
            _ => Content::json(&serde_json::json!([text])).expect("JSON"),
        };
        let message = Message::new(&source, "resource", Operation::from(verb.as_str()), resource, content, 0);
        let plan = plan(&message);
        let _ = answer(&message, plan.answer, 0);
    }
}
