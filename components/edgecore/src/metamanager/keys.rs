//! Keys of both tables, derived from resource strings and objects. Source: spec 02 §4.1, §4.6.

use serde::Deserialize;
use wire::resource::{ResourceKind, ResourceRef};

use super::store::{ObjectVersion, Row};
use crate::metamanager::store::GenericRow;

/// Key and type of a row. Source: spec 02 §0.2: anything that is not a routed resource is stored under its whole
/// text with an empty type.
pub fn row_key(resource: &str) -> (String, String) {
    match ResourceRef::parse(resource) {
        Ok(parsed) => (resource.to_owned(), parsed.kind.as_str().to_owned()),
        Err(_) => (resource.to_owned(), String::new()),
    }
}

/// Key of the last patch of a pod.
pub fn pod_patch_key(pod: &ResourceRef) -> String {
    pod.with_kind(ResourceKind::PodPatch).to_string()
}

/// What the keys need of an object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TypedObject {
    kind: Option<String>,
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    metadata: Option<Names>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Names {
    name: Option<String>,
    namespace: Option<String>,
}

/// The row of an object that arrived for `resource`.
///
/// `generic` asks for the second table too; it needs `kind` and `apiVersion` in the object.
pub fn object_row(resource: &str, json: &str, generic: bool) -> Row {
    let (key, kind) = row_key(resource);
    let generic = if generic { generic_row(json) } else { None };
    Row { key, kind, value: json.to_owned(), version: ObjectVersion::of(json), generic }
}

fn generic_row(json: &str) -> Option<GenericRow> {
    let object: TypedObject = serde_json::from_str(json).ok()?;
    let kind = object.kind.filter(|kind| !kind.is_empty())?;
    let api_version = object.api_version.filter(|version| !version.is_empty())?;
    let names = object.metadata.unwrap_or_default();
    let name = names.name.filter(|name| !name.is_empty())?;
    let namespace = names.namespace.unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let resource = plural(&kind);
    Some(GenericRow {
        key: generic_key(group, version, &resource, &namespace, &name),
        group_version_resource: format!("{group}/{version}, Resource={resource}"),
        namespace,
        name,
    })
}

fn generic_key(group: &str, version: &str, resource: &str, namespace: &str, name: &str) -> String {
    let group = if group.is_empty() { "core" } else { group };
    let namespace = if namespace.is_empty() { "null" } else { namespace };
    format!("/{group}/{version}/{resource}/{namespace}/{name}")
}

/// Key of the second table for a deletion: from the object when it says what it is, otherwise from the type word of
/// the message, because a sync loop's deletion holds nothing but names. Source: spec 02 §3 BETTER.
pub fn deleted_generic_key(resource: &ResourceRef, json: &str) -> Option<String> {
    if let Some(row) = generic_row(json) {
        return Some(row.key);
    }
    let (group, version, plural) = match resource.kind {
        ResourceKind::Pod => ("", "v1", "pods"),
        ResourceKind::Node => ("", "v1", "nodes"),
        ResourceKind::ConfigMap => ("", "v1", "configmaps"),
        ResourceKind::Secret => ("", "v1", "secrets"),
        ResourceKind::PersistentVolume => ("", "v1", "persistentvolumes"),
        ResourceKind::PersistentVolumeClaim => ("", "v1", "persistentvolumeclaims"),
        ResourceKind::Device => ("devices.kubeedge.io", "v1beta1", "devices"),
        ResourceKind::DeviceModel => ("devices.kubeedge.io", "v1beta1", "devicemodels"),
        _ => return None,
    };
    let namespace = resource.scope.namespace().unwrap_or_default();
    Some(generic_key(group, version, plural, namespace, resource.name.as_deref()?))
}

/// The resource name guessed from a kind, exactly as the peers guess it, since they read these rows too.
pub fn plural(kind: &str) -> String {
    match kind {
        "Endpoints" | "PodStatus" | "NodeStatus" | "CustomResourceDefinitionList" | "Leases" => kind.to_lowercase(),
        _ => {
            let lower = kind.to_lowercase();
            if lower.ends_with('s') {
                format!("{lower}es")
            } else if let Some(stem) = lower.strip_suffix('y') {
                format!("{stem}ies")
            } else {
                format!("{lower}s")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_keyed_like_the_peers() {
        let pod = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web-0","namespace":"default","uid":"u","resourceVersion":"7"}}"#;
        let row = object_row("default/pod/web-0", pod, true);
        assert_eq!((row.key.as_str(), row.kind.as_str()), ("default/pod/web-0", "pod"));
        assert_eq!(row.version, ObjectVersion { uid: "u".into(), resource_version: "7".into() });
        let generic = row.generic.expect("typed object");
        assert_eq!(generic.key, "/core/v1/pods/default/web-0");
        assert_eq!(generic.group_version_resource, "/v1, Resource=pods");

        let node = r#"{"kind":"Node","apiVersion":"v1","metadata":{"name":"e"}}"#;
        assert_eq!(object_row("null/node/e", node, true).generic.expect("typed").key, "/core/v1/nodes/null/e");
        let deployment = r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"d","namespace":"n"}}"#;
        let row = object_row("n/deployment/d", deployment, true).generic.expect("typed");
        assert_eq!(
            (row.key.as_str(), row.group_version_resource.as_str()),
            ("/apps/v1/deployments/n/d", "apps/v1, Resource=deployments")
        );
    }

    #[test]
    fn odd_resources_keep_their_text_and_no_type() {
        assert_eq!(row_key("a/b/c/d"), ("a/b/c/d".to_owned(), String::new()));
        assert_eq!(row_key("default/pod"), ("default/pod".to_owned(), "pod".to_owned()));
        assert!(object_row("n/x/y", r#"{"metadata":{"name":"y"}}"#, true).generic.is_none());
    }

    #[test]
    fn plurals_are_guessed_like_the_peers_guess() {
        for (kind, resource) in [
            ("Endpoints", "endpoints"),
            ("Ingress", "ingresses"),
            ("NetworkPolicy", "networkpolicies"),
            ("CustomResourceDefinition", "customresourcedefinitions"),
            ("CustomResourceDefinitionList", "customresourcedefinitionlist"),
            ("Gateway", "gatewaies"),
        ] {
            assert_eq!(plural(kind), resource);
        }
    }

    #[test]
    fn a_minimal_deletion_still_finds_the_generic_row() {
        let pod = ResourceRef::namespaced("prod", ResourceKind::Pod, "web-0");
        let key = deleted_generic_key(&pod, r#"{"metadata":{"name":"web-0","namespace":"prod","uid":"u"}}"#);
        assert_eq!(key.as_deref(), Some("/core/v1/pods/prod/web-0"));
    }
}
