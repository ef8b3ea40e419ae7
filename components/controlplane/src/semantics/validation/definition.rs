//! CustomResourceDefinitions: names, versions and structural schemas. Source: spec 10 §6.

use serde_json::Value;

use super::report::{Report, items, text};
use crate::semantics::json::Path;
use crate::semantics::names;

const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];
/// Keywords with meaning for values only: allowed inside allOf, anyOf, oneOf and not.
const NOT_IN_LOGIC: [&str; 10] = [
    "type",
    "default",
    "additionalProperties",
    "nullable",
    "description",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
];

/// Rules of a CustomResourceDefinition.
pub(super) fn definition(object: &Value, old: Option<&Value>, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    let expected = format!("{plural}.{group}");
    if text(&object["metadata"]["name"]) != expected {
        let why = format!("must be spec.names.plural+\".\"+spec.group: {expected:?}");
        report.invalid("metadata.name", &object["metadata"]["name"], why);
    }
    if group.is_empty() {
        report.required(path.key("group"), "");
    } else {
        report.name(path.key("group"), group, names::dns_subdomain(group));
        if !group.contains('.') {
            report.invalid(path.key("group"), &spec["group"], "should be a domain with at least one dot");
        }
    }
    report.one_of(path.key("scope"), &spec["scope"], &["Cluster", "Namespaced"]);
    accepted_names(&spec["names"], path.key("names"), report);
    versions(object, spec, path, report);
    if let Some(old) = old {
        update(old, object, path, report);
    }
}

fn accepted_names(names: &Value, path: Path<'_>, report: &mut Report) {
    for field in ["plural", "singular", "kind", "listKind"] {
        let name = text(&names[field]);
        if name.is_empty() {
            report.required(path.key(field), "");
        } else {
            report.name(path.key(field), name, names::dns_1035_label(&name.to_lowercase()));
        }
    }
    if !text(&names["kind"]).is_empty() && names["kind"] == names["listKind"] {
        report.invalid(path.key("listKind"), &names["listKind"], "kind and listKind may not be the same");
    }
    for list in ["shortNames", "categories"] {
        let list_path = path.key(list);
        for (index, name) in items(&names[list]).iter().enumerate() {
            report.name(list_path.index(index), text(name), names::dns_1035_label(text(name)));
        }
    }
}

