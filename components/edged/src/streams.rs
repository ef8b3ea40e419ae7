//! Sessions in containers: where to connect for exec, attach and port-forward.
//!
//! The runtime serves these sessions itself, on an address of this host; whoever asked for one is told the URL and
//! carries the bytes. Commands that need no session are run to their end. Source: spec 08 §8.10.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use thiserror::Error;

use crate::cri::proto as p;
use crate::cri::{CriError, Runtime};
use crate::probes::{ContainerExec, ExecError, ExecOutput};
use crate::view::View;
use crate::{pod, status};

/// Which streams a session has.
#[expect(clippy::struct_excessive_bools, reason = "four independent switches, as in the protocol")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wires {
    /// The user sends.
    pub stdin: bool,
    /// The container's output is wanted.
    pub stdout: bool,
    /// The container's errors are wanted; not together with `tty`.
    pub stderr: bool,
    /// There is a terminal.
    pub tty: bool,
}

/// Why there is no session.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The pod is not on this node.
    #[error("pod {name:?} not found in namespace {namespace:?}")]
    NoPod {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The pod has no running container of that name.
    #[error("container not found (\"{name}\")")]
    NoContainer {
        /// The container asked for, empty for the first.
        name: String,
    },
    /// The pod's sandbox does not run.
    #[error("pod has no running sandbox")]
    NoSandbox,
    /// The runtime refused; its words.
    #[error("{0}")]
    Runtime(String),
    /// The command did not end, or could not be run.
    #[error("{0}")]
    Exec(#[from] ExecError),
}

impl From<CriError> for StreamError {
    fn from(error: CriError) -> Self {
        Self::Runtime(error.to_string())
    }
}

/// Handle to the sessions of this node. Cheap to clone, usable as long as the agent runs.
#[derive(Clone)]
pub struct Streams {
    runtime: Runtime,
    view: Arc<View>,
}

impl Streams {
    pub(crate) fn new(runtime: Runtime, view: Arc<View>) -> Self {
        Self { runtime, view }
    }

    /// URL of a session that runs `command`. An empty `container` means the pod's first one.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub async fn exec(
        &self,
        namespace: &str,
        name: &str,
        container: &str,
        command: Vec<String>,
        wires: Wires,
    ) -> Result<String, StreamError> {
        let Wires { stdin, stdout, stderr, tty } = wires;
        let container_id = self.container(namespace, name, container)?;
        Ok(self.runtime.exec(p::ExecRequest { container_id, cmd: command, tty, stdin, stdout, stderr }).await?)
    }

    /// URL of a session with the container's main process.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub async fn attach(
        &self,
        namespace: &str,
        name: &str,
        container: &str,
        wires: Wires,
    ) -> Result<String, StreamError> {
        let Wires { stdin, stdout, stderr, tty } = wires;
        let container_id = self.container(namespace, name, container)?;
        Ok(self.runtime.attach(p::AttachRequest { container_id, stdin, tty, stdout, stderr }).await?)
    }

    /// URL of a session with ports of the pod.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub async fn port_forward(&self, namespace: &str, name: &str, ports: &[u16]) -> Result<String, StreamError> {
        let (pod, _) = self.pod(namespace, name)?;
        let sandboxes = self.runtime.list_pod_sandboxes(Some(pod::uid(&pod))).await?;
        let ready = sandboxes.into_iter().filter(|sandbox| sandbox.state() == p::SandboxState::Ready);
        let order = |sandbox: &p::PodSandbox| (sandbox.metadata.as_ref().map(|it| it.attempt), sandbox.created_at);
        let newest = ready.max_by_key(order).ok_or(StreamError::NoSandbox)?;
        let ports = ports.iter().map(|port| i32::from(*port)).collect();
        Ok(self.runtime.port_forward(&newest.id, ports).await?)
    }

    /// Runs `command` to its end and answers its output.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub async fn run(
        &self,
        namespace: &str,
        name: &str,
        container: &str,
        command: &[String],
        limit: Duration,
    ) -> Result<ExecOutput, StreamError> {
        let id = self.container(namespace, name, container)?;
        Ok(ContainerExec::exec_sync(&self.runtime, &id, command, limit).await?)
    }

    fn pod(&self, namespace: &str, name: &str) -> Result<(Arc<Pod>, Option<PodStatus>), StreamError> {
        let missing = || StreamError::NoPod { namespace: namespace.to_owned(), name: name.to_owned() };
        self.view.find(namespace, name).ok_or_else(missing)
    }

    /// Runtime ID of a running container.
    fn container(&self, namespace: &str, name: &str, container: &str) -> Result<String, StreamError> {
        let (pod, status) = self.pod(namespace, name)?;
        let first = pod::containers(&pod).first().map(|first| first.name.as_str()).unwrap_or_default();
        let wanted = if container.is_empty() { first } else { container };
        let missing = || StreamError::NoContainer { name: container.to_owned() };
        let status = status.ok_or_else(missing)?;
        status::containers::running_id(&status, wanted).ok_or_else(missing)
    }
}
