//! Kubernetes objects as JSON text: read once for the few facts we need, relayed without re-encoding.
//!
//! Bodies live only while a message about them is on its way; the cluster state keeps [`Meta`] alone.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use wire::message::Content;

use crate::kind::Kind;

/// One object: `kind`, `apiVersion` and `metadata` first, never any `managedFields`. Source: spec 02 §1.1 rule 1.
#[derive(Clone)]
pub struct Object {
    /// The facts decisions are made from.
    pub meta: Meta,
    json: Arc<RawValue>,
}

/// What tells one state of an object from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.namespace`; absent for cluster-scoped objects.
    pub namespace: Option<Arc<str>>,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `metadata.resourceVersion`.
    pub version: Version,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Hash of everything but versions, managed fields and node heartbeats: equal digests need no new message.
    pub digest: u64,
}

/// A resourceVersion. Numeric ones are ordered; others only differ or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Box<str>);

impl Version {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `self` has to be delivered to someone who has `known`. An empty `known` means never delivered.
    pub fn is_newer_than(&self, known: &Self) -> bool {
        match (self.number(), known.number()) {
            (Some(mine), Some(theirs)) => mine > theirs,
            _ => self != known,
        }
    }

    /// The version as a number; none is as good as zero.
    fn number(&self) -> Option<u64> {
        if self.0.is_empty() { Some(0) } else { self.0.parse().ok() }
    }
}

