//! What a node may touch: its own Node and Lease, the pods bound to it, and what those refer to.
//!
//! The cluster state answers nearly always. A pod it has not seen yet (a mirror pod just made) is looked up.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Request, RequestError, Upstream};
use crate::edgecontroller::references::PodFacts;
use crate::kind::{Kind, ObjectKey};

/// The pod that has a name now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bearer {
    /// Its UID.
    pub(super) uid: Arc<str>,
    /// Whether it is bound to the requesting node.
    pub(super) own: bool,
}

impl Upstream {
    /// Finds the pod that has this name; `named` is the UID that the node says it has. A pod that does not exist is the
    /// API server's to report.
    ///
    /// # Errors
    /// [`RequestError`].
    pub(super) async fn bearer(
        &self,
        request: &Request,
        namespace: &str,
        name: &str,
        named: Option<&str>,
    ) -> Result<Bearer, RequestError> {
        let known = self.controller.ask(|cluster| {
            let pod = cluster.pod(namespace, name)?;
            Some(Bearer { uid: pod.meta.uid.clone(), own: *pod.node.as_ref()? == request.node })
        });
        if let Some(known) = known.filter(|known| named.is_none_or(|uid| uid == &*known.uid)) {
            return Ok(known);
        }
        let pod = self.api.get(&ObjectKey::namespaced(Kind::Pod, namespace, name)).await?;
        let facts = PodFacts::read(&pod).map_err(|_| RequestError::Invalid { reason: "the pod is unreadable" })?;
        Ok(Bearer { uid: pod.meta.uid.clone(), own: facts.node.as_deref() == Some(&*request.node) })
    }

    /// Fails unless a pod of the node refers to this ConfigMap or Secret.
    ///
    /// # Errors
    /// [`RequestError::Forbidden`].
    pub(super) fn check_referred(&self, request: &Request, key: &ObjectKey) -> Result<(), RequestError> {
        if self.controller.ask(|cluster| cluster.refers(&request.node, key)) {
            Ok(())
        } else {
            Err(request.forbidden("no pod bound to it refers to the object"))
        }
    }

    /// Fails unless the pod is bound to the node, has this UID and runs as this account.
    ///
    /// # Errors
    /// [`RequestError::Forbidden`].
    pub(super) fn check_account(
        &self,
        request: &Request,
        namespace: &str,
        account: &str,
        pod: (&str, &str),
    ) -> Result<(), RequestError> {
        let (name, uid) = pod;
        let own = self.controller.ask(|cluster| {
            cluster.pod(namespace, name).is_some_and(|pod| {
                pod.node.as_deref() == Some(&*request.node) && &*pod.meta.uid == uid && &*pod.service_account == account
            })
        });
        if own { Ok(()) } else { Err(request.forbidden("no pod bound to it runs as the account with that UID")) }
    }

    /// Whether a pod of the node mounts this claim.
    pub(super) fn mounts(&self, request: &Request, namespace: &str, claim: &str) -> bool {
        self.controller.ask(|cluster| {
            cluster.pods_of(&request.node).any(|pod| {
                pod.meta.namespace.as_deref() == Some(namespace) && pod.claims.iter().any(|name| name == claim)
            })
        })
    }
}

/// Whether a text can be a UID. UIDs become parts of record names, so nothing else is taken from a node.
pub fn is_uid(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A pod status patch may identify the pod and set its status, nothing else. Returns it with the UID it names.
///
/// # Errors
/// A text for [`RequestError`].
pub fn pod_patch(patch: &str) -> Result<(Map<String, Value>, Option<String>), &'static str> {
    let Ok(Value::Object(patch)) = serde_json::from_str::<Value>(patch) else {
        return Err("the patch is not a JSON object");
    };
    if patch.keys().any(|key| key != "metadata" && key != "status") {
        return Err("the patch changes more than the status");
    }
    let uid = match patch.get("metadata") {
        None => None,
        Some(Value::Object(metadata)) if metadata.keys().all(|key| key == "uid") => metadata.get("uid"),
        Some(_) => return Err("the patch changes the pod's metadata"),
    };
    let uid = match uid {
        None => None,
        Some(Value::String(uid)) if is_uid(uid) => Some(uid.clone()),
        Some(_) => return Err("the patch names no UID"),
    };
    Ok((patch, uid))
}

/// A node may not give itself labels that restrict where workloads may run.
///
/// # Errors
/// A text for [`RequestError`].
pub fn check_node_labels(node: &Value) -> Result<(), &'static str> {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object);
    let reserved = |key: &String| {
        key.split('/').next().is_some_and(|prefix| {
            prefix == "node-restriction.kubernetes.io" || prefix.ends_with(".node-restriction.kubernetes.io")
        })
    };
    if labels.is_some_and(|labels| labels.keys().any(|key| key.contains('/') && reserved(key))) {
        return Err("labels under node-restriction.kubernetes.io are not the node's to set");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_patch_is_about_the_status() {
        let uid = |patch: &str| pod_patch(patch).map(|(_, uid)| uid);
        assert_eq!(uid(r#"{"metadata":{"uid":"u"},"status":{"phase":"Running"}}"#), Ok(Some("u".to_owned())));
        assert_eq!(uid("{}"), Ok(None));
        assert!(uid(r#"{"spec":{"nodeName":"other"}}"#).is_err());
        assert!(uid(r#"{"metadata":{"labels":{"a":"b"}}}"#).is_err());
        assert!(uid(r#"{"metadata":{"uid":"e2.u"}}"#).is_err());
        assert!(uid(r#"{"metadata":{"uid":7}}"#).is_err());
        assert!(uid("[]").is_err());
    }

    #[test]
    fn restricting_labels_are_refused() {
        let node = |key: &str| serde_json::json!({"metadata": {"labels": {key: ""}}});
        assert!(check_node_labels(&node("node-role.kubernetes.io/edge")).is_ok());
        assert!(check_node_labels(&node("node-restriction.kubernetes.io/fips")).is_err());
        assert!(check_node_labels(&node("x.node-restriction.kubernetes.io/fips")).is_err());
    }
}
