//! `keadm version`. Source: spec 05 §2.9.

use clap::Args;

/// Flags of `keadm version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// short, yaml or json
    #[arg(short, long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    pub output: String,
}
