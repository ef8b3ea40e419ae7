mod captured;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::semantics::resources::builtin;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

fn resource(plural: &str) -> ResourceInfo {
    builtin().iter().find(|row| row.plural == plural).map(ResourceInfo::from).unwrap()
}

fn decode(plural: &str, body: &Value, level: FieldValidation) -> Result<Decoded, DecodeError> {
    decode_request(JSON, body.to_string().as_bytes(), &resource(plural), level)
}

fn refused(plural: &str, body: &Value) -> String {
    decode(plural, body, FieldValidation::Strict).unwrap_err().to_string()
}

/// One protobuf field with bytes.
fn len(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = if number < 16 { vec![number << 3 | 2] } else { vec![(number << 3 | 2) | 0x80, number >> 4] };
    let mut length = content.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(content);
    out
}

fn text(number: u8, content: &str) -> Vec<u8> {
    len(number, content.as_bytes())
}

fn int(number: u8, value: u8) -> Vec<u8> {
    if number < 16 { vec![number << 3, value] } else { vec![number << 3 | 0x80, number >> 4, value] }
}

fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [text(1, api_version), text(2, kind)].concat();
    [b"k8s\0".to_vec(), len(1, &meta), len(2, raw), text(3, ""), text(4, "")].concat()
}

#[test]
fn kind_and_version_are_filled_in_and_nulls_leave() {
    let body = json!({"metadata": {"name": "c", "creationTimestamp": null}, "data": {"k": "v"}});
    let decoded = decode("configmaps", &body, FieldValidation::Warn).unwrap();
    assert_eq!(
        decoded.object,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "v"}})
    );
    assert!(decoded.warnings.is_empty());
}

#[test]
fn unknown_fields_follow_the_level() {
    let body = json!({"metadata": {"name": "d"}, "spec": {"replica": 1, "template": {"spec": {"containers": [{"name": "c", "imagee": "x"}]}}}});
    let warned = decode("deployments", &body, FieldValidation::Warn).unwrap();
    assert_eq!(
        warned.warnings,
        ["unknown field \"spec.replica\"", "unknown field \"spec.template.spec.containers[0].imagee\""]
    );
    assert!(warned.object["spec"].get("replica").is_none());
    assert!(decode("deployments", &body, FieldValidation::Ignore).unwrap().warnings.is_empty());
    assert_eq!(
        refused("deployments", &body),
        "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"spec.replica\", unknown field \"spec.template.spec.containers[0].imagee\""
    );
}

#[test]
fn duplicate_keys_follow_the_level() {
    let body = br#"{"metadata":{"name":"c"},"data":{"k":"1","k":"2"}}"#;
    let decoded = decode_request(JSON, body, &resource("configmaps"), FieldValidation::Warn).unwrap();
    assert_eq!(decoded.warnings, ["duplicate field \"data.k\""]);
    assert_eq!(decoded.object["data"]["k"], "2");
}

#[test]
fn wrong_types_name_the_field() {
    let text = refused("deployments", &json!({"spec": {"replicas": "1"}}));
    assert_eq!(
        text,
        "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field spec.replicas of type int32"
    );
    let text = refused("configmaps", &json!({"data": {"k": 1}}));
    assert!(text.contains("cannot unmarshal number into Go struct field data.k of type string"), "{text}");
    let text = refused("secrets", &json!({"data": {"k": "%%"}}));
    assert!(text.contains("illegal base64 data at input byte 0"), "{text}");
}

#[test]
fn another_kind_is_refused() {
    let text = refused("configmaps", &json!({"apiVersion": "v1", "kind": "Pod"}));
    assert!(text.starts_with("Pod in version \"v1\" cannot be handled as a ConfigMap: "), "{text}");
    let text = refused("deployments", &json!({"apiVersion": "apps/v1beta1", "kind": "Deployment"}));
    assert_eq!(text, "the API version in the data (apps/v1beta1) does not match the expected API version (apps/v1)");
    let text = refused("configmaps", &json!([1]));
    assert!(text.starts_with("the object provided is unrecognized (must be of type ConfigMap)"), "{text}");
}

