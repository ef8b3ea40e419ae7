//! Leases, certificate signing requests and events.

use serde_json::Value;
use tracing::debug;
use wire::operation::Operation;
use wire::reply::ApiStatus;

use super::{Request, RequestError, Upstream, reply, unix_ms};
use crate::cloudhub::doors::Reply;
use crate::kind::{Kind, ObjectKey};
use crate::kubeapi::{ApiPath, PatchKind};

/// Where node leases live.
const LEASES: &str = "kube-node-lease";
/// The only signer a node may turn to.
const SERVING_SIGNER: &str = "kubernetes.io/kubelet-serving";

impl Upstream {
    pub(super) async fn lease(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        request.check_own_name()?;
        if request.namespace()? != LEASES {
            return Err(request.forbidden("it is no node lease"));
        }
        let kind = Kind::named("coordination.k8s.io/v1", "Lease");
        let key = ObjectKey::namespaced(kind.clone(), LEASES, request.node.clone());
        if request.message.route.operation == Operation::Query {
            return Ok(vec![Reply::Post(match self.api.get(&key).await {
                Ok(object) => reply::typed_object(&request.message, &object, unix_ms()),
                Err(error) if error.is_not_found() => {
                    reply::object_failure(&request.message, None, &lease_not_found(&request.node), unix_ms())
                }
                Err(error) => return Err(error.into()),
            })]);
        }
        let body = named_body(request, &kind)?;
        let object = if request.message.route.operation == Operation::Insert {
            self.api.create(&kind, Some(LEASES), body).await?
        } else {
            self.api.replace(&kind, ApiPath::of(&key)?, body).await?
        };
        Ok(vec![Reply::Post(reply::object(&request.message, &object, false, unix_ms()))])
    }

    /// A node may ask for its own serving certificate. Source: spec 01 §9.
    pub(super) async fn signing_request(&self, request: &Request) -> Result<Vec<Reply>, RequestError> {
        let kind = Kind::named("certificates.k8s.io/v1", "CertificateSigningRequest");
        let key = ObjectKey::cluster(kind.clone(), request.name()?);
        if request.message.route.operation == Operation::Query {
            let object = self.api.get(&key).await?;
            let csr: Value = object.parse().map_err(|_| RequestError::Invalid { reason: "unreadable request" })?;
            check_signing_request(request, &csr)?;
            let version = Some(object.meta.version.as_str());
            return Ok(vec![Reply::Post(reply::plain(&request.message, object.content(), version, unix_ms()))]);
        }
        let body = named_body(request, &kind)?;
        let csr: Value = serde_json::from_str(&body).map_err(|_| RequestError::Invalid { reason: "no JSON" })?;
        check_signing_request(request, &csr)?;
        let object = self.api.create(&kind, None, body).await?;
        Ok(vec![Reply::Post(reply::object(&request.message, &object, false, unix_ms()))])
    }

    /// Events have no answer; a failed one is not worth more than a debug line.
    pub(super) async fn event(&self, request: &Request) {
        if let Err(error) = self.record_event(request).await {
            if matches!(error, RequestError::Forbidden { .. }) {
                self.metrics.forbidden_requests.inc();
            }
            debug!(node = %request.node, error = %crate::chain(&error), "event not recorded");
        }
    }

    async fn record_event(&self, request: &Request) -> Result<(), RequestError> {
        let content: Value =
            request.message.content.parse().map_err(|_| RequestError::Invalid { reason: "the content is no Event" })?;
        let patching = request.message.route.operation == Operation::Patch;
        let mut event = if patching { content.get("event").cloned().unwrap_or_default() } else { content.clone() };
        self.check_event(request, &event)?;
        let kind = Kind::named("v1", "Event");
        let namespace = request.namespace()?;
        let name = event.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if request.message.route.operation != Operation::Insert {
            self.check_recorder(request, &ObjectKey::namespaced(kind.clone(), namespace, name.as_str())).await?;
        }
        if patching {
            let change = content.get("patchData").and_then(Value::as_str).unwrap_or_default().to_owned();
            let value: Value =
                serde_json::from_str(&change).map_err(|_| RequestError::Invalid { reason: "patchData is not JSON" })?;
            if value.get("involvedObject").is_some() || value.get("metadata").is_some() {
                return Err(request.forbidden("the patch changes what the event is about"));
            }
            let path = ApiPath::object(&kind, Some(namespace), &name)?;
            self.api.patch(&kind, path, PatchKind::Strategic, change).await?;
            return Ok(());
        }
        if let Some(object) = event.as_object_mut() {
            object.insert("kind".to_owned(), "Event".into());
            object.insert("apiVersion".to_owned(), "v1".into());
        }
        if request.message.route.operation == Operation::Insert {
            self.api.create(&kind, Some(namespace), event.to_string()).await?;
        } else {
            let path = ApiPath::object(&kind, Some(namespace), &name)?;
            self.api.replace(&kind, path, event.to_string()).await?;
        }
        Ok(())
    }

