//! `reliablesyncs.kubeedge.io/v1alpha1`: what each edge node has acknowledged. Source: spec 01 §8.1.
//!
//! A record's name is `<node>.<object UID>`; node names may hold dots, UIDs do not.

use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// Which object a namespaced record is about.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[kube(
    group = "reliablesyncs.kubeedge.io",
    version = "v1alpha1",
    kind = "ObjectSync",
    plural = "objectsyncs",
    namespaced,
    status = "SyncStatus",
    schema = "disabled"
)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectSyncSpec {
    /// `v1`, `devices.kubeedge.io/v1beta1`, …
    #[serde(rename = "objectAPIVersion")]
    pub object_api_version: String,
    /// `Pod`, `Device`, …
    pub object_kind: String,
    /// The object's name; its namespace is the record's.
    pub object_name: String,
}

/// Which cluster-scoped object a record is about.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[kube(
    group = "reliablesyncs.kubeedge.io",
    version = "v1alpha1",
    kind = "ClusterObjectSync",
    plural = "clusterobjectsyncs",
    status = "SyncStatus",
    schema = "disabled"
)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterObjectSyncSpec {
    /// As [`ObjectSyncSpec::object_api_version`].
    #[serde(rename = "objectAPIVersion")]
    pub object_api_version: String,
    /// As [`ObjectSyncSpec::object_kind`].
    pub object_kind: String,
    /// The object's name.
    pub object_name: String,
}

/// How far delivery has come; the same for both kinds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncStatus {
    /// The resourceVersion the node acknowledged last; empty or `0` when it never did.
    pub object_resource_version: String,
}

/// The node and the object UID in a record's name.
pub fn parse_record_name(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.').filter(|(node, uid)| !node.is_empty() && !uid.is_empty())
}

/// The name of the record that a node has of an object.
pub fn record_name(node: &str, uid: &str) -> String {
    format!("{node}.{uid}")
}

/// The two definitions as YAML, for API servers from 1.16 on.
pub const CRDS: [&str; 2] = [
    include_str!("../../../templates/crds/reliablesyncs_objectsyncs.yaml"),
    include_str!("../../../templates/crds/reliablesyncs_clusterobjectsyncs.yaml"),
];

#[cfg(test)]
mod tests {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

    use super::*;

    #[test]
    fn node_names_may_hold_dots() {
        let uid = "8f0c0f5e-5b0c-4a0b-9a56-0d6d3f1d9a10";
        assert_eq!(parse_record_name(&record_name("edge.node.1", uid)), Some(("edge.node.1", uid)));
        assert_eq!(parse_record_name("nodot"), None);
    }

    #[test]
    fn definitions_are_v1_with_a_status_subresource() {
        for text in CRDS {
            let crd: CustomResourceDefinition = serde_yaml::from_str(text).expect("valid YAML");
            assert_eq!(crd.metadata.name, Some(format!("{}.{}", crd.spec.names.plural, crd.spec.group)));
            let version = &crd.spec.versions[0];
            assert_eq!(version.name, "v1alpha1");
            assert!(version.subresources.as_ref().is_some_and(|sub| sub.status.is_some()));
            assert!(version.schema.is_some());
        }
    }

    #[test]
    fn records_use_the_peers_field_names() {
        let spec =
            ObjectSyncSpec { object_api_version: "v1".into(), object_kind: "Pod".into(), object_name: "web".into() };
        let json = serde_json::to_string(&ObjectSync::new("e.u", spec)).expect("JSON");
        assert!(json.contains(r#""spec":{"objectAPIVersion":"v1","objectKind":"Pod","objectName":"web"}"#), "{json}");
    }
}
