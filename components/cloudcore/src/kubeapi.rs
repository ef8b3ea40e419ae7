//! The API server as raw JSON: paths are built from checked names, answers keep their text, failures keep their
//! status. Every call has a deadline and a place in a bounded number of calls.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, header};
use kube::Client;
use thiserror::Error;
use tokio::sync::Semaphore;
use wire::reply::ApiStatus;

use crate::kind::{Kind, ObjectKey};
use crate::object::Object;

/// Calls in flight at once. Full: callers wait.
pub const MAX_CALLS: usize = 256;

/// Longest wait for one call, including the wait for a place.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// Why a call gave no object.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The API server answered with a failure.
    #[error("the API server refused: {0}")]
    Status(Box<ApiStatus>),
    /// No usable answer.
    #[error("the API server did not answer")]
    Unreachable(#[source] Box<kube::Error>),
    /// The answer is not an object.
    #[error("the API server's answer is not an object")]
    Answer(#[source] serde_json::Error),
    /// [`CALL_DEADLINE`] passed.
    #[error("the API server took longer than {} s", CALL_DEADLINE.as_secs())]
    Deadline,
    /// A name cannot stand in an API path.
    #[error("{text:?} cannot be part of an API path")]
    Name {
        /// The offending text.
        text: String,
    },
    /// The request could not be built.
    #[error("cannot build the API request")]
    Request(#[source] http::Error),
}

impl ApiError {
    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code() == 404
    }

    /// Whether an object of that name exists already.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Status(status) if status.reason == "AlreadyExists")
    }

    /// Whether a precondition or a version did not hold.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Status(status) if status.reason == "Conflict")
    }

    /// Whether nothing can be created because the namespace is being deleted.
    pub fn is_namespace_terminating(&self) -> bool {
        let Self::Status(status) = self else { return false };
        let causes = status.details.as_ref().and_then(|details| details.get("causes")).and_then(|all| all.as_array());
        let caused = causes.is_some_and(|causes| causes.iter().any(|cause| cause["reason"] == "NamespaceTerminating"));
        status.code == 403 && (caused || status.message.contains("because it is being terminated"))
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Status(status) => status.code == 429 || status.code >= 500,
            Self::Unreachable(_) | Self::Deadline => true,
            Self::Answer(_) | Self::Name { .. } | Self::Request(_) => false,
        }
    }

    /// The failure as it crosses the wire; what is no API status becomes `500 InternalError`.
    pub fn status(&self) -> ApiStatus {
        match self {
            Self::Status(status) => ApiStatus::clone(status),
            Self::Name { .. } => {
                ApiStatus { reason: "Invalid".to_owned(), code: 422, ..ApiStatus::internal(self.to_string()) }
            }
            Self::Unreachable(_) | Self::Answer(_) | Self::Deadline | Self::Request(_) => {
                ApiStatus::internal(self.to_string())
            }
        }
    }

    fn code(&self) -> u16 {
        match self {
            Self::Status(status) => status.code,
            Self::Unreachable(_) | Self::Answer(_) | Self::Deadline | Self::Name { .. } | Self::Request(_) => 0,
        }
    }
}

/// An API path made of checked segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiPath(String);

impl ApiPath {
    /// The collection of a kind, in a namespace or the cluster.
    ///
    /// # Errors
    /// [`ApiError::Name`] when a part cannot stand in a path.
    pub fn collection(kind: &Kind, namespace: Option<&str>) -> Result<Self, ApiError> {
        let api_version = kind.api_version();
        let mut path = String::from(if api_version.contains('/') { "/apis" } else { "/api" });
        for part in api_version.split('/') {
            push_segment(&mut path, part)?;
        }
        if let Some(namespace) = namespace {
            path.push_str("/namespaces");
            push_segment(&mut path, namespace)?;
        }
        push_segment(&mut path, &kind.plural())?;
        Ok(Self(path))
    }

    /// One object.
    ///
    /// # Errors
    /// As [`ApiPath::collection`].
    pub fn object(kind: &Kind, namespace: Option<&str>, name: &str) -> Result<Self, ApiError> {
        let mut path = Self::collection(kind, namespace)?;
        push_segment(&mut path.0, name)?;
        Ok(path)
    }

    /// The object a key names.
    ///
    /// # Errors
    /// As [`ApiPath::collection`].
    pub fn of(key: &ObjectKey) -> Result<Self, ApiError> {
        Self::object(&key.kind, key.namespace.as_deref(), &key.name)
    }

    /// A subresource such as `status`.
    #[must_use]
    pub fn subresource(mut self, name: &'static str) -> Self {
        self.0.push('/');
        self.0.push_str(name);
        self
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn push_segment(path: &mut String, segment: &str) -> Result<(), ApiError> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'~');
    if segment.is_empty() || segment.len() > 253 || segment == "." || segment == ".." || !segment.bytes().all(fine) {
        return Err(ApiError::Name { text: segment.chars().take(64).collect() });
    }
    path.push('/');
    path.push_str(segment);
    Ok(())
}