impl From<&str> for Version {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A JSON object whose members keep their order and their text.
struct Members<'a>(Vec<(std::borrow::Cow<'a, str>, &'a RawValue)>);

impl<'a, 'de: 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    members.push((key.0, map.next_value::<&'de RawValue>()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// A member name, borrowed unless it holds escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct MetaText<'a> {
    #[serde(borrow)]
    uid: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    namespace: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    resource_version: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    deletion_timestamp: Option<&'a RawValue>,
}

impl Object {
    /// Reads an object of the given kind; list and watch items may lack their types.
    ///
    /// # Errors
    /// [`serde_json::Error`] when `text` is not a JSON object with readable metadata.
    pub fn read(kind: &Kind, text: &str) -> Result<Self, serde_json::Error> {
        let members: Members<'_> = serde_json::from_str(text)?;
        let metadata = members.0.iter().find(|(key, _)| key == "metadata").map_or("{}", |(_, raw)| raw.get());
        let facts: MetaText<'_> = serde_json::from_str(metadata)?;
        let metadata: Members<'_> = serde_json::from_str(metadata)?;

        let mut digest = DefaultHasher::new();
        let mut out = String::with_capacity(text.len() + 40);
        out.push_str("{\"kind\":");
        out.push_str(&quoted(kind.kind()));
        out.push_str(",\"apiVersion\":");
        out.push_str(&quoted(kind.api_version()));
        out.push_str(",\"metadata\":{");
        let mut comma = "";
        for (key, raw) in metadata.0.iter().filter(|(key, _)| key != "managedFields") {
            push_member(&mut out, comma, key, raw.get());
            comma = ",";
            if key != "resourceVersion" && key != "generation" {
                (key.as_ref(), raw.get()).hash(&mut digest);
            }
        }
        out.push('}');
        for (key, raw) in &members.0 {
            if matches!(key.as_ref(), "kind" | "apiVersion" | "metadata") {
                continue;
            }
            push_member(&mut out, ",", key, raw.get());
            if kind == &Kind::Node && key == "status" {
                hash_without_heartbeats(raw.get(), &mut digest);
            } else {
                (key.as_ref(), raw.get()).hash(&mut digest);
            }
        }
        out.push('}');

        let meta = Meta {
            uid: facts.uid.into(),
            namespace: Some(facts.namespace).filter(|ns| !ns.is_empty()).map(Into::into),
            name: facts.name.into(),
            version: Version(facts.resource_version.into()),
            deleting: facts.deletion_timestamp.is_some_and(|raw| raw.get() != "null"),
            digest: digest.finish(),
        };
        Ok(Self { meta, json: RawValue::from_string(out)?.into() })
    }

    /// The object with its types, as watches and queries deliver it.
    pub fn content(&self) -> Content {
        Content::from(RawValue::to_owned(&self.json))
    }

    /// The object's JSON text.
    pub fn text(&self) -> &str {
        self.json.get()
    }

    /// The object without `kind` and `apiVersion`, as typed clients hold it. Source: spec 01 §2.2.
    pub fn without_types(&self) -> Box<RawValue> {
        let text = self.json.get();
        let start = text.find("\"metadata\":").expect("`read` wrote the metadata");
        RawValue::from_string(format!("{{{}", &text[start..])).expect("a suffix of members is valid JSON")
    }

    /// Reads the whole object as `T`.
    ///
    /// # Errors
    /// [`serde_json::Error`] when the object has another shape.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.json.get())
    }
}

impl fmt::Debug for Object {
    /// Shows no body: it may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// The content of a delete that nobody has a body for. Source: spec 02 §3.
pub fn minimal_content(namespace: Option<&str>, name: &str, uid: &str) -> Content {
    #[derive(serde::Serialize)]
    struct Minimal<'a> {
        metadata: MinimalMeta<'a>,
    }
    #[derive(serde::Serialize)]
    struct MinimalMeta<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
        uid: &'a str,
    }
    Content::json(&Minimal { metadata: MinimalMeta { name, namespace, uid } }).expect("three strings are JSON")
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string always serialises")
}

fn push_member(out: &mut String, comma: &str, key: &str, value: &str) {
    out.push_str(comma);
    out.push_str(&quoted(key));
    out.push(':');
    out.push_str(value);
}

fn hash_without_heartbeats(status: &str, digest: &mut DefaultHasher) {
    let Ok(mut status) = serde_json::from_str::<serde_json::Value>(status) else {
        return status.hash(digest);
    };
    let conditions = status.get_mut("conditions").and_then(serde_json::Value::as_array_mut);
    for condition in conditions.into_iter().flatten().filter_map(serde_json::Value::as_object_mut) {
        condition.remove("lastHeartbeatTime");
    }
    status.to_string().hash(digest);
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = r#"{"metadata":{"name":"web","namespace":"prod","uid":"u1","resourceVersion":"7","managedFields":[{"a":1}]},"spec":{"nodeName":"e1"}}"#;

    #[test]
    fn types_come_first_and_managed_fields_go() {
        let pod = Object::read(&Kind::Pod, POD).expect("reads");
        assert_eq!(
            pod.content().get(),
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","namespace":"prod","uid":"u1","resourceVersion":"7"},"spec":{"nodeName":"e1"}}"#
        );
        assert_eq!(
            pod.without_types().get(),
            r#"{"metadata":{"name":"web","namespace":"prod","uid":"u1","resourceVersion":"7"},"spec":{"nodeName":"e1"}}"#
        );
        assert_eq!(pod.meta.namespace.as_deref(), Some("prod"));
        assert!(!pod.meta.deleting);
    }

    #[test]
    fn digest_ignores_versions_but_sees_status() {
        let digest = |text: &str| Object::read(&Kind::Pod, text).expect("reads").meta.digest;
        assert_eq!(digest(POD), digest(&POD.replace(r#""7""#, r#""8""#)));
        assert_ne!(digest(POD), digest(&POD.replace("e1", "e2")));
    }

    #[test]
    fn a_heartbeat_is_no_change_of_a_node() {
        let node = |beat: &str, ready: &str| {
            let text = format!(
                r#"{{"metadata":{{"name":"e1"}},"status":{{"conditions":[{{"type":"Ready","status":"{ready}","lastHeartbeatTime":"{beat}"}}]}}}}"#
            );
            Object::read(&Kind::Node, &text).expect("reads").meta.digest
        };
        assert_eq!(node("1", "True"), node("2", "True"));
        assert_ne!(node("1", "True"), node("1", "Unknown"));
    }

    #[test]
    fn versions_compare_as_numbers_and_never_panic() {
        let newer = |a: &str, b: &str| Version::from(a).is_newer_than(&Version::from(b));
        assert!(newer("10", "9"));
        assert!(!newer("9", "10"));
        assert!(!newer("9", "9"));
        assert!(newer("9", ""));
        assert!(!newer("", "9"));
        assert!(!newer("", "0"));
        assert!(newer("abc", "9"));
        assert!(!newer("abc", "abc"));
    }

    #[test]
    fn minimal_delete_is_the_recorded_shape() {
        assert_eq!(
            minimal_content(Some("default"), "dht11", "61df").get(),
            r#"{"metadata":{"name":"dht11","namespace":"default","uid":"61df"}}"#
        );
    }
}