#[test]
fn quantities_become_canonical() {
    let body = json!({"spec": {"containers": [{"name": "c", "resources": {
        "limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {"cpu": "1000m", "memory": "1.5Gi"}}}]}});
    let decoded = decode("pods", &body, FieldValidation::Strict).unwrap();
    assert_eq!(
        decoded.object["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1536Mi"}})
    );
}

#[test]
fn yaml_bodies_are_read() {
    let body = b"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: prod # the shop\n";
    let decoded = decode_request("application/yaml", body, &resource("namespaces"), FieldValidation::Strict).unwrap();
    assert_eq!(decoded.object["metadata"]["name"], "prod");
}

#[test]
fn unknown_media_types_are_415() {
    let error = decode_request("text/plain", b"x", &resource("pods"), FieldValidation::Warn).unwrap_err();
    assert_eq!(error.status(), 415);
}

#[test]
fn protobuf_zero_values_leave_but_set_pointers_stay() {
    // What client-go sends for a Deployment with `replicas: 0`: empty strings and an empty creation time in ObjectMeta.
    let meta =
        [text(1, "web"), text(2, ""), text(3, "shop"), text(4, ""), text(5, ""), text(6, ""), int(7, 0), len(8, &[])]
            .concat();
    let container = [text(1, "c"), text(2, "nginx"), text(5, ""), len(8, &[]), int(16, 0), text(20, "")].concat();
    let label = len(11, &[text(1, "app"), text(2, "web")].concat());
    let template = [len(1, &label), len(2, &[len(2, &container), text(3, ""), int(11, 0)].concat())].concat();
    let selector = len(1, &[text(1, "app"), text(2, "web")].concat());
    let spec = [int(1, 0), len(2, &selector), len(3, &template), len(4, &text(1, "")), int(5, 0), int(7, 0)].concat();
    let status = [int(1, 0), int(2, 0)].concat();
    let body = envelope("apps/v1", "Deployment", &[len(1, &meta), len(2, &spec), len(3, &status)].concat());
    let decoded = decode_request(PROTOBUF, &body, &resource("deployments"), FieldValidation::Strict).unwrap();
    assert_eq!(
        decoded.object,
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "c", "image": "nginx"}]}}}})
    );
}

#[test]
fn protobuf_inline_structs_are_flattened() {
    let empty_dir = [text(1, "cache"), len(2, &len(2, &text(1, "")))].concat();
    let config = [text(1, "cfg"), len(2, &len(19, &len(1, &text(1, "settings"))))].concat();
    let port = len(2, &[int(1, 0), int(2, 80), text(3, "")].concat());
    let probe = [len(1, &len(2, &[text(1, "/ok"), port].concat())), int(2, 0), int(3, 5)].concat();
    let container = [text(1, "c"), len(10, &probe)].concat();
    let spec = [len(1, &empty_dir), len(1, &config), len(2, &container)].concat();
    let body = envelope("v1", "Pod", &len(2, &spec));
    let decoded = decode_request(PROTOBUF, &body, &resource("pods"), FieldValidation::Strict).unwrap();
    assert_eq!(
        decoded.object["spec"]["volumes"],
        json!([{"name": "cache", "emptyDir": {}}, {"name": "cfg", "configMap": {"name": "settings"}}])
    );
    assert_eq!(
        decoded.object["spec"]["containers"][0]["livenessProbe"],
        json!({"httpGet": {"path": "/ok", "port": 80}, "timeoutSeconds": 5})
    );
}

