//! ObjectSync and ClusterObjectSync records as values. Source: spec 01 §8.1.

use std::sync::Arc;

use api::reliablesyncs::{ObjectSyncSpec, SyncStatus, parse_record_name, record_name};
use serde::{Deserialize, Serialize};

use crate::kind::{Kind, ObjectKey};
use crate::object::{Object, Version};

/// What a node has acknowledged of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The object.
    pub key: ObjectKey,
    /// The last acknowledged version; empty when never.
    pub version: Version,
}

/// The kind of the record that an object has: by the object's scope.
pub fn record_kind(namespaced: bool) -> Kind {
    Kind::named("reliablesyncs.kubeedge.io/v1alpha1", if namespaced { "ObjectSync" } else { "ClusterObjectSync" })
}

/// The address of the record that a node has of an object.
pub fn record_key(node: &str, uid: &str, object: &ObjectKey) -> ObjectKey {
    ObjectKey {
        kind: record_kind(object.namespace.is_some()),
        namespace: object.namespace.clone(),
        name: record_name(node, uid).into(),
    }
}

/// Reads a record: its node, the object's UID, and what is recorded. `None` for a name that is not ours.
pub fn read_record(object: &Object) -> Option<(String, Arc<str>, Record)> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Text {
        spec: ObjectSyncSpec,
        status: Option<SyncStatus>,
    }
    let (node, uid) = parse_record_name(&object.meta.name)?;
    let Text { spec, status } = object.parse().ok()?;
    let key = ObjectKey {
        kind: Kind::named(&spec.object_api_version, &spec.object_kind),
        namespace: object.meta.namespace.clone(),
        name: spec.object_name.into(),
    };
    let version = status.unwrap_or_default().object_resource_version;
    Some((node.to_owned(), uid.into(), Record { key, version: version.as_str().into() }))
}

/// The body that creates a record.
pub fn new_record_body(node: &str, uid: &str, object: &ObjectKey) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        api_version: &'a str,
        kind: &'a str,
        metadata: Metadata<'a>,
        spec: ObjectSyncSpec,
    }
    #[derive(Serialize)]
    struct Metadata<'a> {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
    }
    let kind = record_kind(object.namespace.is_some());
    let body = Body {
        api_version: kind.api_version(),
        kind: kind.kind(),
        metadata: Metadata { name: record_name(node, uid), namespace: object.namespace.as_deref() },
        spec: ObjectSyncSpec {
            object_api_version: object.kind.api_version().to_owned(),
            object_kind: object.kind.kind().to_owned(),
            object_name: object.name.to_string(),
        },
    };
    serde_json::to_string(&body).expect("strings are JSON")
}

/// The merge patch that books a version.
pub fn status_patch(version: &Version) -> String {
    serde_json::json!({"status": {"objectResourceVersion": version.as_str()}}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back() {
        let key = ObjectKey::namespaced(Kind::Pod, "prod", "web");
        let body = new_record_body("edge.1", "u-1", &key);
        assert_eq!(
            body,
            r#"{"apiVersion":"reliablesyncs.kubeedge.io/v1alpha1","kind":"ObjectSync","metadata":{"name":"edge.1.u-1","namespace":"prod"},"spec":{"objectAPIVersion":"v1","objectKind":"Pod","objectName":"web"}}"#
        );
        let object = Object::read(&record_kind(true), &body).expect("reads");
        let (node, uid, record) = read_record(&object).expect("a record");
        assert_eq!((node.as_str(), &*uid), ("edge.1", "u-1"));
        assert_eq!(record, Record { key, version: "".into() });
    }

    #[test]
    fn cluster_scope_goes_into_the_other_kind() {
        let key = ObjectKey::cluster(Kind::Node, "e1");
        assert_eq!(record_key("e1", "u", &key).kind.kind(), "ClusterObjectSync");
        assert_eq!(record_key("e1", "u", &key).namespace, None);
    }
}
