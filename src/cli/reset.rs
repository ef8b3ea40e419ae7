//! `keadm reset`. Source: spec 05 §2.5, §6.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Flags of `keadm reset`.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// Which side to remove; what is installed on this host by default
    #[arg(value_enum)]
    pub side: Option<Side>,
    /// Do not ask
    #[arg(long)]
    pub force: bool,
    /// Show what would be done; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Socket of the container runtime; the one of edgecore.yaml by default
    #[arg(long, value_name = "ENDPOINT")]
    pub remote_runtime_endpoint: Option<String>,
    /// Accepted; the cluster is not touched
    #[arg(long, value_name = "FILE", hide = true)]
    pub kube_config: Option<PathBuf>,
    /// Program to run before anything else
    #[arg(long, value_name = "FILE")]
    pub pre_run: Option<PathBuf>,
    /// Program to run after success
    #[arg(long, value_name = "FILE")]
    pub post_run: Option<PathBuf>,
}

/// A side of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// What `keadm init` put here
    Cloud,
    /// What `keadm join` put here
    Edge,
}