#[test]
fn protobuf_times_and_bytes_get_their_text() {
    let at = |seconds: u8| [int(1, seconds), vec![2 << 3, 0xc0, 0x84, 0x3d]].concat(); // nanos 1_000_000
    let spec = [text(1, "me"), len(4, &at(1))].concat();
    let body = envelope("coordination.k8s.io/v1", "Lease", &len(2, &spec));
    let decoded = decode_request(PROTOBUF, &body, &resource("leases"), FieldValidation::Strict).unwrap();
    assert_eq!(decoded.object["spec"], json!({"holderIdentity": "me", "renewTime": "1970-01-01T00:00:01.001000Z"}));
    let entry = [text(1, "k"), len(2, b"\x00\xff")].concat();
    let body = envelope("v1", "Secret", &[len(2, &entry), text(3, "Opaque")].concat());
    let decoded = decode_request(PROTOBUF, &body, &resource("secrets"), FieldValidation::Strict).unwrap();
    assert_eq!(decoded.object["data"], json!({"k": "AP8="}));
}

#[test]
fn delete_options_come_under_any_version() {
    let expected = Gvk { group: "", version: "v1", kind: "DeleteOptions" };
    let raw = [int(1, 0), text(4, "Background")].concat();
    let body = envelope("apps/v1", "DeleteOptions", &raw);
    let decoded = decode_typed(PROTOBUF, &body, expected, FieldValidation::Warn).unwrap();
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "propagationPolicy": "Background"});
    assert_eq!(decoded.object, options);
    let body = br#"{"propagationPolicy":"Background","gracePeriodSeconds":0}"#;
    assert_eq!(decode_typed(JSON, body, expected, FieldValidation::Warn).unwrap().object, options);
}

#[test]
fn a_body_that_is_not_protobuf_says_what_was_expected() {
    let error = decode_request(PROTOBUF, b"{}", &resource("pods"), FieldValidation::Warn).unwrap_err();
    assert!(error.to_string().contains("expected prefix [107 56 115 0]"), "{error}");
}

#[test]
fn deep_objects_are_refused() {
    let mut value = json!(1);
    for _ in 0..120 {
        value = json!({ "properties": { "x": value } });
    }
    let body = json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": value}}]}});
    let info = resource("customresourcedefinitions");
    assert!(decode_value(body, &info, FieldValidation::Ignore).is_err());
}

#[test]
fn bodies_captured_from_kubectl_decode() {
    for (command, plural, hex, expected) in captured::BODIES {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let body: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let decoded = decode_request(PROTOBUF, &body, &resource(plural), FieldValidation::Strict).unwrap();
        assert_eq!(decoded.object, serde_json::from_str::<Value>(expected).unwrap(), "{command}");
    }
}

#[test]
fn scaling_to_zero_says_zero() {
    let expected = Gvk { group: "autoscaling", version: "v1", kind: "Scale" };
    let body = br#"{"metadata":{"name":"d"},"spec":{"replicas":0}}"#;
    let decoded = decode_typed(JSON, body, expected, FieldValidation::Strict).unwrap();
    assert_eq!(decoded.object["spec"], json!({"replicas": 0}));
}

proptest! {
    #[test]
    fn decoding_never_panics(body: Vec<u8>, media in prop_oneof![Just(JSON), Just(PROTOBUF), Just("application/yaml")]) {
        for plural in ["pods", "secrets", "customresourcedefinitions", "leases", "services"] {
            let _ = decode_request(media, &body, &resource(plural), FieldValidation::Warn);
            let framed = envelope("v1", "Pod", &body);
            let _ = decode_request(PROTOBUF, &framed, &resource(plural), FieldValidation::Warn);
        }
    }

    #[test]
    fn protobuf_shaped_bytes_never_panic(fields in prop::collection::vec((1u8..16, prop::collection::vec(any::<u8>(), 0..40)), 0..12)) {
        let raw: Vec<u8> = fields.iter().flat_map(|(number, bytes)| len(*number, &len(1, bytes))).collect();
        for (version, kind, plural) in [("v1", "Pod", "pods"), ("v1", "Service", "services"), ("apps/v1", "Deployment", "deployments")] {
            let body = envelope(version, kind, &len(2, &raw));
            if let Ok(decoded) = decode_request(PROTOBUF, &body, &resource(plural), FieldValidation::Warn) {
                let again = decode_value(decoded.object.clone(), &resource(plural), FieldValidation::Strict).unwrap();
                prop_assert_eq!(again.object, decoded.object); // cleaning is idempotent
            }
        }
    }
}
