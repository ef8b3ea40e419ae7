//! The container runtime over CRI v1: a thin typed client, no policy.
//!
//! One HTTP/2 connection per endpoint, opened on first use and again after a failure. Every call but image pulls,
//! `ExecSync` without a limit and event streams has a deadline. All calls are cancel-safe for us; what the runtime
//! did before the cancellation shows in the next observation. Source: spec 08 §8.1.

pub mod proto;

use std::path::PathBuf;
use std::time::Duration;

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use prost::Message;
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::codec::Streaming;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;
use tracing::trace;

use proto as p;

/// Largest answer accepted, in bytes. Source: spec 08 §8.1.
const MAX_RECEIVE: usize = 16 * 1024 * 1024;

/// The runtime refused or failed a call; printed the way gRPC errors read in pod messages and events.
#[derive(Debug, Clone, Error)]
#[error("rpc error: code = {code:?} desc = {message}")]
pub struct CriError {
    /// gRPC status code.
    pub code: Code,
    /// The runtime's words.
    pub message: String,
}

impl CriError {
    /// Whether the runtime does not know the object.
    pub fn is_not_found(&self) -> bool {
        self.code == Code::NotFound
    }

    /// Whether the call ran out of time.
    pub fn is_deadline(&self) -> bool {
        self.code == Code::DeadlineExceeded
    }

    fn deadline(call: &str, after: Duration) -> Self {
        Self { code: Code::DeadlineExceeded, message: format!("{call}: no answer within {} s", after.as_secs()) }
    }

    fn malformed(what: &str) -> Self {
        Self { code: Code::Internal, message: format!("runtime answered without {what}") }
    }
}

impl From<tonic::Status> for CriError {
    fn from(status: tonic::Status) -> Self {
        Self { code: status.code(), message: status.message().to_owned() }
    }
}

/// Why an endpoint cannot be used; found before any connection is made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("container runtime endpoint {endpoint:?} is not a unix:// URL or an absolute path")]
pub struct EndpointError {
    /// The endpoint as configured.
    pub endpoint: String,
}

/// Client of the runtime service and the image service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    containers: Channel,
    images: Channel,
    timeout: Duration,
}

/// A stream of "something happened to some container" nudges.
pub struct Events(Streaming<p::ContainerEvent>);

impl Events {
    /// Waits for the next nudge; `None` when the runtime ended the stream.
    pub async fn next(&mut self) -> Result<Option<()>, CriError> {
        Ok(self.0.message().await?.map(|_| ()))
    }
}

/// The path of a unix socket endpoint.
fn socket_path(endpoint: &str) -> Result<PathBuf, EndpointError> {
    let path = endpoint.strip_prefix("unix://").unwrap_or(endpoint);
    if path.starts_with('/') { Ok(PathBuf::from(path)) } else { Err(EndpointError { endpoint: endpoint.to_owned() }) }
}

fn lazy_channel(path: PathBuf) -> Channel {
    // The URI only supplies the `:authority` header; the connector below ignores it.
    Endpoint::from_static("http://localhost").buffer_size(64).connect_with_connector_lazy(tower::service_fn(
        move |_: http::Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        },
    ))
}

impl Runtime {
    /// Prepares the connections; nothing is dialled yet. An empty image endpoint means the runtime's.
    pub fn new(runtime: &str, images: &str, timeout: Duration) -> Result<Self, EndpointError> {
        let channel = lazy_channel(socket_path(runtime)?);
        let images =
            if images.is_empty() || images == runtime { channel.clone() } else { lazy_channel(socket_path(images)?) };
        Ok(Self { containers: channel, images, timeout })
    }

