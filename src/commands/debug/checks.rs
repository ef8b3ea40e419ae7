//! The checks. Each tells what it saw and fails with a fact.

use std::{net::IpAddr, time::Duration};

use api::edgecore::EdgeCoreConfig;
use pki::tls;
use thiserror::Error;
use tokio::{
    net::{UdpSocket, lookup_host},
    time::timeout,
};

use super::measure::{self, MIB, ratio};
use crate::{
    cli::debug::CheckArgs,
    commands::{
        https::{self, Address, HttpsError},
        runtime::{self, RuntimeError, Runtimes},
    },
    host::Host,
    term::{
        data,
        report::{Advice, Advise},
    },
};

/// Share of processor, memory or disk that may be in use.
const MAX_USE: f64 = 0.9;
/// Least memory, bytes.
const MIN_MEMORY: u64 = 256 * MIB;
/// Least available memory, bytes.
const MIN_FREE_MEMORY: u64 = 128 * MIB;
/// Least disk, bytes.
const MIN_DISK: u64 = 1024 * MIB;
/// Least available disk, bytes.
const MIN_FREE_DISK: u64 = 512 * MIB;
/// Least share of free process ids.
const MIN_FREE_PIDS: f64 = 0.05;
/// Time for an answer to a DNS question.
const DNS_PATIENCE: Duration = Duration::from_secs(4);
/// Where the node keeps its data.
const DATA_DIR: &str = "/var/lib";

/// Why a check failed.
#[derive(Debug, Error)]
pub enum CheckError {
    /// Not an architecture that we are built for.
    #[error("architecture {0} is not supported")]
    Arch(&'static str),
    /// Something in /proc is missing.
    #[error("{0} cannot be measured on this host")]
    Unmeasured(&'static str),
    /// Too little.
    #[error("{what} is {found}, needed {needed}")]
    Short {
        /// Of what.
        what: &'static str,
        /// How much there is.
        found: String,
        /// How much it takes.
        needed: String,
    },
    /// A name has no address.
    #[error("dns resolution failed, domain: {domain}: {reason}")]
    Dns {
        /// The name.
        domain: String,
        /// Why.
        reason: String,
    },
    /// No address of cloudcore.
    #[error("the address of cloudcore is not known")]
    NoServer,
    /// cloudcore is not reached.
    #[error(transparent)]
    Network(HttpsError),
    /// No runtime.
    #[error("no container runtime was found")]
    NoRuntime,
    /// The runtime does not answer.
    #[error(transparent)]
    Runtime(RuntimeError),
    /// The runtime is not ready.
    #[error("container runtime {version} is not ready: {reason}")]
    RuntimeNotReady {
        /// Name and version.
        version: String,
        /// Its words.
        reason: String,
    },
}

impl Advise for CheckError {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::Arch(_) => Advice::new("Arch", "use an amd64, arm64 or armv7 host"),
            Self::Unmeasured(_) => Advice::new("Proc", "is /proc mounted?"),
            Self::Short { .. } => Advice::new("Resources", "free some, or use a bigger host"),
            Self::Dns { .. } => Advice::new("DNS", "look at /etc/resolv.conf, or try another server with --dns-ip"),
            Self::NoServer => Advice::new("NoServer", "name it: --cloud-hub-server=IP:10000"),
            Self::Network(_) => {
                Advice::new("CloudUnreachable", "is cloudcore running there, and does a firewall let the port through?")
            }
            Self::NoRuntime => Advice::new("RuntimeEndpoint", "install containerd, or name the socket with -p"),
            Self::Runtime(_) | Self::RuntimeNotReady { .. } => {
                Advice::new("RuntimeEndpoint", "look at the log of the container runtime")
            }
        }
    }
}

/// Architecture.
pub fn arch() -> Result<(), CheckError> {
    let arch = std::env::consts::ARCH;
    data(&format!("arch: {arch}"));
    if matches!(arch, "x86_64" | "aarch64" | "arm" | "riscv64") { Ok(()) } else { Err(CheckError::Arch(arch)) }
}

