//! Pods of a node: status, mirror pods, the final deletion. Source: spec 02 §8.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tracing::debug;
use wire::reply::ApiStatus;

use super::rights::{is_uid, pod_patch};
use super::{Request, RequestError, Upstream, reply, unix_ms};
use crate::cloudhub::delivery::Delivery;
use crate::cloudhub::doors::Reply;
use crate::kind::{Kind, ObjectKey};
use crate::kubeapi::{ApiError, ApiPath, PatchKind};

/// Part of the API server's text when a UID precondition fails because the pod was made anew.
const RECREATED: &str = "The object might have been deleted and then recreated";
/// Marks a pod that stands for a static pod of the node.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

impl Upstream {
    pub(super) async fn patch_pod_status(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        let (namespace, name) = (request.namespace()?, request.name()?);
        let (patch, named) = pod_patch(&request.message.content.data()).map_err(|reason| request.forbidden(reason))?;
        let bearer = match self.bearer(request, namespace, name, named.as_deref()).await {
            Err(RequestError::Api(error)) if error.is_not_found() => {
                return Ok(self.refused_and_forgotten(request, &error.into(), named.as_deref()));
            }
            bearer => bearer?,
        };
        let stale = named.as_deref().filter(|named| *named != &*bearer.uid);
        if !bearer.own {
            return Ok(self.refused_and_forgotten(request, &request.forbidden("the pod is not bound to it"), stale));
        }
        if let Some(stale) = stale {
            let error = made_anew(name, stale, &bearer.uid);
            return Ok(self.refused_and_forgotten(request, &error, Some(stale)));
        }
        let path = ApiPath::object(&Kind::Pod, Some(namespace), name)?.subresource("status");
        let change = with_uid(patch, &bearer.uid);
        match self.api.patch(&Kind::Pod, path, PatchKind::Strategic, change).await {
            Ok(object) => Ok(vec![Reply::Post(reply::object(&request.message, &object, true, unix_ms()))]),
            Err(error) if error.is_not_found() => {
                Ok(self.refused_and_forgotten(request, &error.into(), Some(&bearer.uid)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A refusal, and the deletion of the pod with `uid` that only the node still believes in.
    fn refused_and_forgotten(&self, request: &Request, error: &RequestError, uid: Option<&str>) -> Vec<Reply> {
        let mut replies = self.refused(request, error);
        if let (Some(uid), Ok(namespace), Ok(name)) = (uid, request.namespace(), request.name()) {
            let key = ObjectKey::namespaced(Kind::Pod, namespace, name);
            replies.push(Reply::Deliver(Delivery::minimal_delete(key, uid)));
        }
        replies
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
        let asked = deletion(&request.message.content.data())
            .ok_or(RequestError::Invalid { reason: "the content is neither DeleteOptions nor a UID" })?;
        let named = asked.preconditions.uid.as_deref();
        let bearer = match self.bearer(request, namespace, name, named).await {
            Err(RequestError::Api(error)) if error.is_not_found() => return done(),
            bearer => bearer?,
        };
        let stale = named.filter(|named| *named != &*bearer.uid);
        if !bearer.own {
            return Ok(self.refused_and_forgotten(request, &request.forbidden("the pod is not bound to it"), stale));
        }
        if stale.is_some() {
            debug!(node = %request.node, resource = %request.resource, "pod was made anew already");
            return done();
        }
        let options = delete_options(&asked, &bearer.uid);
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

/// The parts of DeleteOptions that a node may decide.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
struct Deletion {
    grace_period_seconds: Option<u32>,
    #[serde(deserialize_with = "crate::edgecontroller::references::null_is_default")]
    preconditions: Preconditions,
}

#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
struct Preconditions {
    uid: Option<String>,
}

/// What edges send: DeleteOptions, or (before v1.11) a bare UID.
fn deletion(content: &str) -> Option<Deletion> {
    let text = content.trim();
    let asked = if text.starts_with('{') {
        serde_json::from_str(text).ok()?
    } else {
        let uid = Some(text.trim_matches('"').to_owned());
        Deletion { grace_period_seconds: Some(0), preconditions: Preconditions { uid } }
    };
    asked.preconditions.uid.as_deref().is_none_or(is_uid).then_some(asked)
}

/// DeleteOptions for the pod with this UID and no other.
fn delete_options(asked: &Deletion, uid: &str) -> String {
    let mut options = Map::new();
    if let Some(grace) = asked.grace_period_seconds {
        options.insert("gracePeriodSeconds".to_owned(), grace.into());
    }
    options.insert("preconditions".to_owned(), json!({"uid": uid}));
    Value::Object(options).to_string()
}

/// The patch, for the pod with this UID and no other.
fn with_uid(mut patch: Map<String, Value>, uid: &str) -> String {
    patch.insert("metadata".to_owned(), json!({"uid": uid}));
    Value::Object(patch).to_string()
}

/// `409 Conflict`, as the API server words it.
fn made_anew(name: &str, named: &str, live: &str) -> RequestError {
    RequestError::Api(ApiError::Status(Box::new(ApiStatus {
        message: format!(
            "Operation cannot be fulfilled on pods \"{name}\": Precondition failed: UID in precondition: {named}, UID in object meta: {live}"
        ),
        reason: "Conflict".to_owned(),
        details: Some(json!({"name": name, "kind": "pods"})),
        code: 409,
        ..ApiStatus::default()
    })))
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
        let rebuilt = |content: &str| deletion(content).map(|asked| delete_options(&asked, "u-1"));
        assert_eq!(rebuilt(options).as_deref(), Some(options));
        assert_eq!(rebuilt("u-1").as_deref(), Some(options));
        assert_eq!(deletion("u-2").expect("a deletion").preconditions.uid.as_deref(), Some("u-2"));
        for content in ["", "{broken", "e2.u", r#"{"preconditions":{"uid":"a/b"}}"#] {
            assert_eq!(deletion(content), None, "{content}");
        }
    }

    #[test]
    fn a_node_decides_the_grace_of_a_deletion_and_nothing_else() {
        let asked =
            deletion(r#"{"gracePeriodSeconds":30,"propagationPolicy":"Orphan","dryRun":["All"],"preconditions":null}"#);
        let expected = r#"{"gracePeriodSeconds":30,"preconditions":{"uid":"own"}}"#;
        assert_eq!(delete_options(&asked.expect("a deletion"), "own"), expected);
    }

    #[test]
    fn a_patch_is_bound_to_its_pod() {
        let (patch, _) = pod_patch(r#"{"status":{"phase":"Running"}}"#).expect("a patch");
        assert_eq!(with_uid(patch, "u-1"), r#"{"metadata":{"uid":"u-1"},"status":{"phase":"Running"}}"#);
        assert_eq!(made_anew("web", "u-1", "u-2").status().code, 409);
    }
}
