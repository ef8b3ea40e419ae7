//! `keadm init`. Source: spec 05 §2.1, §2.2.

use std::path::PathBuf;

use clap::Args;

/// Flags of `keadm init`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch on the command line")]
pub struct InitArgs {
    /// Addresses under which edge nodes reach this host, comma-separated; the first is printed in the join command
    #[arg(long, value_name = "IP,…", value_delimiter = ',')]
    pub advertise_address: Vec<String>,
    /// DNS names for the server certificate, comma-separated
    #[arg(long, alias = "domainname", value_name = "NAME,…", value_delimiter = ',')]
    pub dns_names: Vec<String>,
    /// Use the cluster of this kubeconfig; without it a cluster found at the usual places is used, else keadm brings
    /// its own
    #[arg(long, value_name = "FILE")]
    pub kube_config: Option<PathBuf>,
    /// API server URL; overrides the kubeconfig's
    #[arg(long, value_name = "URL", requires = "kube_config")]
    pub master: Option<String>,
    /// Bring our own Kubernetes even if a cluster is found at the usual places
    #[arg(long, conflicts_with = "kube_config")]
    pub embedded: bool,
    /// Accepted; this binary installs itself
    #[arg(long, value_name = "VERSION")]
    pub kubeedge_version: Option<String>,
    /// Override a value of cloudcore.yaml, e.g. modules.cloudStream.enable=true
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Show what would be done; change nothing
    #[arg(short, long)]
    pub dry_run: bool,
    /// Do not wait until everything is ready
    #[arg(long)]
    pub force: bool,
    /// Checks to skip by id, comma-separated, or all
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    pub ignore_preflight_errors: Vec<String>,
    /// Skip all checks
    #[arg(long)]
    pub skip_preflight_checks: bool,
    /// Seconds to wait until everything is ready
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
    #[command(flatten)]
    pub unused: UnusedInitArgs,
}

/// Flags of older guides that have no meaning here; accepted so that pasted commands work.
#[derive(Debug, Args)]
pub struct UnusedInitArgs {
    #[arg(long, hide = true)]
    pub tarballpath: Option<String>,
    #[arg(long, hide = true)]
    pub image_repository: Option<String>,
    #[arg(long, hide = true)]
    pub external_helm_root: Option<String>,
    #[arg(long, hide = true)]
    pub profile: Option<String>,
    #[arg(long, hide = true)]
    pub manifests: Option<String>,
    #[arg(long, short = 'f', hide = true)]
    pub files: Option<String>,
}
