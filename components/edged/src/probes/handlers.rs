//! Asks a container: http, tcp, exec and gRPC. Source: spec 08 §10.2.

mod grpc;
mod http;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use nix::errno::Errno;
use tokio::net::TcpStream;

use super::machine::Timing;
use super::{ContainerExec, ExecError};
use crate::env;

pub use self::http::HttpQuestion;

/// Bytes of a body or of a command's output that are looked at.
pub const MAX_OUTPUT: usize = 10 * 1024;
/// How probes introduce themselves.
const USER_AGENT: &str = "kube-probe/1.32";

/// What a container answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Success {
        /// Something users should know nevertheless.
        warning: Option<String>,
    },
    /// Badly, or not at all. The text is for the event.
    Failure(String),
    /// It could not be asked.
    Error(String),
}

/// What to ask, resolved from a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    timeout: Duration,
    ask: Ask,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ask {
    Http(HttpQuestion),
    Tcp {
        host: String,
        port: u16,
    },
    Exec {
        container_id: String,
        command: Vec<String>,
    },
    Grpc {
        host: String,
        port: u16,
        service: String,
    },
    /// The probe makes no sense for this container; asking is an error.
    Nothing(String),
}

impl Question {
    /// What `probe` asks of `container`. Hosts default to the pod's address.
    pub fn new(probe: &Probe, container: &Container, pod_ip: Option<IpAddr>, container_id: &str) -> Self {
        let ask = resolve(probe, container, pod_ip, container_id).unwrap_or_else(Ask::Nothing);
        Self { timeout: Timing::of(probe).timeout, ask }
    }
}

fn resolve(probe: &Probe, container: &Container, pod_ip: Option<IpAddr>, id: &str) -> Result<Ask, String> {
    let host = |given: Option<&String>| match (given.filter(|host| !host.is_empty()), pod_ip) {
        (Some(host), _) => Ok(host.clone()),
        (None, Some(ip)) => Ok(ip.to_string()),
        (None, None) => Err("the pod has no address yet".to_owned()),
    };
    if let Some(exec) = &probe.exec {
        // Only variables with literal values are known here.
        let literals = container.env.iter().flatten().filter_map(|v| Some((v.name.clone(), v.value.clone()?)));
        let literals: Vec<_> = literals.collect();
        let command = exec.command.iter().flatten().map(|word| env::expand(word, &literals)).collect();
        return Ok(Ask::Exec { container_id: id.to_owned(), command });
    }
    if let Some(get) = &probe.http_get {
        let port = port_of(&get.port, container)?;
        return Ok(Ask::Http(HttpQuestion::new(get, host(get.host.as_ref())?, port)));
    }
    if let Some(socket) = &probe.tcp_socket {
        return Ok(Ask::Tcp { host: host(socket.host.as_ref())?, port: port_of(&socket.port, container)? });
    }
    if let Some(grpc) = &probe.grpc {
        let port = u16::try_from(grpc.port).map_err(|_| format!("invalid port number: {}", grpc.port))?;
        return Ok(Ask::Grpc { host: host(None)?, port, service: grpc.service.clone().unwrap_or_default() });
    }
    Err(format!("missing probe handler for container {}", container.name))
}

fn port_of(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|port| port.name.as_deref() == Some(name));
            match named.map(|port| port.container_port).or_else(|| name.parse().ok()) {
                Some(number) => number,
                None => return Err(format!("couldn't find port: {name}")),
            }
        }
    };
    u16::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| format!("invalid port number: {number}"))
}

/// Makes attempts; holds what they share.
pub struct Prober {
    exec: Arc<dyn ContainerExec>,
    tls: http::AnyServer,
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").finish_non_exhaustive()
    }
}

impl Prober {
    /// Commands go through `exec`.
    pub fn new(exec: Arc<dyn ContainerExec>) -> Self {
        Self { exec, tls: http::AnyServer::default() }
    }

    /// One attempt; takes at most the probe's timeout.
    pub async fn ask(&self, question: &Question) -> Outcome {
        let timeout = question.timeout;
        match &question.ask {
            Ask::Http(get) => get.ask(timeout, &self.tls).await,
            Ask::Tcp { host, port } => tcp(host, *port, timeout).await,
            Ask::Exec { container_id, command } => self.run(container_id, command, timeout).await,
            Ask::Grpc { host, port, service } => grpc::ask(host, *port, service, timeout).await,
            Ask::Nothing(reason) => Outcome::Error(reason.clone()),
        }
    }

    async fn run(&self, container_id: &str, command: &[String], timeout: Duration) -> Outcome {
        match self.exec.exec_sync(container_id, command, timeout).await {
            Ok(output) if output.exit_code == 0 => Outcome::Success { warning: None },
            Ok(output) => Outcome::Failure(text_of(&output.output)),
            Err(ExecError::TimedOut) => Outcome::Failure(format!(
                "command timed out: \"{}\" timed out after {}",
                command.join(" "),
                go_duration(timeout)
            )),
            Err(ExecError::Failed(reason)) => Outcome::Error(reason),
        }
    }
}

async fn tcp(host: &str, port: u16, timeout: Duration) -> Outcome {
    match connect(host, port, timeout).await {
        Ok(_) => Outcome::Success { warning: None },
        Err(text) => Outcome::Failure(text),
    }
}

/// Connects, or says why not in Go's words.
async fn connect(host: &str, port: u16, timeout: Duration) -> Result<TcpStream, String> {
    let address = authority(host, port);
    match tokio::time::timeout(timeout, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(format!("dial tcp {address}: {}", dial_error(&error))),
        Err(_) => Err(format!("dial tcp {address}: i/o timeout")),
    }
}

fn dial_error(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(errno) => format!("connect: {}", lower_first(errno.desc())),
        None => error.to_string(),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_OUTPUT)]).into_owned()
}

/// Whole seconds as Go prints a duration.
fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

#[cfg(test)]
mod tests;
