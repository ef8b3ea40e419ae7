//! Pruning, null handling and defaulting by a structural schema. Source: spec 10 §6 "Pipeline (write)".

use serde_json::Value;

use super::super::json::{MAX_FINDINGS, Path};

/// Removes every field the schema does not specify. `embedded` objects keep `apiVersion`, `kind` and `metadata`.
pub(super) fn prune(schema: &Value, value: &mut Value, path: Path<'_>, embedded: bool, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let keeps = preserves(schema);
            let embedded = embedded || schema["x-kubernetes-embedded-resource"] == true;
            let additional = &schema["additionalProperties"];
            map.retain(|key, item| {
                let at = path.key(key);
                if embedded && matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
                    return true;
                }
                if let Some(property) = schema["properties"].get(key) {
                    prune(property, item, at, false, unknown);
                    return true;
                }
                if additional.is_object() {
                    prune(additional, item, at, false, unknown);
                    return true;
                }
                if keeps || *additional == true {
                    return true;
                }
                if unknown.len() < MAX_FINDINGS {
                    unknown.push(at.to_string());
                }
                false
            });
        }
        Value::Array(items) => {
            let schema = &schema["items"];
            if schema.is_object() {
                for (index, item) in items.iter_mut().enumerate() {
                    prune(schema, item, path.index(index), false, unknown);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn preserves(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true
}

/// Visits the value of every field the schema specifies.
fn children<'a>(schema: &'a Value, value: &'a mut Value, visit: &mut dyn FnMut(&'a Value, &'a mut Value)) {
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                if let Some(property) = schema["properties"].get(key) {
                    visit(property, item);
                } else if schema["additionalProperties"].is_object() {
                    visit(&schema["additionalProperties"], item);
                }
            }
        }
        Value::Array(items) if schema["items"].is_object() => {
            for item in items {
                visit(&schema["items"], item);
            }
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Removes null fields that are specified and not nullable.
pub(super) fn drop_nulls(schema: &Value, value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|key, item| {
            let property = schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]);
            !(item.is_null() && property.is_object() && property["nullable"] != true)
        });
    }
    children(schema, value, &mut |inner, item| drop_nulls(inner, item));
}

/// Fills in the defaults of the schema, outermost first.
pub(in crate::semantics) fn default(schema: &Value, value: &mut Value) {
    if let (Value::Object(map), Some(properties)) = (&mut *value, schema["properties"].as_object()) {
        for (key, property) in properties {
            if let Some(default) = property.get("default")
                && !map.contains_key(key)
            {
                map.insert(key.clone(), default.clone());
            }
        }
    }
    children(schema, value, &mut |inner, item| default(inner, item));
}
