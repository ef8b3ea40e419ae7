//! OpenAPI v3 documents made on demand from the schema table; nothing is kept in memory. Source: spec 10 §1.4.
//!
//! What a document holds is what kubectl looks at: per resource the create and patch operations with their media types
//! and the `fieldValidation` parameter, and the schemas with merge keys and list types. There are no descriptions.

mod component;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::resources::{ResourceInfo, join_group_version};

const PATCH_TYPES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const CUSTOM_PATCH_TYPES: &[&str] =
    &["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

/// `/openapi/v3`: the index of documents with their hashes.
pub fn index(resources: &[Arc<ResourceInfo>]) -> Value {
    let all: BTreeSet<(&str, &str)> = resources.iter().map(|info| (&*info.group, &*info.version)).collect();
    let entry = |(group, version): (&str, &str)| {
        let path = path(group, version);
        let url = format!("/openapi/v3/{path}?hash={}", hash(resources, group, version));
        (path, json!({ "serverRelativeURL": url }))
    };
    json!({ "paths": all.into_iter().map(entry).collect::<Map<_, _>>() })
}

/// `/openapi/v3/api/v1` or `/openapi/v3/apis/<group>/<version>`; `None` when nothing is served there.
pub fn document(resources: &[Arc<ResourceInfo>], group: &str, version: &str) -> Option<Value> {
    let served: Vec<&ResourceInfo> =
        resources.iter().map(Arc::as_ref).filter(|info| info.group == group && info.version == version).collect();
    if served.is_empty() {
        return None;
    }
    let mut paths = Map::new();
    let mut schemas = component::Schemas::default();
    for info in served {
        operations(info, &mut paths);
        schemas.add_resource(info);
    }
    schemas.add_options();
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.32.10"},
        "paths": paths,
        "components": {"schemas": schemas.finish()},
    }))
}

/// The hash of one document, upper-case hexadecimal, as the index shows it.
///
/// It covers what the document is made from, not its text, so the index needs no documents.
pub fn hash(resources: &[Arc<ResourceInfo>], group: &str, version: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(concat!(env!("CARGO_PKG_VERSION"), "/1\0"));
    for info in resources.iter().filter(|info| info.group == group && info.version == version) {
        digest.update(info.plural.as_bytes());
        digest.update([0, u8::from(info.namespaced), u8::from(info.has_status), u8::from(info.has_scale)]);
        digest.update(info.kind.as_bytes());
        if let Some(schema) = info.custom.as_ref().and_then(|custom| custom.schema.as_ref()) {
            digest.update(schema.to_string());
        }
    }
    digest.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}"); // writing to a String cannot fail
        text
    })
}

fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The paths of one resource.
fn operations(info: &ResourceInfo, paths: &mut Map<String, Value>) {
    let root = format!("/{}", path(&info.group, &info.version));
    let space = if info.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{root}{space}/{}", info.plural);
    let schema = json!({"$ref": format!("#/components/schemas/{}", component::name(info))});
    let kind = json!({"group": info.group, "version": info.version, "kind": info.kind});
    let operation = |action: &str, body: Option<&[&str]>| {
        let mut operation = json!({
            "operationId": format!("{action}{}{}", component::camel(&join_group_version(&info.group, &info.version)), info.kind),
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": kind,
        });
        if let Some(types) = body {
            let content: Map<String, Value> = types
                .iter()
                .map(|media| {
                    let patch = json!({"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Patch"});
                    ((*media).to_owned(), json!({"schema": if action == "patch" { patch } else { schema.clone() }}))
                })
                .collect();
            operation["requestBody"] = json!({"content": content, "required": true});
            operation["parameters"] = ["dryRun", "fieldManager", "fieldValidation"].map(parameter).into();
        }
        operation
    };
    let json_only: &[&str] = &["*/*"];
    let mut on_collection = Map::new();
    if info.allows("list") {
        on_collection.insert("get".to_owned(), operation("list", None));
    }
    if info.allows("create") {
        on_collection.insert("post".to_owned(), operation("post", Some(json_only)));
    }
    if info.namespaced {
        on_collection.insert("parameters".to_owned(), json!([path_parameter("namespace")]));
    }
    paths.insert(collection.clone(), on_collection.into());
    let mut on_item = Map::new();
    for (verb, method, action) in [("get", "get", "get"), ("update", "put", "put"), ("delete", "delete", "delete")] {
        if info.allows(verb) {
            let body = (verb == "update").then_some(json_only);
            on_item.insert(method.to_owned(), operation(action, body));
        }
    }
    if info.allows("patch") {
        let types = if info.is_custom() { CUSTOM_PATCH_TYPES } else { PATCH_TYPES };
        on_item.insert("patch".to_owned(), operation("patch", Some(types)));
    }
    if !on_item.is_empty() {
        let mut parameters = vec![path_parameter("name")];
        if info.namespaced {
            parameters.push(path_parameter("namespace"));
        }
        on_item.insert("parameters".to_owned(), parameters.into());
        paths.insert(format!("{collection}/{{name}}"), on_item.into());
    }
}

