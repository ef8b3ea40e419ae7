//! Lifecycle hooks: postStart and preStop. Source: spec 08 §6.7.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cri::CriError;

use super::Agent;

/// Deadline of an HTTP hook's answer.
const HTTP_DEADLINE: Duration = Duration::from_mins(1);

/// Why a hook failed; the text is shown as the container's waiting message.
#[derive(Debug, Error)]
pub enum HookError {
    #[error("{0}")]
    Runtime(#[from] CriError),
    #[error("command '{command}' exited with {code}: {output}")]
    Exit { command: String, code: i32, output: String },
    #[error("Get \"http://{address}/\": {source}")]
    Http { address: String, source: std::io::Error },
    #[error("invalid handler")]
    Handler,
}

/// Runs a handler to its end; `limit` bounds commands.
pub async fn run(
    agent: &Agent,
    container: &Container,
    handler: &LifecycleHandler,
    id: &str,
    pod_ip: Option<IpAddr>,
    limit: Option<Duration>,
) -> Result<(), HookError> {
    if let Some(exec) = &handler.exec {
        let command = exec.command.clone().unwrap_or_default();
        let shown = command.join(" ");
        let answer = agent.runtime.exec_sync(id, command, limit.unwrap_or(Duration::ZERO)).await?;
        if answer.exit_code == 0 {
            return Ok(());
        }
        let mut output = String::from_utf8_lossy(&answer.stdout).into_owned();
        output.push_str(&String::from_utf8_lossy(&answer.stderr));
        return Err(HookError::Exit { command: shown, code: answer.exit_code, output });
    }
    if let Some(sleep) = &handler.sleep {
        let seconds = Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0));
        tokio::time::sleep(limit.map_or(seconds, |limit| seconds.min(limit))).await;
        return Ok(());
    }
    let Some(get) = &handler.http_get else { return Err(HookError::Handler) };
    let port = port_number(container, &get.port).ok_or(HookError::Handler)?;
    let host = get.host.clone().filter(|host| !host.is_empty()).or_else(|| pod_ip.map(|ip| ip.to_string()));
    let host = host.ok_or(HookError::Handler)?;
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let path = get.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    let mut head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: kube-lifecycle/1.32\r\n");
    for header in get.http_headers.iter().flatten() {
        let _ = write!(head, "{}: {}\r\n", header.name, header.value);
    }
    head.push_str("Accept: */*\r\nConnection: close\r\n\r\n");
    let exchange = http_answers(&address, &head);
    let done = tokio::time::timeout(limit.unwrap_or(HTTP_DEADLINE), exchange).await;
    done.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(|source| HookError::Http { address, source })
}

/// Any answer is a success: hooks do not look at the status code.
async fn http_answers(address: &str, head: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(head.as_bytes()).await?;
    let mut first = [0; 1];
    stream.read_exact(&mut first).await?;
    Ok(())
}

fn port_number(container: &Container, port: &IntOrString) -> Option<u16> {
    match port {
        IntOrString::Int(number) => u16::try_from(*number).ok(),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|port| port.name.as_deref() == Some(name));
            named.and_then(|port| u16::try_from(port.container_port).ok()).or_else(|| name.parse().ok())
        }
    }
}
