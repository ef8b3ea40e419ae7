//! What a node may touch: its own Node and Lease, the pods bound to it, and what those refer to.
//!
//! The cluster state answers nearly always. A pod it has not seen yet (a mirror pod just made) is looked up.

use serde_json::Value;

use super::{Request, RequestError, Upstream};
use crate::edgecontroller::references::PodFacts;
use crate::kind::{Kind, ObjectKey};

impl Upstream {
    /// Fails unless the pod is bound to the requesting node. A pod that does not exist is the API server's to report.
    ///
    /// # Errors
    /// [`RequestError`].
    pub(super) async fn check_own_pod(
        &self,
        request: &Request,
        namespace: &str,
        name: &str,
    ) -> Result<(), RequestError> {
        let known = self.controller.ask(|cluster| {
            cluster.pod(namespace, name).and_then(|pod| pod.node.as_ref().map(|node| *node == request.node))
        });
        let own = if let Some(own) = known {
            own
        } else {
            let pod = self.api.get(&ObjectKey::namespaced(Kind::Pod, namespace, name)).await?;
            let facts = PodFacts::read(&pod).map_err(|_| RequestError::Invalid { reason: "the pod is unreadable" })?;
            facts.node.as_deref() == Some(&*request.node)
        };
        if own { Ok(()) } else { Err(request.forbidden("the pod is not bound to it")) }
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

/// A pod status patch may identify the pod and set its status, nothing else.
///
/// # Errors
/// A text for [`RequestError`].
pub fn check_pod_patch(patch: &str) -> Result<(), &'static str> {
    let Ok(Value::Object(patch)) = serde_json::from_str::<Value>(patch) else {
        return Err("the patch is not a JSON object");
    };
    if patch.keys().any(|key| key != "metadata" && key != "status") {
        return Err("the patch changes more than the status");
    }
    let only_uid = match patch.get("metadata") {
        None => true,
        Some(Value::Object(metadata)) => metadata.keys().all(|key| key == "uid"),
        Some(_) => false,
    };
    if only_uid { Ok(()) } else { Err("the patch changes the pod's metadata") }
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
        assert_eq!(check_pod_patch(r#"{"metadata":{"uid":"u"},"status":{"phase":"Running"}}"#), Ok(()));
        assert_eq!(check_pod_patch("{}"), Ok(()));
        assert!(check_pod_patch(r#"{"spec":{"nodeName":"other"}}"#).is_err());
        assert!(check_pod_patch(r#"{"metadata":{"labels":{"a":"b"}}}"#).is_err());
        assert!(check_pod_patch("[]").is_err());
    }

    #[test]
    fn restricting_labels_are_refused() {
        let node = |key: &str| serde_json::json!({"metadata": {"labels": {key: ""}}});
        assert!(check_node_labels(&node("node-role.kubernetes.io/edge")).is_ok());
        assert!(check_node_labels(&node("node-restriction.kubernetes.io/fips")).is_err());
        assert!(check_node_labels(&node("x.node-restriction.kubernetes.io/fips")).is_err());
    }
}
