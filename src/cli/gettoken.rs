//! `keadm gettoken`. Source: spec 05 §2.4, §5.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Flags of `keadm gettoken`.
#[derive(Debug, Args)]
pub struct GettokenArgs {
    /// Kubeconfig of the cluster
    #[arg(long, value_name = "FILE")]
    pub kube_config: Option<PathBuf>,
    /// Print the whole join command instead of the token alone
    #[arg(long)]
    pub print_join_command: bool,
    /// Output format
    #[arg(short, long, value_enum, conflicts_with = "print_join_command")]
    pub output: Option<Format>,
}

/// Machine-readable output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object
    Json,
}
