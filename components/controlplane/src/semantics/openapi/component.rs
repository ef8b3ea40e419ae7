//! The schemas of a document.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::semantics::resources::ResourceInfo;
use crate::semantics::schema::{self, Field, Kind, ListMerge, MessageId, Shape};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";

/// Component name of a resource's kind: `io.k8s.api.apps.v1.Deployment`, for custom kinds the reversed group.
pub(super) fn name(info: &ResourceInfo) -> String {
    if let Some(message) = info.message {
        return message_name(message);
    }
    let reversed: Vec<&str> = info.group.rsplit('.').collect();
    format!("{}.{}.{}", reversed.join("."), info.version, info.kind)
}

fn message_name(message: MessageId) -> String {
    let name = message.name();
    match name.split('.').next() {
        Some("meta") => format!("io.k8s.apimachinery.pkg.apis.{name}"),
        Some("apiextensions") => format!("io.k8s.apiextensions-apiserver.pkg.apis.{name}"),
        Some("apiregistration") => format!("io.k8s.kube-aggregator.pkg.apis.{name}"),
        _ => format!("io.k8s.api.{name}"),
    }
}

/// `apps/v1` as part of an operation id: `AppsV1`.
pub(super) fn camel(text: &str) -> String {
    let part = |part: &str| {
        let mut chars = part.chars();
        chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
    };
    text.split(['/', '.', '-']).map(part).collect()
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Collects the schemas of a document and everything they refer to.
#[derive(Default)]
pub(super) struct Schemas {
    done: Map<String, Value>,
    wanted: Vec<MessageId>,
    seen: BTreeSet<MessageId>,
}

impl Schemas {
    /// The kind of a resource and its list.
    pub(super) fn add_resource(&mut self, info: &ResourceInfo) {
        let kind = json!([{"group": info.group, "version": info.version, "kind": info.kind}]);
        let name = name(info);
        if let Some(message) = info.message {
            self.want(message);
            self.drain();
        } else {
            self.done.insert(name.clone(), self::custom(info));
            self.want_named("meta.v1.ObjectMeta");
        }
        if let Some(schema) = self.done.get_mut(&name) {
            schema["x-kubernetes-group-version-kind"] = kind;
        }
        if info.allows("list") {
            self.want_named("meta.v1.ListMeta");
            let list_kind = json!([{"group": info.group, "version": info.version, "kind": info.list_kind}]);
            self.done.insert(
                format!("{name}List"),
                json!({
                    "type": "object",
                    "required": ["items"],
                    "properties": {
                        "apiVersion": {"type": "string"},
                        "kind": {"type": "string"},
                        "metadata": {"allOf": [reference(&format!("{META}.ListMeta"))], "default": {}},
                        "items": {"type": "array", "items": {"allOf": [reference(&name)], "default": {}}},
                    },
                    "x-kubernetes-group-version-kind": list_kind,
                }),
            );
        }
    }

    /// What every document refers to.
    pub(super) fn add_options(&mut self) {
        self.want_named("meta.v1.DeleteOptions");
        self.want_named("meta.v1.Status");
        self.done.insert(format!("{META}.Patch"), json!({"type": "object"}));
    }

    pub(super) fn finish(mut self) -> Map<String, Value> {
        self.drain();
        self.done
    }

    fn want_named(&mut self, name: &str) {
        if let Some(message) = schema::find(name) {
            self.want(message);
        }
    }

    fn want(&mut self, message: MessageId) {
        if self.seen.insert(message) {
            self.wanted.push(message);
        }
    }

    fn drain(&mut self) {
        while let Some(message) = self.wanted.pop() {
            let schema = self.message(message);
            self.done.insert(message_name(message), schema);
        }
    }

    /// A reference to a shared scalar, so that `kubectl explain` shows its name.
    fn well_known(&mut self, name: &str, schema: Value) -> Value {
        self.done.entry(name).or_insert(schema);
        json!({"allOf": [reference(name)]})
    }

    fn message(&mut self, message: MessageId) -> Value {
        let mut properties = Map::new();
        if message.is_root() {
            properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
            properties.insert("kind".to_owned(), json!({"type": "string"}));
        }
        let mut required = Vec::new();
        for field in message.json_fields() {
            if field.is_required() && !field.is_pointer() {
                required.push(field.name());
            }
            properties.insert(field.name().to_owned(), self.field(field));
        }
        required.sort_unstable();
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if message.is_atomic() {
            schema["x-kubernetes-map-type"] = "atomic".into();
        }
        schema
    }

    fn field(&mut self, field: &Field) -> Value {
        let item = self.item(field);
        let mut schema = match field.shape() {
            Shape::One => item,
            Shape::List => json!({"type": "array", "items": item}),
            Shape::Map => json!({"type": "object", "additionalProperties": item}),
        };
        let strategy = match (field.list_merge(), field.retains_keys(), field.is_replaced()) {
            (ListMerge::Replace, true, _) => Some("retainKeys"),
            (ListMerge::Replace, false, true) => Some("replace"),
            (ListMerge::Replace, false, false) => None,
            (_, true, _) => Some("merge,retainKeys"),
            (_, false, _) => Some("merge"),
        };
        if let Some(strategy) = strategy {
            schema["x-kubernetes-patch-strategy"] = strategy.into();
        }
        if let ListMerge::By(key) = field.list_merge() {
            schema["x-kubernetes-patch-merge-key"] = key.into();
        }
        if let Some((kind, keys)) = field.list_type() {
            schema["x-kubernetes-list-type"] = kind.into();
            if !keys.is_empty() {
                schema["x-kubernetes-list-map-keys"] = keys.split(',').collect();
            }
        }
        if field.is_atomic() {
            schema["x-kubernetes-map-type"] = "atomic".into();
        }
        schema
    }

    fn item(&mut self, field: &Field) -> Value {
        match field.kind() {
            Kind::String => json!({"type": "string"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Int32 => json!({"type": "integer", "format": "int32"}),
            Kind::Int64 => json!({"type": "integer", "format": "int64"}),
            Kind::Double => json!({"type": "number", "format": "double"}),
            Kind::Bytes => json!({"type": "string", "format": "byte"}),
            Kind::Quantity => self.well_known(QUANTITY, json!({"oneOf": [{"type": "string"}, {"type": "number"}]})),
            Kind::Time | Kind::MicroTime => json!({"type": "string", "format": "date-time"}),
            Kind::IntOrString => {
                let either = json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]});
                self.well_known(INT_OR_STRING, either)
            }
            Kind::Raw | Kind::FieldsV1 => json!({"type": "object"}),
            Kind::Strings => json!({"type": "array", "items": {"type": "string"}}),
            Kind::Json | Kind::SchemaOrArray | Kind::SchemaOrBool | Kind::SchemaOrStrings => {
                // Not empty: `kubectl explain` takes an empty schema for a missing one.
                json!({"description": "any JSON value"})
            }
            Kind::Message => match field.message() {
                Some(message) => {
                    self.want(message);
                    // A reference may not have siblings in OpenAPI 3.0, so it is wrapped.
                    json!({"allOf": [reference(&message_name(message))]})
                }
                None => json!({"type": "object"}),
            },
        }
    }
}

/// The schema of a custom kind with the fields every object has.
fn custom(info: &ResourceInfo) -> Value {
    let declared = info.custom.as_ref().and_then(|custom| custom.schema.clone());
    let mut schema = declared.filter(Value::is_object).unwrap_or_else(|| json!({"type": "object"}));
    if let Some(map) = schema.as_object_mut() {
        let properties = map.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
            properties.insert("kind".to_owned(), json!({"type": "string"}));
            properties.insert("metadata".to_owned(), json!({"allOf": [reference(&format!("{META}.ObjectMeta"))]}));
        }
    }
    schema
}