/// How a patch body is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// JSON merge patch (RFC 7386).
    Merge,
    /// Strategic merge patch.
    Strategic,
}

impl PatchKind {
    fn content_type(self) -> &'static str {
        match self {
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
        }
    }
}

/// The API server.
#[derive(Clone)]
pub struct KubeApi {
    client: Client,
    places: Arc<Semaphore>,
}

impl KubeApi {
    /// Wraps a client.
    pub fn new(client: Client) -> Self {
        Self { client, places: Arc::new(Semaphore::new(MAX_CALLS)) }
    }

    /// The client inside, for watches.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Reads one object.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn get(&self, key: &ObjectKey) -> Result<Object, ApiError> {
        let text = self.call(Method::GET, ApiPath::of(key)?.as_str(), None, Vec::new()).await?;
        Object::read(&key.kind, &text).map_err(ApiError::Answer)
    }

    /// Creates an object from its JSON text.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn create(&self, kind: &Kind, namespace: Option<&str>, body: String) -> Result<Object, ApiError> {
        let path = ApiPath::collection(kind, namespace)?;
        let text = self.call(Method::POST, path.as_str(), Some("application/json"), body.into_bytes()).await?;
        Object::read(kind, &text).map_err(ApiError::Answer)
    }

    /// Posts to a subresource and returns the answer's text, `answer` being the kind it holds.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn post_to(&self, path: ApiPath, answer: &Kind, body: String) -> Result<Object, ApiError> {
        let text = self.call(Method::POST, path.as_str(), Some("application/json"), body.into_bytes()).await?;
        Object::read(answer, &text).map_err(ApiError::Answer)
    }

    /// Replaces an object, or a subresource of it.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn replace(&self, kind: &Kind, path: ApiPath, body: String) -> Result<Object, ApiError> {
        let text = self.call(Method::PUT, path.as_str(), Some("application/json"), body.into_bytes()).await?;
        Object::read(kind, &text).map_err(ApiError::Answer)
    }

    /// Patches an object, or a subresource of it.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn patch(&self, kind: &Kind, path: ApiPath, how: PatchKind, body: String) -> Result<Object, ApiError> {
        let text = self.call(Method::PATCH, path.as_str(), Some(how.content_type()), body.into_bytes()).await?;
        Object::read(kind, &text).map_err(ApiError::Answer)
    }

    /// Deletes an object; `options` is a DeleteOptions body.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn delete(&self, key: &ObjectKey, options: String) -> Result<(), ApiError> {
        let path = ApiPath::of(key)?;
        self.call(Method::DELETE, path.as_str(), Some("application/json"), options.into_bytes()).await.map(drop)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&'static str>,
        body: Vec<u8>,
    ) -> Result<String, ApiError> {
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, "application/json");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(body).map_err(ApiError::Request)?;
        let answered = tokio::time::timeout(CALL_DEADLINE, async {
            let _place = self.places.acquire().await.expect("the semaphore is never closed");
            self.client.request_text(request).await
        })
        .await
        .map_err(|_| ApiError::Deadline)?;
        answered.map_err(|error| match error {
            kube::Error::Api(status) => ApiError::Status(Box::new(wire_status(&status))),
            other => ApiError::Unreachable(Box::new(other)),
        })
    }
}

fn wire_status(status: &kube::core::Status) -> ApiStatus {
    ApiStatus {
        message: status.message.clone(),
        reason: status.reason.clone(),
        details: status.details.as_ref().and_then(|details| serde_json::to_value(details).ok()),
        code: status.code,
        ..ApiStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_for_core_and_groups() {
        let path = |kind: &Kind, ns: Option<&str>, name: &str| ApiPath::object(kind, ns, name).expect("valid").0;
        assert_eq!(path(&Kind::Pod, Some("default"), "web"), "/api/v1/namespaces/default/pods/web");
        assert_eq!(path(&Kind::Node, None, "e1"), "/api/v1/nodes/e1");
        let lease = Kind::named("coordination.k8s.io/v1", "Lease");
        assert_eq!(
            path(&lease, Some("kube-node-lease"), "e1"),
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/e1"
        );
    }

    #[test]
    fn names_cannot_leave_their_segment() {
        for name in ["", "..", "a/b", "a%2fb", "a?b", "a#b", "a b", "ü"] {
            assert!(matches!(ApiPath::object(&Kind::Pod, Some("d"), name), Err(ApiError::Name { .. })), "{name}");
        }
    }

    #[test]
    fn what_is_no_status_becomes_an_internal_error() {
        assert_eq!(ApiError::Deadline.status().code, 500);
        assert_eq!(ApiError::Status(Box::new(ApiStatus::not_found("pods", "x"))).status().reason, "NotFound");
    }
}