fn at_most(what: &'static str, found: f64) -> Result<(), CheckError> {
    if found <= MAX_USE {
        return Ok(());
    }
    Err(CheckError::Short { what, found: format!("{found:.2}"), needed: format!("at most {MAX_USE}") })
}

fn at_least(what: &'static str, found: u64, needed: u64) -> Result<(), CheckError> {
    if found >= needed {
        return Ok(());
    }
    Err(CheckError::Short { what, found: format!("{} MB", found / MIB), needed: format!("{} MB", needed / MIB) })
}

/// Processors and their load.
pub async fn cpu() -> Result<(), CheckError> {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = measure::cpu_load().await.ok_or(CheckError::Unmeasured("processor load"))?;
    data(&format!("CPU total: {cores} core, Allowed >= 1 core"));
    data(&format!("CPU usage rate: {load:.2}, Allowed rate < {MAX_USE}"));
    at_most("CPU usage rate", load)
}

/// Memory.
pub fn memory() -> Result<(), CheckError> {
    let memory = measure::memory().ok_or(CheckError::Unmeasured("memory"))?;
    let rate = 1.0 - ratio(memory.available, memory.total);
    data(&format!("Memory total: {} MB, Allowed > {} MB", memory.total / MIB, MIN_MEMORY / MIB));
    data(&format!("Memory Free total: {} MB, Allowed > {} MB", memory.available / MIB, MIN_FREE_MEMORY / MIB));
    data(&format!("Memory usage rate: {rate:.2}, Allowed rate < {MAX_USE}"));
    at_least("memory", memory.total, MIN_MEMORY)?;
    at_least("available memory", memory.available, MIN_FREE_MEMORY)?;
    at_most("memory usage rate", rate)
}

/// Disk space.
pub fn disk() -> Result<(), CheckError> {
    let (total, available) = measure::disk(DATA_DIR).ok_or(CheckError::Unmeasured("disk space"))?;
    let rate = 1.0 - ratio(available, total);
    data(&format!("Disk total: {} MB, Allowed > {} MB", total / MIB, MIN_DISK / MIB));
    data(&format!("Disk Free total: {} MB, Allowed > {}MB", available / MIB, MIN_FREE_DISK / MIB));
    data(&format!("Disk usage rate: {rate:.2}, Allowed rate < {MAX_USE}"));
    at_least("disk", total, MIN_DISK)?;
    at_least("available disk", available, MIN_FREE_DISK)?;
    at_most("disk usage rate", rate)
}

/// Process ids.
pub fn pid() -> Result<(), CheckError> {
    let (most, used) = measure::pids().ok_or(CheckError::Unmeasured("process ids"))?;
    data(&format!("Maximum PIDs: {most}; Running processes: {used}"));
    if 1.0 - ratio(used, most) > MIN_FREE_PIDS {
        return Ok(());
    }
    Err(CheckError::Short {
        what: "number of free process ids",
        found: (most - used).to_string(),
        needed: "5 %".into(),
    })
}

/// Name resolution, by the system or by one server.
pub async fn dns(domain: &str, server: Option<IpAddr>) -> Result<(), CheckError> {
    let failed = |reason: String| CheckError::Dns { domain: domain.to_owned(), reason };
    let late = || failed(format!("no answer within {} s", DNS_PATIENCE.as_secs()));
    let ip = match server {
        None => {
            let mut found = timeout(DNS_PATIENCE, lookup_host((domain, 0)))
                .await
                .map_err(|_| late())?
                .map_err(|error| failed(error.to_string()))?;
            found.next().map(|address| address.ip().to_string())
        }
        Some(server) => timeout(DNS_PATIENCE, ask(server, domain)).await.map_err(|_| late())?.map_err(failed)?,
    };
    let ip = ip.ok_or_else(|| failed("no address".to_owned()))?;
    data(&format!("dns resolution success, domain: {domain} ip: {ip}"));
    Ok(())
}

