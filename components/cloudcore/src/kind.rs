//! Kinds of objects that travel to edges, and the keys they are addressed by.

use std::fmt;
use std::sync::Arc;

use wire::resource::CLUSTER;

/// A kind of Kubernetes object. The four that edges always need have names; every other one is data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `v1` Pod.
    Pod,
    /// `v1` ConfigMap.
    ConfigMap,
    /// `v1` Secret.
    Secret,
    /// `v1` Node.
    Node,
    /// Any other kind, as an ObjectSync names it.
    Other(Arc<OtherKind>),
}

/// A kind known only by its names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OtherKind {
    api_version: Box<str>,
    kind: Box<str>,
}

impl Kind {
    /// The kind with these names.
    pub fn named(api_version: &str, kind: &str) -> Self {
        match (api_version, kind) {
            ("v1", "Pod") => Self::Pod,
            ("v1", "ConfigMap") => Self::ConfigMap,
            ("v1", "Secret") => Self::Secret,
            ("v1", "Node") => Self::Node,
            _ => Self::Other(Arc::new(OtherKind { api_version: api_version.into(), kind: kind.into() })),
        }
    }

    /// `v1`, `devices.kubeedge.io/v1beta1`, …
    pub fn api_version(&self) -> &str {
        match self {
            Self::Pod | Self::ConfigMap | Self::Secret | Self::Node => "v1",
            Self::Other(other) => &other.api_version,
        }
    }

    /// `Pod`, `Device`, …
    pub fn kind(&self) -> &str {
        match self {
            Self::Pod => "Pod",
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::Node => "Node",
            Self::Other(other) => &other.kind,
        }
    }

    /// The word in resource strings: the lower-case kind.
    pub fn word(&self) -> String {
        self.kind().to_ascii_lowercase()
    }

    /// The plural in API paths, by the rule of spec 01 §8.2.
    pub fn plural(&self) -> String {
        let word = self.word();
        match word.as_bytes().last() {
            _ if word == "endpoints" || word == "leases" => word,
            Some(b's') => word + "es",
            Some(b'y') => word[..word.len() - 1].to_owned() + "ies",
            Some(_) | None => word + "s",
        }
    }
}

/// One object's address. Order towards an edge is kept per key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    /// What it is.
    pub kind: Kind,
    /// Where it lives; absent for cluster scope.
    pub namespace: Option<Arc<str>>,
    /// Its name.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// A namespaced object.
    pub fn namespaced(kind: Kind, namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { kind, namespace: Some(namespace.into()), name: name.into() }
    }

    /// A cluster-scoped object.
    pub fn cluster(kind: Kind, name: impl Into<Arc<str>>) -> Self {
        Self { kind, namespace: None, name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    /// The resource on the wire: `<namespace or null>/<word>/<name>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace.as_deref().unwrap_or(CLUSTER), self.kind.word(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_print_as_wire_resources() {
        assert_eq!(ObjectKey::namespaced(Kind::Pod, "default", "web").to_string(), "default/pod/web");
        assert_eq!(ObjectKey::cluster(Kind::Node, "edge1").to_string(), "null/node/edge1");
    }

    #[test]
    fn plurals_follow_the_sync_controller() {
        let plural = |kind: &str| Kind::named("x/v1", kind).plural();
        assert_eq!(plural("PersistentVolumeClaim"), "persistentvolumeclaims");
        assert_eq!(plural("NetworkPolicy"), "networkpolicies");
        assert_eq!(plural("Ingress"), "ingresses");
        assert_eq!(plural("Endpoints"), "endpoints");
        assert_eq!(Kind::Pod.plural(), "pods");
    }
}
