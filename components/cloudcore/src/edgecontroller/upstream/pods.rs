//! Pods of a node: status, mirror pods, the final deletion. Source: spec 02 §8.

use serde::Deserialize;
use serde_json::{Value, json};
use tracing::debug;

use super::rights::check_pod_patch;
use super::{Request, RequestError, Upstream, reply, unix_ms};
use crate::cloudhub::doors::Reply;
use crate::kind::{Kind, ObjectKey};
use crate::kubeapi::{ApiPath, PatchKind};

/// Part of the API server's text when a UID precondition fails because the pod was made anew.
const RECREATED: &str = "The object might have been deleted and then recreated";
/// Marks a pod that stands for a static pod of the node.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

impl Upstream {
    pub(super) async fn patch_pod_status(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        let (namespace, name) = (request.namespace()?, request.name()?);
        self.check_own_pod(request, namespace, name).await?;
        let change = request.message.content.data().into_owned();
        check_pod_patch(&change).map_err(|reason| request.forbidden(reason))?;
        let path = ApiPath::object(&Kind::Pod, Some(namespace), name)?.subresource("status");
        let object = self.api.patch(&Kind::Pod, path, PatchKind::Strategic, change).await?;
        Ok(vec![Reply::Post(reply::object(&request.message, &object, true, unix_ms()))])
    }

    /// A mirror pod: bound to the node, and without anything it could use to reach objects of others.
    pub(super) async fn insert_mirror_pod(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        let (namespace, name) = (request.namespace()?, request.name()?);
        let mut pod: Value =
            request.message.content.parse().map_err(|_| RequestError::Invalid { reason: "the content is no Pod" })?;
        let text = |path: &str| pod.pointer(path).and_then(Value::as_str);
        if text("/spec/nodeName") != Some(&*request.node) {
            return Err(request.forbidden("the pod is not bound to it"));
        }
        let mirror = pod.pointer("/metadata/annotations").and_then(|all| all.get(MIRROR_ANNOTATION));
        if mirror.is_none() {
            return Err(request.forbidden("only mirror pods may be created"));
        }
        if text("/metadata/name").is_some_and(|own| own != name)
            || text("/metadata/namespace").is_some_and(|own| own != namespace)
        {
            return Err(RequestError::Invalid { reason: "the pod's name does not match the resource" });
        }
        if text("/spec/serviceAccountName").is_some_and(|account| !account.is_empty()) {
            return Err(request.forbidden("a mirror pod has no service account"));
        }
        if let Some(object) = pod.as_object_mut() {
            object.insert("kind".to_owned(), "Pod".into());
            object.insert("apiVersion".to_owned(), "v1".into());
        }
        check_mirror_references(&pod).map_err(|reason| request.forbidden(reason))?;
        let object = self.api.create(&Kind::Pod, Some(namespace), pod.to_string()).await?;
        Ok(vec![Reply::Post(reply::object(&request.message, &object, true, unix_ms()))])
    }

    /// The kubelet's last word on a pod. A pod that is gone, or was made anew, counts as deleted.
    pub(super) async fn delete_pod(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        let (namespace, name) = (request.namespace()?, request.name()?);
        let done = || Ok(vec![Reply::Post(reply::ok(&request.message, None, unix_ms()))]);
        match self.check_own_pod(request, namespace, name).await {
            Err(RequestError::Api(error)) if error.is_not_found() => return done(),
            checked => checked?,
        }
        let options = delete_options(&request.message.content.data())
            .ok_or(RequestError::Invalid { reason: "the content is neither DeleteOptions nor a UID" })?;
        let outcome = self.api.delete(&ObjectKey::namespaced(Kind::Pod, namespace, name), options).await;
        match outcome {
            Ok(()) => done(),
            Err(error) if error.is_not_found() || error.status().message.contains(RECREATED) => {
                debug!(node = %request.node, resource = %request.resource, "pod was gone already");
                done()
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// DeleteOptions from what edges send: the object itself, or (before v1.11) a bare UID.
fn delete_options(content: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Options {}
    let text = content.trim();
    if text.starts_with('{') {
        serde_json::from_str::<Options>(text).ok()?;
        return Some(text.to_owned());
    }
    let uid = text.trim_matches('"');
    let plausible = !uid.is_empty() && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plausible.then(|| json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}).to_string())
}

/// A mirror pod must not refer to ConfigMaps, Secrets, claims or tokens: that would open them to the node.
fn check_mirror_references(pod: &Value) -> Result<(), &'static str> {
    let object = crate::object::Object::read(&Kind::Pod, &pod.to_string()).map_err(|_| "the pod is unreadable")?;
    let facts =
        crate::edgecontroller::references::PodFacts::read(&object).map_err(|_| "the pod's spec is unreadable")?;
    if facts.configs.is_empty() && facts.claims.is_empty() && !facts.projects_token {
        Ok(())
    } else {
        Err("a mirror pod may not refer to other objects")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_deletion() {
        let options = r#"{"gracePeriodSeconds":0,"preconditions":{"uid":"u-1"}}"#;
        assert_eq!(delete_options(options).as_deref(), Some(options));
        assert_eq!(delete_options("u-1").as_deref(), Some(options));
        assert_eq!(delete_options(""), None);
        assert_eq!(delete_options("{broken"), None);
    }
}
