use serde_json::json;

use super::*;
use crate::semantics::decode::{FieldValidation, decode_value};
use crate::semantics::defaults::apply_defaults;
use crate::semantics::validation::{validate_create, validate_update};

fn definition(schema: &Value) -> Value {
    json!({"metadata": {"name": "widgets.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList", "shortNames": ["wd"], "categories": ["all"]},
        "versions": [
            {"name": "v1alpha1", "served": false, "storage": false},
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
             "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}}}]}})
}

fn widget(schema: &Value) -> ResourceInfo {
    resources_of(&definition(schema)).remove(0)
}

fn object(spec: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "d"}, "spec": spec})
}

fn schema(spec: &Value) -> Value {
    json!({"type": "object", "properties": {"spec": spec}})
}

fn complaint(spec_schema: &Value, spec: &Value) -> String {
    validate_create(&widget(&schema(spec_schema)), &object(spec)).unwrap_err().to_string()
}

#[test]
fn a_definition_becomes_its_served_versions() {
    let info = widget(&json!({"type": "object"}));
    assert_eq!(info.api_version(), "example.com/v1");
    assert_eq!(info.short_names, ["wd"]);
    assert!(info.has_status && info.has_scale && info.namespaced && info.has_generation);
    assert_eq!(info.custom.unwrap().scale.unwrap().spec_replicas, ".spec.replicas");
}

#[test]
fn unknown_fields_are_pruned_and_reported() {
    let info = widget(&schema(&json!({"type": "object", "properties": {
        "a": {"type": "string"},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"b": {"type": "integer"}}}}}})));
    let body = object(&json!({"a": "x", "b": 1, "free": {"any": {"thing": [1]}}, "map": {"k": {"b": 1, "c": 2}}}));
    let decoded = decode_value(body.clone(), &info, FieldValidation::Warn).unwrap();
    assert_eq!(decoded.object["spec"], json!({"a": "x", "free": {"any": {"thing": [1]}}, "map": {"k": {"b": 1}}}));
    assert_eq!(decoded.warnings, ["unknown field \"spec.b\"", "unknown field \"spec.map.k.c\""]);
    let error = decode_value(body, &info, FieldValidation::Strict).unwrap_err().to_string();
    assert!(
        error.ends_with("strict decoding error: unknown field \"spec.b\", unknown field \"spec.map.k.c\""),
        "{error}"
    );
}

#[test]
fn kind_and_version_are_needed() {
    let info = widget(&json!({"type": "object"}));
    let error = decode_value(json!({"apiVersion": "example.com/v1"}), &info, FieldValidation::Warn).unwrap_err();
    assert!(error.to_string().starts_with("Object 'Kind' is missing in "), "{error}");
}

#[test]
fn nulls_leave_and_defaults_enter() {
    let info = widget(&schema(&json!({"type": "object", "default": {}, "properties": {
        "replicas": {"type": "integer", "default": 1},
        "note": {"type": "string", "nullable": true},
        "list": {"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer", "default": 80}}}}}})));
    let body = object(&json!({"replicas": null, "note": null, "list": [{}]}));
    let mut decoded = decode_value(body, &info, FieldValidation::Strict).unwrap().object;
    apply_defaults(&info, &mut decoded);
    assert_eq!(decoded["spec"], json!({"replicas": 1, "note": null, "list": [{"port": 80}]}));
    let mut empty = object(&json!({}));
    empty.as_object_mut().unwrap().remove("spec");
    apply_defaults(&info, &mut empty);
    assert_eq!(empty["spec"], json!({"replicas": 1}));
}

#[test]
fn complaints_use_the_known_words() {
    let of = |kind: Value| json!({"type": "object", "properties": {"x": kind}});
    assert_eq!(
        complaint(&of(json!({"type": "string"})), &json!({"x": 1})),
        "spec.x: Invalid value: \"integer\": spec.x in body must be of type string: \"integer\""
    );
    assert_eq!(
        complaint(&of(json!({"type": "integer", "minimum": 1})), &json!({"x": 0})),
        "spec.x: Invalid value: 0: spec.x in body should be greater than or equal to 1"
    );
    assert_eq!(
        complaint(&of(json!({"type": "string", "enum": ["a", "b"]})), &json!({"x": "c"})),
        "spec.x: Unsupported value: \"c\": supported values: \"a\", \"b\""
    );
    assert_eq!(
        complaint(&of(json!({"type": "string", "pattern": "^[a-z]+$"})), &json!({"x": "A"})),
        "spec.x: Invalid value: \"A\": spec.x in body should match '^[a-z]+$'"
    );
    assert_eq!(complaint(&json!({"type": "object", "required": ["x"]}), &json!({})), "spec.x: Required value");
    let set = of(json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}));
    assert_eq!(complaint(&set, &json!({"x": ["a", "a"]})), "spec.x[1]: Duplicate value: \"a\"");
    let either = of(json!({"x-kubernetes-int-or-string": true}));
    assert!(complaint(&either, &json!({"x": true})).contains("integer or string"));
    let one = json!({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
    assert!(complaint(&one, &json!({})).contains("(oneOf)"));
}

#[test]
fn an_update_is_not_blamed_for_what_it_leaves_alone() {
    let info = widget(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "old": {"type": "integer", "maximum": 5}, "new": {"type": "integer", "maximum": 5}}}}}));
    let with_version = |spec: Value| {
        let mut object = object(&spec);
        object["metadata"]["resourceVersion"] = json!("1");
        object
    };
    let stored = with_version(json!({"old": 9}));
    assert_eq!(validate_update(&info, &stored, &with_version(json!({"old": 9, "new": 1}))), Ok(()));
    assert!(validate_update(&info, &stored, &with_version(json!({"old": 8}))).is_err());
}