fn versions(object: &Value, spec: &Value, path: Path<'_>, report: &mut Report) {
    let list = path.key("versions");
    let versions = items(&spec["versions"]);
    let storage = versions.iter().filter(|version| version["storage"] == true).count();
    if storage != 1 {
        report.invalid(list, &spec["versions"], "must have exactly one version marked as storage version");
    }
    for (index, version) in versions.iter().enumerate() {
        let at = list.index(index);
        let name = text(&version["name"]);
        report.name(at.key("name"), name, names::dns_1035_label(name));
        if versions.iter().take(index).any(|other| other["name"] == version["name"]) {
            report.invalid(list, &spec["versions"], "must contain unique version names");
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        let schema_path = at.key("schema");
        let single = path.key("validation");
        // Errors of a single version are reported where `spec.validation` used to be.
        let at_schema =
            if versions.len() == 1 { single.key("openAPIV3Schema") } else { schema_path.key("openAPIV3Schema") };
        if schema.is_null() {
            report.required(schema_path.key("openAPIV3Schema"), "schemas are required");
            continue;
        }
        if text(&schema["type"]) != "object" {
            report.invalid(at_schema.key("type"), &schema["type"], "must be object at the root");
        }
        structural(schema, at_schema, true, report);
        columns(&version["additionalPrinterColumns"], at.key("additionalPrinterColumns"), report);
    }
    let stored = items(&object["status"]["storedVersions"]);
    for (index, name) in stored.iter().enumerate() {
        if !versions.iter().any(|version| version["name"] == *name) {
            report.invalid(format_args!("status.storedVersions[{index}]"), name, "must appear in spec.versions");
        }
    }
    report.maybe_one_of(path.key("conversion").key("strategy"), &spec["conversion"]["strategy"], &["None", "Webhook"]);
}

fn columns(columns: &Value, path: Path<'_>, report: &mut Report) {
    for (index, column) in items(columns).iter().enumerate() {
        let at = path.index(index);
        if text(&column["name"]).is_empty() {
            report.required(at.key("name"), "");
        }
        report.one_of(at.key("type"), &column["type"], &["boolean", "date", "integer", "number", "string"]);
        if text(&column["jsonPath"]).is_empty() {
            report.required(at.key("jsonPath"), "");
        }
    }
}

/// Whether a schema node is structural; `root` allows the restrictions on metadata.
fn structural(schema: &Value, path: Path<'_>, root: bool, report: &mut Report) {
    let int_or_string = schema["x-kubernetes-int-or-string"] == true;
    let preserves = schema["x-kubernetes-preserve-unknown-fields"] == true;
    let kind = text(&schema["type"]);
    if kind.is_empty() {
        if !int_or_string && !preserves {
            let why =
                if root { "must not be empty at the root" } else { "must not be empty for specified object fields" };
            report.required(path.key("type"), why);
        }
    } else if !TYPES.contains(&kind) {
        report.not_supported(path.key("type"), &schema["type"], TYPES);
    } else if int_or_string {
        report.invalid(path.key("type"), &schema["type"], "must be empty if x-kubernetes-int-or-string is true");
    }
    for field in ["$ref", "definitions", "dependencies", "id", "patternProperties", "additionalItems"] {
        if !schema[field].is_null() {
            report.forbidden(path.key(field), format_args!("{field} is not supported"));
        }
    }
    if schema["uniqueItems"] == true {
        report.forbidden(
            path.key("uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        );
    }
    let additional = &schema["additionalProperties"];
    if *additional == false {
        report.forbidden(path.key("additionalProperties"), "additionalProperties cannot be set to false");
    }
    if !additional.is_null() && !schema["properties"].is_null() {
        let why = "additionalProperties and properties are mutual exclusive";
        report.forbidden(path.key("additionalProperties"), why);
    }
    let properties = path.key("properties");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let bracketed = format!("properties[{name}]");
        if (root || schema["x-kubernetes-embedded-resource"] == true) && name == "metadata" {
            metadata_schema(property, properties, report);
        } else {
            structural(property, path.key(&bracketed), false, report);
        }
    }
    if additional.is_object() {
        structural(additional, path.key("additionalProperties"), false, report);
    }
    if kind == "array" && schema["items"].is_null() {
        report.required(path.key("items"), "must be specified");
    } else if schema["items"].is_object() {
        structural(&schema["items"], path.key("items"), false, report);
    }
    list_type(schema, path, report);
    logic(schema, path, int_or_string, report);
}

fn metadata_schema(schema: &Value, path: Path<'_>, report: &mut Report) {
    for name in schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name) {
        if !matches!(name.as_str(), "name" | "generateName") {
            let why =
                "must not specify anything other than name and generateName, but metadata is implicitly specified";
            report.forbidden(path.key("metadata"), why);
            return;
        }
    }
}

fn list_type(schema: &Value, path: Path<'_>, report: &mut Report) {
    let kind = &schema["x-kubernetes-list-type"];
    report.maybe_one_of(path.key("x-kubernetes-list-type"), kind, &["atomic", "map", "set"]);
    if !kind.is_null() && text(&schema["type"]) != "array" {
        report.invalid(path.key("type"), &schema["type"], "must be array if x-kubernetes-list-type is specified");
    }
    let keys = items(&schema["x-kubernetes-list-map-keys"]);
    if *kind == "map" && keys.is_empty() {
        let why = "must not be empty if x-kubernetes-list-type is map";
        report.required(path.key("x-kubernetes-list-map-keys"), why);
    }
    let keys_path = path.key("x-kubernetes-list-map-keys");
    for (index, key) in keys.iter().enumerate() {
        let item = &schema["items"];
        let property = &item["properties"][text(key)];
        if property.is_null() {
            report.invalid(keys_path.index(index), key, "must be a property of the items");
        } else if property["default"].is_null() && !items(&item["required"]).contains(key) {
            let why =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            report.required(path.key("items").key("properties").key(text(key)).key("default"), why);
        }
    }
}

/// Inside allOf, anyOf, oneOf and not, only value validations are allowed.
fn logic(schema: &Value, path: Path<'_>, int_or_string: bool, report: &mut Report) {
    for junctor in ["allOf", "anyOf", "oneOf"] {
        let list = path.key(junctor);
        for (index, inner) in items(&schema[junctor]).iter().enumerate() {
            // The one exception: `anyOf: [{type: integer}, {type: string}]` beside x-kubernetes-int-or-string.
            let pattern =
                int_or_string && inner.as_object().is_some_and(|map| map.len() == 1 && map.contains_key("type"));
            let nested = int_or_string && junctor == "allOf" && inner["anyOf"].is_array();
            if !pattern && !nested {
                value_only(inner, list.index(index), report);
            }
        }
    }
    if schema["not"].is_object() {
        value_only(&schema["not"], path.key("not"), report);
    }
}

fn value_only(schema: &Value, path: Path<'_>, report: &mut Report) {
    for field in NOT_IN_LOGIC {
        if !schema[field].is_null() {
            report.forbidden(path.key(field), "must be empty to be structural");
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let bracketed = format!("properties[{name}]");
        value_only(property, path.key(&bracketed), report);
    }
    if schema["items"].is_object() {
        value_only(&schema["items"], path.key("items"), report);
    }
    logic(schema, path, false, report);
}

fn update(old: &Value, new: &Value, path: Path<'_>, report: &mut Report) {
    report.immutable(path.key("group"), &old["spec"]["group"], &new["spec"]["group"]);
    let names = path.key("names");
    report.immutable(names.key("plural"), &old["spec"]["names"]["plural"], &new["spec"]["names"]["plural"]);
    let established = items(&old["status"]["conditions"])
        .iter()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
    if established {
        report.immutable(path.key("scope"), &old["spec"]["scope"], &new["spec"]["scope"]);
        report.immutable(names.key("kind"), &old["spec"]["names"]["kind"], &new["spec"]["names"]["kind"]);
    }
}
