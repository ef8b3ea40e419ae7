//! Queries of ConfigMaps, Secrets, storage objects and service account tokens.

use serde::Deserialize;
use wire::reply::ApiStatus;
use wire::resource::ResourceKind;

use super::{Request, RequestError, Upstream, reply, unix_ms};
use crate::cloudhub::delivery::Delivery;
use crate::cloudhub::doors::Reply;
use crate::kind::{Kind, ObjectKey};
use crate::kubeapi::{ApiError, ApiPath};
use crate::object::Object;

impl Upstream {
    pub(super) async fn query_config(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        let kind = if request.resource.kind == ResourceKind::Secret { Kind::Secret } else { Kind::ConfigMap };
        let key = ObjectKey::namespaced(kind, request.namespace()?, request.name()?);
        self.check_referred(request, &key)?;
        let object = self.api.get(&key).await.map_err(|error| as_lister(error, &key))?;
        Ok(vec![self.deliver(request, key, &object)])
    }

    pub(super) async fn query_storage(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        let name = request.name()?;
        let (key, object) = match request.resource.kind {
            ResourceKind::PersistentVolumeClaim => {
                let namespace = request.namespace()?;
                if !self.mounts(request, namespace, name) {
                    return Err(request.forbidden("no pod bound to it mounts the claim"));
                }
                let key = ObjectKey::namespaced(Kind::named("v1", "PersistentVolumeClaim"), namespace, name);
                let object = self.api.get(&key).await?;
                (key, object)
            }
            ResourceKind::VolumeAttachment => {
                let key = ObjectKey::cluster(Kind::named("storage.k8s.io/v1", "VolumeAttachment"), name);
                let object = self.api.get(&key).await?;
                let node = pointer(&object, "/spec/nodeName");
                if node.as_deref() != Some(&*request.node) {
                    return Err(request.forbidden("the volume is not attached to it"));
                }
                (key, object)
            }
            _ => {
                let key = ObjectKey::cluster(Kind::named("v1", "PersistentVolume"), name);
                let object = self.api.get(&key).await?;
                let claim = (pointer(&object, "/spec/claimRef/namespace"), pointer(&object, "/spec/claimRef/name"));
                let (Some(namespace), Some(claim)) = claim else {
                    return Err(request.forbidden("the volume is not claimed"));
                };
                if !self.mounts(request, &namespace, &claim) {
                    return Err(request.forbidden("no pod bound to it mounts the volume"));
                }
                (key, object)
            }
        };
        Ok(vec![self.deliver(request, key, &object)])
    }

    /// Tokens are only for pods bound to the node, and bound to them. Source: spec 02 §14.6.
    pub(super) async fn query_token(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        #[derive(Deserialize)]
        struct TokenRequest {
            spec: Spec,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Spec {
            bound_object_ref: Option<Bound>,
        }
        #[derive(Deserialize)]
        #[serde(default)]
        #[derive(Default)]
        struct Bound {
            kind: String,
            name: String,
            uid: String,
        }
        let (namespace, account) = (request.namespace()?, request.name()?);
        let body = request.message.content.data().into_owned();
        let token: TokenRequest = serde_json::from_str(&body)
            .map_err(|_| RequestError::Invalid { reason: "the content is no TokenRequest" })?;
        let bound = token.spec.bound_object_ref.filter(|bound| bound.kind == "Pod" && !bound.uid.is_empty());
        let bound = bound.ok_or_else(|| request.forbidden("the token would not be bound to a pod"))?;
        self.check_account(request, namespace, account, (&bound.name, &bound.uid))?;

        let accounts = Kind::named("v1", "ServiceAccount");
        let path = ApiPath::object(&accounts, Some(namespace), account)?.subresource("token");
        let answer = Kind::named("authentication.k8s.io/v1", "TokenRequest");
        let object = self.api.post_to(path, &answer, body).await?;
        Ok(vec![Reply::Post(reply::plain(&request.message, object.content(), None, unix_ms()))])
    }

    /// An answer that the node has to acknowledge, because from now on it is kept up to date.
    fn deliver(&self, request: &Request, key: ObjectKey, object: &Object) -> Reply {
        let recorded = self.controller.ask(|cluster| cluster.is_recorded(&request.node, &object.meta.uid));
        let version = Some(object.meta.version.as_str());
        let message = reply::plain(&request.message, object.content(), version, unix_ms());
        Reply::Deliver(Delivery::answer(key, object, message, recorded))
    }
}

/// A missing object as the peer's cache reports it: by the singular word. Source: spec 02 §14.5.
pub(super) fn as_lister(error: ApiError, key: &ObjectKey) -> RequestError {
    if error.is_not_found() {
        return RequestError::Api(ApiError::Status(Box::new(ApiStatus::not_found(&key.kind.word(), &key.name))));
    }
    error.into()
}

fn pointer(object: &Object, path: &str) -> Option<String> {
    let value: serde_json::Value = object.parse().ok()?;
    value.pointer(path)?.as_str().map(str::to_owned)
}