    async fn call<Q, R>(
        channel: &Channel,
        path: &'static str,
        request: Q,
        deadline: Option<Duration>,
    ) -> Result<R, CriError>
    where
        Q: Message + Send + Sync + 'static,
        R: Message + Default + Send + Sync + 'static,
    {
        let exchange = async {
            let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(MAX_RECEIVE);
            grpc.ready().await.map_err(|err| CriError {
                code: Code::Unavailable,
                message: format!("runtime not reachable: {err}"),
            })?;
            let codec = ProstCodec::<Q, R>::default();
            let answer = grpc.unary(Request::new(request), PathAndQuery::from_static(path), codec).await?;
            Ok(answer.into_inner())
        };
        // Boxed: this future is large and is part of the future of every pass.
        let exchange = Box::pin(exchange);
        let started = Instant::now();
        let answer = match deadline {
            None => exchange.await,
            Some(limit) => {
                tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| Err(CriError::deadline(path, limit)))
            }
        };
        trace!(call = path, took = ?started.elapsed(), ok = answer.is_ok(), "runtime call");
        answer
    }

    async fn runtime_call<Q, R>(&self, path: &'static str, request: Q) -> Result<R, CriError>
    where
        Q: Message + Send + Sync + 'static,
        R: Message + Default + Send + Sync + 'static,
    {
        Self::call(&self.containers, path, request, Some(self.timeout)).await
    }

    /// Name and version of the runtime.
    pub async fn version(&self) -> Result<p::VersionResponse, CriError> {
        let request = p::VersionRequest { version: "0.1.0".to_owned() };
        let answer: p::VersionResponse = self.runtime_call("/runtime.v1.RuntimeService/Version", request).await?;
        if answer.version != "0.1.0" || answer.runtime_name.is_empty() || answer.runtime_version.is_empty() {
            return Err(CriError::malformed("a usable version"));
        }
        Ok(answer)
    }

    /// Conditions and handlers of the runtime; `verbose` adds its configuration as JSON.
    pub async fn status(&self, verbose: bool) -> Result<p::StatusResponse, CriError> {
        self.runtime_call("/runtime.v1.RuntimeService/Status", p::StatusRequest { verbose }).await
    }

    /// The cgroup driver of the runtime; older runtimes answer `Unimplemented`.
    pub async fn runtime_config(&self) -> Result<p::RuntimeConfigResponse, CriError> {
        self.runtime_call("/runtime.v1.RuntimeService/RuntimeConfig", p::RuntimeConfigRequest {}).await
    }

    /// Creates and starts a sandbox; returns its ID.
    pub async fn run_pod_sandbox(&self, config: p::PodSandboxConfig, handler: String) -> Result<String, CriError> {
        let request = p::RunPodSandboxRequest { config: Some(config), runtime_handler: handler };
        let path = "/runtime.v1.RuntimeService/RunPodSandbox";
        let answer: p::RunPodSandboxResponse =
            Self::call(&self.containers, path, request, Some(self.timeout * 2)).await?;
        if answer.pod_sandbox_id.is_empty() {
            return Err(CriError::malformed("a sandbox id"));
        }
        Ok(answer.pod_sandbox_id)
    }

    /// Stops a sandbox and everything in it; one that is gone is a success.
    pub async fn stop_pod_sandbox(&self, id: &str) -> Result<(), CriError> {
        self.forgiving("/runtime.v1.RuntimeService/StopPodSandbox", id).await
    }

    /// Removes a sandbox and everything in it; one that is gone is a success.
    pub async fn remove_pod_sandbox(&self, id: &str) -> Result<(), CriError> {
        self.forgiving("/runtime.v1.RuntimeService/RemovePodSandbox", id).await
    }

    /// Removes a container, killing it first if need be; one that is gone is a success.
    pub async fn remove_container(&self, id: &str) -> Result<(), CriError> {
        self.forgiving("/runtime.v1.RuntimeService/RemoveContainer", id).await
    }

    async fn forgiving(&self, path: &'static str, id: &str) -> Result<(), CriError> {
        match self.runtime_call::<_, p::Empty>(path, p::IdRequest { id: id.to_owned() }).await {
            Ok(_) => Ok(()),
            Err(err) if err.is_not_found() => Ok(()),
            Err(err) => Err(err),
        }
    }

    /// Status of a sandbox.
    pub async fn pod_sandbox_status(&self, id: &str) -> Result<p::PodSandboxStatus, CriError> {
        let answer: p::PodSandboxStatusResponse = self
            .runtime_call("/runtime.v1.RuntimeService/PodSandboxStatus", p::IdRequest { id: id.to_owned() })
            .await?;
        answer
            .status
            .filter(|status| !status.id.is_empty() && status.metadata.is_some())
            .ok_or_else(|| CriError::malformed("a sandbox status"))
    }

    /// Sandboxes in any state; with a pod UID only those of that pod.
    pub async fn list_pod_sandboxes(&self, pod_uid: Option<&str>) -> Result<Vec<p::PodSandbox>, CriError> {
        let filter = pod_uid.map(|uid| p::PodSandboxFilter { label_selector: uid_selector(uid) });
        let path = "/runtime.v1.RuntimeService/ListPodSandbox";
        let answer: p::ListPodSandboxResponse = self.runtime_call(path, p::ListPodSandboxRequest { filter }).await?;
        Ok(answer.items)
    }

    /// Creates a container; returns its ID.
    pub async fn create_container(
        &self,
        sandbox_id: &str,
        config: p::ContainerConfig,
        sandbox_config: p::PodSandboxConfig,
    ) -> Result<String, CriError> {
        let request = p::CreateContainerRequest {
            pod_sandbox_id: sandbox_id.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox_config),
        };
        let answer: p::CreateContainerResponse =
            self.runtime_call("/runtime.v1.RuntimeService/CreateContainer", request).await?;
        if answer.container_id.is_empty() {
            return Err(CriError::malformed("a container id"));
        }
        Ok(answer.container_id)
    }

    /// Starts a created container.
    pub async fn start_container(&self, id: &str) -> Result<(), CriError> {
        let path = "/runtime.v1.RuntimeService/StartContainer";
        self.runtime_call::<_, p::Empty>(path, p::IdRequest { id: id.to_owned() }).await.map(|_| ())
    }

    /// Stops a container: SIGTERM, then SIGKILL after `grace` (whole seconds). One that is gone is a success.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), CriError> {
        let timeout = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        let request = p::StopContainerRequest { container_id: id.to_owned(), timeout };
        let path = "/runtime.v1.RuntimeService/StopContainer";
        let limit = grace.saturating_add(self.timeout);
        match Self::call::<_, p::Empty>(&self.containers, path, request, Some(limit)).await {
            Ok(_) => Ok(()),
            Err(err) if err.is_not_found() => Ok(()),
            Err(err) => Err(err),
        }
    }

    /// Containers in any state; with a pod UID only those of that pod.
    pub async fn list_containers(&self, pod_uid: Option<&str>) -> Result<Vec<p::Container>, CriError> {
        let filter = pod_uid.map(|uid| p::ContainerFilter { label_selector: uid_selector(uid) });
        let path = "/runtime.v1.RuntimeService/ListContainers";
        let answer: p::ListContainersResponse = self.runtime_call(path, p::ListContainersRequest { filter }).await?;
        Ok(answer.containers)
    }

    /// Status of a container.
    pub async fn container_status(&self, id: &str) -> Result<p::ContainerStatus, CriError> {
        let path = "/runtime.v1.RuntimeService/ContainerStatus";
        let answer: p::ContainerStatusResponse = self.runtime_call(path, p::IdRequest { id: id.to_owned() }).await?;
        answer
            .status
            .filter(|status| !status.id.is_empty() && status.metadata.is_some())
            .ok_or_else(|| CriError::malformed("a container status"))
    }

    /// Makes the runtime open the container's log file again; used after a rotation ([`crate::logs::rotate`]).
    pub async fn reopen_container_log(&self, id: &str) -> Result<(), CriError> {
        let path = "/runtime.v1.RuntimeService/ReopenContainerLog";
        self.runtime_call::<_, p::Empty>(path, p::IdRequest { id: id.to_owned() }).await.map(|_| ())
    }

    /// Runs a command in a container to its end; a zero `timeout` is no limit.
    pub async fn exec_sync(
        &self,
        id: &str,
        cmd: Vec<String>,
        timeout: Duration,
    ) -> Result<p::ExecSyncResponse, CriError> {
        // The runtime counts whole seconds: round up, so that 1.5 s is not cut short.
        let seconds = i64::try_from(timeout.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        let request = p::ExecSyncRequest { container_id: id.to_owned(), cmd, timeout: seconds };
        let limit = (!timeout.is_zero()).then(|| timeout.saturating_add(self.timeout));
        Self::call(&self.containers, "/runtime.v1.RuntimeService/ExecSync", request, limit).await
    }

    /// URL of a streaming exec session.
    pub async fn exec(&self, request: p::ExecRequest) -> Result<String, CriError> {
        let answer: p::UrlResponse = self.runtime_call("/runtime.v1.RuntimeService/Exec", request).await?;
        Ok(answer.url)
    }

    /// URL of a streaming attach session.
    pub async fn attach(&self, request: p::AttachRequest) -> Result<String, CriError> {
        let answer: p::UrlResponse = self.runtime_call("/runtime.v1.RuntimeService/Attach", request).await?;
        Ok(answer.url)
    }

    /// URL of a port-forward session.
    pub async fn port_forward(&self, sandbox_id: &str, port: Vec<i32>) -> Result<String, CriError> {
        let request = p::PortForwardRequest { pod_sandbox_id: sandbox_id.to_owned(), port };
        let answer: p::UrlResponse = self.runtime_call("/runtime.v1.RuntimeService/PortForward", request).await?;
        Ok(answer.url)
    }

    /// The local image of that name or ID, if present.
    pub async fn image_status(&self, image: &str) -> Result<Option<p::Image>, CriError> {
        let request = p::ImageStatusRequest { image: Some(image_spec(image)) };
        let path = "/runtime.v1.ImageService/ImageStatus";
        let answer: p::ImageStatusResponse = Self::call(&self.images, path, request, Some(self.timeout)).await?;
        Ok(answer.image)
    }

    /// Pulls an image; returns the local reference. No deadline: cancel by dropping.
    pub async fn pull_image(
        &self,
        image: &str,
        auth: Option<p::AuthConfig>,
        sandbox_config: p::PodSandboxConfig,
    ) -> Result<String, CriError> {
        let request =
            p::PullImageRequest { image: Some(image_spec(image)), auth, sandbox_config: Some(sandbox_config) };
        let answer: p::PullImageResponse =
            Self::call(&self.images, "/runtime.v1.ImageService/PullImage", request, None).await?;
        if answer.image_ref.is_empty() {
            return Err(CriError::malformed("an image reference"));
        }
        Ok(answer.image_ref)
    }

    /// Opens the CRI event stream; runtimes without one answer `Unimplemented`, at once or on the first read.
    pub async fn container_events(&self) -> Result<Events, CriError> {
        self.stream("/runtime.v1.RuntimeService/GetContainerEvents", p::Empty {}).await
    }

    /// Opens containerd's own event stream, limited to the ends of tasks in CRI's namespace. containerd 1.6 has it
    /// where `GetContainerEvents` is missing.
    pub async fn containerd_exits(&self) -> Result<Events, CriError> {
        let filters = vec![r#"topic=="/tasks/exit",namespace=="k8s.io""#.to_owned()];
        self.stream("/containerd.services.events.v1.Events/Subscribe", p::SubscribeRequest { filters }).await
    }

    async fn stream<Q: Message + Send + Sync + 'static>(
        &self,
        path: &'static str,
        request: Q,
    ) -> Result<Events, CriError> {
        let mut grpc = Grpc::new(self.containers.clone());
        grpc.ready()
            .await
            .map_err(|err| CriError { code: Code::Unavailable, message: format!("runtime not reachable: {err}") })?;
        let mut request = Request::new(request);
        request.metadata_mut().insert("containerd-namespace", MetadataValue::from_static("k8s.io"));
        let codec = ProstCodec::<Q, p::ContainerEvent>::default();
        let answer = grpc.server_streaming(request, PathAndQuery::from_static(path), codec).await?;
        Ok(Events(answer.into_inner()))
    }
}

fn image_spec(image: &str) -> p::ImageSpec {
    p::ImageSpec { image: image.to_owned(), ..p::ImageSpec::default() }
}

fn uid_selector(uid: &str) -> std::collections::BTreeMap<String, String> {
    std::iter::once((crate::labels::POD_UID.to_owned(), uid.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_is_a_unix_url_or_an_absolute_path() {
        let path = PathBuf::from("/run/x.sock");
        assert_eq!(socket_path("unix:///run/x.sock"), Ok(path.clone()));
        assert_eq!(socket_path("/run/x.sock"), Ok(path));
        assert!(socket_path("tcp://127.0.0.1:1").is_err());
    }

    #[test]
    fn stop_request_has_the_wire_shape_of_cri() {
        let request = p::StopContainerRequest { container_id: "a".to_owned(), timeout: 30 };
        assert_eq!(request.encode_to_vec(), [0x0a, 1, b'a', 0x10, 30]);
    }
}