/// One A question to one server; the first address of the answer. RFC 1035 §4.
async fn ask(server: IpAddr, domain: &str) -> Result<Option<String>, String> {
    let local: IpAddr = if server.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    let text = |error: std::io::Error| error.to_string();
    let socket = UdpSocket::bind((local, 0)).await.map_err(text)?;
    socket.connect((server, 53)).await.map_err(text)?;
    let question = question(domain).ok_or("the name is not a DNS name")?;
    socket.send(&question).await.map_err(text)?;
    let mut answer = [0u8; 512];
    let length = socket.recv(&mut answer).await.map_err(text)?;
    Ok(first_address(&answer[..length], question.len()))
}

fn question(domain: &str) -> Option<Vec<u8>> {
    let mut packet = vec![0x6b, 0x65, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in domain.trim_end_matches('.').split('.') {
        packet.push(u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?);
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    Some(packet)
}

/// Walks over the answer records; compressed names are two bytes that start with 11.
fn first_address(packet: &[u8], mut at: usize) -> Option<String> {
    let count = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]);
    for _ in 0..count {
        loop {
            match *packet.get(at)? {
                0 => {
                    at += 1;
                    break;
                }
                length if length & 0xc0 == 0xc0 => {
                    at += 2;
                    break;
                }
                length => at += 1 + usize::from(length),
            }
        }
        let kind = u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]);
        let length = usize::from(u16::from_be_bytes([*packet.get(at + 8)?, *packet.get(at + 9)?]));
        let content = packet.get(at + 10..at + 10 + length)?;
        if let (1, [a, b, c, d]) = (kind, content) {
            return Some(format!("{a}.{b}.{c}.{d}"));
        }
        at += 10 + length;
    }
    None
}

/// The way to cloudcore: a TLS handshake, whatever certificate it shows.
pub async fn network(args: &CheckArgs, host: &dyn Host) -> Result<(), CheckError> {
    let configured = || {
        let text = host.read(&args.config).ok().flatten()?;
        let (config, _) = EdgeCoreConfig::from_yaml(&String::from_utf8_lossy(&text), &host.facts()).ok()?;
        Some(config.modules.edge_hub.websocket.server)
    };
    let server = args.cloud_hub_server.clone().or_else(configured).ok_or(CheckError::NoServer)?;
    let mut address = Address::parse(&server).ok_or(CheckError::NoServer)?;
    if let Some(ip) = &args.ip {
        address.host.clone_from(ip);
    }
    let Ok(config) = tls::client_config_unverified() else { return Err(CheckError::NoServer) };
    match https::connect(&address, config).await {
        Ok(_) | Err(HttpsError::Tls { .. }) => {
            data(&format!("check cloudhubServer {address} success"));
            Ok(())
        }
        Err(error) => Err(CheckError::Network(error)),
    }
}

/// The container runtime.
pub async fn runtime(args: &CheckArgs, host: &dyn Host, runtimes: &dyn Runtimes) -> Result<(), CheckError> {
    let endpoint = args.remote_runtime_endpoint.clone().or_else(|| runtime::candidates(host).into_iter().next());
    let endpoint = endpoint.ok_or(CheckError::NoRuntime)?;
    let facts = runtimes.inspect(&endpoint).await.map_err(CheckError::Runtime)?;
    if let Some(reason) = facts.not_ready {
        return Err(CheckError::RuntimeNotReady { version: facts.version, reason });
    }
    let driver = facts.cgroup_driver.as_deref().unwrap_or("unknown");
    data(&format!("{}, cgroup driver {driver}", facts.version));
    data(&format!("check runtime endpoint {endpoint} success"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_answers_with_compressed_names_are_read() {
        let mut packet = question("a.example").expect("name");
        let end = packet.len();
        packet[7] = 1;
        packet.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
        assert_eq!(first_address(&packet, end).as_deref(), Some("192.0.2.7"));
        assert_eq!(first_address(&packet[..end + 5], end), None);
        assert_eq!(question("a..b"), None);
    }
}
