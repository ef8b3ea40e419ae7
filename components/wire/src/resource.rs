//! What a message is about: `<namespace>/<type>[/<name>]`. Source: spec 01 §2.5, 02 §0.2.

use std::fmt;

use thiserror::Error;

/// The literal namespace that stands for cluster scope on the wire.
pub const CLUSTER: &str = "null";

/// A routed resource as it stands on the wire, without the cloud's `node/<id>/` prefix.
///
/// The node a message belongs to is never part of it: it is the identity of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResourceRef {
    /// Where the object lives.
    pub scope: Scope,
    /// The type word, such as `pod` or `nodepatch`.
    pub kind: ResourceKind,
    /// The object's name; absent when a whole type is meant.
    pub name: Option<String>,
}

/// Where an object lives. The wire spells [`Scope::Cluster`] as the namespace `null`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Cluster-scoped.
    Cluster,
    /// In the named namespace.
    Namespaced(String),
}

impl Scope {
    /// The namespace segment on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cluster => CLUSTER,
            Self::Namespaced(namespace) => namespace,
        }
    }

    /// The scope a wire segment names.
    pub fn from_segment(segment: &str) -> Self {
        if segment == CLUSTER { Self::Cluster } else { Self::Namespaced(segment.to_owned()) }
    }

    /// The namespace, unless cluster-scoped.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Cluster => None,
            Self::Namespaced(namespace) => Some(namespace),
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        /// The type segment of a resource. Unknown words are data. Source: spec 01 §2.4.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum ResourceKind {
            $($(#[$doc])* $variant,)+
            /// Any other type word.
            Other(String),
        }

        impl ResourceKind {
            /// The word on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for ResourceKind {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }
    };
}

kinds! {
    /// A Pod.
    Pod = "pod",
    /// Legacy list of pods.
    PodList = "podlist",
    /// Legacy (v1.9) pod status report.
    PodStatus = "podstatus",
    /// Strategic-merge patch of a pod's status.
    PodPatch = "podpatch",
    /// A Node.
    Node = "node",
    /// Legacy (v1.9) node status report.
    NodeStatus = "nodestatus",
    /// Strategic-merge patch of a node's status.
    NodePatch = "nodepatch",
    /// A ConfigMap.
    ConfigMap = "configmap",
    /// A Secret.
    Secret = "secret",
    /// A TokenRequest for a service account.
    ServiceAccountToken = "serviceaccounttoken",
    /// What a service account may do; pushed by the policy controller.
    ServiceAccountAccess = "serviceaccountaccess",
    /// An Event.
    Event = "event",
    /// A Lease.
    Lease = "lease",
    /// A CertificateSigningRequest.
    CertificateSigningRequest = "certificatesigningrequest",
    /// A PersistentVolume.
    PersistentVolume = "persistentvolume",
    /// A PersistentVolumeClaim.
    PersistentVolumeClaim = "persistentvolumeclaim",
    /// A VolumeAttachment.
    VolumeAttachment = "volumeattachment",
    /// A Device.
    Device = "device",
    /// A DeviceModel.
    DeviceModel = "devicemodel",
}

/// Why a resource string does not name a routed resource.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResourceError {
    /// Only `<namespace>/<type>` and `<namespace>/<type>/<name>` are routed resources.
    #[error("resource has {found} segments instead of 2 or 3")]
    Segments {
        /// How many `/`-separated segments there are.
        found: usize,
    },
    /// A segment is empty.
    #[error("resource has an empty segment")]
    EmptySegment,
}

impl ResourceRef {
    /// A namespaced object.
    pub fn namespaced(namespace: impl Into<String>, kind: ResourceKind, name: impl Into<String>) -> Self {
        Self { scope: Scope::Namespaced(namespace.into()), kind, name: Some(name.into()) }
    }

    /// A cluster-scoped object.
    pub fn cluster(kind: ResourceKind, name: impl Into<String>) -> Self {
        Self { scope: Scope::Cluster, kind, name: Some(name.into()) }
    }

    /// Reads `<namespace>/<type>[/<name>]`.
    ///
    /// # Errors
    /// [`ResourceError`] when the text is one of the special resources (`node`, `k8s/ca.crt` is two segments and
    /// must be recognised by the caller first), a device topic, or malformed.
    pub fn parse(text: &str) -> Result<Self, ResourceError> {
        let found = text.split('/').count();
        let mut segments = text.split('/');
        let (Some(namespace), Some(kind), name, None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(ResourceError::Segments { found });
        };
        if namespace.is_empty() || kind.is_empty() || name.is_some_and(str::is_empty) {
            return Err(ResourceError::EmptySegment);
        }
        Ok(Self { scope: Scope::from_segment(namespace), kind: kind.into(), name: name.map(str::to_owned) })
    }

    /// The same object under another type word: a `podpatch` is answered for, and stored as, a `pod`.
    #[must_use]
    pub fn with_kind(&self, kind: ResourceKind) -> Self {
        Self { scope: self.scope.clone(), kind, name: self.name.clone() }
    }
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.scope.as_str(), self.kind.as_str())?;
        match &self.name {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &ResourceRef) {
        assert_eq!(&ResourceRef::parse(text).expect("parses"), expected);
        assert_eq!(expected.to_string(), text);
    }

    #[test]
    fn names_namespaced_cluster_and_whole_types() {
        check("default/pod/web-0", &ResourceRef::namespaced("default", ResourceKind::Pod, "web-0"));
        check("null/node/edge1", &ResourceRef::cluster(ResourceKind::Node, "edge1"));
        check(
            "default/pod",
            &ResourceRef { scope: Scope::Namespaced("default".into()), kind: ResourceKind::Pod, name: None },
        );
        check("a/thing/b", &ResourceRef::namespaced("a", ResourceKind::Other("thing".into()), "b"));
    }

    #[test]
    fn rejects_what_is_not_a_routed_resource() {
        assert_eq!(ResourceRef::parse("node"), Err(ResourceError::Segments { found: 1 }));
        assert_eq!(ResourceRef::parse("a/b/c/d"), Err(ResourceError::Segments { found: 4 }));
        assert_eq!(ResourceRef::parse("default//web"), Err(ResourceError::EmptySegment));
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_the_same(text in "[a-z0-9./ ]{0,20}|null/[a-z]+|[a-z]+/pod/[a-z]*") {
            if let Ok(parsed) = ResourceRef::parse(&text) {
                prop_assert_eq!(parsed.to_string(), text);
            }
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = ResourceRef::parse(&text);
        }
    }
}