fn parameter(name: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}})
}

fn path_parameter(name: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::resources::builtin;

    fn all() -> Vec<Arc<ResourceInfo>> {
        builtin().iter().map(|row| Arc::new(ResourceInfo::from(row))).collect()
    }

    /// Every `$ref` names a component that exists.
    fn references_resolve(document: &Value) {
        fn walk(value: &Value, components: &Value) {
            match value {
                Value::Object(map) => {
                    for (key, item) in map {
                        if let ("$ref", Some(text)) = (key.as_str(), item.as_str()) {
                            let name = text.rsplit('/').next().unwrap();
                            assert!(components.get(name).is_some(), "{text}");
                        }
                        walk(item, components);
                    }
                }
                Value::Array(items) => items.iter().for_each(|item| walk(item, components)),
                _ => {}
            }
        }
        walk(document, &document["components"]["schemas"]);
    }

    #[test]
    fn every_group_has_a_document_without_loose_ends() {
        let index = index(&all());
        for path in index["paths"].as_object().unwrap().keys() {
            let mut parts = path.split('/').skip(1);
            let (first, second) = (parts.next().unwrap(), parts.next());
            let (group, version) = second.map_or(("", first), |version| (first, version));
            let document = document(&all(), group, version).unwrap();
            references_resolve(&document);
        }
        assert!(
            index["paths"]["api/v1"]["serverRelativeURL"].as_str().unwrap().starts_with("/openapi/v3/api/v1?hash=")
        );
    }

    #[test]
    fn documents_hold_what_kubectl_reads() {
        let document = document(&all(), "apps", "v1").unwrap();
        let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
        assert!(patch["requestBody"]["content"].get("application/strategic-merge-patch+json").is_some());
        assert!(patch["parameters"].as_array().unwrap().iter().any(|parameter| parameter["name"] == "fieldValidation"));
        let schemas = &document["components"]["schemas"];
        assert_eq!(
            schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"],
            json!([{"group": "apps", "version": "v1", "kind": "Deployment"}])
        );
        let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
        assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
        assert_eq!(
            schemas["io.k8s.api.core.v1.Volume"]["properties"]["emptyDir"]["allOf"][0]["$ref"],
            "#/components/schemas/io.k8s.api.core.v1.EmptyDirVolumeSource"
        );
        assert_eq!(schemas["io.k8s.api.core.v1.PodSpec"]["required"], json!(["containers"]));
    }

    #[test]
    fn custom_resources_never_offer_strategic_merge() {
        let definition = json!({"metadata": {"name": "ws.a.io"}, "spec": {"group": "a.io", "scope": "Cluster", "names": {"plural": "ws", "kind": "W"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}}]}});
        let infos: Vec<_> = ResourceInfo::from_crd(&definition).into_iter().map(Arc::new).collect();
        let document = document(&infos, "a.io", "v1").unwrap();
        references_resolve(&document);
        let content = &document["paths"]["/apis/a.io/v1/ws/{name}"]["patch"]["requestBody"]["content"];
        assert!(content.get("application/strategic-merge-patch+json").is_none());
        let schema = &document["components"]["schemas"]["io.a.v1.W"];
        assert_eq!(schema["x-kubernetes-group-version-kind"], json!([{"group": "a.io", "version": "v1", "kind": "W"}]));
        assert_eq!(schema["properties"]["spec"]["type"], "object");
    }
}
