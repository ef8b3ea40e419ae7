//! `keadm debug`. Source: spec 05 §11.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Subcommands of `keadm debug`.
#[derive(Debug, Args)]
pub struct DebugArgs {
    /// What to do
    #[command(subcommand)]
    pub command: DebugCommand,
}

/// Subcommands of `keadm debug`.
#[derive(Debug, Subcommand)]
pub enum DebugCommand {
    /// Check whether this host can be an edge node
    Check(CheckArgs),
}

/// Flags of `keadm debug check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// What to check
    #[arg(value_enum)]
    pub item: Item,
    /// Name to resolve
    #[arg(short, long, value_name = "NAME", default_value = "www.github.com")]
    pub domain: String,
    /// DNS server to ask instead of the system's
    #[arg(short = 'D', long, value_name = "IP")]
    pub dns_ip: Option<std::net::IpAddr>,
    /// Address to reach instead of cloudcore's
    #[arg(short, long, value_name = "IP")]
    pub ip: Option<String>,
    /// Address of cloudcore; the one of edgecore.yaml by default
    #[arg(short = 's', long, value_name = "HOST:PORT")]
    pub cloud_hub_server: Option<String>,
    /// Configuration of edgecore
    #[arg(short, long, value_name = "FILE", default_value = api::names::EDGECORE_CONFIG_FILE)]
    pub config: PathBuf,
    /// Socket of the container runtime
    #[arg(short = 'p', long, alias = "runtime", short_alias = 'r', value_name = "ENDPOINT")]
    pub remote_runtime_endpoint: Option<String>,
}

/// What can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Item {
    /// Everything
    All,
    /// Architecture
    Arch,
    /// Processors and their load
    Cpu,
    /// Memory
    #[value(alias = "memory")]
    Mem,
    /// Disk space
    Disk,
    /// Name resolution
    Dns,
    /// Way to cloudcore
    Network,
    /// Process ids
    Pid,
    /// Container runtime
    Runtime,
}