    /// Only the node that recorded an event may change it, whatever it says the event is about.
    async fn check_recorder(&self, request: &Request, key: &ObjectKey) -> Result<(), RequestError> {
        let stored = self.api.get(key).await?;
        let event: Value = stored.parse().map_err(|_| RequestError::Invalid { reason: "the event is unreadable" })?;
        if event.pointer("/source/host").and_then(Value::as_str) == Some(&*request.node) {
            Ok(())
        } else {
            Err(request.forbidden("the event was recorded by somebody else"))
        }
    }

    /// Events are about the node itself, or about pods that are not bound to another node.
    fn check_event(&self, request: &Request, event: &Value) -> Result<(), RequestError> {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let (name, namespace) = (text("/involvedObject/name"), text("/involvedObject/namespace"));
        let own_namespace = text("/metadata/namespace");
        if !own_namespace.is_empty() && own_namespace != request.namespace()? {
            return Err(RequestError::Invalid { reason: "the event's namespace does not match the resource" });
        }
        let fine = match text("/involvedObject/kind") {
            "Node" => name == &*request.node,
            "Pod" => self.controller.ask(|cluster| {
                let node = cluster.pod(namespace, name).and_then(|pod| pod.node.as_deref());
                node.is_none_or(|node| node == &*request.node)
            }),
            _ => false,
        };
        if fine { Ok(()) } else { Err(request.forbidden("the event is about an object of somebody else")) }
    }
}

/// Only the serving signer, and only in the node's own name.
fn check_signing_request(request: &Request, csr: &Value) -> Result<(), RequestError> {
    let text = |path: &str| csr.pointer(path).and_then(Value::as_str).unwrap_or_default();
    if text("/spec/signerName") != SERVING_SIGNER {
        return Err(request.forbidden("it may only ask for serving certificates"));
    }
    let pem: k8s_openapi::ByteString =
        serde_json::from_value(csr.pointer("/spec/request").cloned().unwrap_or_default())
            .map_err(|_| RequestError::Invalid { reason: "spec.request is not base64" })?;
    let pem = String::from_utf8(pem.0).map_err(|_| RequestError::Invalid { reason: "spec.request is not PEM" })?;
    let der = request_der(&pem).ok_or(RequestError::Invalid { reason: "spec.request is not PEM" })?;
    let facts =
        pki::request_facts(&der).map_err(|_| RequestError::Invalid { reason: "the request is not readable" })?;
    if facts.common_name.as_deref() == Some(&format!("system:node:{}", request.node)) {
        Ok(())
    } else {
        Err(request.forbidden("the request names another node"))
    }
}

/// The body of a write, with its types; the name inside must be the resource's.
fn named_body(request: &Request, kind: &Kind) -> Result<String, RequestError> {
    let mut body: Value =
        request.message.content.parse().map_err(|_| RequestError::Invalid { reason: "the content is no object" })?;
    let name = request.name()?;
    let inner = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    if inner != name {
        return Err(RequestError::Invalid { reason: "the object's name does not match the resource" });
    }
    let Some(object) = body.as_object_mut() else {
        return Err(RequestError::Invalid { reason: "the content is no object" });
    };
    object.insert("kind".to_owned(), kind.kind().into());
    object.insert("apiVersion".to_owned(), kind.api_version().into());
    Ok(body.to_string())
}

/// As the peer's cache reports it. Source: spec 02 §2.2.
fn lease_not_found(node: &str) -> ApiStatus {
    ApiStatus {
        message: format!("lease.coordination.k8s.io \"{node}\" not found"),
        details: Some(serde_json::json!({"name": node, "group": "coordination.k8s.io", "kind": "lease"})),
        ..ApiStatus::not_found("lease", node)
    }
}

/// The bytes of a PEM request.
fn request_der(pem: &str) -> Option<Vec<u8>> {
    let body: String =
        pem.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("-----")).collect();
    let bytes: k8s_openapi::ByteString = serde_json::from_value(Value::String(body)).ok()?;
    (!bytes.0.is_empty()).then_some(bytes.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_lease_reads_as_recorded() {
        let status = serde_json::to_string(&lease_not_found("go-edge")).expect("JSON");
        let recorded = r#"{"metadata":{},"status":"Failure","message":"lease.coordination.k8s.io \"go-edge\" not found","reason":"NotFound","details":{"name":"go-edge","group":"coordination.k8s.io","kind":"lease"},"code":404}"#;
        assert_eq!(
            serde_json::from_str::<Value>(&status).expect("JSON"),
            serde_json::from_str::<Value>(recorded).expect("JSON")
        );
    }

    #[test]
    fn pem_requests_decode() {
        let pem = "-----BEGIN CERTIFICATE REQUEST-----\nAAEC\n-----END CERTIFICATE REQUEST-----\n";
        assert_eq!(request_der(pem), Some(vec![0, 1, 2]));
        assert_eq!(request_der("nonsense!"), None);
    }
}
